/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ledger: where the time of each login went, in ms, from the PC's power-on (its boot stages, as
 * the viewer hands them over) to the first whole frame. An entry is stored when the frame is there.
 * A hand-off is an entry too, stored when it is over and has done something; its stages are core's
 * steps. One that an earlier daemon has begun is not stored: its times are not known.
 *
 * The stages of the broker are read off core's events and states, core itself knows no ledger.
 */
#ifndef CARREL_LEDGER_H
#define CARREL_LEDGER_H

#include <glib.h>
#include <jansson.h>

#include "broker/core/core.h"
#include "broker/store/store.h"

struct ledger;

struct ledger *ledger_new(struct store *store); /* borrowed, must outlive it */
void ledger_free(struct ledger *ledger);

/* A login begins; `boot` is the array of boot stages (borrowed; NULL: none). */
void ledger_begin(struct ledger *ledger, guint64 login, const char *user, const char *seat,
	const json_t *boot, gint64 now_ms);
/* Before and after each step of core. */
void ledger_event(struct ledger *ledger, const struct core *core, const struct core_event *event);
void ledger_stepped(struct ledger *ledger, const struct core *core, const struct core_event *event);
/* The viewer has been given its ticket for that session. */
void ledger_ready(struct ledger *ledger, guint64 login, guint64 session);
/* The login is over before a first frame: nothing is stored. */
void ledger_drop(struct ledger *ledger, guint64 login);

#endif
