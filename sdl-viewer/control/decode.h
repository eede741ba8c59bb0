/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the broker says (docs/protocols.md, "Client API") made into events, checked and cleaned. */
#ifndef CARREL_VIEWER_DECODE_H
#define CARREL_VIEWER_DECODE_H

#include <stddef.h>

#include "sdl-viewer/app/event.h"

/* Life of a token's text, bytes with the terminator. */
#define DECODE_TOKEN_MAX 256

/* What a hand-off's numbers may be at most: an hour, and 16 TiB. */
#define DECODE_HANDOFF_MS_MAX 3600000
#define DECODE_SIZE_MIB_MAX 16777216

/*
 * One event of the stream. Returns a new event, or NULL for a name that this version does not know
 * or for data that is not as the contract says.
 */
struct event *decode_stream(const char *name, const char *data);

/* The answer of hello: EVENT_HELLO, or NULL when it is not as the contract says. */
struct event *decode_hello(const char *body, size_t size);

/* The answer of login: fills `token`; false when there is none that can stand in a header. */
bool decode_token(const char *body, size_t size, char token[DECODE_TOKEN_MAX]);

/* Code and message of an error's body; what is missing becomes an empty text. */
void decode_error(
	const char *body, size_t size, char *code, size_t code_size, char *text, size_t text_size);

/*
 * Writes `text` as a JSON string with its quotes into `out`. Returns the length, 0 when it does not
 * fit or is not UTF-8. It leaves no copy elsewhere, so it is what a password goes through.
 */
size_t decode_quote(char *out, size_t size, const char *text);

#endif
