/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The queue, groups and reservations. */
#include "broker/ctl/policy.h"
#include "broker/ctl/command.h"
#include "broker/ctl/request.h"
#include "broker/ctl/show.h"

#include <stdio.h>
#include <string.h>

gboolean policy_args_wanted(char *const *argv)
{
	const char *word = command_first_word(argv);

	return word && (!strcmp(word, "group") || !strcmp(word, "reservation"));
}

GOptionGroup *policy_args_group(struct policy_args *args)
{
	const GOptionEntry options[] = {{"min", 0, 0, G_OPTION_ARG_INT, &args->min, NULL, NULL},
		{"max", 0, 0, G_OPTION_ARG_INT, &args->max, NULL, NULL},
		{"seats", 0, 0, G_OPTION_ARG_INT, &args->seats, NULL, NULL},
		{"group", 0, 0, G_OPTION_ARG_STRING, &args->group, NULL, NULL},
		{"users", 0, 0, G_OPTION_ARG_FILENAME, &args->users, NULL, NULL},
		{"when", 0, 0, G_OPTION_ARG_STRING, &args->when, NULL, NULL},
		{"from", 0, 0, G_OPTION_ARG_STRING, &args->from, NULL, NULL},
		{"until", 0, 0, G_OPTION_ARG_STRING, &args->until, NULL, NULL},
		G_OPTION_ENTRY_NULL};
	GOptionGroup *group = g_option_group_new("policy", "", "", NULL, NULL);

	*args = (struct policy_args){.min = -1, .max = -1, .seats = -1};
	g_option_group_add_entries(group, options);
	return group;
}

void policy_args_clear(struct policy_args *args)
{
	g_free(args->group);
	g_free(args->users);
	g_free(args->when);
	g_free(args->from);
	g_free(args->until);
}

int command_queue_list(const struct context *context)
{
	static const struct column columns[] = {{">POSITION", "position"}, {"USER", "user"},
		{"NAME", "full_name"}, {">MINUTES LEFT", "minutes"}, {"SEAT", "place"},
		{">SESSION", "session"}, {"SINCE", "since"}};

	return show_list(context, "/v1/queue", "queue", columns, G_N_ELEMENTS(columns));
}

/* The texts, as JSON. */
static json_t *texts(char **list)
{
	json_t *array = json_array();

	for (; *list; list++)
		json_array_append_new(array, json_string(*list));
	return array;
}

int command_group_add(const struct context *context)
{
	const struct policy_args *args = context->policy;
	json_t *body = json_pack(
		"{s:s, s:o}", "name", context->args[0], "members", texts(context->args + 1));

	if (!body) {
		fprintf(stderr, "carrel: the group's name is not UTF-8 text\n");
		return EXIT_FAILED;
	}
	if (args->min >= 0)
		json_object_set_new(body, "min_mib", json_integer(args->min));
	if (args->max >= 0)
		json_object_set_new(body, "max_mib", json_integer(args->max));
	return show_change(context, "POST", "/v1/groups", body, "The group is kept.");
}

/* Texts with blanks between them; the caller frees it. */
static char *joined(const json_t *array)
{
	GString *text = g_string_new(NULL);
	size_t i;
	const json_t *item;

	json_array_foreach (array, i, item)
		g_string_append_printf(text, "%s%s", text->len ? " " : "", json_string_value(item));
	return g_string_free(text, FALSE);
}

/* Members as one text, counted where they are many. */
static void flatten(json_t *list, const char *member, gboolean all)
{
	size_t i;
	json_t *item;

	json_array_foreach (list, i, item) {
		const json_t *array = json_object_get(item, member);
		size_t count = json_array_size(array);
		g_autofree char *text =
			all || count <= 4 ? joined(array) : g_strdup_printf("%zu members", count);

		if (array)
			json_object_set_new(item, member, json_string(text));
	}
}

/* GETs `path`; the one whose `key` is `value` (NULL: all) are left in the answer's `member`. */
static json_t *get(const struct context *context, const char *path, const char *member,
	const char *key, const char *value, int *status)
{
	g_autoptr(GError) error = NULL;
	json_t *answer = request_send(context, "GET", path, NULL, &error);
	json_t *list = json_object_get(answer, member);

	*status = answer ? EXIT_DONE : show_failed(error);
	for (size_t i = json_array_size(list); value && i-- > 0;) {
		g_autofree char *own = show_cell(json_object_get(json_array_get(list, i), key));

		if (strcmp(own, value) != 0)
			json_array_remove(list, i);
	}
	if (!answer || !value || json_array_size(list))
		return answer;
	fprintf(stderr, "carrel: there is no %.*s %s; \"carrel %.*s list\" shows them\n",
		(int)strlen(member) - 1, member, value, (int)strlen(member) - 1, member);
	json_decref(answer);
	*status = EXIT_FAILED;
	return NULL;
}

