/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/daily.h"

/* The moment on the day of `now`, so many days later. */
static gint64 moment(guint minutes, gint64 now, gint days)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(now);
	g_autoptr(GDateTime) day = time ? g_date_time_add_days(time, days) : NULL;
	g_autoptr(GDateTime) then =
		day ? g_date_time_new_local(g_date_time_get_year(day), g_date_time_get_month(day),
			      g_date_time_get_day_of_month(day), (gint)minutes / 60,
			      (gint)minutes % 60, 0)
		    : NULL;

	return then ? g_date_time_to_unix(then) : G_MAXINT64;
}

gboolean daily_is_due(guint minutes, gint64 last, gint64 now)
{
	gint64 latest = moment(minutes, now, 0);

	if (latest > now)
		latest = moment(minutes, now, -1);
	return latest <= now && latest > MIN(last, now);
}
