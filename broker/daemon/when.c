/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/when.h"

#include <string.h>

#define DAY_MINUTES (24 * 60)
#define WEEK_SECONDS (7 * 24 * 3600)

static const char *const day_names[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

/* Reads exactly `digits` digits. */
static gboolean digits(const char **text, unsigned count, guint *value)
{
	*value = 0;
	for (; count > 0; count--, (*text)++) {
		if (!g_ascii_isdigit(**text))
			return FALSE;
		*value = *value * 10 + (guint)(**text - '0');
	}
	return TRUE;
}

static gboolean sign(const char **text, char c)
{
	return **text == c ? (*text)++, TRUE : FALSE;
}

static gboolean hour_minute(const char **text, guint *minutes)
{
	guint hour, minute;

	if (!digits(text, 2, &hour) || !sign(text, ':') || !digits(text, 2, &minute) ||
		minute > 59 || hour * 60 + minute > DAY_MINUTES)
		return FALSE;
	*minutes = hour * 60 + minute;
	return TRUE;
}

static gboolean day_read(const char **text, guint *day)
{
	for (guint i = 0; i < G_N_ELEMENTS(day_names); i++)
		if (!g_ascii_strncasecmp(*text, day_names[i], 3)) {
			*text += 3;
			*day = i;
			return TRUE;
		}
	return FALSE;
}

/* "Mon", "Mon,Wed", "Mon-Fri" */
static gboolean days_read(const char **text, guint *days)
{
	guint first, last;

	*days = 0;
	do {
		if (!day_read(text, &first))
			return FALSE;
		last = first;
		if (sign(text, '-') && (!day_read(text, &last) || last < first))
			return FALSE;
		for (guint i = first; i <= last; i++)
			*days |= 1u << i;
	} while (sign(text, ','));
	return TRUE;
}

char *when_parse_weekly(struct when *when, const char *text)
{
	const char *p = text;

	*when = (struct when){0};
	if (!days_read(&p, &when->days) || !sign(&p, ' ') || !hour_minute(&p, &when->begin) ||
		!sign(&p, '-') || !hour_minute(&p, &when->end) || *p)
		return g_strdup_printf("\"%s\" is no time of the week; write it as \"Tue "
				       "09:00-11:00\", \"Mon,Wed 13:00-14:30\" or \"Mon-Fri "
				       "08:00-12:00\"",
			text);
	if (when->begin >= when->end)
		return g_strdup_printf("\"%s\" ends before it begins; what goes on past midnight "
				       "needs two reservations",
			text);
	return NULL;
}

/* "2026-03-03", "2026-03-03 09:00" or with seconds; a date alone is moved on by `whole` days. */
static gboolean moment(const char *text, gint whole, gint64 *seconds)
{
	guint year, month, day, minutes = 0, second = 0;
	const char *p = text;

	if (!digits(&p, 4, &year) || !sign(&p, '-') || !digits(&p, 2, &month) || !sign(&p, '-') ||
		!digits(&p, 2, &day) || year < 1970)
		return FALSE;
	if (*p) {
		if ((!sign(&p, ' ') && !sign(&p, 'T')) || !hour_minute(&p, &minutes) ||
			minutes == DAY_MINUTES)
			return FALSE;
		if (sign(&p, ':') && (!digits(&p, 2, &second) || second > 59))
			return FALSE;
		whole = 0;
	}
	g_autoptr(GDateTime) at = *p ? NULL
				     : g_date_time_new_local((gint)year, (gint)month, (gint)day,
					       (gint)minutes / 60, (gint)minutes % 60, second);
	g_autoptr(GDateTime) moved = at ? g_date_time_add_days(at, whole) : NULL;
	if (!moved)
		return FALSE;
	*seconds = g_date_time_to_unix(moved);
	return TRUE;
}

char *when_parse_once(struct when *when, const char *from, const char *until)
{
	static const char how[] = "is no date; write it as 2026-03-03 or \"2026-03-03 09:00\"";

	*when = (struct when){0};
	if (!moment(from, 0, &when->from))
		return g_strdup_printf("\"%s\" %s", from, how);
	if (!moment(until, 1, &when->until))
		return g_strdup_printf("\"%s\" %s", until, how);
	if (when->from >= when->until)
		return g_strdup_printf("\"%s\" is not before \"%s\"", from, until);
	return NULL;
}

gboolean when_contains(const struct when *when, gint64 now)
{
	if (!when->days)
		return now >= when->from && now < when->until;
	g_autoptr(GDateTime) at = g_date_time_new_from_unix_local(now);
	if (!at)
		return FALSE;
	guint minutes = (guint)(g_date_time_get_hour(at) * 60 + g_date_time_get_minute(at));
	return (when->days >> (g_date_time_get_day_of_week(at) - 1) & 1) &&
	       minutes >= when->begin && minutes < when->end;
}

gboolean when_is_over(const struct when *when, gint64 now)
{
	return !when->days && now >= when->until;
}

gint64 when_wait(const struct when *when, gint64 now)
{
	gint64 wait = 60 - now % 60; /* time zones' offsets are whole minutes */

	if (when->days)
		return wait;
	if (when->from > now)
		wait = MIN(wait, when->from - now);
	else if (when->until > now)
		wait = MIN(wait, when->until - now);
	return wait;
}

gboolean when_overlap(const struct when *a, const struct when *b)
{
	if (a->days && b->days)
		return (a->days & b->days) && a->begin < b->end && b->begin < a->end;
	if (!a->days && !b->days)
		return a->from < b->until && b->from < a->until;
	const struct when *weekly = a->days ? a : b, *once = a->days ? b : a;
	gint64 last = MIN(once->until, once->from + WEEK_SECONDS);
	for (gint64 at = once->from; at < last; at += 60 - at % 60)
		if (when_contains(weekly, at))
			return TRUE;
	return FALSE;
}

static char *moment_text(gint64 seconds)
{
	g_autoptr(GDateTime) at = g_date_time_new_from_unix_local(seconds);

	return at ? g_date_time_format(at, seconds % 60 ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%d %H:%M")
		  : g_strdup("?");
}

char *when_text(const struct when *when)
{
	if (!when->days) {
		g_autofree char *from = moment_text(when->from), *until = moment_text(when->until);

		return g_strdup_printf("%s to %s", from, until);
	}
	GString *text = g_string_new(NULL);
	for (guint i = 0; i < G_N_ELEMENTS(day_names); i++)
		if (when->days >> i & 1)
			g_string_append_printf(text, "%s%s", text->len ? "," : "", day_names[i]);
	g_string_append_printf(text, " %02u:%02u-%02u:%02u", when->begin / 60, when->begin % 60,
		when->end / 60, when->end % 60);
	return g_string_free(text, FALSE);
}
