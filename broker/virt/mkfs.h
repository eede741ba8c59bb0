/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file system of a new user volume, made here so that a guest never has to format anything. */
#ifndef CARREL_VIRT_MKFS_H
#define CARREL_VIRT_MKFS_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* So much of a volume's beginning has the superblock. */
#define MKFS_HEAD 2048

/*
 * An anonymous sparse file of `size` bytes with an ext4 whose root belongs to uid:gid, label
 * `label` (at most 16 bytes), a random UUID, inode tables left to be filled by the first mount.
 * Only what mke2fs writes takes memory. Returns its fd (owned by the caller, at offset 0), or -1
 * with VIRT_ERROR_STORAGE.
 */
int mkfs_ext4(uint64_t size, const char *label, uid_t uid, gid_t gid, GError **error);

/*
 * Does the beginning of a volume show a file system that was mounted at least once? The superblock
 * of ext4 is at byte 1024: s_magic at 0x38, s_mtime at 0x2c, s_mnt_count at 0x34
 * (https://docs.kernel.org/filesystems/ext4/globals.html). What is neither empty nor an unused ext4
 * counts as used, too.
 */
gboolean mkfs_was_used(const void *head, size_t length);

/*
 * Is it a file system that mkfs_ext4 made for this label and uid, and that nobody has mounted
 * since? The uid stands where the first mount writes its folder (s_last_mounted, 0x88).
 */
gboolean mkfs_is_fresh(const void *head, size_t length, const char *label, uid_t uid);

/*
 * Whose is the root folder of the ext4 in a file? NULL and `owner`, or a borrowed sentence that
 * says what is wrong. `fd` keeps its offset. Inode 2, in the first group's table; fields of
 * superblock, group descriptor and inode by the same source.
 */
const char *mkfs_root_owner(int fd, uid_t *owner);

#endif
