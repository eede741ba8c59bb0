/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Emptying a server, and saying that one is lost. */
#include "broker/ctl/command.h"
#include "broker/ctl/move_args.h"
#include "broker/ctl/request.h"
#include "broker/ctl/show.h"
#include "broker/ctl/wait.h"

#include <stdio.h>
#include <string.h>

#define STUCK_MS 10000 /* somebody is there, and nobody is moved: nobody will be */
#define NAMED 4        /* moves that a line of progress has room for */

/* What is left on a server. */
struct left {
	json_t *server;   /* its row, owned */
	json_t *sessions; /* those on it, owned */
	gboolean busy;    /* somebody is being moved, anywhere, or is on his way in or out */
};

static void left_clear(struct left *left)
{
	json_decref(left->server);
	json_decref(left->sessions);
	*left = (struct left){NULL};
}

/* The list in the member of that name of what `path` answers; a new reference, or NULL. */
static json_t *get(
	const struct context *context, const char *path, const char *member, GError **error)
{
	json_t *answer = request_send(context, "GET", path, NULL, error);
	json_t *list = json_incref(json_object_get(answer, member));

	json_decref(answer);
	return list;
}

static gboolean is_busy(const json_t *session, gboolean here)
{
	const char *state = show_string(session, "state");

	return *show_string(session, "move") ||
	       (here && strcmp(state, "connected") != 0 && strcmp(state, "disconnected") != 0);
}

static gboolean look(
	const struct context *context, const char *name, struct left *left, GError **error)
{
	json_t *servers = get(context, "/v1/servers", "servers", error);
	json_t *sessions = servers ? get(context, "/v1/sessions", "sessions", error) : NULL;
	const json_t *item;
	size_t i;

	left_clear(left);
	left->sessions = json_array();
	json_array_foreach (servers, i, item)
		if (!strcmp(show_string(item, "name"), name))
			left->server = json_incref((json_t *)item);
	json_array_foreach (sessions, i, item) {
		gboolean here = !strcmp(show_string(item, "server"), name);

		left->busy |= is_busy(item, here);
		if (here)
			json_array_append(left->sessions, (json_t *)item);
	}
	if (servers && !left->server)
		g_set_error(error, REQUEST_ERROR, REQUEST_ERROR_REFUSED,
			"the server %s has been removed", name);
	gboolean ok = sessions && left->server;
	json_decref(servers);
	json_decref(sessions);
	return ok;
}

static gboolean is_up(const struct left *left)
{
	return !strcmp(show_string(left->server, "state"), "up");
}

/* Of a server that is not up nobody can put the idle desktops away. */
static gboolean is_empty(const struct left *left)
{
	return !show_integer(left->server, "users") &&
	       (!is_up(left) || !show_integer(left->server, "desktops"));
}

/* "1 user", "3 users"; the caller frees it. */
static char *count(const struct left *left, const char *member)
{
	json_int_t n = show_integer(left->server, member);

	return g_strdup_printf(
		"%" JSON_INTEGER_FORMAT " %.*s", n, (int)strlen(member) - (n == 1), member);
}

/* "hall1: 3 users left, 4 desktops; alice goes to hall2 (prepare)"; the caller frees it. */
static char *progress(const struct left *left)
{
	g_autofree char *users = count(left, "users"), *desktops = count(left, "desktops");
	GString *line = g_string_new(NULL);
	const json_t *session;
	unsigned named = 0;
	size_t i;

	g_string_printf(
		line, "%s: %s left, %s", show_string(left->server, "name"), users, desktops);
	json_array_foreach (left->sessions, i, session) {
		const char *step = show_string(session, "move"),
			   *to = show_string(session, "next_server");

		if (*step && named++ < NAMED)
			g_string_append_printf(line, "%s%s%s%s (%s)", named == 1 ? "; " : ", ",
				show_string(session, "user"), *to ? " goes to " : "", to, step);
	}
	if (named > NAMED)
		g_string_append_printf(line, " and %u more", named - NAMED);
	return g_string_free(line, FALSE);
}

