/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/api/shape.h"

#include <string.h>

static const struct shape_field *find(const struct shape_field *fields, const char *name)
{
	for (; fields && fields->name; fields++)
		if (!strcmp(fields->name, name))
			return fields;
	return NULL;
}

static gboolean has_control(const char *text, gsize length)
{
	for (gsize i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return TRUE;
	return FALSE;
}

/* NULL when the value fits, else what is allowed (the caller frees it). */
static char *misfit(const struct shape_field *field, const json_t *value)
{
	const char *text = json_string_value(value);
	gsize length = json_string_length(value);
	gint64 number = json_integer_value(value);
	int least = field->flags & SHAPE_EMPTY ? 0 : 1;

	switch (field->type) {
	case SHAPE_TEXT:
		if (text && (gint64)length >= least && (gint64)length <= field->max &&
			!has_control(text, length))
			return NULL;
		return g_strdup_printf("a text of %d to %" G_GINT64_FORMAT
				       " bytes without control characters",
			least, field->max);
	case SHAPE_INT:
		if (json_is_integer(value) && number >= 0 && number <= field->max)
			return NULL;
		return g_strdup_printf("a whole number from 0 to %" G_GINT64_FORMAT, field->max);
	case SHAPE_BOOL:
		return json_is_boolean(value) ? NULL : g_strdup("true or false");
	case SHAPE_ARRAY:
		if (json_is_array(value) && (gint64)json_array_size(value) <= field->max)
			return NULL;
		return g_strdup_printf(
			"an array of at most %" G_GINT64_FORMAT " items", field->max);
	}
	return NULL;
}

static char *check(const struct shape_field *fields, json_t *body)
{
	const char *name;
	json_t *value;

	json_object_foreach (body, name, value) {
		const struct shape_field *field = find(fields, name);

		/* The member's name is foreign text: it is not repeated. */
		if (!field)
			return g_strdup("the request has a member that is not known here");
		g_autofree char *allowed = misfit(field, value);
		if (allowed)
			return g_strdup_printf("\"%s\" must be %s", field->name, allowed);
	}
	for (const struct shape_field *field = fields; field && field->name; field++)
		if (!(field->flags & SHAPE_OPTIONAL) && !json_object_get(body, field->name))
			return g_strdup_printf("\"%s\" is missing", field->name);
	return NULL;
}

json_t *shape_parse(
	const struct shape_field *fields, const char *text, gsize length, char **problem)
{
	json_error_t error;
	json_t *body =
		length ? json_loadb(text, length, JSON_REJECT_DUPLICATES, &error) : json_object();

	if (!json_is_object(body))
		*problem = body ? g_strdup("the body is not a JSON object")
				: g_strdup_printf("the body is not JSON, line %d column %d",
					  error.line, error.column);
	else
		*problem = check(fields, body);
	if (!*problem)
		return body;
	if (body)
		shape_wipe(fields, body);
	json_decref(body);
	return NULL;
}

void shape_wipe(const struct shape_field *fields, json_t *body)
{
	for (; fields && fields->name; fields++) {
		const json_t *value = json_object_get(body, fields->name);

		if (fields->flags & SHAPE_SECRET && json_is_string(value))
			explicit_bzero((char *)json_string_value(value), json_string_length(value));
	}
}

const char *shape_text(const json_t *body, const char *name)
{
	const char *text = json_string_value(json_object_get(body, name));

	return text ? text : "";
}

gint64 shape_int(const json_t *body, const char *name, gint64 otherwise)
{
	const json_t *value = json_object_get(body, name);

	return value ? json_integer_value(value) : otherwise;
}
