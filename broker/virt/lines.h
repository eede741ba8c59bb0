/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cuts the byte stream of a desktop's agent into lines. The guest is not trusted: a line longer
 * than LINES_MAX is dropped up to its end, what is not one JSON object is refused by lines_object.
 */
#ifndef CARREL_VIRT_LINES_H
#define CARREL_VIRT_LINES_H

#include <glib.h>
#include <jansson.h>

#define LINES_MAX 16384 /* bytes with the newline */

struct lines {
	char text[LINES_MAX];
	size_t used;
	gboolean dropping; /* in the rest of a line that was too long */
	unsigned dropped;  /* lines too long so far */
};

void lines_init(struct lines *lines);

/* Calls `line` for each complete, non-empty line; the text is borrowed, without its newline. */
void lines_feed(struct lines *lines, const char *data, size_t length,
	void (*line)(void *user, const char *text, size_t length), void *user);

/* A new reference, or NULL when the line is not one JSON object in UTF-8. */
json_t *lines_object(const char *text, size_t length);

#endif
