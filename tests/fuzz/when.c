/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Times of reservations: what is read can be written and read again, and means the same. */
#include "broker/daemon/when.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	char *second = strchr(text, '|');
	struct when when, again;

	if (second)
		*second++ = '\0';
	g_autofree char *problem = when_parse_weekly(&when, text);
	if (!problem) {
		g_autofree char *back = when_text(&when);
		g_autofree char *other = when_parse_weekly(&again, back);

		if (other || again.days != when.days || again.begin != when.begin ||
			again.end != when.end)
			abort();
	}
	g_autofree char *wrong = when_parse_once(&when, text, second ? second : "2099-01-01");
	if (!wrong) {
		g_autofree char *back = when_text(&when);

		if (!when_contains(&when, when.from) || when_contains(&when, when.until) || !*back)
			abort();
	}
	return 0;
}
