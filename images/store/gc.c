/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/store/gc.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "images/store/disk.h"
#include "images/store/pins.h"
#include "images/store/versions.h"

/* A build that takes longer than this, s, has been killed. */
#define LEFT_AFTER_S (24 * 3600)

/* The channels of the desktops' image, or of the PCs'. */
static void add_channels(GHashTable *usage, const json_t *channels)
{
	static const char *const names[] = {"previous", "testing", "stable"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		const char *id = json_string_value(json_object_get(channels, names[i]));

		if (id && *id)
			g_hash_table_replace(usage, g_strdup(id), g_strdup(names[i]));
	}
}

GHashTable *gc_usage(const json_t *answer, GError **error)
{
	const json_t *keep = json_object_get(answer, "keep"), *item;
	size_t i;
	GHashTable *usage;

	if (!json_is_array(keep) || !json_is_object(json_object_get(answer, "channels"))) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
			"carreld's answer does not say which images are in use; are carrel and "
			"carreld of the same version?");
		return NULL;
	}
	usage = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	json_array_foreach (keep, i, item)
		if (json_is_string(item))
			g_hash_table_replace(
				usage, g_strdup(json_string_value(item)), g_strdup("in use"));
	const json_t *clients = json_object_get(answer, "clients");
	add_channels(usage, json_object_get(answer, "channels"));
	add_channels(usage, json_object_get(clients, "channels"));
	const char *coming =
		json_string_value(json_object_get(json_object_get(clients, "rollout"), "image"));
	if (coming && *coming)
		g_hash_table_replace(usage, g_strdup(coming), g_strdup("in use"));
	return usage;
}

/* How many versions of the same image are newer. */
static guint rank_of(struct gc_version *const *list, gsize count, const struct gc_version *self)
{
	guint rank = 0;

	for (gsize i = 0; i < count; i++)
		rank += !strcmp(list[i]->name, self->name) &&
			version_compare(list[i]->version, self->version) > 0;
	return rank;
}

void gc_decide(struct gc_version *const *list, gsize count, GHashTable *usage, guint keep)
{
	for (gsize i = 0; i < count; i++) {
		struct gc_version *self = list[i];
		g_autofree char *id = g_strconcat(self->name, "@", self->version, NULL);

		self->why = usage ? g_hash_table_lookup(usage, id) : NULL;
		if (!self->why && self->current)
			self->why = "current";
		if (!self->why && self->pinned)
			self->why = "pinned";
		if (!self->why && rank_of(list, count, self) < keep)
			self->why = "newest";
	}
}

static void gc_version_free(struct gc_version *version)
{
	g_free(version->name);
	g_free(version->version);
	g_free(version);
}

/* One run; the lists are owned. */
struct run {
	const struct gc_options *options;
	struct gc_report *report;
	char **names;
	GArray *locks; /* of int */
	GPtrArray *versions, *doomed;
};

static char *path_of(const struct run *run, const struct gc_version *version, const char *file)
{
	return g_build_filename(run->options->images, version->name, version->version, file, NULL);
}

static gboolean rename_in(const struct run *run, const struct gc_version *version, const char *from,
	const char *to, GError **error)
{
	g_autofree char *folder = path_of(run, version, NULL);
	g_autofree char *before = g_build_filename(folder, from, NULL);
	g_autofree char *after = g_build_filename(folder, to, NULL);

	if (g_rename(before, after) < 0) {
		g_set_error(error, DISK_ERROR, DISK_ERROR_FILE, "cannot rename %s to %s: %s",
			before, to, g_strerror(errno));
		return FALSE;
	}
	return disk_sync_folder(folder, error);
}

static gboolean take_lock(struct run *run, const char *folder, GError **error)
{
	int fd = disk_lock(folder, error);

	if (fd < 0)
		return FALSE;
	g_array_append_val(run->locks, fd);
	return TRUE;
}