static const struct column group_columns[] = {{"GROUP", "name"}, {">MIN MiB", "min_mib"},
	{">MAX MiB", "max_mib"}, {"MEMBERS", "members"}};

static int groups(const struct context *context, const char *name)
{
	int status;
	json_t *answer = get(context, "/v1/groups", "groups", "name", name, &status);
	json_t *list = json_object_get(answer, "groups");

	if (answer && context->json) {
		show_json(name ? json_array_get(list, 0) : answer);
	} else if (answer) {
		flatten(list, "members", name != NULL);
		show_table(list, group_columns, G_N_ELEMENTS(group_columns));
	}
	json_decref(answer);
	return status;
}

int command_group_list(const struct context *context)
{
	return groups(context, NULL);
}

int command_group_show(const struct context *context)
{
	return groups(context, context->args[0]);
}

int command_group_remove(const struct context *context)
{
	g_autofree char *path = show_path("/v1/groups/", context->args[0], "/remove");
	gboolean all = !context->args[1];

	return show_change(context, "POST", path,
		json_pack("{s:o}", "members", texts(context->args + 1)),
		all ? "The group is removed." : "The members are taken out of the group.");
}

/* The lines of a file, blank ones and those that begin with # left out; NULL: said why. */
static json_t *users_read(const char *path)
{
	g_autofree char *content = NULL;
	g_autoptr(GError) error = NULL;

	if (!g_file_get_contents(path, &content, NULL, &error)) {
		fprintf(stderr, "carrel: %s; --users wants a file with one user's name a line\n",
			error->message);
		return NULL;
	}
	g_auto(GStrv) lines = g_strsplit(content, "\n", -1);
	json_t *users = json_array();
	for (guint i = 0; lines[i]; i++) {
		const char *name = g_strstrip(lines[i]);

		if (!*name || *name == '#')
			continue;
		if (g_utf8_validate(name, -1, NULL)) {
			json_array_append_new(users, json_string(name));
			continue;
		}
		fprintf(stderr, "carrel: %s:%u: not UTF-8 text\n", path, i + 1);
		json_decref(users);
		return NULL;
	}
	return users;
}

static void set_text(json_t *body, const char *member, const char *value)
{
	if (value)
		json_object_set_new(body, member, json_string(value));
}

int command_reservation_add(const struct context *context)
{
	const struct policy_args *args = context->policy;
	g_autoptr(GError) error = NULL;
	json_t *body = json_object(), *answer, *users;
	const json_t *warning;
	size_t i;

	if (args->users) {
		users = users_read(args->users);
		if (!users) {
			json_decref(body);
			return EXIT_FAILED;
		}
		json_object_set_new(body, "users", users);
	}
	set_text(body, "group", args->group);
	set_text(body, "when", args->when);
	set_text(body, "from", args->from);
	set_text(body, "until", args->until);
	json_object_set_new(body, "seats", json_integer(MAX(args->seats, 0)));
	json_object_set_new(body, "min_mib", json_integer(MAX(args->min, 0)));
	answer = request_send(context, "POST", "/v1/reservations", body, &error);
	if (!answer)
		return show_failed(error);
	if (context->json)
		show_json(answer);
	else
		printf("Reservation %" JSON_INTEGER_FORMAT " is made.\n",
			json_integer_value(json_object_get(answer, "id")));
	json_array_foreach (json_object_get(answer, "warnings"), i, warning)
		fprintf(stderr, "carrel: warning: %s\n", json_string_value(warning));
	json_decref(answer);
	return EXIT_DONE;
}

static int reservations(const struct context *context, const char *id)
{
	static const struct column columns[] = {{">ID", "id"}, {"STATE", "state"}, {"TIME", "time"},
		{">SEATS", "seats"}, {">TAKEN", "filled"}, {">MIN MiB", "min_mib"},
		{"GROUP", "group"}, {"USERS", "users"}};
	int status;
	json_t *answer = get(context, "/v1/reservations", "reservations", "id", id, &status);
	json_t *list = json_object_get(answer, "reservations");

	if (answer && context->json) {
		show_json(id ? json_array_get(list, 0) : answer);
	} else if (answer) {
		flatten(list, "users", id != NULL);
		show_table(list, columns, G_N_ELEMENTS(columns));
	}
	json_decref(answer);
	return status;
}

int command_reservation_list(const struct context *context)
{
	return reservations(context, NULL);
}

int command_reservation_show(const struct context *context)
{
	return reservations(context, context->args[0]);
}

int command_reservation_remove(const struct context *context)
{
	g_autofree char *path = show_path("/v1/reservations/", context->args[0], "");

	return show_change(context, "DELETE", path, NULL, "The reservation is removed.");
}
