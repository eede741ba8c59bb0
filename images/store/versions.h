/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The versions of images that lie below [paths] images, as the people who keep them name them:
 * NAME@VERSION, or NAME for the newest. Errors are IMAGE_ERROR and say what there is instead.
 */
#ifndef CARREL_IMAGES_VERSIONS_H
#define CARREL_IMAGES_VERSIONS_H

#include <glib.h>

#include "images/store/image.h"

/* A file that the manifest names beside "files". */
struct version_file {
	char *name, *sha256; /* owned; NULL: the manifest names none */
};

struct version {
	char *name, *version, *folder; /* owned */
	struct image *image;           /* owned; NULL: nobody uses this version, see `problem` */
	char *problem;                 /* owned; why, with the remedy */
	gboolean unsigned_;            /* the problem is that this site has not signed it */
	char *inputs, *recipe;         /* owned; sums, NULL when the manifest has none */
	gint64 packages;               /* -1: the manifest does not say */
	struct version_file lock, sbom;
	guint64 bytes; /* of all files in the folder */
};

/* Earlier, equal, later: below, at, above 0. Both are good versions. */
int version_compare(const char *a, const char *b);

/* "NAME@VERSION" or "NAME" in its parts, which the caller frees; `*version` is NULL for "NAME". */
gboolean version_split(const char *id, char **name, char **version, GError **error);

/* The names of images below `images`, sorted; the caller frees them with g_strfreev. NULL when the
 * folder cannot be read. */
char **versions_names(const char *images, GError **error);

/* The complete versions of an image (those with a manifest), newest first; g_strfreev. */
char **versions_of(const char *images, const char *name);

/* The version that the link "current" names, or NULL; the caller frees it. */
char *versions_current(const char *images, const char *name);

/* What the text of a manifest says; it has no folder. NULL with IMAGE_ERROR_BAD. The signature is
 * the caller's business. */
struct version *version_parse(const char *text, gsize length, GError **error);

/* Reads one version, also one that is not usable. Never NULL. */
struct version *version_load(
	const char *images, const char *name, const char *version, const char *public_key);

/* The version that `id` names. NULL with `error`, which lists what there is. */
struct version *version_find(
	const char *images, const char *id, const char *public_key, GError **error);

/* All versions of all images (struct version), by name, newest first. */
GPtrArray *versions_list(const char *images, const char *public_key, GError **error);

void version_free(struct version *version); /* NULL-safe */

/* "NAME@VERSION"; the caller frees it. */
char *version_id(const struct version *version);

#endif
