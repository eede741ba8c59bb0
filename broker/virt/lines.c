/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/virt/lines.h"

#include <string.h>

void lines_init(struct lines *lines)
{
	lines->used = 0;
	lines->dropping = FALSE;
	lines->dropped = 0;
}

static void take(struct lines *lines, const char *data, size_t length)
{
	if (lines->dropping)
		return;
	if (length > sizeof(lines->text) - 1 - lines->used) {
		lines->dropping = TRUE;
		lines->dropped++;
		lines->used = 0;
		return;
	}
	memcpy(lines->text + lines->used, data, length);
	lines->used += length;
}

void lines_feed(struct lines *lines, const char *data, size_t length,
	void (*line)(void *user, const char *text, size_t length), void *user)
{
	while (length) {
		const char *end = memchr(data, '\n', length);
		size_t n = end ? (size_t)(end - data) : length;

		take(lines, data, n);
		if (!end)
			return;
		if (lines->used && !lines->dropping)
			line(user, lines->text, lines->used);
		lines->used = 0;
		lines->dropping = FALSE;
		data = end + 1;
		length -= n + 1;
	}
}

json_t *lines_object(const char *text, size_t length)
{
	json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(json))
		return json;
	json_decref(json);
	return NULL;
}
