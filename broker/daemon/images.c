/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/images.h"

#include <jansson.h>
#include <string.h>

#include "broker/core/core.h"

G_DEFINE_QUARK(carrel - images - error, images_error)

/* YYYYMMDD.N */
static gboolean version_is_good(const char *version)
{
	size_t digits = strspn(version, "0123456789");
	size_t more = version[digits] == '.' ? strspn(version + digits + 1, "0123456789") : 0;

	return digits == 8 && more >= 1 && more <= 9 && !version[digits + 1 + more];
}

char *images_parse(const char *path, const char *name, const char *text, gsize length,
	gboolean *live, GError **error)
{
	json_error_t problem;
	json_t *manifest = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
	const char *own = NULL, *version = NULL, *kind = NULL, *handoff = "hard";
	char *image = NULL;

	if (!manifest)
		g_set_error(error, IMAGES_ERROR, IMAGES_ERROR_BAD, "%s:%d: %s", path, problem.line,
			problem.text);
	else if (json_unpack_ex(manifest, &problem, 0, "{s:s, s:s, s:s, s?s}", "name", &own,
			 "version", &version, "kind", &kind, "handoff", &handoff) < 0)
		g_set_error(error, IMAGES_ERROR, IMAGES_ERROR_BAD, "%s: %s", path, problem.text);
	else if (strcmp(own, name) != 0 || strcmp(kind, "desktop") != 0)
		g_set_error(error, IMAGES_ERROR, IMAGES_ERROR_BAD,
			"%s is of the %s image %s, not of the desktop image %s", path, kind, own,
			name);
	else if (!version_is_good(version) || strlen(own) + strlen(version) + 2 > CORE_NAME_MAX)
		g_set_error(error, IMAGES_ERROR, IMAGES_ERROR_BAD,
			"%s: the version \"%s\" is not YYYYMMDD.N", path, version);
	else if (strcmp(handoff, "hard") != 0 && strcmp(handoff, "live") != 0)
		g_set_error(error, IMAGES_ERROR, IMAGES_ERROR_BAD,
			"%s: \"handoff\" is \"%s\": allowed are hard and live", path, handoff);
	else
		image = g_strdup_printf("%s@%s", own, version);
	*live = image && !strcmp(handoff, "live");
	json_decref(manifest);
	return image;
}

char *images_current(const char *images, const char *name, gboolean *live, GError **error)
{
	g_autofree char *path = g_build_filename(images, name, "current", "manifest.json", NULL);
	g_autofree char *text = NULL;
	g_autoptr(GError) cause = NULL;
	gsize length;

	*live = FALSE;
	if (!g_file_get_contents(path, &text, &length, &cause)) {
		g_set_error(error, IMAGES_ERROR, IMAGES_ERROR_NONE,
			"no desktop image %s is published (%s): build and publish it, or correct "
			"[desktop] image",
			name, cause->message);
		return NULL;
	}
	return images_parse(path, name, text, length, live, error);
}
