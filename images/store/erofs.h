/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owners and modes of the files in an erofs image, read from its inodes and directories, which are
 * never compressed (Linux, fs/erofs/erofs_fs.h). The programs of erofs-utils tell them for one file
 * at a time only, and unpacking loses the set-user-id bit (fsck.erofs 1.5 sets the owner last).
 */
#ifndef CARREL_IMAGES_EROFS_H
#define CARREL_IMAGES_EROFS_H

#include <glib.h>

struct erofs_file {
	guint32 mode; /* as stat has it */
	guint32 uid, gid;
};

/*
 * Path ("/etc/passwd", any bytes) -> struct erofs_file of all files below the root folder. What
 * follows the file system in `data` is of no account. NULL with IMAGE_ERROR_BAD.
 */
GHashTable *erofs_read(const guint8 *data, gsize size, GError **error);

#endif
