/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seats: the PCs and their names. */
#include "broker/ctl/command.h"
#include "broker/ctl/csv.h"
#include "broker/ctl/request.h"
#include "broker/ctl/seat_args.h"
#include "broker/ctl/show.h"
#include "broker/shared/screen_mode.h"

#include <stdio.h>
#include <string.h>

#define FILE_MAX 4194304

static const char *const csv_columns[] = {"mac", "name", NULL};
/* What can be set of a seat; carreld knows what each may be. */
static const char *const settings[] = {"language", "channel", "kernel", "screen", "keyboard", NULL};

/* Leaves the seats of one room. */
static void keep_room(json_t *list, const char *room)
{
	for (size_t i = json_array_size(list); room && i-- > 0;)
		if (strcmp(show_string(json_array_get(list, i), "room"), room) != 0)
			json_array_remove(list, i);
}

int command_seat_list(const struct context *context)
{
	static const struct column columns[] = {{"NAME", "name"}, {"MAC", "mac"},
		{"STATE", "state"}, {"USER", "user"}, {"ADDRESS", "address"}, {">BOOTS", "boots"},
		{"LAST SEEN", "last_seen"}};
	g_autoptr(GError) error = NULL;
	json_t *answer = request_send(context, "GET", "/v1/seats", NULL, &error);
	json_t *list = json_object_get(answer, "seats");

	if (!answer)
		return show_failed(error);
	keep_room(list, context->seat->room);
	if (context->json)
		show_json(answer);
	else
		show_table(list, columns, G_N_ELEMENTS(columns));
	json_decref(answer);
	return EXIT_DONE;
}

/* {"seats"} of the words; NULL, and it is said, when one is no text. */
static json_t *seats_body(char **words)
{
	json_t *list = json_array();

	for (; *words; words++)
		if (json_array_append_new(list, json_string(*words)) < 0) {
			fprintf(stderr, "carrel: a seat's name is not UTF-8 text\n");
			json_decref(list);
			return NULL;
		}
	return json_pack("{s:o}", "seats", list);
}

/* A table of the boot's stages: where its time went, and its bytes. */
static void print_boot(const json_t *boot)
{
	static const struct column columns[] = {
		{"STAGE", "stage"}, {">AT MS", "ms"}, {">TOOK MS", "took"}, {">BYTES", "bytes"}};
	g_autoptr(GDateTime) began =
		g_date_time_new_from_unix_local(show_integer(boot, "wall_ms") / 1000);
	g_autofree char *when = began ? g_date_time_format(began, "%F %T") : NULL;
	json_t *stages = json_object_get(boot, "stages"), *stage;
	json_int_t before = 0;
	size_t i;

	printf("boot       %s, %s%s%s%s%s\n", when ? when : "", show_string(boot, "state"),
		*show_string(boot, "firmware") ? ", " : "", show_string(boot, "firmware"),
		*show_string(boot, "version") ? ", image " : "", show_string(boot, "version"));
	if (*show_string(boot, "stopped_at"))
		printf("stopped at %s%s%s: %s\n", show_string(boot, "stopped_at"),
			*show_string(boot, "error") ? ", " : "", show_string(boot, "error"),
			show_string(boot, "cause"));
	if (*show_string(boot, "note"))
		printf("note       %s\n", show_string(boot, "note"));
	json_array_foreach (stages, i, stage) {
		json_object_set_new(
			stage, "took", json_integer(show_integer(stage, "ms") - before));
		before = show_integer(stage, "ms");
	}
	show_table(stages, columns, G_N_ELEMENTS(columns));
}

/* The mode that its screen has, and whether it is the one that it is to have. */
static void print_mode(const json_t *seat)
{
	struct screen_mode shown, wanted;

	if (!screen_mode_parse(show_string(seat, "shown"), &shown))
		return;
	gboolean other = screen_mode_parse(show_string(seat, "screen"), &wanted) &&
			 !screen_mode_fits(&shown, &wanted);
	printf("shows      %s%s\n", show_string(seat, "shown"),
		other ? ": the screen has no such mode as is set, or the viewer has not asked yet"
		      : "");
}

