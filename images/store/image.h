/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A version of an image as it lies on disk: its manifest, the manifest's signature and its files
 * ("Images on disk" in docs/protocols.md). Everybody who uses an image reads it by these functions:
 * nothing of a version is looked at before the site's signature of its manifest is.
 */
#ifndef CARREL_IMAGES_IMAGE_H
#define CARREL_IMAGES_IMAGE_H

#include <glib.h>

#define IMAGE_ERROR (image_error_quark())
GQuark image_error_quark(void);
enum image_error {
	IMAGE_ERROR_MISSING,   /* there is no such image, version or file */
	IMAGE_ERROR_BAD,       /* the manifest, or a file, is not what it should be */
	IMAGE_ERROR_UNTRUSTED, /* the site's key did not sign this manifest */
};

/* Names below [paths] pki. */
#define IMAGE_PRIVATE_KEY "image-signing.key"
#define IMAGE_PUBLIC_KEY "image-signing.pub"

/* What a version is made of: kernel, initrd and root for PCs and for desktops that were built here,
 * and for PCs the pack of drivers (of images before there was one: none); one whole disk, with a
 * boot loader in it, for desktops that were imported (docs/guests.md). */
enum image_kind { IMAGE_CLIENT, IMAGE_DESKTOP, IMAGE_GUEST };
enum image_file_id {
	IMAGE_KERNEL,
	IMAGE_INITRD,
	IMAGE_ROOT,
	IMAGE_DISK,
	IMAGE_DRIVERS,
	IMAGE_FILE_COUNT
};
/* Who speaks for a desktop of an image: our own program, or QEMU's guest agent. */
enum image_agent { IMAGE_AGENT_CARREL, IMAGE_AGENT_QEMU };

/* The largest disk that a manifest may name, as the guest sees it: 4 TiB. */
#define IMAGE_DISK_MAX ((guint64)4 << 40)

struct image_file {
	char *name;   /* owned; without a folder; NULL: a version of this kind has no such file */
	guint64 size; /* bytes */
	char *sha256; /* owned; 64 hex digits, lower case */
};

/* All strings are owned and have been checked: they are safe in paths, XML texts and configuration
 * files. */
struct image {
	char *folder; /* of the version; NULL after image_parse */
	enum image_kind kind;
	char *name, *version;
	struct image_file files[IMAGE_FILE_COUNT];
	/* of all but guests */
	guint64 data_blocks; /* of 4096 bytes; the dm-verity tree stands behind them */
	gboolean erofs;      /* the root's format; else squashfs */
	char *root_hash, *salt;
	char *cmdline; /* as built: without what says where the root is; "" of a guest */
	/* of guests */
	guint64 disk_size; /* bytes, as the guest sees its disk */
	gboolean uefi;     /* the firmware that starts it; else BIOS */
	enum image_agent agent;
	gboolean live; /* its desktops can be shrunk while they run */
};

/* "client", "desktop", "disk": the word in the manifest. */
const char *image_kind_word(enum image_kind kind);

/* "carrel", "qemu-ga": the word in the manifest. */
const char *image_agent_word(enum image_agent agent);

/* "kernel", "initrd", "root", "disk", "drivers": the key in the manifest, and the ending of a
 * volume's name.
 */
const char *image_file_key(enum image_file_id id);

/* Lower case letters, digits and '-'. */
gboolean image_name_is_good(const char *name);

/* YYYYMMDD.N */
gboolean image_version_is_good(const char *version);

/* Reads and checks the text of a manifest, not its signature. NULL with IMAGE_ERROR_BAD. */
struct image *image_parse(const char *text, gsize length, GError **error);

/* The text of the manifest in `folder`, once its signature is good; the caller frees it. */
char *image_read_signed(const char *folder, const char *public_key, gsize *length, GError **error);

/*
 * The image of the folder `images`/`name`/`version`, whose manifest must be signed by the key in
 * `public_key` (a PEM file) and must say that it is this image. `version` may be "current", the
 * published one. NULL with `error`, which names the file and the remedy.
 */
struct image *image_load(const char *images, const char *name, const char *version,
	const char *public_key, GError **error);

void image_free(struct image *image); /* NULL-safe */

/* "NAME@VERSION"; the caller frees it. */
char *image_id(const struct image *image);

/* The kernel's command line in a desktop's VM; the caller frees it. */
char *image_desktop_cmdline(const struct image *image);

/* Size and sha256 of one file at `path` against the manifest. */
gboolean image_check_file(const struct image_file *file, const char *path, GError **error);

/* All files of the image's own folder. */
gboolean image_check(const struct image *image, GError **error);

#endif
