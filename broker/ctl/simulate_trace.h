/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A trace, line by line:
 *
 *	+ NAME	arrives		! INDEX	a server is lost
 *	- NAME	leaves		* INDEX	it returns
 *	# comment
 *
 * Blank lines say nothing; a comment may also stand behind an event.
 */
#ifndef CARREL_SIMULATE_TRACE_H
#define CARREL_SIMULATE_TRACE_H

#include <glib.h>

#define TRACE_NAME_MAX 95 /* bytes, as of any user's name */

enum trace_kind { TRACE_NOTHING, TRACE_ARRIVES, TRACE_LEAVES, TRACE_LOST, TRACE_RETURNS };

struct trace_event {
	enum trace_kind kind;
	char name[TRACE_NAME_MAX + 1]; /* of the user; of a server: its index as typed */
	guint64 server;
};

/*
 * One line of `length` bytes, with or without its end. On FALSE `error` (PLAN_ERROR_USAGE) says
 * what is wrong with it, without the line's number.
 */
gboolean trace_parse(const char *line, gsize length, struct trace_event *event, GError **error);

#endif
