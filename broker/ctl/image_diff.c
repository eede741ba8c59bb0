/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carrel image diff. */
#include "broker/ctl/image_store.h"
#include "broker/ctl/show.h"
#include "broker/ctl/image_args.h"
#include "images/store/files.h"
#include "images/store/packages.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Two versions and what has been found out of them, all owned. */
struct sides {
	struct version *before, *after;
	GPtrArray *packages[2], *files[2];
	GArray *package_changes, *file_changes;
};

static void sides_clear(struct sides *sides)
{
	g_clear_pointer(&sides->package_changes, g_array_unref);
	g_clear_pointer(&sides->file_changes, g_array_unref);
	for (int i = 0; i < 2; i++) {
		g_clear_pointer(&sides->packages[i], g_ptr_array_unref);
		g_clear_pointer(&sides->files[i], g_ptr_array_unref);
	}
	version_free(sides->before);
	version_free(sides->after);
}

static gboolean find_packages(struct sides *sides, GError **error)
{
	sides->packages[0] = packages_load(sides->before, error);
	sides->packages[1] = sides->packages[0] ? packages_load(sides->after, error) : NULL;
	if (!sides->packages[1])
		return FALSE;
	sides->package_changes = packages_compare(sides->packages[0], sides->packages[1]);
	return TRUE;
}

/* One is unpacked after the other: there is room for one at a time only. */
static gboolean find_files_in(struct sides *sides, const char *scratch, GError **error)
{
	const struct version *both[] = {sides->before, sides->after};

	for (int i = 0; i < 2; i++) {
		g_autofree char *id = version_id(both[i]);
		g_autofree char *what = g_strconcat("reading ", id, NULL);
		struct disk_progress progress = image_store_progress(what);

		sides->files[i] = files_load(both[i], scratch, &progress, error);
		image_store_progress_end();
		if (!sides->files[i])
			return FALSE;
	}
	return TRUE;
}

static gboolean find_files(struct sides *sides, GError **error)
{
	const char *top = g_getenv("TMPDIR");
	g_autofree char *scratch = NULL;

	if (geteuid() != 0) {
		g_set_error(error, DISK_ERROR, DISK_ERROR_FILE,
			"only root can unpack the files of an image: be root, or say --packages");
		return FALSE;
	}
	/* Not /tmp, which often is memory. */
	scratch = g_build_filename(top && *top ? top : "/var/tmp", "carrel-diff-XXXXXX", NULL);
	if (!g_mkdtemp(scratch)) {
		g_set_error(error, DISK_ERROR, DISK_ERROR_FILE,
			"no folder can be made for the unpacked files (%s): TMPDIR names another "
			"place",
			scratch);
		return FALSE;
	}
	gboolean good = find_files_in(sides, scratch, error);
	good = disk_remove(scratch, good ? error : NULL) && good;
	if (good)
		sides->file_changes = files_compare(sides->files[0], sides->files[1]);
	return good;
}

static const char *change_word(const void *before, const void *after)
{
	return !before ? "added" : !after ? "removed" : "changed";
}

static json_t *packages_json(const struct sides *sides)
{
	json_t *list = json_array();

	for (guint i = 0; i < sides->package_changes->len; i++) {
		const struct package_change *change =
			&g_array_index(sides->package_changes, struct package_change, i);
		const struct package *any = change->after ? change->after : change->before;

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:s?, s:s?}", "change",
				      change_word(change->before, change->after), "name", any->name,
				      "arch", any->arch, "before",
				      change->before ? change->before->version : NULL, "after",
				      change->after ? change->after->version : NULL));
	}
	return list;
}

static json_t *file_json(const struct file *file)
{
	g_autofree char *content = NULL;

	if (!file)
		return json_null();
	content = image_store_text(file->content);
	return json_pack("{s:I, s:s, s:I, s:I, s:I}", "mode", (json_int_t)file->mode, "content",
		content, "size", (json_int_t)file->size, "uid", (json_int_t)file->uid, "gid",
		(json_int_t)file->gid);
}

static json_t *files_json(const struct sides *sides)
{
	json_t *list = json_array();

	for (guint i = 0; i < sides->file_changes->len; i++) {
		const struct file_change *change =
			&g_array_index(sides->file_changes, struct file_change, i);
		const struct file *any = change->after ? change->after : change->before;
		g_autofree char *path = image_store_text(any->path);

		json_array_append_new(list,
			json_pack("{s:s, s:s, s:b, s:o, s:o}", "change",
				change_word(change->before, change->after), "path", path, "content",
				change->content, "before", file_json(change->before), "after",
				file_json(change->after)));
	}
	return list;
}

static void print_packages(const struct sides *sides)
{
	const GArray *changes = sides->package_changes;

	printf("packages: %u of %u differ\n", changes->len, sides->packages[1]->len);
	for (guint i = 0; i < changes->len; i++) {
		const struct package_change *change =
			&g_array_index(changes, struct package_change, i);
		const struct package *before = change->before, *after = change->after;

		if (!before)
			printf("  + %s %s\n", after->name, after->version);
		else if (!after)
			printf("  - %s %s\n", before->name, before->version);
		else if (strcmp(before->version, after->version) != 0)
			printf("  ~ %s %s -> %s\n", after->name, before->version, after->version);
		else
			printf("  ~ %s %s, built anew\n", after->name, after->version);
	}
}

