/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text in columns that line up on a terminal also where characters are two cells wide. */
#ifndef CARREL_TABLE_H
#define CARREL_TABLE_H

#include <glib.h>
#include <stdio.h>

struct table;

/* `headers` ends with NULL; a header that begins with '>' makes a column of numbers, to the right.
 */
struct table *table_new(const char *const *headers);
void table_free(struct table *table);

/* One cell more, row by row, as many a row as there are headers; the text is copied. What would
 * move the cursor is shown as '?'. */
void table_cell(struct table *table, const char *text);

/* The whole as text, lines without blanks at their end; the caller frees it. */
char *table_text(const struct table *table);

/* Cells that `text` takes on a terminal. */
gsize table_width(const char *text);

#endif
