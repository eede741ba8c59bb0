/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UTF-8 as the viewer needs it: whole characters for the form, harmless text for the screen. */
#ifndef CARREL_VIEWER_UTF8_H
#define CARREL_VIEWER_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads one character at `text`, which has `size` bytes left. Returns its length in bytes (1..4)
 * and sets *code; 0 at the end or when the bytes are not valid UTF-8 (overlong forms and surrogates
 * are not valid).
 */
size_t utf8_read(const char *text, size_t size, uint32_t *code);

/* Writes `code` and a terminator into `out` (5 bytes). Returns the length, 0 when not a character.
 */
size_t utf8_write(uint32_t code, char out[5]);

/* Start of the character before / end of the character after byte `at`; `at` is on a boundary. */
size_t utf8_prev(const char *text, size_t at);
size_t utf8_next(const char *text, size_t at);

/* Number of characters in a valid string. */
size_t utf8_count(const char *text);

/*
 * Copies `text` for display: control characters become blanks, bytes that are not UTF-8 and
 * characters that change the direction or hide text are dropped, the rest is cut to `size` bytes
 * with the terminator at a whole character. NULL counts as empty.
 */
void utf8_clean(char *out, size_t size, const char *text);

#endif
