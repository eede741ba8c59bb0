/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is a version on disk what was built and signed? */
#ifndef CARREL_IMAGES_CHECK_H
#define CARREL_IMAGES_CHECK_H

#include <glib.h>

#include "images/store/disk.h"
#include "images/store/versions.h"

/*
 * What is wrong with a version, a sentence each that names the file; an empty list when nothing is.
 * Looked at are the signature, size and sha256 of all files that the manifest names, and the
 * dm-verity tree of the root. build.log is no part of what is signed. NULL with `error` when it
 * could not be found out. The caller frees the list.
 */
GPtrArray *version_check(
	const struct version *version, const struct disk_progress *progress, GError **error);

/* sha256 of a file, 64 hex digits, and its size; the caller frees it. NULL with `error`. */
char *file_sum(
	const char *path, guint64 *size, const struct disk_progress *progress, GError **error);

#endif
