/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Servers, sessions and desktops as the admin API shows them; each a new reference. */
#ifndef CARREL_ROWS_H
#define CARREL_ROWS_H

#include <jansson.h>

#include "broker/daemon/broker.h"

json_t *rows_servers(struct broker *broker); /* an array */
json_t *rows_session(struct broker *broker, const struct core_session *session);
json_t *rows_desktop(struct broker *broker, const struct core_desktop *desktop);

/*
 * Adds a hand-off to an object: "move" and "move_why" (words of core; "" for none), and "next",
 * "next_server", "next_memory_mib", the desktop it leads to. `session` NULL = nobody is moved.
 */
void rows_move(struct broker *broker, const struct core_session *session, json_t *object);

#endif
