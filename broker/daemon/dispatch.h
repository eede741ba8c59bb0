/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The only place that turns core's actions into calls; each result comes back as an event. */
#ifndef CARREL_DISPATCH_H
#define CARREL_DISPATCH_H

#include "broker/daemon/broker.h"

/*
 * Stores the rows that the actions name, all in one transaction, then begins the effects in their
 * order. When the rows cannot be stored no effect is begun and the broker stops.
 */
void dispatch(struct broker *broker, const struct core_actions *actions);

/* What has become of a server's fencing (fence_done_func), as an event; `data` is the broker. */
void dispatch_fenced(guint64 server, const char *failure, gpointer data);

#endif
