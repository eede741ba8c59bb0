/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/csv.h"

#include <string.h>

#define COLUMNS_MAX 16

G_DEFINE_QUARK(carrel - csv - error, csv_error)

struct reader {
	const char *at; /* the next byte; a zero byte ends the text */
	unsigned line;  /* in which it is */
	char separator;
	GError **error;
};

static gboolean fail(struct reader *reader, unsigned line, const char *format, ...)
	G_GNUC_PRINTF(3, 4);
static gboolean fail(struct reader *reader, unsigned line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *what = g_strdup_vprintf(format, args);
	va_end(args);
	g_set_error(reader->error, CSV_ERROR, CSV_ERROR_INVALID, "line %u: %s", line, what);
	return FALSE;
}

/* A line's end, or the text's. */
static gboolean at_end(const struct reader *reader)
{
	const char *at = reader->at;

	return *at == '\0' || *at == '\n' || (*at == '\r' && (at[1] == '\n' || at[1] == '\0'));
}

static void skip_blanks(struct reader *reader)
{
	while (*reader->at == ' ' || *reader->at == '\t')
		reader->at++;
}

static void skip_end(struct reader *reader)
{
	if (*reader->at == '\r')
		reader->at++;
	if (*reader->at == '\n') {
		reader->at++;
		reader->line++;
	}
}

static gboolean read_quoted(struct reader *reader, GString *field)
{
	unsigned line = reader->line;

	for (reader->at++; *reader->at; reader->at++) {
		if (*reader->at == '"' && *++reader->at != '"')
			return TRUE;
		if (*reader->at == '\n')
			reader->line++;
		g_string_append_c(field, *reader->at);
	}
	return fail(reader, line, "the quotes are not closed");
}

/* One field; the reader then stands at a separator or an end. */
static gboolean read_field(struct reader *reader, GString *field)
{
	g_string_truncate(field, 0);
	skip_blanks(reader);
	if (*reader->at == '"') {
		if (!read_quoted(reader, field))
			return FALSE;
		skip_blanks(reader);
		if (!at_end(reader) && *reader->at != reader->separator)
			return fail(reader, reader->line,
				"after closing quotes only a '%c' or the end of the line can come",
				reader->separator);
	} else {
		while (!at_end(reader) && *reader->at != reader->separator)
			g_string_append_c(field, *reader->at++);
	}
	g_strstrip(field->str);
	for (const char *p = field->str; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return fail(
				reader, reader->line, "there is a control character in a field");
	return TRUE;
}

/* The fields of one line, at most COLUMNS_MAX, as owned texts; NULL with an error. */
static GPtrArray *read_record(struct reader *reader)
{
	g_autoptr(GString) field = g_string_new(NULL);
	GPtrArray *fields = g_ptr_array_new_with_free_func(g_free);
	unsigned line = reader->line;
	gboolean more = TRUE, good = TRUE;

	while (good && more) {
		good = read_field(reader, field);
		if (good && fields->len == COLUMNS_MAX)
			good = fail(reader, line, "there are more than %d fields", COLUMNS_MAX);
		if (good)
			g_ptr_array_add(fields, g_strdup(field->str));
		more = *reader->at == reader->separator;
		reader->at += more ? 1 : 0;
	}
	if (good) {
		skip_end(reader);
		return fields;
	}
	g_ptr_array_unref(fields);
	return NULL;
}

/* Passes lines without anything in them. */
static void skip_empty(struct reader *reader)
{
	struct reader ahead = *reader;

	for (skip_blanks(&ahead); *ahead.at && at_end(&ahead); skip_blanks(&ahead)) {
		skip_end(&ahead);
		*reader = ahead;
	}
	if (!*ahead.at || at_end(&ahead))
		*reader = ahead;
}

/* Lower-cases the header's fields and looks that they are the columns. */
static gboolean header_check(struct reader *reader, unsigned line, GPtrArray *header,
	const char *const *columns, const char *const *optional)
{
	g_autofree char *wanted = g_strjoinv(", ", (char **)columns);
	g_autofree char *more = g_strjoinv(", ", (char **)optional);

	for (guint i = 0; i < header->len; i++) {
		char *name = g_ascii_strdown(header->pdata[i], -1);

		g_free(header->pdata[i]);
		header->pdata[i] = name;
		if (!g_strv_contains(columns, name) && !g_strv_contains(optional, name))
			return fail(reader, line,
				"the header names a column \"%s\"; the columns are %s%s%s", name,
				wanted, *more ? ", and if you like " : "", more);
		for (guint k = 0; k < i; k++)
			if (!strcmp(header->pdata[k], name))
				return fail(
					reader, line, "the header names the column %s twice", name);
	}
	for (; *columns; columns++)
		if (!g_ptr_array_find_with_equal_func(header, *columns, g_str_equal, NULL))
			return fail(reader, line, "the header lacks the column %s", *columns);
	return TRUE;
}

static json_t *records(struct reader *reader, const GPtrArray *header)
{
	json_t *list = json_array();

	for (skip_empty(reader); *reader->at; skip_empty(reader)) {
		unsigned line = reader->line;
		g_autoptr(GPtrArray) fields = read_record(reader);
		gboolean good = fields != NULL;

		if (good && fields->len != header->len)
			good = fail(reader, line, "there are %u fields, the header has %u",
				fields->len, header->len);
		if (!good) {
			json_decref(list);
			return NULL;
		}
		json_t *record = json_pack("{s:I}", "line", (json_int_t)line);
		for (guint i = 0; i < fields->len; i++)
			json_object_set_new(
				record, header->pdata[i], json_string(fields->pdata[i]));
		json_array_append_new(list, record);
	}
	return list;
}

json_t *csv_parse(const char *text, gsize length, const char *const *columns,
	const char *const *optional, GError **error)
{
	g_autofree char *copy = g_strndup(text, length);
	struct reader reader = {.at = copy, .line = 1, .separator = ',', .error = error};
	json_t *list = NULL;

	if (strlen(copy) != length || !g_utf8_validate(copy, -1, NULL)) {
		fail(&reader, 1, "the file is not UTF-8 text; save it as \"CSV UTF-8\"");
		return NULL;
	}
	if (g_str_has_prefix(reader.at, "\xef\xbb\xbf"))
		reader.at += 3;
	skip_empty(&reader);
	size_t first = strcspn(reader.at, ",;\n");
	if (reader.at[first] == ';')
		reader.separator = ';';
	unsigned line = reader.line;
	g_autoptr(GPtrArray) header = read_record(&reader);
	if (header && header_check(&reader, line, header, columns, optional))
		list = records(&reader, header);
	return list;
}
