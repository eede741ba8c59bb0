/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sessions and desktops: who has which, who is moved where. */
#include "broker/ctl/command.h"
#include "broker/ctl/move_args.h"
#include "broker/ctl/plan_args.h"
#include "broker/ctl/request.h"
#include "broker/ctl/show.h"
#include "broker/ctl/wait.h"

#include <stdio.h>
#include <string.h>

/* A hand-off in a few words, "-" for none; the caller frees it. */
static char *move_text(const json_t *object)
{
	const char *step = show_string(object, "move");
	json_int_t next = show_integer(object, "next");

	if (!*step)
		return g_strdup("-");
	if (!next)
		return g_strdup_printf("%s (%s)", step, show_string(object, "move_why"));
	return g_strdup_printf("%s (%s) to desktop %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT
			       " MiB on %s",
		step, show_string(object, "move_why"), next,
		show_integer(object, "next_memory_mib"), show_string(object, "next_server"));
}

/* --- sessions --- */

int command_session_list(const struct context *context)
{
	static const struct column columns[] = {{">ID", "id"}, {"USER", "user"},
		{"NAME", "full_name"}, {"STATE", "state"}, {">DESKTOP", "desktop"},
		{"SERVER", "server"}, {">MiB", "memory_mib"}, {"SEAT", "place"}, {"PC", "client"},
		{"SINCE", "started"}, {"MOVE", "move"}};
	g_autoptr(GError) error = NULL;
	json_t *answer = request_send(context, "GET", "/v1/sessions", NULL, &error);
	json_t *list = json_object_get(answer, "sessions"), *session;
	size_t i;

	if (!answer)
		return show_failed(error);
	if (context->json) {
		show_json(answer);
	} else {
		json_array_foreach (list, i, session) {
			g_autofree char *text = move_text(session);

			json_object_set_new(session, "move", json_string(text));
		}
		show_table(list, columns, G_N_ELEMENTS(columns));
	}
	json_decref(answer);
	return EXIT_DONE;
}

int command_session_end(const struct context *context)
{
	g_autofree char *path = show_path("/v1/sessions/", context->args[0], "");

	return show_change(context, "DELETE", path, NULL, "The session is being ended.");
}

/* --- moving, and waiting for it --- */

/* The session as it is now: a new reference, json_null when it has ended; or NULL. */
static json_t *session_get(const struct context *context, json_int_t id, GError **error)
{
	json_t *answer = request_send(context, "GET", "/v1/sessions", NULL, error);
	json_t *session, *found = answer ? json_null() : NULL;
	size_t i;

	json_array_foreach (json_object_get(answer, "sessions"), i, session)
		if (show_integer(session, "id") == id)
			found = json_incref(session);
	json_decref(answer);
	return found;
}

/* Says how a move has come out. `why` is of wait_pause, NULL when it is over. */
static int move_result(
	const struct context *context, const json_t *before, const json_t *after, const char *why)
{
	const char *user = show_string(before, "user");
	int status = EXIT_FAILED;

	if (context->json)
		show_json(after);
	if (why) {
		fprintf(stderr, "carrel: %s while %s is being moved; that goes on\n",
			strcmp(why, "timeout") ? "interrupted" : "the time is out", user);
	} else if (json_is_null(after)) {
		fprintf(stderr, "carrel: %s's session has ended\n", user);
	} else if (show_integer(before, "desktop") == show_integer(after, "desktop") &&
		   show_integer(before, "memory_mib") == show_integer(after, "memory_mib")) {
		fprintf(stderr,
			"carrel: %s was not moved, all is as it was; carreld's log has the "
			"reason (event=handoff)\n",
			user);
	} else {
		status = EXIT_DONE;
		if (!context->json)
			printf("%s has desktop %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT
			       " MiB on %s.\n",
				user, show_integer(after, "desktop"),
				show_integer(after, "memory_mib"), show_string(after, "server"));
	}
	return status;
}

static int move_wait(const struct context *context, const json_t *before)
{
	const char *user = show_string(before, "user"), *why = NULL;
	g_autoptr(GError) error = NULL;
	json_t *now = NULL;
	struct wait wait;
	int status;

	wait_begin(&wait, context, context->move->wait_s);
	do {
		json_decref(now);
		now = session_get(context, show_integer(before, "session"), &error);
		if (!now || !*show_string(now, "move"))
			break;
		g_autofree char *step = move_text(now);
		g_autofree char *line = g_strdup_printf("%s: %s", user, step);
		wait_say(&wait, line);
		why = wait_pause(&wait);
	} while (!why);
	wait_end(&wait);
	status = now ? move_result(context, before, now, why) : show_failed(error);
	json_decref(now);
	return status;
}

