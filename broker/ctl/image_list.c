/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carrel image list, show, log, verify, pin, unpin and build. */
#include "broker/ctl/image_store.h"
#include "broker/ctl/show.h"
#include "broker/ctl/image_args.h"
#include "images/store/check.h"
#include "images/store/pins.h"

#include <stdio.h>
#include <string.h>

/* Where a version is used: "current", the channels of carreld, "in use". `usage` may be NULL. */
static json_t *uses_of(const struct version *version, const char *current, const json_t *answer)
{
	static const char *const channels[] = {"stable", "testing", "previous"};
	const json_t *desktops = json_object_get(answer, "channels");
	const json_t *pcs = json_object_get(json_object_get(answer, "clients"), "channels");
	json_t *uses = json_array();
	g_autofree char *id = version_id(version);
	const json_t *item;
	size_t i;

	if (!g_strcmp0(current, version->version))
		json_array_append_new(uses, json_string("current"));
	for (i = 0; i < G_N_ELEMENTS(channels); i++)
		if (!strcmp(show_string(desktops, channels[i]), id) ||
			!strcmp(show_string(pcs, channels[i]), id))
			json_array_append_new(uses, json_string(channels[i]));
	json_array_foreach (json_object_get(answer, "keep"), i, item)
		if (!json_array_size(uses) && !g_strcmp0(json_string_value(item), id))
			json_array_append_new(uses, json_string("in use"));
	return uses;
}

/* The same for lists and for one version. */
static json_t *describe(const struct image_store *store, const struct version *version,
	const json_t *answer, GError **error)
{
	g_autofree char *current = versions_current(store->images, version->name);
	json_t *pins = pins_load(store->images, version->name, error), *item;
	const json_t *pin = json_object_get(pins, version->version);
	const struct image *image = version->image;

	if (!pins)
		return NULL;
	item = json_pack("{s:s, s:s, s:I, s:b, s:o, s:o?, s:o?}", "name", version->name, "version",
		version->version, "bytes", (json_int_t)version->bytes, "signed",
		!version->unsigned_, "use", uses_of(version, current, answer), "problem",
		version->problem ? json_string(version->problem) : NULL, "pinned",
		pin ? json_deep_copy(pin) : NULL);
	json_object_set_new(
		item, "kind", image ? json_string(image_kind_word(image->kind)) : json_null());
	json_object_set_new(item, "packages",
		version->packages >= 0 ? json_integer(version->packages) : json_null());
	json_decref(pins);
	return item;
}

static char *join(const json_t *words)
{
	GString *text = g_string_new(NULL);
	const json_t *word;
	size_t i;

	json_array_foreach (words, i, word)
		g_string_append_printf(text, "%s%s", i ? ", " : "", json_string_value(word));
	return g_string_free(text, FALSE);
}

/* carreld's answer for those who can do without; says so when there is none. */
static json_t *ask_or_warn(const struct context *context)
{
	g_autoptr(GError) error = NULL;
	json_t *answer = image_store_ask(context, &error);

	if (!answer)
		fprintf(stderr,
			"carrel: carreld does not answer, so channels and running desktops are not "
			"shown: %s\n",
			error->message);
	return answer;
}

static void print_list(json_t *list)
{
	static const struct column columns[] = {{"NAME", "name"}, {"VERSION", "version"},
		{"KIND", "kind"}, {">SIZE", "size"}, {">PACKAGES", "packages"},
		{"SIGNED", "signed"}, {"USE", "used"}, {"PINNED", "reason"}};
	json_t *item;
	size_t i;
	guint told = 0;

	json_array_foreach (list, i, item) {
		g_autofree char *size = image_store_size((guint64)show_integer(item, "bytes"));
		g_autofree char *used = join(json_object_get(item, "use"));
		const json_t *pin = json_object_get(item, "pinned");
		const char *reason = show_string(pin, "reason");

		json_object_set_new(item, "size", json_string(size));
		json_object_set_new(item, "used", json_string(used));
		if (json_is_object(pin))
			json_object_set_new(item, "reason", json_string(*reason ? reason : "yes"));
	}
	show_table(list, columns, G_N_ELEMENTS(columns));
	json_array_foreach (list, i, item)
		if (*show_string(item, "problem"))
			printf("%s%s\n", told++ ? "" : "\n", show_string(item, "problem"));
}

