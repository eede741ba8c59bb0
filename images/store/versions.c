/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/store/versions.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int version_compare(const char *a, const char *b)
{
	int day = strncmp(a, b, 8);

	return day ? day : atoi(a + 9) - atoi(b + 9);
}

static int newest_first(const void *a, const void *b)
{
	return version_compare(*(char *const *)b, *(char *const *)a);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

gboolean version_split(const char *id, char **name, char **version, GError **error)
{
	const char *at = strchr(id, '@');
	g_autofree char *first = at ? g_strndup(id, (gsize)(at - id)) : g_strdup(id);

	*name = *version = NULL;
	if (!image_name_is_good(first) || (at && !image_version_is_good(at + 1))) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
			"\"%s\" names no version of an image: write NAME@YYYYMMDD.N, or NAME for "
			"its newest version",
			id);
		return FALSE;
	}
	*name = g_steal_pointer(&first);
	*version = at ? g_strdup(at + 1) : NULL;
	return TRUE;
}

static char **take_strings(GPtrArray *list, int (*compare)(const void *, const void *))
{
	g_ptr_array_sort(list, compare);
	g_ptr_array_add(list, NULL);
	return (char **)g_ptr_array_free(list, FALSE);
}

char **versions_names(const char *images, GError **error)
{
	g_autoptr(GError) cause = NULL;
	g_autoptr(GDir) dir = g_dir_open(images, 0, &cause);
	GPtrArray *names;
	const char *entry;

	if (!dir) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MISSING,
			"the images cannot be read: %s; [paths] images of carrel.conf names their "
			"folder",
			cause->message);
		return NULL;
	}
	names = g_ptr_array_new();
	while ((entry = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(images, entry, NULL);

		if (image_name_is_good(entry) && g_file_test(path, G_FILE_TEST_IS_DIR))
			g_ptr_array_add(names, g_strdup(entry));
	}
	return take_strings(names, by_name);
}

