/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each command asks, and how its answer looks to a person. */
#include "broker/ctl/command.h"
#include "broker/ctl/password.h"
#include "broker/ctl/request.h"
#include "broker/ctl/show.h"
#include "broker/ctl/table.h"

#include <stdio.h>
#include <string.h>

static const struct column server_columns[] = {{"NAME", "name"}, {"STATE", "state"},
	{"DRAINING", "draining"}, {">MEMORY MiB", "memory_mib"}, {">FOR DESKTOPS", "capacity_mib"},
	{">USED", "used_mib"}, {">DESKTOPS", "desktops"}, {">USERS", "users"}, {">CPUS", "cpus"},
	{"URI", "uri"}};

/* What the next login does, as a line. */
static void print_next(const json_t *next)
{
	const char *user = show_string(next, "handoff");

	if (!show_integer(next, "size_mib")) {
		printf("next      would %s\n", json_is_true(json_object_get(next, "waits"))
						       ? "wait in the queue"
						       : "be refused");
		return;
	}
	printf("next      ");
	if (*user)
		printf("%s's desktop goes to %" JSON_INTEGER_FORMAT " MiB on %s, then ", user,
			show_integer(next, "handoff_size_mib"),
			show_string(next, "handoff_server"));
	printf("a desktop of %" JSON_INTEGER_FORMAT " MiB on %s\n", show_integer(next, "size_mib"),
		show_string(next, "server"));
}

static void print_status(const json_t *status)
{
	const json_t *item;
	size_t i;

	printf("Carrel %s\n", show_string(status, "version"));
	printf("users     %" JSON_INTEGER_FORMAT " of at most %" JSON_INTEGER_FORMAT "\n",
		show_integer(status, "users"), show_integer(status, "capacity_users"));
	printf("tier      %" JSON_INTEGER_FORMAT " of 0..%" JSON_INTEGER_FORMAT
	       ": desktops of %" JSON_INTEGER_FORMAT " MiB up to %" JSON_INTEGER_FORMAT " users\n",
		show_integer(status, "tier"), show_integer(status, "tiers") - 1,
		show_integer(status, "size_mib"), show_integer(status, "threshold"));
	print_next(json_object_get(status, "next"));
	printf("reserve   %" JSON_INTEGER_FORMAT " MiB free in one piece\n",
		show_integer(status, "reserve_mib"));
	if (show_integer(status, "kept_seats"))
		printf("kept      %" JSON_INTEGER_FORMAT " seats for reservations\n",
			show_integer(status, "kept_seats"));
	if (show_integer(status, "queued"))
		printf("queue     %" JSON_INTEGER_FORMAT " wait for a desktop\n",
			show_integer(status, "queued"));
	if (show_integer(status, "moving"))
		printf("moving    %" JSON_INTEGER_FORMAT
		       " user%s; \"carrel session list\" shows where to\n",
			show_integer(status, "moving"),
			show_integer(status, "moving") == 1 ? "" : "s");
	printf("standby   %" JSON_INTEGER_FORMAT " desktops\n", show_integer(status, "standby"));
	printf("image     %s\n\n",
		*show_string(status, "image") ? show_string(status, "image") : "none");
	show_table(
		json_object_get(status, "servers"), server_columns, G_N_ELEMENTS(server_columns));
	json_array_foreach (json_object_get(status, "boots"), i, item)
		printf("\nwarning: the PC %s did not start: it stopped at %s%s%s; \"carrel seat "
		       "show %s\" says more",
			show_string(item, "mac"), show_string(item, "stopped_at"),
			*show_string(item, "error") ? ", " : "", show_string(item, "error"),
			show_string(item, "mac"));
	json_array_foreach (json_object_get(status, "warnings"), i, item)
		printf("\nwarning: %s", json_string_value(item));
	if (json_array_size(json_object_get(status, "warnings")))
		puts("");
}

