/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Users' homes: looking at them, and having something done to them. */
#include "broker/ctl/command.h"
#include "broker/ctl/move_args.h"
#include "broker/ctl/plan_args.h"
#include "broker/ctl/request.h"
#include "broker/ctl/show.h"
#include "broker/ctl/table.h"
#include "broker/ctl/wait.h"

#include <stdio.h>
#include <string.h>

#define WAIT_S (7 * 86400) /* however long it takes */

/* --- looking --- */

/* "being restored, 40 %", "in use on hall1", "damaged", "free"; the caller frees it. */
static char *state_text(const json_t *volume)
{
	const char *work = show_string(volume, "work"), *state = show_string(volume, "state");
	json_int_t percent = show_integer(volume, "percent");

	if (*work && percent)
		return g_strdup_printf("%s, %" JSON_INTEGER_FORMAT " %%", work, percent);
	if (*work)
		return g_strdup(work);
	if (show_integer(volume, "desktop"))
		return g_strdup_printf("in use on %s", show_string(volume, "server"));
	if (!strcmp(state, "broken"))
		return g_strdup("damaged");
	return g_strdup(strcmp(state, "ready") == 0 ? "free" : state);
}

static void print_pool(const json_t *answer)
{
	const json_t *pool = json_object_get(answer, "pool");
	json_int_t promised = show_integer(pool, "promised_mib");
	json_int_t capacity = show_integer(pool, "capacity") >> 20;
	const char *problem = show_string(answer, "problem");

	if (*problem)
		printf("\n%" JSON_INTEGER_FORMAT " MiB are promised; %s\n", promised, problem);
	else
		printf("\npool %s: %" JSON_INTEGER_FORMAT " MiB, %" JSON_INTEGER_FORMAT
		       " MiB free; %" JSON_INTEGER_FORMAT
		       " MiB are promised to the homes, %" JSON_INTEGER_FORMAT " %% of it\n",
			show_string(pool, "pool"), capacity, show_integer(pool, "available") >> 20,
			promised, capacity ? promised * 100 / capacity : 0);
}

static void print_list(const json_t *answer)
{
	static const char *const headers[] = {
		"USER", "STATE", ">MiB", "LAST SNAPSHOT", "CHANGED SINCE", NULL};
	struct table *table = table_new(headers);
	const json_t *volume;
	size_t i;

	json_array_foreach (json_object_get(answer, "volumes"), i, volume) {
		g_autofree char *state = state_text(volume);
		g_autofree char *size = show_cell(json_object_get(volume, "size_mib"));
		g_autofree char *last = show_cell(json_object_get(volume, "last_snapshot"));
		g_autofree char *changed = show_cell(json_object_get(volume, "changed"));

		table_cell(table, show_string(volume, "user"));
		table_cell(table, state);
		table_cell(table, size);
		table_cell(table, last);
		table_cell(table, changed);
	}
	g_autofree char *text = table_text(table);
	fputs(text, stdout);
	table_free(table);
	print_pool(answer);
}

int command_volume_list(const struct context *context)
{
	return show_one(context, "/v1/volumes", print_list);
}

static void print_snapshots(const json_t *list)
{
	static const char *const headers[] = {"SNAPSHOT", ">MiB", ">TAKES MiB", NULL};
	struct table *table = table_new(headers);
	const json_t *snapshot;
	size_t i;

	json_array_foreach (list, i, snapshot) {
		g_autofree char *size = g_strdup_printf(
			"%" JSON_INTEGER_FORMAT, show_integer(snapshot, "size") >> 20);
		g_autofree char *takes = g_strdup_printf("%" JSON_INTEGER_FORMAT,
			(show_integer(snapshot, "allocation") + 0xfffff) >> 20);

		table_cell(table, show_string(snapshot, "name"));
		table_cell(table, size);
		table_cell(table, takes);
	}
	g_autofree char *text = table_text(table);
	printf("\n%s", text);
	table_free(table);
}