/* Why the first of those who are left cannot be moved; "" when nothing is known. */
static const char *problem(const struct left *left)
{
	const json_t *session;
	size_t i;

	json_array_foreach (left->sessions, i, session)
		if (*show_string(session, "move_problem"))
			return show_string(session, "move_problem");
	return "";
}

/* Says why a server is not empty. */
static void complain(const struct left *left, const char *outcome)
{
	const char *name = show_string(left->server, "name");
	g_autofree char *users = count(left, "users"), *desktops = count(left, "desktops");
	g_autofree char *still = g_strdup_printf("%s still has %s and %s", name, users, desktops);

	if (!strcmp(outcome, "off"))
		fprintf(stderr, "carrel: somebody has called off the drain of %s\n", name);
	else if (!strcmp(outcome, "stuck") && !is_up(left))
		fprintf(stderr,
			"carrel: %s and is %s; the drain stays on. When it is switched off for "
			"certain, \"carrel server lost %s --yes\" lets them go on elsewhere\n",
			still, show_string(left->server, "state"), name);
	else if (!strcmp(outcome, "stuck"))
		fprintf(stderr,
			"carrel: %s and nobody can be moved now%s%s; the drain stays on. Add a "
			"server, or end sessions (\"carrel session end USER\")\n",
			still, *problem(left) ? ": " : "", problem(left));
	else
		fprintf(stderr,
			"carrel: %s: %s; the drain stays on, \"carrel server drain %s --off\" "
			"calls it off\n",
			strcmp(outcome, "timeout") ? "interrupted" : "the time is out", still,
			name);
}

static int drain_wait(const struct context *context)
{
	g_autoptr(GError) error = NULL;
	const char *outcome = NULL;
	struct left left = {NULL};
	struct wait wait;

	wait_begin(&wait, context, context->move->wait_s);
	while (!outcome && look(context, context->args[0], &left, &error)) {
		g_autofree char *line = progress(&left);

		wait_say(&wait, line);
		if (left.busy || !json_array_size(left.sessions))
			wait_touch(&wait);
		if (is_empty(&left))
			outcome = "empty";
		else if (!json_is_true(json_object_get(left.server, "draining")))
			outcome = "off";
		else if (wait_unchanged_ms(&wait) >= STUCK_MS)
			outcome = "stuck";
		else
			outcome = wait_pause(&wait);
	}
	wait_end(&wait);
	gboolean empty = outcome && !strcmp(outcome, "empty");
	if (!outcome)
		show_failed(error);
	else if (!empty)
		complain(&left, outcome);
	if (outcome && context->json) {
		json_t *answer = json_pack("{s:s, s:O, s:O}", "outcome", outcome, "server",
			left.server, "sessions", left.sessions);

		show_json(answer);
		json_decref(answer);
	} else if (empty) {
		printf("The server is empty.\n");
	}
	left_clear(&left);
	return empty ? EXIT_DONE : EXIT_FAILED;
}

int command_server_drain(const struct context *context)
{
	g_autofree char *path = show_path("/v1/servers/", context->args[0], "/drain");
	json_t *body = json_pack("{s:b}", "drain", !context->off);
	g_autoptr(GError) error = NULL;

	if (!context->move->wait)
		return show_change(context, "POST", path, body,
			context->off ? "The server takes new desktops again."
				     : "The server takes no new desktops; its users are moved.");
	if (context->off) {
		json_decref(body);
		fprintf(stderr, "carrel: --off is done at once; leave out --wait\n");
		return EXIT_USAGE;
	}
	json_t *answer = request_send(context, "POST", path, body, &error);
	if (!answer)
		return show_failed(error);
	json_decref(answer);
	return drain_wait(context);
}

int command_server_lost(const struct context *context)
{
	g_autofree char *path = show_path("/v1/servers/", context->args[0], "/lost");

	if (!context->move->yes) {
		fprintf(stderr,
			"carrel: a user's home could be written to by two desktops if the server "
			"runs on: switch it off, then say so with \"carrel server lost %s "
			"--yes\"\n",
			context->args[0]);
		return EXIT_FAILED;
	}
	return show_change(context, "POST", path, NULL,
		"The server's desktops count as gone; their users go on elsewhere.");
}
