/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carrel image gc. */
#include "broker/ctl/image_store.h"
#include "broker/ctl/plan_args.h"
#include "broker/ctl/request.h"
#include "broker/ctl/show.h"
#include "broker/ctl/image_args.h"
#include "images/store/gc.h"

#include <stdio.h>

#define KEEP_DEFAULT 3
#define KEEP_MAX 1000

static GHashTable *ask(void *data, GError **error)
{
	json_t *answer = image_store_ask(data, error);
	GHashTable *usage = answer ? gc_usage(answer, error) : NULL;

	json_decref(answer);
	if (!usage)
		g_prefix_error(error, "what is in use is not known, so nothing is removed: ");
	return usage;
}

static void print_gone(const struct gc_report *report, gboolean dry_run)
{
	g_autofree char *freed = image_store_size(report->freed);

	for (guint i = 0; i < report->restored->len; i++)
		printf("%s: in use again, its removal is undone\n",
			(const char *)report->restored->pdata[i]);
	for (guint i = 0; i < report->leftovers->len; i++)
		printf("%s: left by something that was killed, %s\n",
			(const char *)report->leftovers->pdata[i],
			dry_run ? "would be removed" : "removed");
	for (guint i = 0; i < report->removed->len; i++) {
		const struct gc_version *version = report->removed->pdata[i];
		g_autofree char *size = image_store_size(version->bytes);

		printf("%s@%s: %s, %s\n", version->name, version->version, size,
			dry_run ? "would be removed" : "removed");
	}
	printf("%s: %s\n", dry_run ? "Would be freed" : "Freed", freed);
}

static void print_report(const struct gc_report *report, gboolean dry_run)
{
	for (guint i = 0; i < report->kept->len; i++) {
		const struct gc_version *version = report->kept->pdata[i];

		printf("%s@%s: stays (%s)\n", version->name, version->version, version->why);
	}
	print_gone(report, dry_run);
}

static json_t *versions_json(const GPtrArray *versions)
{
	json_t *list = json_array();

	for (guint i = 0; i < versions->len; i++) {
		const struct gc_version *version = versions->pdata[i];
		g_autofree char *id = g_strconcat(version->name, "@", version->version, NULL);

		json_array_append_new(
			list, json_pack("{s:s, s:I, s:s?}", "image", id, "bytes",
				      (json_int_t)version->bytes, "why", version->why));
	}
	return list;
}

static json_t *texts_json(const GPtrArray *texts)
{
	json_t *list = json_array();

	for (guint i = 0; i < texts->len; i++) {
		g_autofree char *text = image_store_text(texts->pdata[i]);

		json_array_append_new(list, json_string(text));
	}
	return list;
}

static void show_report(const struct gc_report *report, gboolean dry_run)
{
	json_t *answer = json_pack("{s:b, s:o, s:o, s:o, s:o, s:I}", "dry_run", dry_run, "kept",
		versions_json(report->kept), "removed", versions_json(report->removed), "leftovers",
		texts_json(report->leftovers), "restored", texts_json(report->restored), "freed",
		(json_int_t)report->freed);

	show_json(answer);
	json_decref(answer);
}

/* What is gone here is of no use to the servers either, where nobody runs it. */
static gboolean sweep_servers(const struct context *context, GError **error)
{
	json_t *answer = request_send(context, "POST", "/v1/images/sweep", NULL, error);

	if (!answer)
		g_prefix_error(error, "the servers keep what is gone here: ");
	json_decref(answer);
	return answer != NULL;
}

static int collect(const struct context *context, const struct gc_options *options)
{
	struct gc_report report;
	g_autoptr(GError) error = NULL;
	gboolean good = gc_collect(options, &report, &error);

	if (context->json)
		show_report(&report, options->dry_run);
	else if (good)
		print_report(&report, options->dry_run);
	else if (report.removed->len || report.leftovers->len || report.restored->len)
		print_gone(&report, options->dry_run);
	gc_report_clear(&report);
	if (good && !options->dry_run && options->ask)
		good = sweep_servers(context, &error);
	return good ? EXIT_DONE : show_failed(error);
}

int command_image_gc(const struct context *context)
{
	const struct image_args *args = context->image;
	struct image_store store;
	g_autoptr(GError) error = NULL;
	guint64 keep = KEEP_DEFAULT;
	int status = EXIT_FAILED;

	if (args->keep && !plan_count(args->keep, "--keep", 0, KEEP_MAX, &keep, &error)) {
		show_failed(error);
		return EXIT_USAGE;
	}
	if (args->offline && !args->yes && !args->dry_run) {
		fprintf(stderr,
			"carrel: with --offline carreld is not asked what is in use: versions that "
			"are on trial, that a rollback would lead to, or that servers still have "
			"to "
			"fetch for running desktops may be removed. Start carreld instead, or say "
			"--offline --yes when no desktop runs and no trial is under way\n");
		return EXIT_FAILED;
	}
	if (image_store_open(&store, context)) {
		const struct gc_options options = {store.images, (guint)keep, args->dry_run,
			args->offline ? NULL : ask, (void *)context};

		status = collect(context, &options);
	}
	image_store_clear(&store);
	return status;
}