/* Those of one image, or of all with `name` NULL; NULL with `error`. */
static json_t *list_versions(
	const struct image_store *store, const char *name, const json_t *answer, GError **error)
{
	g_autoptr(GPtrArray) versions = versions_list(store->images, store->public_key, error);
	json_t *list = versions ? json_array() : NULL;

	for (guint i = 0; list && i < versions->len; i++) {
		const struct version *version = versions->pdata[i];
		json_t *item;

		if (name && strcmp(version->name, name) != 0)
			continue;
		item = describe(store, version, answer, error);
		if (item)
			json_array_append_new(list, item);
		else
			g_clear_pointer(&list, json_decref);
	}
	return list;
}

static int list(const struct context *context, const struct image_store *store)
{
	const char *name = context->args[0];
	g_autoptr(GError) error = NULL;

	if (name) {
		/* An unknown name is told with those that there are. */
		struct version *any = image_store_find(store, name);

		if (!any)
			return EXIT_FAILED;
		version_free(any);
	}
	json_t *answer = ask_or_warn(context);
	json_t *versions = list_versions(store, name, answer, &error);
	if (versions && context->json) {
		json_t *all =
			json_pack("{s:b, s:O}", "carreld", answer != NULL, "images", versions);

		show_json(all);
		json_decref(all);
	} else if (versions) {
		print_list(versions);
	}
	json_decref(answer);
	if (!versions)
		return show_failed(error);
	json_decref(versions);
	return EXIT_DONE;
}

/* Opens the site, runs `work`, closes it. */
static int with_store(const struct context *context,
	int (*work)(const struct context *context, const struct image_store *store))
{
	struct image_store store;
	int status = image_store_open(&store, context) ? work(context, &store) : EXIT_FAILED;

	image_store_clear(&store);
	return status;
}

int command_image_list(const struct context *context)
{
	return with_store(context, list);
}

/* The manifest and where the version is used, as one object. */
static json_t *whole(const struct context *context, const struct image_store *store,
	const struct version *version, GError **error)
{
	json_t *answer = ask_or_warn(context);
	json_t *item = describe(store, version, answer, error);
	gsize length = 0;
	g_autofree char *text = NULL;

	json_decref(answer);
	if (item && version->image)
		text = image_read_signed(version->folder, store->public_key, &length, NULL);
	if (text)
		json_object_set_new(item, "manifest", json_loadb(text, length, 0, NULL));
	if (item)
		json_object_set_new(item, "folder", json_string(version->folder));
	return item;
}

static void print_line(const char *label, const char *value)
{
	if (value && *value)
		printf("%-11s%s\n", label, value);
}

static void print_files(const struct version *version)
{
	for (int id = 0; id < IMAGE_FILE_COUNT; id++) {
		const struct image_file *file = &version->image->files[id];

		if (!file->name)
			continue;
		g_autofree char *size = image_store_size(file->size);

		printf("%-11s%s, %s, sha256 %s\n", image_file_key((enum image_file_id)id),
			file->name, size, file->sha256);
	}
	if (version->lock.name)
		printf("%-11s%s, sha256 %s\n", "lock", version->lock.name, version->lock.sha256);
	if (version->sbom.name)
		printf("%-11s%s, sha256 %s\n", "sbom", version->sbom.name, version->sbom.sha256);
}

static void print_guest(const struct image *image)
{
	g_autofree char *size = image_store_size(image->disk_size);

	print_line("capacity", size);
	print_line("firmware", image->uefi ? "uefi" : "bios");
	print_line("agent", image_agent_word(image->agent));
}