static gboolean take_versions(struct run *run, const char *name, GError **error)
{
	const char *images = run->options->images;
	g_autofree char *folder = g_build_filename(images, name, NULL);

	if (!take_lock(run, folder, error))
		return FALSE;
	g_auto(GStrv) versions = versions_of(images, name);
	g_autofree char *current = versions_current(images, name);
	json_t *pins = pins_load(images, name, error);
	if (!pins)
		return FALSE;
	for (guint i = 0; versions[i]; i++) {
		struct gc_version *version = g_new0(struct gc_version, 1);
		gint64 changed = 0;

		version->name = g_strdup(name);
		version->version = g_strdup(versions[i]);
		g_autofree char *path = path_of(run, version, NULL);
		version->bytes = disk_measure(path, &changed);
		version->current = current && !strcmp(current, versions[i]);
		version->pinned = json_object_get(pins, versions[i]) != NULL;
		g_ptr_array_add(run->versions, version);
	}
	json_decref(pins);
	return TRUE;
}

/* Removes what nobody will finish, and counts it. */
static gboolean drop_leftover(struct run *run, const char *path, guint64 bytes, GError **error)
{
	if (!run->options->dry_run && !disk_remove(path, error))
		return FALSE;
	run->report->freed += bytes;
	g_ptr_array_add(run->report->leftovers, g_strdup(path));
	return TRUE;
}

