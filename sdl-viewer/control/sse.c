/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/control/sse.h"

#include <string.h>

void sse_init(struct sse *sse, sse_handler handler, void *context)
{
	sse->handler = handler;
	sse->context = context;
	sse_reset(sse);
}

void sse_reset(struct sse *sse)
{
	explicit_bzero(sse->line, sizeof(sse->line));
	explicit_bzero(sse->data, sizeof(sse->data));
	sse->line_used = sse->data_used = 0;
	sse->after_cr = sse->have_data = sse->failed = false;
	sse->name[0] = 0;
}

static void dispatch(struct sse *sse)
{
	if (sse->have_data) {
		sse->data[sse->data_used] = 0;
		sse->handler(sse->context, sse->name[0] ? sse->name : "message", sse->data);
	}
	explicit_bzero(sse->data, sse->data_used);
	sse->data_used = 0;
	sse->have_data = false;
	sse->name[0] = 0;
}

static bool take_data(struct sse *sse, const char *value, size_t size)
{
	/* One byte for the newline between data lines, one for the terminator. */
	if (sse->data_used + size + 2 > sizeof(sse->data))
		return false;
	if (sse->have_data)
		sse->data[sse->data_used++] = '\n';
	memcpy(sse->data + sse->data_used, value, size);
	sse->data_used += size;
	sse->have_data = true;
	return true;
}

static bool take_line(struct sse *sse)
{
	char *line = sse->line;
	size_t size = sse->line_used, field, value;
	const char *colon;

	sse->line_used = 0;
	if (size == 0) {
		dispatch(sse);
		return true;
	}
	if (memchr(line, 0, size))
		return false;
	colon = memchr(line, ':', size);
	field = colon ? (size_t)(colon - line) : size;
	value = colon ? field + 1 : size;
	if (value < size && line[value] == ' ')
		value++;
	if (field == 4 && memcmp(line, "data", 4) == 0)
		return take_data(sse, line + value, size - value);
	if (field == 5 && memcmp(line, "event", 5) == 0) {
		if (size - value >= sizeof(sse->name))
			return false;
		memcpy(sse->name, line + value, size - value);
		sse->name[size - value] = 0;
	}
	return true;
}

bool sse_feed(struct sse *sse, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size && !sse->failed; i++) {
		char c = bytes[i];

		if (c == '\n' && sse->after_cr) {
			sse->after_cr = false;
			continue;
		}
		sse->after_cr = c == '\r';
		if (c == '\n' || c == '\r')
			sse->failed = !take_line(sse);
		else if (sse->line_used < sizeof(sse->line))
			sse->line[sse->line_used++] = c;
		else
			sse->failed = true;
	}
	return !sse->failed;
}
