/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two blocks of a tar archive (POSIX.1-1988 ustar) that an exported version needs: a header of
 * a plain file, and the end. Sizes from 8 GiB on are written as GNU tar does, in binary.
 */
#ifndef CARREL_IMAGES_TAR_H
#define CARREL_IMAGES_TAR_H

#include <glib.h>

#define TAR_BLOCK 512
#define TAR_NAME_MAX 100

struct tar_member {
	char name[TAR_NAME_MAX + 1]; /* without a folder, not hidden */
	guint64 size;                /* bytes; the data fill whole blocks */
};

/* The header of a plain file that anybody may read, of root, of 1970: the same for the same file.
 */
void tar_header(guint8 block[TAR_BLOCK], const char *name, guint64 size);

/*
 * Reads a header. FALSE with IMAGE_ERROR_BAD for all that is not a plain file with a plain name:
 * folders, links, devices, extended headers, paths.
 */
gboolean tar_read(const guint8 block[TAR_BLOCK], struct tar_member *member, GError **error);

/* Is it all zeros? Two such blocks are the end. */
gboolean tar_is_end(const guint8 block[TAR_BLOCK]);

/* Bytes that follow `size` bytes of data up to a whole block. */
guint64 tar_padding(guint64 size);

#endif