static void print_seats(const json_t *list)
{
	size_t i;
	const json_t *seat;

	json_array_foreach (list, i, seat) {
		const char *name = show_string(seat, "name"), *user = show_string(seat, "user");
		const char *first = show_string(seat, "first_seen");

		printf("%sseat       %s\nMAC        %s\nstate      %s\n", i ? "\n" : "",
			*name ? name : "without a name", show_string(seat, "mac"),
			show_string(seat, "state"));
		if (*user)
			printf("user       %s\n", user);
		for (size_t k = 0; settings[k]; k++)
			if (*show_string(seat, settings[k]))
				printf("%-10s %s\n", settings[k], show_string(seat, settings[k]));
		print_mode(seat);
		if (*show_string(seat, "keyboard_missing"))
			printf("note       its keyboard has no effect in desktops of %s: that "
			       "image lacks the layout, or the agent that sets it\n",
				show_string(seat, "keyboard_missing"));
		if (!*first) {
			puts("seen       never");
			continue;
		}
		printf("address    %s\nfirst seen %s\nlast seen  %s\nboots      "
		       "%" JSON_INTEGER_FORMAT "\n",
			show_string(seat, "address"), first, show_string(seat, "last_seen"),
			show_integer(seat, "boots"));
		const json_t *boot = json_object_get(seat, "boot");
		if (!strcmp(show_string(boot, "firmware"), "uefi-http") &&
			(*show_string(seat, "channel") || *show_string(seat, "kernel")))
			puts("note       it starts by UEFI HTTP Boot, where channel and kernel "
			     "have no "
			     "effect: set its firmware to PXE");
		if (json_is_object(boot))
			print_boot(boot);
	}
}

/* POSTs `body`, taken over; NULL, and it is said, when that fails. */
static json_t *ask(const struct context *context, const char *path, json_t *body)
{
	g_autoptr(GError) error = NULL;
	json_t *answer = body ? request_send(context, "POST", path, body, &error) : NULL;

	if (error)
		show_failed(error);
	return answer;
}

int command_seat_show(const struct context *context)
{
	json_t *answer = ask(context, "/v1/seats/show", seats_body(context->args));

	if (!answer)
		return EXIT_FAILED;
	if (context->json)
		show_json(answer);
	else
		print_seats(json_object_get(answer, "seats"));
	json_decref(answer);
	return EXIT_DONE;
}

/* One line for each seat that was changed, with what is said of it; of those without a name that
 * can be something else. */
static int change(const struct context *context, const char *path, json_t *body, const char *what,
	const char *nameless)
{
	json_t *answer = ask(context, path, body);
	size_t i;
	const json_t *seat;

	if (!answer)
		return EXIT_FAILED;
	if (context->json)
		show_json(answer);
	json_array_foreach (json_object_get(answer, "seats"), i, seat) {
		const char *name = show_string(seat, "name"), *mac = show_string(seat, "mac");

		if (!context->json && *name)
			printf("%s (%s) %s\n", name, mac, what);
		else if (!context->json)
			printf("%s %s\n", mac, nameless);
	}
	json_decref(answer);
	return EXIT_DONE;
}

static int give_name(const struct context *context, const char *path)
{
	json_t *body = json_pack("{s:s, s:s}", "seat", context->args[0], "name", context->args[1]);

	if (body)
		return change(context, path, body, "is named so", "has no name any more");
	fprintf(stderr, "carrel: a seat's name is not UTF-8 text\n");
	return EXIT_FAILED;
}

int command_seat_name(const struct context *context)
{
	return give_name(context, "/v1/seats/name");
}

int command_seat_move(const struct context *context)
{
	return give_name(context, "/v1/seats/move");
}

int command_seat_approve(const struct context *context)
{
	return change(context, "/v1/seats/approve", seats_body(context->args), "is approved",
		"is approved");
}

int command_seat_forget(const struct context *context)
{
	return change(context, "/v1/seats/forget", seats_body(context->args), "is forgotten",
		"is forgotten");
}

/* Is it "KEY=VALUE" of a setting? Its key is owned by the caller. */
static char *setting_of(const char *word, const char **value)
{
	const char *sign = strchr(word, '=');
	char *key = sign ? g_strndup(word, (gsize)(sign - word)) : NULL;

	*value = sign ? sign + 1 : NULL;
	if (key && g_strv_contains(settings, key))
		return key;
	g_free(key);
	return NULL;
}

/* Seats first, then settings, at least one of each. NULL, and it is said, when it is not so. */
static json_t *set_body(const struct context *context)
{
	guint count = g_strv_length(context->args), seats = 0;
	g_autofree char **words = g_memdup2(context->args, (count + 1) * sizeof(char *));
	json_t *values = json_object(), *body = NULL;
	const char *wrong = NULL;

	while (seats < count && !strchr(words[seats], '='))
		seats++;
	for (guint i = seats; i < count && !wrong; i++) {
		const char *value;
		g_autofree char *key = setting_of(words[i], &value);

		if (!key || json_object_get(values, key) ||
			json_object_set_new(values, key, json_string(value)) < 0)
			wrong = words[i];
	}
	if (wrong || !seats || seats == count) {
		g_autofree char *keys = g_strjoinv("=, ", (char **)settings);

		fprintf(stderr,
			"carrel: \"%s\" is no setting of a seat; write the seats first, then "
			"settings, each once: %s=, with nothing behind the \"=\" to take one "
			"away\n",
			wrong ? wrong : context->args[count - 1], keys);
	} else {
		words[seats] = NULL;
		body = seats_body(words);
		json_object_update(body, values);
	}
	json_decref(values);
	return body;
}