static void print_volume(const json_t *volume)
{
	g_autofree char *state = state_text(volume);
	const json_t *done = json_object_get(volume, "done");
	const char *message = show_string(done, "message"),
		   *problem = show_string(volume, "problem");

	printf("user      %s, id %" JSON_INTEGER_FORMAT "\n", show_string(volume, "user"),
		show_integer(volume, "uid"));
	printf("state     %s\n", state);
	printf("size      %" JSON_INTEGER_FORMAT " MiB", show_integer(volume, "size_mib"));
	if (json_object_get(volume, "allocation"))
		printf(", %" JSON_INTEGER_FORMAT " MiB of it taken",
			(show_integer(volume, "allocation") + 0xfffff) >> 20);
	printf("\nin pool   %s\n",
		*show_string(volume, "name") ? show_string(volume, "name") : "-");
	if (*show_string(done, "work") || *message)
		printf("last      %s: %s%s%s\n",
			*show_string(done, "work") ? show_string(done, "work") : "login",
			*show_string(done, "code") ? show_string(done, "code") : "done",
			*message ? ", " : "", message);
	printf("log       %s\n", json_is_true(json_object_get(volume, "log"))
					 ? "of the last check; --log shows it"
					 : "it has not been checked");
	if (json_array_size(json_object_get(volume, "snapshots")))
		print_snapshots(json_object_get(volume, "snapshots"));
	if (*problem)
		printf("\nwarning: %s\n", problem);
}

static void print_log(const json_t *answer)
{
	fputs(show_string(answer, "log"), stdout);
}

int command_volume_show(const struct context *context)
{
	gboolean log = context->move->log;
	g_autofree char *path = show_path("/v1/volumes/", context->args[0], log ? "/log" : "");

	return show_one(context, path, log ? print_log : print_volume);
}

/* --- having something done --- */

/* What has become of it: the row behind its end, or NULL with an error. Of one that is being
 * deleted an empty object. */
static json_t *wait_end_of(const struct context *context, const json_t *begun, GError **error)
{
	g_autofree char *path = show_path("/v1/volumes/", context->args[0], "/work");
	const char *work = show_string(begun, "work");
	gboolean deletion = !strcmp(work, "delete");
	json_t *row = NULL;
	struct wait wait;

	wait_begin(&wait, context, WAIT_S);
	for (;;) {
		json_decref(row);
		row = request_send(context, "GET", path, NULL, error);
		if (deletion && (!row || show_integer(row, "id") != show_integer(begun, "id"))) {
			g_clear_error(error);
			json_decref(row);
			row = json_object();
			break;
		}
		if (!row || !*show_string(row, "work") ||
			show_integer(row, "work_number") != show_integer(begun, "work_number"))
			break;
		g_autofree char *line = g_strdup_printf(
			"%s: %" JSON_INTEGER_FORMAT " %%", work, show_integer(row, "percent"));
		if (show_integer(row, "percent"))
			wait_say(&wait, line);
		if (wait_pause(&wait)) {
			g_set_error(error, REQUEST_ERROR, REQUEST_ERROR_REFUSED,
				"interrupted; it goes on, \"carrel volume show %s\" shows how far "
				"it is, \"carrel volume cancel %s\" calls it off",
				context->args[0], context->args[0]);
			g_clear_pointer(&row, json_decref);
			break;
		}
	}
	wait_end(&wait);
	return row;
}

/* Sends it, waits for its end and says how it went; `good` is a sentence, with one %s for what was
 * made. Takes `body`. */
static int work(const struct context *context, const char *method, const char *what, json_t *body,
	const char *good)
{
	g_autofree char *path = show_path("/v1/volumes/", context->args[0], what);
	g_autoptr(GError) error = NULL;
	json_t *begun = request_send(context, method, path, body, &error);
	json_t *row = begun ? wait_end_of(context, begun, &error) : NULL;
	const json_t *done = json_object_get(row, "done");
	const char *code = show_string(done, "code");
	gboolean known =
		!done || show_integer(done, "number") == show_integer(begun, "work_number");
	int status = row && known && !*code ? EXIT_DONE : EXIT_FAILED;

	json_decref(begun);
	if (!row)
		return show_failed(error);
	if (context->json)
		show_json(row);
	else if (!known)
		fprintf(stderr,
			"carrel: it is over, and something else has been done to %s's home since; "
			"carreld's log has how it came out\n",
			context->args[0]);
	else if (!strcmp(code, "damaged"))
		printf("%s's home is damaged: \"carrel volume show %s --log\" says how, \"carrel "
		       "volume check %s --repair\" mends it.\n",
			context->args[0], context->args[0], context->args[0]);
	else if (*code)
		fprintf(stderr, "carrel: %s\n", show_string(done, "message"));
	else
		printf("%s%s%s\n", good, *show_string(done, "message") ? " " : "",
			show_string(done, "message"));
	json_decref(row);
	return status;
}

int command_volume_snapshot(const struct context *context)
{
	return work(context, "POST", "/snapshot", NULL, "The snapshot is made:");
}

