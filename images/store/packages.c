/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/store/packages.h"

#include <string.h>

#include "images/store/image.h"

#define LOCK_MAX (16 * 1024 * 1024)

static void package_free(struct package *package)
{
	g_free(package->name);
	g_free(package->version);
	g_free(package->arch);
	g_free(package->sha256);
	g_free(package);
}

static int compare(const struct package *a, const struct package *b)
{
	int name = strcmp(a->name, b->name);

	return name ? name : strcmp(a->arch, b->arch);
}

static int by_name(const void *a, const void *b)
{
	return compare(*(struct package *const *)a, *(struct package *const *)b);
}

/* NAME_VERSION_ARCH.deb in its three parts. */
static gboolean read_file_name(const char *file, struct package *package)
{
	g_auto(GStrv) parts = g_strsplit(file, "_", 4);

	if (g_strv_length(parts) != 3 || !g_str_has_suffix(parts[2], ".deb"))
		return FALSE;
	parts[2][strlen(parts[2]) - strlen(".deb")] = '\0';
	package->name = g_uri_unescape_string(parts[0], NULL);
	package->version = g_uri_unescape_string(parts[1], NULL);
	package->arch = g_strdup(parts[2]);
	/* Debian policy 5.6.1 and 5.6.12 */
	return package->name && package->version &&
	       g_regex_match_simple(
		       "^[a-z0-9][a-z0-9+.-]*$", package->name, G_REGEX_DOLLAR_ENDONLY, 0) &&
	       g_regex_match_simple(
		       "^[0-9][A-Za-z0-9.+~:-]*$", package->version, G_REGEX_DOLLAR_ENDONLY, 0) &&
	       g_regex_match_simple("^[a-z0-9-]+$", package->arch, G_REGEX_DOLLAR_ENDONLY, 0);
}

static struct package *read_line(const char *line)
{
	g_auto(GStrv) words = g_strsplit(line, " ", 5);
	struct package *package = g_new0(struct package, 1);

	if (g_strv_length(words) == 4 && strlen(words[0]) == 64 &&
		strspn(words[0], "0123456789abcdef") == 64 &&
		g_ascii_string_to_unsigned(words[1], 10, 1, G_MAXINT64, &package->size, NULL) &&
		read_file_name(words[2], package)) {
		package->sha256 = g_strdup(words[0]);
		return package;
	}
	package_free(package);
	return NULL;
}

static GPtrArray *fail(GPtrArray *list, GError **error, guint line, const char *what)
{
	g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD, "line %u: %s", line, what);
	g_ptr_array_free(list, TRUE);
	return NULL;
}

GPtrArray *packages_parse(const char *text, gsize length, GError **error)
{
	GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)package_free);
	const char *end = text + length;
	guint line = 0;

	while (text < end) {
		const char *stop = memchr(text, '\n', (gsize)(end - text));
		gsize size = (gsize)((stop ? stop : end) - text);
		g_autofree char *copy = g_strndup(text, size);
		struct package *package = NULL;

		line++;
		if (strlen(copy) == size)
			package = read_line(copy);
		if (!package)
			return fail(list, error, line,
				"is not SHA256 SIZE NAME_VERSION_ARCH.deb ADDRESS");
		g_ptr_array_add(list, package);
		text += size + 1;
	}
	g_ptr_array_sort(list, by_name);
	for (guint i = 1; i < list->len; i++)
		if (!compare(list->pdata[i - 1], list->pdata[i]))
			return fail(list, error, line, "a package is there twice");
	return list;
}

GPtrArray *packages_load(const struct version *version, GError **error)
{
	g_autofree char *text = NULL, *path = NULL, *sum = NULL;
	g_autoptr(GError) cause = NULL;
	gsize length;
	GPtrArray *list;

	if (!version->lock.name) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MISSING,
			"%s@%s does not say which packages it is made of (no lock): build it "
			"again, or compare its --files",
			version->name, version->version);
		return NULL;
	}
	path = g_build_filename(version->folder, version->lock.name, NULL);
	if (!g_file_get_contents(path, &text, &length, &cause)) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD, "%s", cause->message);
		return NULL;
	}
	sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (guchar *)text, length);
	if (length > LOCK_MAX || strcmp(sum, version->lock.sha256) != 0) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
			"%s is not what its manifest says (sha256): build the image again", path);
		return NULL;
	}
	list = packages_parse(text, length, error);
	if (!list)
		g_prefix_error(error, "%s: ", path);
	return list;
}

GArray *packages_compare(const GPtrArray *before, const GPtrArray *after)
{
	GArray *changes = g_array_new(FALSE, FALSE, sizeof(struct package_change));
	guint b = 0, a = 0;

	while (b < before->len || a < after->len) {
		struct package_change change = {b < before->len ? before->pdata[b] : NULL,
			a < after->len ? after->pdata[a] : NULL};
		int order = !change.before  ? 1
			    : !change.after ? -1
					    : compare(change.before, change.after);

		if (order < 0)
			change.after = NULL;
		else if (order > 0)
			change.before = NULL;
		b += change.before != NULL;
		a += change.after != NULL;
		if (order || strcmp(change.before->sha256, change.after->sha256) != 0)
			g_array_append_val(changes, change);
	}
	return changes;
}
