/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files in the root image of a version, and what differs between two. Nothing is mounted: the
 * image is unpacked by the programs of its file system (erofs-utils, squashfs-tools), which needs
 * root, as files of others and devices are among them, and the room of the unpacked files.
 */
#ifndef CARREL_IMAGES_FILES_H
#define CARREL_IMAGES_FILES_H

#include <glib.h>

#include "images/store/disk.h"
#include "images/store/versions.h"

struct file {
	char *path;   /* owned; begins with "/"; any bytes */
	guint32 mode; /* as stat has it */
	guint32 uid, gid;
	guint64 size;  /* bytes, of plain files alone */
	char *content; /* owned; sha256, target of a link, "MAJOR:MINOR"; "" for others */
};

/*
 * All files (struct file) of a usable version, by path. It is unpacked below `scratch`, a folder of
 * the caller's, and removed again. NULL with `error`.
 */
GPtrArray *files_load(const struct version *version, const char *scratch,
	const struct disk_progress *progress, GError **error);

/* Those of a folder. */
GPtrArray *files_in(const char *folder, const struct disk_progress *progress, GError **error);

struct file_change {
	const struct file *before, *after; /* borrowed; NULL: added, removed */
	gboolean content; /* other bytes, target or kind; else mode or owner only */
};

/* What differs, by path; times are not compared. An array of struct file_change, the caller's. */
GArray *files_compare(const GPtrArray *before, const GPtrArray *after);

#endif