static void print_manifest(const struct version *version)
{
	const struct image *image = version->image;

	static const char *const kinds[] = {
		[IMAGE_CLIENT] = "client, the PCs run it",
		[IMAGE_DESKTOP] = "desktop, the users' machines run it",
		[IMAGE_GUEST] = "disk, the users' machines run what is installed on it",
	};

	print_line("kind", kinds[image->kind]);
	if (image->kind != IMAGE_CLIENT)
		print_line("hand-off", image->live ? "live: a running desktop gives memory back"
						   : "hard: its user is moved");
	print_files(version);
	if (image->kind == IMAGE_GUEST)
		print_guest(image);
	else
		printf("%-11s%s, dm-verity behind block %" G_GUINT64_FORMAT ", root hash %s\n",
			"root is", image->erofs ? "erofs" : "squashfs", image->data_blocks,
			image->root_hash);
	print_line("cmdline", image->cmdline);
	if (version->packages >= 0)
		printf("%-11s%" G_GINT64_FORMAT "\n", "packages", version->packages);
	print_line("recipe", version->recipe);
	print_line("inputs", version->inputs);
}

static void print_whole(const struct version *version, const json_t *item)
{
	g_autofree char *use = join(json_object_get(item, "use"));
	g_autofree char *size = image_store_size(version->bytes);
	const json_t *pin = json_object_get(item, "pinned");

	printf("%s@%s\n", version->name, version->version);
	print_line("folder", version->folder);
	print_line("size", size);
	print_line("signed", version->unsigned_ ? "no" : "yes, by this site");
	print_line("problem", version->problem);
	print_line("use", *use ? use : "none");
	if (json_is_object(pin))
		printf("%-11ssince %s%s%s\n", "pinned", show_string(pin, "since"),
			*show_string(pin, "reason") ? ": " : "", show_string(pin, "reason"));
	if (version->image)
		print_manifest(version);
}

static int show(const struct context *context, const struct image_store *store)
{
	struct version *version = image_store_find(store, context->args[0]);
	g_autoptr(GError) error = NULL;
	json_t *item;

	if (!version)
		return EXIT_FAILED;
	item = whole(context, store, version, &error);
	if (item && context->json)
		show_json(item);
	else if (item)
		print_whole(version, item);
	version_free(version);
	if (!item)
		return show_failed(error);
	json_decref(item);
	return EXIT_DONE;
}

int command_image_show(const struct context *context)
{
	return with_store(context, show);
}

static int print_log(const struct context *context, const struct image_store *store)
{
	struct version *version = image_store_find(store, context->args[0]);
	g_autofree char *path = NULL, *text = NULL;
	g_autoptr(GError) error = NULL;
	gsize length;

	if (!version)
		return EXIT_FAILED;
	path = g_build_filename(version->folder, "build.log", NULL);
	gboolean good = g_file_get_contents(path, &text, &length, &error);
	if (!good) {
		fprintf(stderr, "carrel: %s@%s has no log of its build: %s\n", version->name,
			version->version, error->message);
	} else if (context->json) {
		g_autofree char *valid = g_utf8_make_valid(text, (gssize)length);
		json_t *answer = json_pack("{s:s, s:s, s:s}", "name", version->name, "version",
			version->version, "log", valid);

		show_json(answer);
		json_decref(answer);
	} else {
		fwrite(text, 1, length, stdout);
	}
	version_free(version);
	return good ? EXIT_DONE : EXIT_FAILED;
}

int command_image_log(const struct context *context)
{
	return with_store(context, print_log);
}

/* Adds what is wrong with a version to `list`, and says it; FALSE: it could not be found out. */
static gboolean verify_one(
	const struct context *context, const struct version *version, json_t *list, int *status)
{
	g_autofree char *id = version_id(version);
	g_autofree char *what = g_strconcat("checking ", id, NULL);
	struct disk_progress progress = image_store_progress(what);
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) problems = version_check(version, &progress, &error);
	json_t *texts = json_array();

	image_store_progress_end();
	for (guint i = 0; problems && i < problems->len; i++) {
		json_array_append_new(texts, json_string(problems->pdata[i]));
		*status = EXIT_FAILED;
		if (!context->json)
			printf("%s: %s\n", id, (const char *)problems->pdata[i]);
	}
	if (problems && !problems->len && !context->json)
		printf("%s: good\n", id);
	json_array_append_new(list, json_pack("{s:s, s:b, s:o}", "image", id, "good",
					    problems && !problems->len, "problems", texts));
	if (!problems)
		*status = show_failed(error);
	return problems != NULL;
}