/* Takes over `body`. */
static int move(const struct context *context, const char *path, json_t *body)
{
	g_autoptr(GError) error = NULL;
	json_t *answer;
	int status = EXIT_DONE;

	if (context->move->to)
		json_object_set_new(body, "server", json_string(context->move->to));
	answer = request_send(context, "POST", path, body, &error);
	if (!answer)
		return show_failed(error);
	if (context->move->wait)
		status = move_wait(context, answer);
	else if (context->json)
		show_json(answer);
	else
		printf("%s is being moved; \"carrel session list\" shows how far it is.\n",
			show_string(answer, "user"));
	json_decref(answer);
	return status;
}

/* {"memory_mib"} of a size as typed; NULL, and it is said, when it is none. */
static json_t *size_body(const char *what, const char *text)
{
	g_autoptr(GError) error = NULL;
	guint32 mib;

	if (!text)
		return json_object();
	if (plan_size(text, what, &mib, &error))
		return json_pack("{s:I}", "memory_mib", (json_int_t)mib);
	show_failed(error);
	return NULL;
}

int command_session_move(const struct context *context)
{
	g_autofree char *path = show_path("/v1/sessions/", context->args[0], "/move");
	json_t *body = size_body("--size", context->move->size);

	return body ? move(context, path, body) : EXIT_USAGE;
}

int command_desktop_move(const struct context *context)
{
	g_autofree char *path = show_path("/v1/desktops/", context->args[0], "/move");

	return move(context, path, json_object());
}

int command_desktop_resize(const struct context *context)
{
	g_autofree char *path = show_path("/v1/desktops/", context->args[0], "/resize");
	json_t *body = size_body("the size", context->args[1]);

	return body ? move(context, path, body) : EXIT_USAGE;
}

/* --- desktops --- */

int command_desktop_list(const struct context *context)
{
	static const struct column columns[] = {{">ID", "id"}, {"STATE", "state"}, {"USER", "user"},
		{"SERVER", "server"}, {">MiB", "memory_mib"}, {"IMAGE", "image"},
		{"VNC AT", "vnc_host"}, {">PORT", "vnc_port"}};

	return show_list(context, "/v1/desktops", "desktops", columns, G_N_ELEMENTS(columns));
}

static void print_desktop(const json_t *desktop)
{
	g_autofree char *step = move_text(desktop);
	const char *next_of = show_string(desktop, "next_of");

	printf("desktop   %" JSON_INTEGER_FORMAT "\n", show_integer(desktop, "id"));
	printf("state     %s\n", show_string(desktop, "state"));
	if (*show_string(desktop, "user"))
		printf("user      %s, session %" JSON_INTEGER_FORMAT "\n",
			show_string(desktop, "user"), show_integer(desktop, "session"));
	if (*next_of)
		printf("next of   %s\n", next_of);
	printf("server    %s\n", show_string(desktop, "server"));
	printf("size      %" JSON_INTEGER_FORMAT " MiB\n", show_integer(desktop, "memory_mib"));
	printf("image     %s\n", show_string(desktop, "image"));
	printf("shrinks   %s\n", json_is_true(json_object_get(desktop, "live"))
					 ? "in place, if it can"
					 : "by a hand-off");
	if (show_integer(desktop, "vnc_port"))
		printf("VNC at    %s:%" JSON_INTEGER_FORMAT "\n", show_string(desktop, "vnc_host"),
			show_integer(desktop, "vnc_port"));
	printf("move      %s\n", step);
}

int command_desktop_show(const struct context *context)
{
	g_autofree char *path = show_path("/v1/desktops/", context->args[0], "");

	return show_one(context, path, print_desktop);
}

int command_desktop_destroy(const struct context *context)
{
	g_autofree char *path = show_path("/v1/desktops/", context->args[0], "");
	g_autoptr(GError) error = NULL;
	json_t *answer = request_send(
		context, "DELETE", path, json_pack("{s:b}", "force", context->move->yes), &error);

	if (!answer)
		return show_failed(error);
	if (context->json)
		show_json(answer);
	else if (show_integer(answer, "session"))
		printf("The desktop is being destroyed; %s's session %" JSON_INTEGER_FORMAT
		       " ends.\n",
			show_string(answer, "user"), show_integer(answer, "session"));
	else
		puts("The desktop is being destroyed.");
	json_decref(answer);
	return EXIT_DONE;
}