int command_volume_check(const struct context *context)
{
	gboolean repair = context->move->repair;

	return work(context, "POST", "/check", json_pack("{s:b}", "repair", repair),
		repair ? "The home is whole; --log of \"carrel volume show\" has what was done. If "
			 "something was, the home as it was is snapshot"
		       : "The home is whole.");
}

int command_volume_grow(const struct context *context)
{
	g_autoptr(GError) error = NULL;
	guint32 mib;

	if (!context->move->size) {
		fprintf(stderr, "carrel: say how large: carrel volume grow %s --size 20G\n",
			context->args[0]);
		return EXIT_USAGE;
	}
	if (!plan_size(context->move->size, "--size", &mib, &error)) {
		show_failed(error);
		return EXIT_USAGE;
	}
	return work(context, "POST", "/grow", json_pack("{s:I}", "size_mib", (json_int_t)mib),
		"The home is larger; its file system grows at the next login.");
}

int command_volume_export(const struct context *context)
{
	const char *file = context->args[1];

	return work(context, "POST", "/export",
		file ? json_pack("{s:s}", "file", file) : json_object(), "The home is in");
}

/* Without --yes: what would be lost. */
static int unsaid(const struct context *context, const char *words)
{
	fprintf(stderr,
		"carrel: %s's home as it is now would be lost; \"carrel volume snapshot %s\" keeps "
		"it. If that is meant: \"carrel volume %s --yes\"\n",
		context->args[0], context->args[0], words);
	return EXIT_FAILED;
}

int command_volume_restore(const struct context *context)
{
	g_autofree char *words =
		g_strdup_printf("restore %s %s", context->args[0], context->args[1]);

	if (!context->move->yes)
		return unsaid(context, words);
	return work(context, "POST", "/restore", json_pack("{s:s}", "snapshot", context->args[1]),
		"The home is as it was in");
}

int command_volume_import(const struct context *context)
{
	g_autofree char *words =
		g_strdup_printf("import %s %s", context->args[0], context->args[1]);

	if (!context->move->yes)
		return unsaid(context, words);
	return work(context, "POST", "/import", json_pack("{s:s}", "file", context->args[1]),
		"The home has the contents of");
}

int command_volume_drop(const struct context *context)
{
	g_autofree char *path = show_path("/v1/volumes/", context->args[0], "/drop");

	return show_change(context, "POST", path, json_pack("{s:s}", "snapshot", context->args[1]),
		"The snapshot is deleted.");
}

static int delete_unsaid(const struct context *context)
{
	g_autofree char *path = show_path("/v1/volumes/", context->args[0], "");
	g_autoptr(GError) error = NULL;
	json_t *volume = request_send(context, "GET", path, NULL, &error);

	if (!volume)
		return show_failed(error);
	fprintf(stderr,
		"carrel: %s's home, with %" JSON_INTEGER_FORMAT
		" MiB of files, and its %zu snapshots would be lost for good: \"carrel volume "
		"delete %s --yes\" if that is meant; \"carrel volume export %s\" keeps a copy\n",
		context->args[0], (show_integer(volume, "allocation") + 0xfffff) >> 20,
		json_array_size(json_object_get(volume, "snapshots")), context->args[0],
		context->args[0]);
	json_decref(volume);
	return EXIT_FAILED;
}

/* Good when the work has ended without effect; one that was over before has not. */
int command_volume_cancel(const struct context *context)
{
	g_autofree char *path = show_path("/v1/volumes/", context->args[0], "/cancel");
	g_autoptr(GError) error = NULL;
	json_t *begun = request_send(context, "POST", path, NULL, &error);
	json_t *row = begun ? wait_end_of(context, begun, &error) : NULL;
	const json_t *done = json_object_get(row, "done");
	gboolean known = show_integer(done, "number") == show_integer(begun, "work_number");
	int status =
		known && !strcmp(show_string(done, "code"), "cancelled") ? EXIT_DONE : EXIT_FAILED;

	json_decref(begun);
	if (!row)
		return show_failed(error);
	if (context->json)
		show_json(row);
	else if (status == EXIT_DONE)
		printf("The %s of %s's home is called off; the home is as it was.\n",
			show_string(done, "work"), context->args[0]);
	else
		fprintf(stderr,
			"carrel: it was over before it could be called off; \"carrel volume show "
			"%s\" says how it came out\n",
			context->args[0]);
	json_decref(row);
	return status;
}

int command_volume_delete(const struct context *context)
{
	if (!context->move->yes)
		return delete_unsaid(context);
	return work(context, "DELETE", "", NULL,
		"The home and its snapshots are deleted; the next login makes a new one.");
}