/* The versions that the arguments name, or all; NULL: said why. */
static GPtrArray *named(const struct context *context, const struct image_store *store)
{
	g_autoptr(GError) error = NULL;
	GPtrArray *versions;

	if (!context->args[0]) {
		versions = versions_list(store->images, store->public_key, &error);
		if (!versions)
			show_failed(error);
		return versions;
	}
	versions = g_ptr_array_new_with_free_func((GDestroyNotify)version_free);
	for (char **id = context->args; *id; id++) {
		struct version *version = image_store_find(store, *id);

		if (!version) {
			g_ptr_array_free(versions, TRUE);
			return NULL;
		}
		g_ptr_array_add(versions, version);
	}
	return versions;
}

static int verify(const struct context *context, const struct image_store *store)
{
	g_autoptr(GPtrArray) versions = named(context, store);
	int status = EXIT_DONE;
	json_t *list;

	if (!versions)
		return EXIT_FAILED;
	list = json_array();
	for (guint i = 0; i < versions->len; i++)
		if (!verify_one(context, versions->pdata[i], list, &status))
			break;
	if (context->json) {
		json_t *answer = json_pack("{s:O}", "images", list);

		show_json(answer);
		json_decref(answer);
	}
	json_decref(list);
	return status;
}

int command_image_verify(const struct context *context)
{
	return with_store(context, verify);
}

/* `reason` NULL takes the pin away. */
static int pin(const struct context *context, const struct image_store *store, const char *reason)
{
	struct version *found = image_store_find(store, context->args[0]);
	g_autofree char *id = NULL;
	g_autoptr(GError) error = NULL;
	gboolean before = FALSE;

	if (!found)
		return EXIT_FAILED;
	id = version_id(found);
	gboolean good =
		pins_set(store->images, found->name, found->version, reason, &before, &error);
	version_free(found);
	if (!good)
		return show_failed(error);
	if (context->json) {
		json_t *answer = json_pack("{s:s, s:b, s:b}", "image", id, "pinned", reason != NULL,
			"was_pinned", before);

		show_json(answer);
		json_decref(answer);
	} else {
		printf("%s %s.\n", id,
			reason   ? "is pinned: gc leaves it"
			: before ? "is pinned no more"
				 : "was not pinned");
	}
	return EXIT_DONE;
}

static int set_pin(const struct context *context, const struct image_store *store)
{
	const char *reason = context->image->reason;

	if (reason && !g_utf8_validate(reason, -1, NULL)) {
		fprintf(stderr, "carrel: the reason is not UTF-8 text\n");
		return EXIT_FAILED;
	}
	return pin(context, store, reason ? reason : "");
}

static int take_pin(const struct context *context, const struct image_store *store)
{
	return pin(context, store, NULL);
}

int command_image_pin(const struct context *context)
{
	return with_store(context, set_pin);
}

int command_image_unpin(const struct context *context)
{
	return with_store(context, take_pin);
}

static int build(const struct context *context, const struct image_store *store)
{
	char **words = context->image->build;
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	static const char *const fixed[] = {"--cache", CARREL_LOCALSTATEDIR "/cache/carrel"};

	if (!words || !*words || **words == '-') {
		fprintf(stderr, "carrel: use it as: carrel image build RECIPE [OPTION...]; see "
				"carrel-image-build(8) for recipes and options\n");
		return EXIT_USAGE;
	}
	g_ptr_array_add(argv, NULL); /* the program */
	g_ptr_array_add(argv, (char *)"--out");
	g_ptr_array_add(argv, store->images);
	g_ptr_array_add(argv, (char *)fixed[0]);
	g_ptr_array_add(argv, (char *)fixed[1]);
	g_ptr_array_add(argv, (char *)"--sign");
	g_ptr_array_add(argv, store->private_key);
	g_ptr_array_add(argv, (char *)"--ca");
	g_ptr_array_add(argv, store->ca);
	g_ptr_array_add(argv, (char *)"--recipe");
	for (; *words; words++)
		g_ptr_array_add(argv, *words);
	g_ptr_array_add(argv, NULL);
	return command_become("carrel-image-build", (const char **)argv->pdata);
}

int command_image_build(const struct context *context)
{
	return with_store(context, build);
}
