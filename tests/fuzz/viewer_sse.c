/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The event stream: the same bytes give the same events, however they are cut. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdl-viewer/control/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(void *context, const char *name, const char *data)
{
	uint64_t *sum = context;

	for (; *name; name++)
		*sum = *sum * 31 + (unsigned char)*name;
	for (; *data; data++)
		*sum = *sum * 31 + (unsigned char)*data;
	*sum += 7;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sse sse;
	uint64_t at_once = 0, in_pieces = 0;
	int good;

	sse_init(&sse, note, &at_once);
	good = sse_feed(&sse, (const char *)data, size);
	sse_init(&sse, note, &in_pieces);
	for (size_t at = 0; at < size; at++)
		sse_feed(&sse, (const char *)data + at, 1);
	if (at_once != in_pieces || good == sse.failed)
		abort();
	return 0;
}
