/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the image in memory to a mounted root: loop device, dm-verity, squashfs or erofs, overlay.
 */
#ifndef CARREL_CLIENT_ROOT_H
#define CARREL_CLIENT_ROOT_H

#include "client-initrd/boot.h"
#include "client-initrd/modules.h"

/* Makes room for the image at BOOT_IMAGE_DIR (tmpfs). BOOT_OK or BOOT_NO_MEMORY. */
enum boot_code root_make_room(struct boot *boot);

/* Mounts the image `path` with an overlay in memory at BOOT_NEW_ROOT. BOOT_OK or BOOT_NO_ROOT. */
enum boot_code root_mount(struct boot *boot, struct modules *modules, const char *path);

/* Takes down what the two left behind, so that they can be tried again. */
void root_unmount(void);

/*
 * Moves /dev, /proc, /sys and /run, makes BOOT_NEW_ROOT the root and runs `program` there. Returns
 * only when that is impossible.
 */
void root_switch(const char *program);

#endif
