/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log lines are key=value on standard error, one event a line: the journal (or the lab) keeps them.
 * Values with blanks or quotes are quoted; control characters are escaped, so that a line is a
 * line. Never give a password, a ticket or a token to these functions.
 */
#ifndef CARREL_LOG_H
#define CARREL_LOG_H

#include <stdarg.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* The name stands at the start of each line; borrowed, must live as long as the program. */
void log_init(const char *program, enum log_level level);

/*
 * log_event(LOG_INFO, "desktop-started", "desktop", "d7", "memory_mib", "2048", NULL)
 * prints: carreld info desktop-started desktop=d7 memory_mib=2048
 * The list is pairs of key and value (a NULL value prints as "-"), ended by a NULL key.
 */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

/* printf-style values for log_event: valid until the 8th next call in the same thread. */
const char *log_fmt(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
