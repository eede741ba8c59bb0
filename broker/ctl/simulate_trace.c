/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/simulate_trace.h"
#include "broker/ctl/plan_args.h"

#include <string.h>

static gboolean wrong(GError **error, const char *why)
{
	g_set_error_literal(error, PLAN_ERROR, PLAN_ERROR_USAGE, why);
	return FALSE;
}

/* No control characters: the name is printed as it is. */
static gboolean printable(const char *name)
{
	for (const char *p = name; *p; p = g_utf8_next_char(p))
		if (g_unichar_iscntrl(g_utf8_get_char(p)) || g_unichar_isspace(g_utf8_get_char(p)))
			return FALSE;
	return TRUE;
}

static gboolean parse_index(struct trace_event *event, GError **error)
{
	uint64_t index;
	g_autoptr(GError) why = NULL;

	if (!plan_count(event->name, "the index of a server", 0, PLAN_SERVERS_MOST, &index, &why))
		return wrong(error, why->message);
	event->server = index;
	g_snprintf(event->name, sizeof(event->name), "%" G_GUINT64_FORMAT, event->server);
	return TRUE;
}

gboolean trace_parse(const char *line, gsize length, struct trace_event *event, GError **error)
{
	static const char signs[] = "+-!*";
	static const enum trace_kind kinds[] = {
		TRACE_ARRIVES, TRACE_LEAVES, TRACE_LOST, TRACE_RETURNS};
	g_auto(GStrv) words = NULL;
	g_autofree char *text = NULL;
	gsize count = 0;

	*event = (struct trace_event){.kind = TRACE_NOTHING};
	if (memchr(line, '\0', length) || !g_utf8_validate_len(line, length, NULL))
		return wrong(error, "this is not UTF-8 text");
	text = g_strndup(line, length);
	words = g_strsplit_set(text, " \t\r\n", -1);
	/* The words alone: without what lies between blanks, up to a comment. */
	for (gsize i = 0; words[i] && words[i][0] != '#'; i++) {
		if (!words[i][0])
			continue;
		if (count < 3) {
			char *word = words[i];
			words[i] = words[count];
			words[count] = word;
		}
		count++;
	}
	if (count == 0)
		return TRUE;
	const char *sign = words[0][1] ? NULL : strchr(signs, words[0][0]);
	if (!sign || count != 2)
		return wrong(error,
			"write \"+ NAME\", \"- NAME\", \"! INDEX\", \"* INDEX\" or \"# comment\"");
	if (strlen(words[1]) > TRACE_NAME_MAX)
		return wrong(error, "the name is longer than 95 bytes");
	if (!printable(words[1]))
		return wrong(error, "the name has control characters");
	g_strlcpy(event->name, words[1], sizeof(event->name));
	event->kind = kinds[sign - signs];
	return event->kind == TRACE_ARRIVES || event->kind == TRACE_LEAVES ||
	       parse_index(event, error);
}