/* What of a file that is in both is another. */
static void print_change(const struct file *before, const struct file *after, gboolean content)
{
	if (content && before->size != after->size)
		printf(" (%" G_GUINT64_FORMAT " -> %" G_GUINT64_FORMAT " bytes)", before->size,
			after->size);
	if (before->mode != after->mode)
		printf(" (mode %o -> %o)", before->mode, after->mode);
	if (before->uid != after->uid || before->gid != after->gid)
		printf(" (owner %u:%u -> %u:%u)", before->uid, before->gid, after->uid, after->gid);
}

static void print_files(const struct sides *sides)
{
	const GArray *changes = sides->file_changes;

	printf("files: %u of %u differ\n", changes->len, sides->files[1]->len);
	for (guint i = 0; i < changes->len; i++) {
		const struct file_change *change = &g_array_index(changes, struct file_change, i);
		const struct file *any = change->after ? change->after : change->before;
		g_autofree char *path = image_store_text(any->path);

		printf("  %c %s", !change->before ? '+' : !change->after ? '-' : '~', path);
		if (change->before && change->after)
			print_change(change->before, change->after, change->content);
		putchar('\n');
	}
}

/* What the manifests say that is no package and no file of the root. */
static json_t *parts_json(const struct sides *sides)
{
	const struct image *before = sides->before->image, *after = sides->after->image;
	json_t *list = json_array();

	for (int id = 0; id < IMAGE_FILE_COUNT; id++)
		if (g_strcmp0(before->files[id].sha256, after->files[id].sha256) != 0)
			json_array_append_new(
				list, json_string(image_file_key((enum image_file_id)id)));
	if (strcmp(before->cmdline, after->cmdline) != 0)
		json_array_append_new(list, json_string("cmdline"));
	if (before->live != after->live)
		json_array_append_new(list, json_string("handoff"));
	if (before->kind != after->kind)
		json_array_append_new(list, json_string("kind"));
	if (before->disk_size != after->disk_size)
		json_array_append_new(list, json_string("capacity"));
	if (before->uefi != after->uefi)
		json_array_append_new(list, json_string("firmware"));
	if (before->agent != after->agent)
		json_array_append_new(list, json_string("agent"));
	return list;
}

static gboolean is_guest(const struct version *version)
{
	return version->image->kind == IMAGE_GUEST;
}

/* Of a disk nobody knows what is installed on it; the sizes of both are told. */
static void print_sizes(const struct sides *sides)
{
	g_autofree char *before = image_store_size(sides->before->bytes);
	g_autofree char *after = image_store_size(sides->after->bytes);

	printf("size: %s -> %s\n"
	       "packages and files: not known, what is on a disk is not looked at\n",
		before, after);
}

static void print_parts(const json_t *parts)
{
	const json_t *part;
	size_t i;

	printf("differ: ");
	json_array_foreach (parts, i, part)
		printf("%s%s", i ? ", " : "", json_string_value(part));
	puts(json_array_size(parts) ? "" : "nothing that is booted");
}

static void print_all(const struct context *context, const struct sides *sides)
{
	g_autofree char *before = version_id(sides->before), *after = version_id(sides->after);
	json_t *parts = parts_json(sides);

	if (context->json) {
		json_t *answer = json_pack("{s:s, s:s, s:O, s:[I, I]}", "before", before, "after",
			after, "parts", parts, "bytes", (json_int_t)sides->before->bytes,
			(json_int_t)sides->after->bytes);

		if (sides->package_changes)
			json_object_set_new(answer, "packages", packages_json(sides));
		if (sides->file_changes)
			json_object_set_new(answer, "files", files_json(sides));
		show_json(answer);
		json_decref(answer);
	} else {
		printf("%s -> %s\n", before, after);
		print_parts(parts);
		if (sides->package_changes)
			print_packages(sides);
		if (sides->file_changes)
			print_files(sides);
		if (is_guest(sides->before) || is_guest(sides->after))
			print_sizes(sides);
	}
	json_decref(parts);
}

/*
 * Without an option both are compared; packages then only where both versions say which they have:
 * the client image, for one, is made of no packages.
 */
static gboolean find(const struct context *context, struct sides *sides, GError **error)
{
	const struct image_args *args = context->image;
	gboolean both = args->packages == args->files;
	gboolean known = sides->before->lock.name && sides->after->lock.name;
	const struct version *guest = is_guest(sides->before)  ? sides->before
				      : is_guest(sides->after) ? sides->after
							       : NULL;

	if (guest) {
		if (!args->packages && !args->files)
			return TRUE;
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
			"%s@%s is a disk: its packages and files are not known; leave out "
			"--packages and --files",
			guest->name, guest->version);
		return FALSE;
	}
	if ((args->packages && !both) || (both && (known || args->packages)))
		if (!find_packages(sides, error))
			return FALSE;
	return !(args->files || both) || find_files(sides, error);
}

int command_image_diff(const struct context *context)
{
	struct sides sides = {0};
	struct image_store store;
	g_autoptr(GError) error = NULL;
	int status = EXIT_FAILED;

	if (image_store_open(&store, context)) {
		sides.before = image_store_find_good(&store, context->args[0]);
		sides.after = sides.before ? image_store_find_good(&store, context->args[1]) : NULL;
		if (sides.after && find(context, &sides, &error)) {
			print_all(context, &sides);
			status = EXIT_DONE;
		}
	}
	if (error)
		show_failed(error);
	sides_clear(&sides);
	image_store_clear(&store);
	return status;
}