int command_seat_set(const struct context *context)
{
	json_t *body = set_body(context);

	return body ? change(context, "/v1/seats/set", body, "is set", "is set") : EXIT_USAGE;
}

int command_seat_poweroff(const struct context *context)
{
	static const char what[] = "goes off within a minute, if it is on";

	return change(context, "/v1/seats/poweroff", seats_body(context->args), what, what);
}

int command_seat_reboot(const struct context *context)
{
	static const char what[] = "boots again within a minute, if it is on";

	return change(context, "/v1/seats/reboot", seats_body(context->args), what, what);
}

int command_seat_wake(const struct context *context)
{
	return change(context, "/v1/seats/wake", seats_body(context->args),
		"is sent a wake-up packet", "is sent a wake-up packet");
}

/* --- many at once --- */

/* All of a file, or of standard input for "-"; NULL with an error. */
static char *file_read(const char *path, gsize *length, GError **error)
{
	char *text = NULL;

	if (strcmp(path, "-") != 0)
		return g_file_get_contents(path, &text, length, error) ? text : NULL;
	g_autoptr(GString) all = g_string_new(NULL);
	char part[4096];
	for (size_t n; all->len <= FILE_MAX && (n = fread(part, 1, sizeof(part), stdin)) > 0;)
		g_string_append_len(all, part, (gssize)n);
	*length = all->len;
	return g_string_free(g_steal_pointer(&all), FALSE);
}

static void print_import(const struct context *context, const json_t *answer)
{
	printf("%s%" JSON_INTEGER_FORMAT " new, %" JSON_INTEGER_FORMAT
	       " changed, %" JSON_INTEGER_FORMAT " as before.\n",
		context->seat->dry_run ? "Nothing was changed; the file has " : "Seats: ",
		show_integer(answer, "added"), show_integer(answer, "changed"),
		show_integer(answer, "same"));
}

int command_seat_import(const struct context *context)
{
	const char *path = context->args[0];
	g_autoptr(GError) error = NULL;
	gsize length = 0;
	g_autofree char *text = file_read(path, &length, &error);
	json_t *rows, *answer;

	if (!text)
		return show_failed(error);
	if (length > FILE_MAX) {
		fprintf(stderr, "carrel: %s is longer than %d bytes\n", path, FILE_MAX);
		return EXIT_FAILED;
	}
	rows = csv_parse(text, length, csv_columns, settings, &error);
	answer = rows ? request_send(context, "POST", "/v1/seats/import",
				json_pack("{s:o, s:b}", "seats", rows, "dry_run",
					context->seat->dry_run),
				&error)
		      : NULL;
	if (!answer) {
		/* What is wrong in the file, not with the way to carreld. */
		if (error->domain == CSV_ERROR ||
			g_error_matches(error, REQUEST_ERROR, REQUEST_ERROR_REFUSED))
			g_prefix_error(&error, "%s: ", path);
		return show_failed(error);
	}
	if (context->json)
		show_json(answer);
	else
		print_import(context, answer);
	json_decref(answer);
	return EXIT_DONE;
}

static void print_csv(const json_t *list)
{
	g_autofree char *header = g_strjoinv(",", (char **)settings);
	size_t i;
	const json_t *seat;

	printf("mac,name,%s\n", header);
	json_array_foreach (list, i, seat) {
		if (!*show_string(seat, "name"))
			continue;
		printf("%s,%s", show_string(seat, "mac"), show_string(seat, "name"));
		/* No setting has quotes or line ends in it. */
		for (size_t k = 0; settings[k]; k++) {
			const char *value = show_string(seat, settings[k]);

			const char *quote = strpbrk(value, ",; ") ? "\"" : "";

			printf(",%s%s%s", quote, value, quote);
		}
		puts("");
	}
}

int command_seat_export(const struct context *context)
{
	g_autoptr(GError) error = NULL;
	json_t *answer = request_send(context, "GET", "/v1/seats", NULL, &error);
	json_t *list = json_object_get(answer, "seats");

	if (!answer)
		return show_failed(error);
	keep_room(list, context->args[0]);
	if (context->json)
		show_json(answer);
	else
		print_csv(list);
	json_decref(answer);
	return EXIT_DONE;
}
