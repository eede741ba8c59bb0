/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening a dm-verity device from an initramfs, the PCs' and the desktops', with nothing but the
 * kernel: no libdevmapper, no udev. The hash tree stands behind the data on the same device,
 * without a superblock; whoever built the image knows the three figures and puts them on the
 * kernel's command line:
 *
 *     carrel.verity=DATA_BLOCKS:ROOT_HASH:SALT     sha256, blocks of 4096 bytes, hex
 *
 * Table format: Linux, Documentation/admin-guide/device-mapper/verity.rst.
 */
#ifndef CARREL_IMAGES_VERITY_H
#define CARREL_IMAGES_VERITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VERITY_BLOCK 4096
#define VERITY_HASH_HEX 64
#define VERITY_SALT_HEX_MAX 512

struct verity {
	uint64_t data_blocks; /* blocks of VERITY_BLOCK bytes; the hash tree begins behind them */
	char root_hash[VERITY_HASH_HEX + 1];
	char salt[VERITY_SALT_HEX_MAX + 1]; /* "-" when there is none */
};

/* Reads "DATA_BLOCKS:ROOT_HASH:SALT". False when it is anything else; `verity` is undefined then.
 */
bool verity_parse(const char *text, struct verity *verity);

/*
 * Writes the parameters of the kernel's target for `device` into `buffer`. With `panic` a block
 * that fails its check stops the machine; without it reading such a block gives EIO. False when the
 * buffer is too small.
 */
bool verity_table(
	const struct verity *verity, const char *device, bool panic, char *buffer, size_t size);

/*
 * Opens `device` as a read-only mapped device called `name` and gives its number, for mknod().
 * Returns 0, or -1 with errno; the kernel log says more (wrong size, wrong root hash). A tree whose
 * top does not fit the root hash is refused at once, other damage when it is read.
 */
int verity_open(const struct verity *verity, const char *device, const char *name, bool panic,
	dev_t *number);

/* Removes it; nothing happens when there is none. */
void verity_close(const char *name);

#endif
