/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Versions of an image on disk, signed, for the tests of carrel-virtd. */
#ifndef CARREL_TEST_VIRT_IMAGE_H
#define CARREL_TEST_VIRT_IMAGE_H

#include <stddef.h>

/* Writes lite@`version` below `folder`, which is [paths] images and pki: kernel k and initrd i are
 * "abc", root r is the given bytes, at least two blocks. */
void image_write(const char *folder, const char *version, const void *root, size_t size);

/* The same of win@`version`, a guest's disk d that the firmware `firmware` starts. */
void image_write_guest(const char *folder, const char *version, const char *firmware,
	const void *disk, size_t size);

/* The folder with all in it. */
void image_remove(const char *folder);

#endif
