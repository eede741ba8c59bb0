/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Versions of the desktops' image and of the PCs': which servers have them, and who gets which. */
#include "broker/ctl/command.h"
#include "broker/ctl/image_args.h"
#include "broker/ctl/request.h"
#include "broker/ctl/show.h"
#include "broker/ctl/table.h"
#include "broker/ctl/wait.h"

#include <stdio.h>
#include <string.h>

#define WAIT_S 86400

static const char *or_none(const char *text)
{
	return *text ? text : "none";
}

/* "s1: root 40 of 135 MB" of a server to which something is on its way; the caller frees it. */
static char *sending(const json_t *server)
{
	return g_strdup_printf("%s: %s of %s, %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
			       " MB",
		show_string(server, "server"), show_string(server, "file"),
		show_string(server, "sending"), show_integer(server, "done") / 1000000,
		show_integer(server, "total") / 1000000);
}

static void print_servers(const json_t *servers, const json_t *keep)
{
	size_t i, k, n;
	const json_t *server, *image, *has;

	json_array_foreach (servers, i, server) {
		printf("server    %s%s", show_string(server, "server"),
			json_is_true(json_object_get(server, "up")) ? "" : " (not up)");
		json_array_foreach (keep, k, image) {
			gboolean there = FALSE;

			json_array_foreach (json_object_get(server, "has"), n, has)
				there |= json_equal(has, image);
			printf("%s %s%s", k ? "," : ":", there ? "" : "lacks ",
				json_string_value(image));
		}
		puts("");
		if (*show_string(server, "sending")) {
			g_autofree char *line = sending(server);

			printf("          on its way to %s\n", line);
		}
	}
}

static void print_trials(const json_t *trials)
{
	size_t i, k;
	const json_t *trial, *member;

	json_array_foreach (trials, i, trial) {
		printf("trial     %s:", show_string(trial, "image"));
		if (*show_string(trial, "group"))
			printf(" group %s", show_string(trial, "group"));
		json_array_foreach (json_object_get(trial, "members"), k, member)
			printf(" %s", json_string_value(member));
		puts("");
	}
}

static void print_time(json_int_t seconds)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(seconds);
	g_autofree char *text = time ? g_date_time_format(time, "%F %H:%M") : NULL;

	if (text)
		printf("until     %s; then sessions on other versions are moved\n", text);
}

/* Is that a version of the PCs' image, or its name? */
static gboolean is_client(const json_t *answer, const char *image)
{
	const char *name = show_string(json_object_get(answer, "clients"), "image");
	size_t length = strlen(name);

	return length && !strncmp(image, name, length) && (!image[length] || image[length] == '@');
}

/* What of the answer is of that image. */
static const json_t *part_of(const json_t *answer, const char *image)
{
	return is_client(answer, image) ? json_object_get(answer, "clients") : answer;
}

static void print_returned(const json_t *channels)
{
	if (*show_string(channels, "returned"))
		printf("returned  %s: %s\n", show_string(channels, "returned"),
			show_string(channels, "reason"));
}

/* What is on its way, and why the last one was given up; `part` as part_of() gives it. */
static void print_rollout(const json_t *part)
{
	const json_t *rollout = json_object_get(part, "rollout");

	if (*show_string(rollout, "image"))
		printf("rollout   %s, to be %s\n", show_string(rollout, "image"),
			show_string(rollout, "to"));
	if (*show_string(part, "failure"))
		printf("failure   %s\n", show_string(part, "failure"));
}

static void print_clients(const json_t *clients)
{
	const json_t *channels = json_object_get(clients, "channels"), *item;
	const json_t *rollout = json_object_get(clients, "rollout");
	json_int_t canary = show_integer(channels, "canary");
	const char *boot = show_string(clients, "boot");
	size_t i;

	if (!*show_string(channels, "stable") && !*show_string(rollout, "image"))
		return;
	printf("\nPCs       stable %s", or_none(show_string(channels, "stable")));
	if (canary)
		printf(" (%" JSON_INTEGER_FORMAT " boots have to prove it yet)", canary);
	printf(", testing %s, previous %s\n", or_none(show_string(channels, "testing")),
		or_none(show_string(channels, "previous")));
	print_returned(channels);
	print_rollout(clients);
	printf("boot      %s\n", !strcmp(boot, "failed") ? show_string(clients, "problem")
				 : !strcmp(boot, "waiting")
					 ? "not as it should be yet: carrel-bootconf has not "
					   "taken it up; run it, if carrel-bootplan.path does not"
					 : "as it should be");
	if (!json_array_size(json_object_get(clients, "testers")))
		return;
	printf("testers  ");
	json_array_foreach (json_object_get(clients, "testers"), i, item)
		printf(" %s", json_string_value(item));
	puts("");
}

static void print_images(const json_t *answer)
{
	const json_t *channels = json_object_get(answer, "channels");
	json_int_t canary = show_integer(channels, "canary");
	const char *image;
	const json_t *count;

	printf("stable    %s", or_none(show_string(channels, "stable")));
	if (canary)
		printf(" (%" JSON_INTEGER_FORMAT " logins have to prove it yet)", canary);
	printf("\ntesting   %s\nprevious  %s\n", or_none(show_string(channels, "testing")),
		or_none(show_string(channels, "previous")));
	print_returned(channels);
	if (show_integer(channels, "until"))
		print_time(show_integer(channels, "until"));
	print_rollout(answer);
	print_trials(json_object_get(answer, "trials"));
	json_object_foreach ((json_t *)json_object_get(answer, "sessions"), image, count)
		printf("sessions  %" JSON_INTEGER_FORMAT " on %s\n", json_integer_value(count),
			image);
	print_servers(json_object_get(answer, "servers"), json_object_get(answer, "keep"));
	print_clients(json_object_get(answer, "clients"));
}

