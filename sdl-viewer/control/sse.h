/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A parser of Server-Sent Events (WHATWG HTML, "Server-sent events"): lines of `field: value`, an
 * empty line ends an event. Bounded: what is longer than the limits ends the stream with an error.
 * `id` and `retry` are ignored, comments keep the stream alive and are not passed on.
 */
#ifndef CARREL_VIEWER_SSE_H
#define CARREL_VIEWER_SSE_H

#include <stdbool.h>
#include <stddef.h>

#define SSE_LINE_MAX 16384
#define SSE_DATA_MAX 16384
#define SSE_NAME_MAX 64

/* Both texts end with a NUL and live only during the call; a missing name is "message". */
typedef void (*sse_handler)(void *context, const char *name, const char *data);

struct sse {
	sse_handler handler;
	void *context; /* borrowed */
	size_t line_used, data_used;
	bool after_cr, have_data, failed;
	char line[SSE_LINE_MAX];
	char name[SSE_NAME_MAX];
	char data[SSE_DATA_MAX];
};

void sse_init(struct sse *sse, sse_handler handler, void *context);

/* Wipes what is buffered (a ticket may be in it) and starts afresh. */
void sse_reset(struct sse *sse);

/* Feeds bytes as they come. Returns false, for good until sse_reset, once a limit is passed. */
bool sse_feed(struct sse *sse, const char *bytes, size_t size);

#endif
