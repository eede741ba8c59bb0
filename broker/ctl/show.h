/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands have in common: a request, and its answer as a person or a program wants it. */
#ifndef CARREL_SHOW_H
#define CARREL_SHOW_H

#include <glib.h>
#include <jansson.h>

#include "broker/ctl/command.h"

/* A column: the member of each item that it shows; its header as table_new wants it. */
struct column {
	const char *header, *member;
};

int show_failed(const GError *error); /* says it; the exit status */
void show_json(const json_t *answer);

/* Members of an object, borrowed; 0 and "" when they are missing. */
json_int_t show_integer(const json_t *object, const char *member);
const char *show_string(const json_t *object, const char *member);

/* A value as a cell; "-" for nothing. The caller frees it. */
char *show_cell(const json_t *value);
void show_table(const json_t *list, const struct column *columns, size_t count);

/* GET `path`, then the answer as `print` writes it, or as JSON. */
int show_one(const struct context *context, const char *path, void (*print)(const json_t *answer));
/* GET `path`, then the array `member` of the answer as a table, or all of it as JSON. */
int show_list(const struct context *context, const char *path, const char *member,
	const struct column *columns, size_t count);

/* A request that changes something; `done` is said to a person. Takes over `body`. */
int show_change(const struct context *context, const char *method, const char *path, json_t *body,
	const char *done);

/* `before`, `name` fit for a path, `after`; the caller frees it. */
char *show_path(const char *before, const char *name, const char *after);

#endif