int command_status(const struct context *context)
{
	return show_one(context, "/v1/status", print_status);
}

/* Asks for the password and sends it with what `body` has already. */
static int change_password(const struct context *context, const char *method, const char *path,
	json_t *body, const char *done)
{
	g_autoptr(GError) error = NULL;
	char *password = password_read(context->password_stdin, context->args[0], &error);

	if (!password) {
		json_decref(body);
		return show_failed(error);
	}
	if (!g_utf8_validate(password, -1, NULL)) {
		password_free(password);
		json_decref(body);
		fprintf(stderr, "carrel: the password is not UTF-8 text\n");
		return EXIT_FAILED;
	}
	json_object_set_new(body, "password", json_string(password));
	password_free(password);
	return show_change(context, method, path, body, done);
}

int command_user_add(const struct context *context)
{
	return change_password(context, "POST", "/v1/users",
		json_pack("{s:s, s:s}", "user", context->args[0], "full_name",
			context->full_name ? context->full_name : ""),
		"The user is added.");
}

int command_user_passwd(const struct context *context)
{
	g_autofree char *path = show_path("/v1/users/", context->args[0], "/password");

	return change_password(context, "PUT", path, json_object(), "The password is changed.");
}

int command_user_del(const struct context *context)
{
	g_autofree char *path = show_path("/v1/users/", context->args[0], "");

	return show_change(context, "DELETE", path, NULL, "The user is removed; the home stays.");
}

int command_user_list(const struct context *context)
{
	static const struct column columns[] = {
		{"USER", "user"}, {"NAME", "full_name"}, {">UID", "uid"}};

	return show_list(context, "/v1/users", "users", columns, G_N_ELEMENTS(columns));
}

int command_server_add(const struct context *context)
{
	return show_change(context, "POST", "/v1/servers",
		json_pack("{s:s, s:s}", "name", context->args[0], "uri", context->args[1]),
		"The server is added; \"carrel server list\" shows when it is up.");
}

int command_server_list(const struct context *context)
{
	return show_list(
		context, "/v1/servers", "servers", server_columns, G_N_ELEMENTS(server_columns));
}

int command_server_remove(const struct context *context)
{
	g_autofree char *path = show_path("/v1/servers/", context->args[0], "");

	return show_change(context, "DELETE", path, NULL, "The server is removed.");
}

/* One line a stage, the login's own line above them. */
static void print_ledger(const json_t *logins)
{
	size_t i, k;
	const json_t *login, *stage;

	json_array_foreach (logins, i, login) {
		static const char *const headers[] = {"  STAGE", ">ms", NULL};
		struct table *table = table_new(headers);
		json_int_t total = 0;

		json_array_foreach (json_object_get(login, "stages"), k, stage) {
			g_autofree char *name =
				g_strdup_printf("  %s", show_string(stage, "stage"));
			g_autofree char *ms = show_cell(json_object_get(stage, "ms"));

			total += show_integer(stage, "ms");
			table_cell(table, name);
			table_cell(table, ms);
		}
		g_autofree char *text = table_text(table);
		printf("%s%s  %s  seat %s  session %" JSON_INTEGER_FORMAT
		       "  total %" JSON_INTEGER_FORMAT " ms\n%s",
			i ? "\n" : "", show_string(login, "wall"), show_string(login, "user"),
			show_string(login, "seat"), show_integer(login, "session"), total, text);
		table_free(table);
	}
}

int command_ledger(const struct context *context)
{
	g_autoptr(GError) error = NULL;
	json_t *answer = request_send(context, "GET", "/v1/ledger", NULL, &error);

	if (!answer)
		return show_failed(error);
	if (context->json)
		show_json(answer);
	else
		print_ledger(json_object_get(answer, "logins"));
	json_decref(answer);
	return EXIT_DONE;
}

int command_reload(const struct context *context)
{
	return show_change(
		context, "POST", "/v1/reload", NULL, "carreld has read its configuration.");
}
