/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What UEFI PCs start: a unified kernel image (UKI), one EFI program that holds kernel, initramfs
 * and kernel command line behind systemd's stub. The command line has the root image's hashes, so
 * the one signature, which the PC's firmware checks (Secure Boot), covers all that a PC will ever
 * run.
 */
#ifndef CARREL_BOOTSERVER_UKI_H
#define CARREL_BOOTSERVER_UKI_H

#include "bootserver/render.h"

#define UKI_STUB "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"

struct uki {
	char *stub, *kernel, *initrd; /* owned; paths */
	char *cmdline;                /* owned */
	char *key, *certificate;      /* owned paths, PEM; both NULL: not signed */
};

/*
 * Says what the image is to be made of; `kernel`: as of render_cmdline. The key is the site's
 * (`carrel boot key make`) when there is one. Fails when it cannot be read, or when there is only
 * half of the pair. To be cleared all the same.
 */
gboolean uki_init(struct uki *uki, const struct site *site, const struct image *image,
	const char *kernel, const char *stub, GError **error);
void uki_clear(struct uki *uki);

/* Whose PCs will start it and who vouches for it, a sentence; the caller frees it. */
char *uki_words(const struct uki *uki);

/*
 * "carrel-0123456789abcdef.efi": begins SHA-256 of all that it is made of, so that the same is not
 * made twice and different ones lie beside each other. NULL: one of the files cannot be read.
 */
char *uki_name(const struct uki *uki, GError **error);

/*
 * Is `path` such an image of these parts, byte by byte, and with a key: signed by it, as
 * sbverify(1) says?
 */
gboolean uki_check(const struct uki *uki, const char *path, GError **error);

/*
 * Makes the file `path` unless it is there and good: by objcopy(1), then sbsign(1), in files beside
 * it; it gets its name when uki_check finds it good. Needs binutils, and sbsigntool with a key.
 */
gboolean uki_put(const struct uki *uki, const char *path, GError **error);

#endif
