/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a reservation is in force, in local time: at the same hours of some days of each week
 * ("Tue 09:00-11:00", "Mon,Wed 13:00-14:30", "Mon-Fri 08:00-12:00"), or once, from one moment to
 * another ("2026-03-03 09:00"; a date alone is its first moment, at the end its last).
 */
#ifndef CARREL_WHEN_H
#define CARREL_WHEN_H

#include <glib.h>

struct when {
	guint days;         /* bit 0 = Monday; 0 = once */
	guint begin, end;   /* weekly: minutes of the day, end not included, at most 24:00 */
	gint64 from, until; /* once: seconds of wall time, until not included */
};

/* Both return NULL, or a sentence that says what is wrong (the caller frees it). */
char *when_parse_weekly(struct when *when, const char *text);
char *when_parse_once(struct when *when, const char *from, const char *until);

/* In force at that moment of wall time (seconds)? */
gboolean when_contains(const struct when *when, gint64 now);
/* In force never again. */
gboolean when_is_over(const struct when *when, gint64 now);
/* Seconds until it is worth looking again; at most 60. */
gint64 when_wait(const struct when *when, gint64 now);
/* Is there a moment in which both are in force? */
gboolean when_overlap(const struct when *a, const struct when *b);

/* "Mon,Tue 09:00-11:00" or "2026-03-03 09:00 to 2026-03-03 11:00"; the caller frees it. */
char *when_text(const struct when *when);

#endif
