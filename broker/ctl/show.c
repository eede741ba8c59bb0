/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/show.h"
#include "broker/ctl/request.h"
#include "broker/ctl/table.h"

#include <stdio.h>

int show_failed(const GError *error)
{
	fprintf(stderr, "carrel: %s\n", error->message);
	return EXIT_FAILED;
}

void show_json(const json_t *answer)
{
	char *text = json_dumps(answer, JSON_INDENT(2));

	puts(text);
	free(text);
}

json_int_t show_integer(const json_t *object, const char *member)
{
	return json_integer_value(json_object_get(object, member));
}

const char *show_string(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text ? text : "";
}

char *show_cell(const json_t *value)
{
	if (json_is_string(value) && json_string_length(value))
		return g_strdup(json_string_value(value));
	if (json_is_integer(value))
		return g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
	if (json_is_boolean(value))
		return g_strdup(json_is_true(value) ? "yes" : "no");
	return g_strdup("-");
}

void show_table(const json_t *list, const struct column *columns, size_t count)
{
	const char *headers[16] = {NULL};
	struct table *table;
	g_autofree char *text = NULL;
	size_t i;
	const json_t *item;

	for (size_t c = 0; c < count; c++)
		headers[c] = columns[c].header;
	table = table_new(headers);
	json_array_foreach (list, i, item) {
		for (size_t c = 0; c < count; c++) {
			g_autofree char *value =
				show_cell(json_object_get(item, columns[c].member));

			table_cell(table, value);
		}
	}
	text = table_text(table);
	fputs(text, stdout);
	table_free(table);
}

/* GET `path`: the answer, which is the caller's, where people are to see it; NULL when all has been
 * said already, and `status` is what the command ends with. */
static json_t *answer_for_people(const struct context *context, const char *path, int *status)
{
	g_autoptr(GError) error = NULL;
	json_t *answer = request_send(context, "GET", path, NULL, &error);

	*status = answer ? EXIT_DONE : show_failed(error);
	if (answer && context->json) {
		show_json(answer);
		json_decref(answer);
		return NULL;
	}
	return answer;
}

int show_one(const struct context *context, const char *path, void (*print)(const json_t *answer))
{
	int status;
	json_t *answer = answer_for_people(context, path, &status);

	if (answer)
		print(answer);
	json_decref(answer);
	return status;
}

int show_list(const struct context *context, const char *path, const char *member,
	const struct column *columns, size_t count)
{
	int status;
	json_t *answer = answer_for_people(context, path, &status);

	if (answer)
		show_table(json_object_get(answer, member), columns, count);
	json_decref(answer);
	return status;
}

int show_change(const struct context *context, const char *method, const char *path, json_t *body,
	const char *done)
{
	g_autoptr(GError) error = NULL;
	json_t *answer = request_send(context, method, path, body, &error);

	if (!answer)
		return show_failed(error);
	if (context->json)
		show_json(answer);
	else
		puts(done);
	json_decref(answer);
	return EXIT_DONE;
}

char *show_path(const char *before, const char *name, const char *after)
{
	g_autofree char *escaped = g_uri_escape_string(name, NULL, FALSE);

	return g_strconcat(before, escaped, after, NULL);
}
