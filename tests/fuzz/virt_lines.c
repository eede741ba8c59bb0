/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a desktop's guest may send over its agent channel, cut at two different places. */
#include "broker/virt/lines.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_line(void *user, const char *text, size_t length)
{
	(void)user;
	if (!length || length >= LINES_MAX)
		abort();
	json_decref(lines_object(text, length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lines lines;
	size_t cut = size ? data[0] % size : 0;

	lines_init(&lines);
	lines_feed(&lines, (const char *)data, cut, on_line, NULL);
	lines_feed(&lines, (const char *)data + cut, size - cut, on_line, NULL);
	return 0;
}
