/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lies below [paths] state + "/boot":
 *   gen/N/        one rendering, never changed after it was made: configurations, the TFTP root
 *                 tftp/, and what some PCs have instead of it: variant/1/ and so on, to which links
 *                 tftp/52-54-00-77-00-04 lead (dnsmasq's tftp-unique-root)
 *   current       symbolic link to the generation in use; previous: to the one before
 *   http/         the public tree: boot/VERSION/vmlinuz and initrd, images/NAME-VERSION.root
 *                 boot/VERSION/carrel-HASH.efi for UEFI PCs, to which tftp/carrel.efi of a
 *                 generation is a link
 *   log/          the HTTP server's access log
 *   answer        what was made of the last boot plan (bootplan.h)
 * All is readable for everybody, because the daemons are not root; nothing in it is secret.
 */
#ifndef CARREL_BOOTSERVER_TREE_H
#define CARREL_BOOTSERVER_TREE_H

#include <glib.h>

#include "images/store/image.h"

#define TREE_CURRENT "current"
#define TREE_PREVIOUS "previous"
#define TREE_TFTP "tftp"
/* The boot program of UEFI PCs, by TFTP, and below boot/ by HTTP: one name for all versions. */
#define TREE_EFI "carrel.efi"
/* The same where Debian's shim and GRUB start it. */
#define TREE_SHIM "shimx64.efi"

/* Where programs of others are looked for: folders separated by ':'; no `shim`: it is not wanted.
 */
struct tree_programs {
	const char *pxelinux, *shim;
};

/* What PXELINUX and GRUB read (owned); no `grub`: it is not wanted. */
struct tree_menus {
	char *pxelinux, *grub;
};
void tree_menus_clear(struct tree_menus *menus);

/* Makes the folders and takes the lock against a second program (kept until the process ends); with
 * `wait` once that has ended. */
gboolean tree_prepare(const char *boot, gboolean wait, GError **error);

/* Refuses a tree that other users' daemons cannot walk to; names the folder and the remedy. */
gboolean tree_check_reachable(const char *boot, GError **error);

/*
 * Writes a generation into the new folder `folder`: the files of `texts`, the programs of others,
 * and `versions`, the image's versions, that of all PCs first.
 */
gboolean tree_write(const char *folder, GHashTable *texts, const struct tree_programs *programs,
	const GPtrArray *versions, GError **error);

/* What PCs load instead of tftp/: such programs with their menus, in the generation's `served`. */
gboolean tree_write_variant(const char *folder, const char *served, const struct tree_menus *menus,
	const struct tree_programs *programs, GError **error);
/* "variant/3"; the caller frees it. */
char *tree_variant(guint number);
/* The PC loads that. */
gboolean tree_link_seat(const char *folder, const char *mac, const char *served, GError **error);

/* Makes the TREE_EFI in the generation's `served` (TREE_TFTP or a variant) lead to
 * boot/`version`/`name`. */
gboolean tree_link_efi(const char *folder, const char *served, const char *version,
	const char *name, GError **error);

/* Writes the answer: `problem` of the plan with that sum, "" = it is in use. */
gboolean tree_answer(const char *boot, const char *sum, const char *problem, GError **error);

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

/* The image versions of a generation, that of all PCs first (g_strfreev); NULL: not known. */
char **tree_versions(const char *boot, const char *name);

/* Is all that a generation refers to still there? */
gboolean tree_check_generation(const char *boot, const char *name, GError **error);

/*
 * Removes generations other than current and previous, image versions that neither of them nor the
 * two newest are, and the EFI programs to which none of their links leads.
 */
void tree_prune(const char *boot);

/* Removes a folder and all in it; a missing one is no error. */
void tree_remove(const char *folder);

#endif