char **versions_of(const char *images, const char *name)
{
	g_autofree char *folder = g_build_filename(images, name, NULL);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	GPtrArray *versions = g_ptr_array_new();
	const char *entry;

	while (dir && (entry = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(folder, entry, "manifest.json", NULL);

		if (image_version_is_good(entry) && g_file_test(path, G_FILE_TEST_EXISTS))
			g_ptr_array_add(versions, g_strdup(entry));
	}
	return take_strings(versions, newest_first);
}

char *versions_current(const char *images, const char *name)
{
	g_autofree char *link = g_build_filename(images, name, "current", NULL);
	g_autofree char *target = g_file_read_link(link, NULL);
	/* A link that somebody made by hand may be a whole path. */
	g_autofree char *version = target ? g_path_get_basename(target) : NULL;

	return version && image_version_is_good(version) ? g_steal_pointer(&version) : NULL;
}

static guint64 bytes_in(const char *folder)
{
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *entry;
	guint64 bytes = 0;

	while (dir && (entry = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(folder, entry, NULL);
		struct stat about;

		if (!lstat(path, &about) && S_ISREG(about.st_mode))
			bytes += (guint64)about.st_size;
	}
	return bytes;
}

static gboolean is_sum(const char *text)
{
	return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static gboolean read_beside(const json_t *root, const char *member, struct version_file *file)
{
	const json_t *object = json_object_get(root, member);
	const char *name, *sum;

	if (!object)
		return TRUE;
	if (json_unpack((json_t *)object, "{s:s, s:s}", "file", &name, "sha256", &sum) < 0 ||
		!g_regex_match_simple(
			"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", name, G_REGEX_DOLLAR_ENDONLY, 0) ||
		!is_sum(sum))
		return FALSE;
	file->name = g_strdup(name);
	file->sha256 = g_strdup(sum);
	return TRUE;
}

/* What the manifest may say beyond what an image is booted by. The text has been parsed before. */
static gboolean read_notes(struct version *self, const char *text, gsize length, GError **error)
{
	json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	const json_t *packages = json_object_get(root, "packages");
	gboolean good = read_beside(root, "lock", &self->lock) &&
			read_beside(root, "sbom", &self->sbom) &&
			(!packages || json_is_integer(packages));

	self->inputs = g_strdup(json_string_value(json_object_get(root, "inputs")));
	self->recipe = g_strdup(json_string_value(json_object_get(root, "recipe")));
	self->packages = packages ? json_integer_value(packages) : -1;
	json_decref(root);
	if (!good)
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
			"lock and sbom need file (a plain name) and sha256, packages a number");
	return good;
}

struct version *version_parse(const char *text, gsize length, GError **error)
{
	struct version *self = g_new0(struct version, 1);

	self->image = image_parse(text, length, error);
	if (self->image && read_notes(self, text, length, error)) {
		self->name = g_strdup(self->image->name);
		self->version = g_strdup(self->image->version);
		return self;
	}
	version_free(self);
	return NULL;
}

static gboolean read_version(struct version *self, const char *public_key, GError **error)
{
	gsize length;
	g_autofree char *text = image_read_signed(self->folder, public_key, &length, error);

	if (!text)
		return FALSE;
	self->image = image_parse(text, length, error);
	if (!self->image || !read_notes(self, text, length, error)) {
		g_prefix_error(error, "%s/manifest.json is not usable: ", self->folder);
		return FALSE;
	}
	if (!strcmp(self->image->name, self->name) &&
		!strcmp(self->image->version, self->version)) {
		self->image->folder = g_strdup(self->folder);
		return TRUE;
	}
	g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
		"%s/manifest.json is the manifest of %s@%s, not of %s@%s; build the image again",
		self->folder, self->image->name, self->image->version, self->name, self->version);
	return FALSE;
}

struct version *version_load(
	const char *images, const char *name, const char *version, const char *public_key)
{
	struct version *self = g_new0(struct version, 1);
	g_autoptr(GError) error = NULL;

	self->name = g_strdup(name);
	self->version = g_strdup(version);
	self->folder = g_build_filename(images, name, version, NULL);
	self->bytes = bytes_in(self->folder);
	self->packages = -1;
	if (!read_version(self, public_key, &error)) {
		self->problem = g_strdup(error->message);
		self->unsigned_ = g_error_matches(error, IMAGE_ERROR, IMAGE_ERROR_UNTRUSTED);
		image_free(g_steal_pointer(&self->image));
	}
	return self;
}

struct version *version_find(
	const char *images, const char *id, const char *public_key, GError **error)
{
	g_autofree char *name = NULL, *version = NULL;

	if (!version_split(id, &name, &version, error))
		return NULL;
	g_auto(GStrv) names = versions_names(images, error);
	if (!names)
		return NULL;
	g_auto(GStrv) versions = versions_of(images, name);
	if (*versions && !version)
		return version_load(images, name, versions[0], public_key);
	if (version && g_strv_contains((const char *const *)versions, version))
		return version_load(images, name, version, public_key);
	if (*versions) {
		g_autofree char *there = g_strjoinv(", ", versions);

		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MISSING,
			"there is no version %s of the image %s; there are: %s", version, name,
			there);
		return NULL;
	}
	g_autofree char *there = g_strjoinv(", ", names);
	g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MISSING,
		"there is no image %s with a complete version in %s; images there: %s", name,
		images, *there ? there : "none");
	return NULL;
}

GPtrArray *versions_list(const char *images, const char *public_key, GError **error)
{
	g_auto(GStrv) names = versions_names(images, error);
	GPtrArray *list;

	if (!names)
		return NULL;
	list = g_ptr_array_new_with_free_func((GDestroyNotify)version_free);
	for (guint i = 0; names[i]; i++) {
		g_auto(GStrv) versions = versions_of(images, names[i]);

		for (guint k = 0; versions[k]; k++)
			g_ptr_array_add(
				list, version_load(images, names[i], versions[k], public_key));
	}
	return list;
}

void version_free(struct version *version)
{
	if (!version)
		return;
	image_free(version->image);
	g_free(version->name);
	g_free(version->version);
	g_free(version->folder);
	g_free(version->problem);
	g_free(version->inputs);
	g_free(version->recipe);
	g_free(version->lock.name);
	g_free(version->lock.sha256);
	g_free(version->sbom.name);
	g_free(version->sbom.sha256);
	g_free(version);
}

char *version_id(const struct version *version)
{
	return g_strconcat(version->name, "@", version->version, NULL);
}
