/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The agents in the desktops, spoken to through the workers: claim, keyboard and release go out,
 * hello, progress, answers and the end of the guest's session come in and become core's events.
 * What an agent says is foreign input: a desktop's user is root-like in it, so nothing but words
 * about that same desktop is believed.
 */
#ifndef CARREL_AGENT_H
#define CARREL_AGENT_H

#include "broker/daemon/broker.h"

struct agents;

struct agents *agents_new(struct broker *broker);
void agents_free(struct agents *agents);

/* Carry out CORE_ACT_CLAIM and CORE_ACT_RELEASE; the result comes as an event. */
void agent_claim(struct agents *agents, const struct core_action *action);
void agent_release(struct agents *agents, const struct core_action *action);

/*
 * Tells the session's desktop which keyboard its user sits at ("" where the seat has none set: the
 * image's own). What comes of it is logged, and told to seats; the session goes on either way.
 */
void agent_keyboard(struct agents *agents, guint64 session);

/* One message of the agent in `desktop`: an object, or a string that holds one (borrowed). */
void agent_received(struct agents *agents, guint64 desktop, const json_t *message);

#endif
