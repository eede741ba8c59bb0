/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the body of a request must look like: a table of its members. Anything else in it, a missing
 * member, a wrong type, a text that is too long or has control characters is refused, with a
 * sentence that says which member and what is allowed.
 */
#ifndef CARREL_SHAPE_H
#define CARREL_SHAPE_H

#include <glib.h>
#include <jansson.h>

enum shape_type { SHAPE_TEXT, SHAPE_INT, SHAPE_BOOL, SHAPE_ARRAY };

enum shape_flags {
	SHAPE_OPTIONAL = 1 << 0,
	SHAPE_SECRET = 1 << 1, /* wiped when the request is over */
	SHAPE_EMPTY = 1 << 2,  /* a text may be empty */
};

struct shape_field {
	const char *name; /* NULL ends the table */
	enum shape_type type;
	gint64 max; /* bytes of a text, value of a number, items of an array */
	int flags;
};

/*
 * Parses and checks a body. Returns a new reference, or NULL with `problem` (the caller frees it).
 * With a NULL table any body is refused but an empty one, for which an empty object is returned.
 */
json_t *shape_parse(
	const struct shape_field *fields, const char *text, gsize length, char **problem);

/* Overwrites the secret texts of a checked body. */
void shape_wipe(const struct shape_field *fields, json_t *body);

/* A text of a checked body; "" when the member is missing. Borrowed. */
const char *shape_text(const json_t *body, const char *name);

/* A number of a checked body; `otherwise` when the member is missing. */
gint64 shape_int(const json_t *body, const char *name, gint64 otherwise);

#endif
