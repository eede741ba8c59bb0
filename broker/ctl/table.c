/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/table.h"

#include <string.h>

#define GAP 2

struct table {
	guint columns;
	gboolean *right;  /* owned, by column */
	GPtrArray *cells; /* of char *, owned; the headers are the first row */
};

gsize table_width(const char *text)
{
	gsize width = 0;

	for (const char *p = text; *p; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);

		if (!g_unichar_iszerowidth(c))
			width += g_unichar_iswide(c) ? 2 : 1;
	}
	return width;
}

static char *clean(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
	GString *out = g_string_new(NULL);

	for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);

		g_string_append_unichar(out, g_unichar_iscntrl(c) ? '?' : c);
	}
	return g_string_free(out, FALSE);
}

struct table *table_new(const char *const *headers)
{
	struct table *table = g_new0(struct table, 1);

	table->columns = g_strv_length((char **)headers);
	table->right = g_new0(gboolean, table->columns);
	table->cells = g_ptr_array_new_with_free_func(g_free);
	for (guint i = 0; i < table->columns; i++) {
		table->right[i] = headers[i][0] == '>';
		table_cell(table, headers[i] + (table->right[i] ? 1 : 0));
	}
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	g_ptr_array_free(table->cells, TRUE);
	g_free(table->right);
	g_free(table);
}

void table_cell(struct table *table, const char *text)
{
	g_ptr_array_add(table->cells, clean(text));
}

static void pad(GString *out, gsize count)
{
	for (gsize i = 0; i < count; i++)
		g_string_append_c(out, ' ');
}

static gsize column_width(const struct table *table, guint column)
{
	gsize width = 0;

	for (guint i = column; i < table->cells->len; i += table->columns)
		width = MAX(width, table_width(table->cells->pdata[i]));
	return width;
}

char *table_text(const struct table *table)
{
	GString *out = g_string_new(NULL);

	for (guint i = 0; i < table->cells->len; i++) {
		guint column = i % table->columns;
		const char *text = table->cells->pdata[i];
		gsize rest = column_width(table, column) - table_width(text);
		gboolean last = column + 1 == table->columns;

		if (table->right[column])
			pad(out, rest);
		g_string_append(out, text);
		if (!table->right[column] && !last)
			pad(out, rest);
		if (!last) {
			pad(out, GAP);
			continue;
		}
		while (out->len && out->str[out->len - 1] == ' ')
			g_string_truncate(out, out->len - 1);
		g_string_append_c(out, '\n');
	}
	return g_string_free(out, FALSE);
}
