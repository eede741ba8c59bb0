/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lies below [paths] state + "/boot":
 *   gen/N/        one rendering, never changed after it was made: configurations and the TFTP root
 *   current       symbolic link to the generation in use; previous: to the one before
 *   http/         the public tree: boot/VERSION/vmlinuz and initrd, images/NAME-VERSION.root
 *                 boot/VERSION/carrel-HASH.efi for UEFI PCs, to which tftp/carrel.efi of a
 *                 generation is a link
 *   log/          the HTTP server's access log
 * All is readable for everybody, because the daemons are not root; nothing in it is secret.
 */
#ifndef CARREL_BOOTSERVER_TREE_H
#define CARREL_BOOTSERVER_TREE_H

#include <glib.h>

#include "images/store/image.h"

#define TREE_CURRENT "current"
#define TREE_PREVIOUS "previous"
/* The boot program of UEFI PCs, by TFTP, and below boot/ by HTTP: one name for all versions. */
#define TREE_EFI "carrel.efi"

/* Makes the folders and takes the lock against a second program (kept until the process ends). */
gboolean tree_prepare(const char *boot, GError **error);

/* Refuses a tree that other users' daemons cannot walk to; names the folder and the remedy. */
gboolean tree_check_reachable(const char *boot, GError **error);

/*
 * Writes a generation into the new folder `folder`: the files of `texts`, PXELINUX's programs from
 * `pxelinux` (folders separated by ':') and `version`, the image's version.
 */
gboolean tree_write(const char *folder, GHashTable *texts, const char *pxelinux,
	const char *version, GError **error);

/* Makes the generation's TREE_EFI lead to boot/`version`/`name`. */
gboolean tree_link_efi(const char *folder, const char *version, const char *name, GError **error);

/* http/boot/`version`/`name`; the caller frees it. */
char *tree_efi_path(const char *boot, const char *version, const char *name);

/* Is every file of the two generations the same? */
gboolean tree_same(const char *one, const char *other);

/* "client-20260301.1.root": the root image's name in the boot tree; the caller frees it. */
char *tree_root_name(const struct image *image);

/* Puts the image's files into the public tree, by hard link where that works; each is checked. */
gboolean tree_publish(const char *boot, const struct image *image, GError **error);

/* The next generation's number, from what is in gen/. */
guint tree_next(const char *boot);

/* Points current to gen/`name` and previous to what current was. Each link changes atomically. */
gboolean tree_switch(const char *boot, const char *name, GError **error);

/* The generation ("7") that a link points to, or NULL; the caller frees it. */
char *tree_linked(const char *boot, const char *link);

/* The image version of a generation, or NULL; the caller frees it. */
char *tree_version(const char *boot, const char *name);

/* Is all that a generation refers to still there? */
gboolean tree_check_generation(const char *boot, const char *name, GError **error);

/*
 * Removes generations other than current and previous, image versions that neither of them nor the
 * two newest are, and the EFI programs to which neither of the two generations leads.
 */
void tree_prune(const char *boot);

/* Removes a folder and all in it; a missing one is no error. */
void tree_remove(const char *folder);

#endif