int command_image_status(const struct context *context)
{
	return show_one(context, "/v1/images", print_images);
}

/* What is on its way, in a line; the caller frees it. */
static char *progress(const json_t *answer, const char *image)
{
	const json_t *rollout = json_object_get(part_of(answer, image), "rollout");
	GString *line = g_string_new(show_string(rollout, "image"));
	size_t i;
	const json_t *server;

	if (is_client(answer, image))
		g_string_append(line, "; waits for carrel-bootconf");
	json_array_foreach (json_object_get(part_of(answer, image), "servers"), i, server)
		if (*show_string(server, "sending")) {
			g_autofree char *text = sending(server);

			g_string_append_printf(line, "; %s", text);
		}
	return g_string_free(line, FALSE);
}

/* Until nothing is on its way; the last answer, or NULL. */
static json_t *rollout_wait(const struct context *context, const char **outcome, GError **error)
{
	json_t *answer = NULL;
	struct wait wait;

	wait_begin(&wait, context, WAIT_S);
	for (*outcome = NULL; !*outcome;) {
		json_decref(answer);
		answer = request_send(context, "GET", "/v1/images", NULL, error);
		if (!answer)
			break;
		const json_t *part = part_of(answer, context->args[0]);

		if (!*show_string(json_object_get(part, "rollout"), "image")) {
			*outcome = *show_string(part, "failure") ? "failed" : "done";
		} else {
			g_autofree char *line = progress(answer, context->args[0]);

			wait_say(&wait, line);
			*outcome = wait_pause(&wait);
		}
	}
	wait_end(&wait);
	return answer;
}

/* Sends a version on its way, and says how far it is until it has come. */
static int roll_out(const struct context *context, const char *path, json_t *body)
{
	g_autoptr(GError) error = NULL;
	json_t *answer = request_send(context, "POST", path, body, &error);
	const char *outcome = "begun";

	if (answer && !context->image->no_wait) {
		json_decref(answer);
		answer = rollout_wait(context, &outcome, &error);
	}
	if (!answer)
		return show_failed(error);
	const json_t *part = part_of(answer, context->args[0]);
	gboolean failed = !strcmp(outcome, "failed");
	if (context->json)
		show_json(answer);
	else if (failed)
		fprintf(stderr, "carrel: %s\n", show_string(part, "failure"));
	else if (strcmp(outcome, "done") != 0)
		printf("It goes on in carreld; \"carrel image status\" shows how far.\n");
	else
		printf("stable    %s\ntesting   %s\n",
			or_none(show_string(json_object_get(part, "channels"), "stable")),
			or_none(show_string(json_object_get(part, "channels"), "testing")));
	json_decref(answer);
	return failed ? EXIT_FAILED : EXIT_DONE;
}

static json_t *about(const struct context *context)
{
	return json_pack("{s:s}", "image", context->args[0]);
}

int command_image_publish(const struct context *context)
{
	return roll_out(context, "/v1/images/publish", about(context));
}

int command_image_promote(const struct context *context)
{
	json_t *body = about(context);

	if (context->image->canary >= 0)
		json_object_set_new(body, "canary", json_integer(context->image->canary));
	if (context->image->within >= 0)
		json_object_set_new(body, "within", json_integer(context->image->within));
	return roll_out(context, "/v1/images/promote", body);
}

/* Of the image that is named, or else of the desktops'. */
static json_t *named(const struct context *context)
{
	return context->args[0] ? about(context) : json_object();
}

int command_image_cancel(const struct context *context)
{
	return show_change(context, "POST", "/v1/images/cancel", named(context),
		"Nothing is on its way any more; what servers have got they keep.");
}

int command_image_rollback(const struct context *context)
{
	const char *reason = context->image->reason;
	json_t *body = named(context);

	json_object_set_new(body, "reason", json_string(reason ? reason : ""));
	return show_change(context, "POST", "/v1/images/rollback", body,
		context->args[0] ? "The version before is stable again; \"carrel image status\" "
				   "shows it."
				 : "New sessions get the version before again; \"carrel image "
				   "status\" shows it.");
}

/* Adds a list such as "room-301/1-4,room-302/7"; FALSE, and it is said, for what is no seat. */
static gboolean seats_add(json_t *members, const char *list)
{
	g_auto(GStrv) seats = g_strsplit(list, ",", -1);

	for (char **seat = seats; *seat; seat++) {
		if (!strpbrk(*seat, "/:")) {
			fprintf(stderr,
				"carrel: --seats: \"%s\" is no seat; write MAC addresses, or names "
				"such as room-301/4 or room-301/1-30, with ',' between them\n",
				*seat);
			return FALSE;
		}
		json_array_append_new(members, json_string(*seat));
	}
	return TRUE;
}

int command_image_try(const struct context *context)
{
	json_t *members = json_array();
	const char *group = context->image->group;

	for (char **member = context->args + 1; *member; member++)
		json_array_append_new(members, json_string(*member));
	if (context->image->seats && !seats_add(members, context->image->seats)) {
		json_decref(members);
		return EXIT_USAGE;
	}
	if (context->image->none) {
		g_autofree char *path = show_path("/v1/images/trials/", context->args[0], "");

		json_decref(members);
		if (context->args[1] || context->image->seats || group) {
			fprintf(stderr,
				"carrel: --none is for all who try it; leave out the names\n");
			return EXIT_USAGE;
		}
		return show_change(context, "DELETE", path, NULL,
			"Nobody tries it any more; running sessions stay on it until they end.");
	}
	return show_change(context, "POST", "/v1/images/try",
		json_pack("{s:s, s:o, s:s}", "image", context->args[0], "members", members, "group",
			group ? group : ""),
		"Their next sessions, or boots, get it.");
}
