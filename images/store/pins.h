/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Versions that an admin wants to keep, whatever uses them: NAME/.pins below [paths] images, JSON
 * {"VERSION":{"reason":"...","since":"2026-03-01T09:00:00Z"}}. A version's own folder never
 * changes.
 */
#ifndef CARREL_IMAGES_PINS_H
#define CARREL_IMAGES_PINS_H

#include <glib.h>
#include <jansson.h>

/* The pins of an image: an object, empty when there are none; the caller's. NULL with `error` when
 * the file is not what it should be: then nobody may take for unpinned what is pinned. */
json_t *pins_load(const char *images, const char *name, GError **error);

/* Those in `text`, the same way. */
json_t *pins_parse(const char *text, gsize length, GError **error);

/* Pins a version (again, with a new reason), or takes the pin away with `reason` NULL. `*before` is
 * whether it was pinned. */
gboolean pins_set(const char *images, const char *name, const char *version, const char *reason,
	gboolean *before, GError **error);

#endif
