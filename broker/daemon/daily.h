/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is to be done once a day at a time of local time; nothing here reads a clock. */
#ifndef CARREL_DAILY_H
#define CARREL_DAILY_H

#include <glib.h>

/*
 * Has the time of the day (minutes) come since `last`? Both moments are seconds of wall time. A
 * moment that was missed (the machine was off) counts as come, once however many were missed; a
 * `last` that lies in the future, as after a clock that was wrong, counts as now.
 */
gboolean daily_is_due(guint minutes, gint64 last, gint64 now);

#endif
