/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a version that is not built here comes into being: it is made in the scratch folder
 * NAME/.new-import and shown by one rename, whole or not at all. The caller has the lock of
 * [paths] images all the time, and may therefore have what a killed import has left.
 */
#ifndef CARREL_IMAGES_ARRIVAL_H
#define CARREL_IMAGES_ARRIVAL_H

#include <glib.h>

/* An empty scratch folder for the image `name` below `images`; the caller frees the path. NULL with
 * DISK_ERROR. */
char *arrival_scratch(const char *images, const char *name, GError **error);

/*
 * All files are in the scratch folder: the manifest of `length` bytes and its signature go there
 * too, and it becomes `folder`, images/NAME/VERSION, which must not exist. FALSE with `error`.
 */
gboolean arrival_appear(const char *scratch, const char *folder, const char *manifest, gsize length,
	const char *signature, GError **error);

/* The scratch folder goes, and with it a name that has nothing else. */
void arrival_undo(const char *scratch);

#endif
