/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The published client image: its manifest ("Images on disk" in docs/protocols.md) and its files.
 */
#ifndef CARREL_BOOTSERVER_IMAGE_H
#define CARREL_BOOTSERVER_IMAGE_H

#include <glib.h>

enum image_file_id { IMAGE_KERNEL, IMAGE_INITRD, IMAGE_ROOT, IMAGE_FILE_COUNT };

struct image_file {
	char *name; /* owned; without a folder */
	guint64 size;
	char *sha256; /* owned */
};

/* All strings are owned and have been checked: they are safe in paths and configuration files. */
struct image {
	char *folder; /* of the version */
	char *name, *version;
	struct image_file files[IMAGE_FILE_COUNT];
	guint64 data_blocks;
	char *root_hash, *salt;
	char *cmdline;
};

/* Reads and checks the text of a manifest; `folder` is left NULL. NULL with `error` set. */
struct image *image_parse(const char *text, gsize length, GError **error);

/* The image that IMAGES/NAME/current is. */
struct image *image_load_published(const char *images, const char *name, GError **error);

void image_free(struct image *image);

/* Size and sha256 of one file at `path` against the manifest. */
gboolean image_check_file(const struct image_file *file, const char *path, GError **error);

/* All files of the image's own folder. */
gboolean image_check(const struct image *image, GError **error);

/* "client-20260301.1.root": the root image's name in the boot tree; the caller frees it. */
char *image_root_name(const struct image *image);

#endif
