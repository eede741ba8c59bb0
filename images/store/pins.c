/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/store/pins.h"

#include <string.h>
#include <unistd.h>

#include "images/store/disk.h"
#include "images/store/image.h"

json_t *pins_parse(const char *text, gsize length, GError **error)
{
	json_error_t problem;
	json_t *pins = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
	const char *version;
	json_t *pin;

	if (!pins) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD, "line %d: %s", problem.line,
			problem.text);
		return NULL;
	}
	json_object_foreach (pins, version, pin) {
		if (image_version_is_good(version) &&
			json_is_string(json_object_get(pin, "reason")))
			continue;
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
			"\"%s\" is no version with a reason", version);
		json_decref(pins);
		return NULL;
	}
	if (json_is_object(pins))
		return pins;
	g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD, "is no object of versions");
	json_decref(pins);
	return NULL;
}

json_t *pins_load(const char *images, const char *name, GError **error)
{
	g_autofree char *path = g_build_filename(images, name, ".pins", NULL);
	g_autofree char *text = NULL;
	g_autoptr(GError) cause = NULL;
	gsize length;
	json_t *pins = NULL;

	if (g_file_get_contents(path, &text, &length, &cause))
		pins = pins_parse(text, length, &cause);
	else if (g_error_matches(cause, G_FILE_ERROR, G_FILE_ERROR_NOENT))
		return json_object();
	if (!pins)
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
			"the pins in %s cannot be read (%s): put the file right, or remove it and "
			"pin again",
			path, cause->message);
	return pins;
}

static gboolean save(const char *images, const char *name, const json_t *pins, GError **error)
{
	g_autofree char *folder = g_build_filename(images, name, NULL);
	g_autofree char *path = g_build_filename(folder, ".pins", NULL);
	g_autoptr(GError) cause = NULL;
	char *text = json_dumps(pins, JSON_INDENT(1) | JSON_SORT_KEYS);
	gboolean good = g_file_set_contents_full(path, text, (gssize)strlen(text),
		G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0644, &cause);

	free(text);
	if (good)
		return disk_sync_folder(folder, error);
	g_set_error(
		error, IMAGE_ERROR, IMAGE_ERROR_BAD, "the pins cannot be kept: %s", cause->message);
	return FALSE;
}

gboolean pins_set(const char *images, const char *name, const char *version, const char *reason,
	gboolean *before, GError **error)
{
	g_autofree char *folder = g_build_filename(images, name, NULL);
	g_autofree char *manifest = g_build_filename(folder, version, "manifest.json", NULL);
	int all = disk_lock(images, error);
	int own = all < 0 ? -1 : disk_lock(folder, error);
	json_t *pins = own < 0 ? NULL : pins_load(images, name, error);
	gboolean good = pins != NULL;

	*before = pins && json_object_get(pins, version);
	if (good && reason && !g_file_test(manifest, G_FILE_TEST_EXISTS)) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MISSING, "%s@%s has just been removed",
			name, version);
		good = FALSE;
	} else if (good && reason) {
		g_autoptr(GDateTime) now = g_date_time_new_now_utc();
		g_autofree char *since = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");

		json_object_set_new(
			pins, version, json_pack("{s:s, s:s}", "reason", reason, "since", since));
	} else if (good) {
		json_object_del(pins, version);
	}
	if (good && (reason || *before))
		good = save(images, name, pins, error);
	json_decref(pins);
	if (own >= 0)
		close(own);
	if (all >= 0)
		close(all);
	return good;
}
