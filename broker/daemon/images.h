/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which version of an image is published: `$images/NAME/current/manifest.json`. */
#ifndef CARREL_IMAGES_H
#define CARREL_IMAGES_H

#include <glib.h>

#define IMAGES_ERROR (images_error_quark())
GQuark images_error_quark(void);
enum images_error { IMAGES_ERROR_NONE, IMAGES_ERROR_BAD };

/*
 * Returns "NAME@VERSION" of the published desktop image (the caller frees it), or NULL. `live` says
 * whether its desktops are shrunk in place before their users are moved.
 */
char *images_current(const char *images, const char *name, gboolean *live, GError **error);

/* The same from the manifest's text; `path` stands in messages. Read by the fuzz target too. */
char *images_parse(const char *path, const char *name, const char *text, gsize length,
	gboolean *live, GError **error);

#endif