static gboolean has(const char *folder, const char *file)
{
	g_autofree char *path = g_build_filename(folder, file, NULL);

	return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* A removal that was killed before it was certain, and must not be any more. */
static gboolean restore(struct run *run, const char *name, const char *entry, GError **error)
{
	const struct gc_version version = {(char *)name, (char *)entry, 0, 0, 0, NULL};

	if (!run->options->dry_run && !rename_in(run, &version, ".removed", "manifest.json", error))
		return FALSE;
	g_ptr_array_add(run->report->restored, g_strconcat(name, "@", entry, NULL));
	return TRUE;
}

static gboolean sort_out(struct run *run, const char *name, const char *entry, GError **error)
{
	g_autofree char *path = g_build_filename(run->options->images, name, entry, NULL);
	g_autofree char *id = g_strconcat(name, "@", entry, NULL);
	gboolean version = image_version_is_good(entry);
	gint64 changed_s = 0;
	guint64 bytes;

	if (!version && !g_str_has_prefix(entry, ".new"))
		return TRUE;
	if (version && (has(path, "manifest.json") || g_file_test(path, G_FILE_TEST_IS_SYMLINK)))
		return TRUE;
	if (version && has(path, ".removed") && run->report->usage &&
		g_hash_table_contains(run->report->usage, id))
		return restore(run, name, entry, error);
	bytes = disk_measure(path, &changed_s);
	/* Imports and removals are under the lock that this run has: theirs are dead. */
	if (has(path, ".removed") || has(path, ".removing") ||
		g_str_has_prefix(entry, ".new-import") ||
		changed_s + LEFT_AFTER_S < g_get_real_time() / G_USEC_PER_SEC)
		return drop_leftover(run, path, bytes, error);
	return TRUE;
}

static gboolean tidy(struct run *run, const char *name, GError **error)
{
	g_autofree char *folder = g_build_filename(run->options->images, name, NULL);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *entry;

	while (dir && (entry = g_dir_read_name(dir)))
		if (!sort_out(run, name, entry, error))
			return FALSE;
	return TRUE;
}

/* Sorts the versions into those that stay and those that go. */
static void divide(struct run *run)
{
	gc_decide((struct gc_version *const *)run->versions->pdata, run->versions->len,
		run->report->usage, run->options->keep);
	while (run->versions->len) {
		struct gc_version *version = g_ptr_array_steal_index(run->versions, 0);

		g_ptr_array_add(version->why ? run->report->kept : run->doomed, version);
	}
}

/* The second look: what of the doomed is in use now. FALSE: it could not be found out. */
static gboolean ask_again(struct run *run, GError **error)
{
	g_autoptr(GHashTable) usage = NULL;

	if (!run->options->ask)
		return TRUE;
	usage = run->options->ask(run->options->data, error);
	for (guint i = 0; usage && i < run->doomed->len; i++) {
		struct gc_version *version = run->doomed->pdata[i];
		g_autofree char *id = g_strconcat(version->name, "@", version->version, NULL);

		if (g_hash_table_contains(usage, id))
			version->why = "in use";
	}
	return usage != NULL;
}

/* Steps 1 and 2; afterwards the doomed have `why` or .removing. */
static gboolean condemn(struct run *run, GError **error)
{
	guint hidden = 0;
	gboolean good = TRUE;

	while (good && hidden < run->doomed->len) {
		good = rename_in(
			run, run->doomed->pdata[hidden], "manifest.json", ".removed", error);
		if (good)
			hidden++;
	}
	good = good && ask_again(run, error);
	for (guint i = 0; i < hidden; i++) {
		struct gc_version *version = run->doomed->pdata[i];
		gboolean back = !good || version->why;

		if (!rename_in(run, version, ".removed", back ? "manifest.json" : ".removing",
			    good ? error : NULL))
			good = FALSE;
	}
	return good;
}

/* The mark is the last that goes. */
static gboolean remove_files(struct run *run, const struct gc_version *version, GError **error)
{
	g_autofree char *folder = path_of(run, version, NULL);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *entry;

	while (dir && (entry = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(folder, entry, NULL);

		if (strcmp(entry, ".removing") != 0 && !disk_remove(path, error))
			return FALSE;
	}
	return disk_remove(folder, error);
}

static gboolean remove_doomed(struct run *run, GError **error)
{
	gboolean dry = run->options->dry_run;

	if (!dry && run->doomed->len && !condemn(run, error))
		return FALSE;
	while (run->doomed->len) {
		struct gc_version *version = run->doomed->pdata[0];

		if (!version->why && !dry && !remove_files(run, version, error))
			return FALSE;
		if (!version->why)
			run->report->freed += version->bytes;
		g_ptr_array_add(version->why ? run->report->kept : run->report->removed,
			g_ptr_array_steal_index(run->doomed, 0));
	}
	return TRUE;
}

static gboolean collect(struct run *run, GError **error)
{
	const struct gc_options *options = run->options;

	run->names = versions_names(options->images, error);
	if (!run->names || !take_lock(run, options->images, error))
		return FALSE;
	if (options->ask) {
		run->report->usage = options->ask(options->data, error);
		if (!run->report->usage)
			return FALSE;
	}
	for (guint i = 0; run->names[i]; i++)
		if (!take_versions(run, run->names[i], error))
			return FALSE;
	for (guint i = 0; run->names[i]; i++)
		if (!tidy(run, run->names[i], error))
			return FALSE;
	divide(run);
	return remove_doomed(run, error);
}

gboolean gc_collect(const struct gc_options *options, struct gc_report *report, GError **error)
{
	GDestroyNotify free_version = (GDestroyNotify)gc_version_free;
	struct run run = {.options = options, .report = report};

	*report = (struct gc_report){g_ptr_array_new_with_free_func(free_version),
		g_ptr_array_new_with_free_func(free_version),
		g_ptr_array_new_with_free_func(g_free), g_ptr_array_new_with_free_func(g_free), 0,
		NULL};
	run.locks = g_array_new(FALSE, FALSE, sizeof(int));
	run.versions = g_ptr_array_new_with_free_func(free_version);
	run.doomed = g_ptr_array_new_with_free_func(free_version);
	gboolean good = collect(&run, error);
	for (guint i = 0; i < run.locks->len; i++)
		close(g_array_index(run.locks, int, i));
	g_array_free(run.locks, TRUE);
	g_ptr_array_free(run.versions, TRUE);
	g_ptr_array_free(run.doomed, TRUE);
	g_strfreev(run.names);
	return good;
}

void gc_report_clear(struct gc_report *report)
{
	g_clear_pointer(&report->kept, g_ptr_array_unref);
	g_clear_pointer(&report->removed, g_ptr_array_unref);
	g_clear_pointer(&report->leftovers, g_ptr_array_unref);
	g_clear_pointer(&report->restored, g_ptr_array_unref);
	g_clear_pointer(&report->usage, g_hash_table_unref);
}
