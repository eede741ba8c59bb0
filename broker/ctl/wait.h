/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --wait: the admin API is asked five times a second, what changes is said in a line of its own.
 * The waiting ends when its time is out, or with Ctrl-C; what is waited for goes on in carreld.
 */
#ifndef CARREL_CTL_WAIT_H
#define CARREL_CTL_WAIT_H

#include "broker/ctl/command.h"

struct wait {
	gint64 until_us, changed_us; /* g_get_monotonic_time */
	gboolean quiet;
	char *said; /* owned; the last line */
};

/* With --json nothing is said. */
void wait_begin(struct wait *wait, const struct context *context, guint seconds);
void wait_end(struct wait *wait);

/* Says the line when it is another than the last one. */
void wait_say(struct wait *wait, const char *line);
/* Something happens, though the line is the same. */
void wait_touch(struct wait *wait);
/* ms since the line changed, or since wait_touch. */
gint64 wait_unchanged_ms(const struct wait *wait);
/* Until it is time to ask again. NULL, or why the waiting is over: "timeout" or "interrupted". */
const char *wait_pause(struct wait *wait);

#endif
