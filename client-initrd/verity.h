/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dm-verity by the device-mapper's ioctls (linux/dm-ioctl.h, and the target's table in the
 * kernel's admin-guide/device-mapper/verity.rst): data and hash tree in one device, no superblock.
 */
#ifndef CARREL_CLIENT_VERITY_H
#define CARREL_CLIENT_VERITY_H

#include <stddef.h>

#include "client-initrd/params.h"

#define VERITY_NAME "carrel-root"

/*
 * Opens `device` (a block device with data, and the tree behind them) as a read-only device node
 * whose path is written to `node`. 0 or -errno.
 */
int verity_open(const struct params *params, const char *device, char *node, size_t size);

/* Removes it; nothing happens when there is none. */
void verity_close(void);

#endif
