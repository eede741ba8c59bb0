/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user's volume: finding it, checking it, mounting it, letting it go. Nothing here ever makes a
 * file system, and nothing writes to a disk whose superblock is not that of a whole ext4: a disk
 * that looks empty may be a user's data with one damaged block.
 *
 * Functions that touch the disk block; the agent runs them in child processes.
 */
#ifndef CARREL_AGENT_DISK_H
#define CARREL_AGENT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Writes "/dev/vdb" for the disk with this serial; false when there is none (yet). */
bool agent_disk_find(const char *sys_block, const char *serial, char *device, size_t size);

/*
 * Reads the superblock only. NULL when it is ext4's and whole (magic, sane figures, its own
 * checksum where the file system has one), else a static text of what is wrong. Layout: Linux,
 * Documentation/filesystems/ext4/super.rst.
 */
const char *agent_disk_superblock(int fd);

/* CRC-32C, as ext4 counts it: `seed` is ~0 at the start, no inversion at the end. */
uint32_t agent_disk_crc32c(uint32_t seed, const void *data, size_t size);

enum agent_disk_result {
	AGENT_DISK_OK,
	AGENT_DISK_DAMAGED, /* not ext4, or e2fsck wants a person */
	AGENT_DISK_FAILED,  /* could not be mounted, or the tool is missing */
	AGENT_DISK_BUSY,    /* programs still use it */
};

/* Superblock, then `e2fsck -p`. The text (up to `size` bytes) says what is wrong. */
enum agent_disk_result agent_disk_check(const char *device, char *text, size_t size);

/* Mounts at `home` (made if missing) with nosuid and nodev. */
enum agent_disk_result agent_disk_mount(
	const char *device, const char *home, char *text, size_t size);

/*
 * A volume that was made larger: its mounted file system grows to the end of its device, which is
 * done by the kernel while it is in use. One that fills it already stays as it is. False, with a
 * text, when it could not: it is as whole as before, and as small.
 */
bool agent_disk_grow(const char *device, const char *home, char *text, size_t size);

/* Flushes and unmounts; OK means that the kernel has let go of the device, certainly. */
enum agent_disk_result agent_disk_unmount(
	const char *device, const char *home, char *text, size_t size);

#endif
