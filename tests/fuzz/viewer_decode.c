/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The broker's JSON: events and answers. What comes out must be fit for screen and header. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdl-viewer/app/utf8.h"
#include "sdl-viewer/control/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	char again[512];

	utf8_clean(again, sizeof(again), text);
	if (strcmp(again, text) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {
		"stage", "ready", "refused", "moved", "ended", "handoff"};
	char token[DECODE_TOKEN_MAX], code[32], text[512], quoted[4096];
	char *body = malloc(size + 1);
	struct event *event;

	memcpy(body, data, size);
	body[size] = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		event = decode_stream(names[i], body);
		if (event)
			check_text(event->text);
		if (event && event->type == EVENT_READY && (!event->port || !event->ticket[0]))
			abort();
		if (event && (event->ms > DECODE_HANDOFF_MS_MAX ||
				     event->from_mib > DECODE_SIZE_MIB_MAX ||
				     event->size_mib > DECODE_SIZE_MIB_MAX))
			abort();
		event_free(event);
	}
	event = decode_hello(body, size);
	if (event)
		check_text(event->text);
	event_free(event);
	if (decode_token(body, size, token) && strpbrk(token, "\r\n \t:"))
		abort();
	decode_error(body, size, code, sizeof(code), text, sizeof(text));
	check_text(text);
	decode_quote(quoted, sizeof(quoted), body);
	free(body);
	return 0;
}
