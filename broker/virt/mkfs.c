/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/virt/mkfs.h"
#include "broker/virt/virt.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHILD_FD 3
#define SUPERBLOCK 1024
#define EXT4_MAGIC 0xef53
#define OWNER_FORMAT "carrel-uid-%u"

static gboolean run_mke2fs(int fd, const char *label, uid_t uid, gid_t gid, GError **error)
{
	g_autofree char *options = g_strdup_printf("root_owner=%u:%u,lazy_itable_init=1,"
						   "lazy_journal_init=1,nodiscard",
		(unsigned)uid, (unsigned)gid);
	g_autofree char *owner = g_strdup_printf(OWNER_FORMAT, (unsigned)uid);
	g_autofree char *program = g_find_program_in_path("mke2fs");
	/* mke2fs lies in an sbin that the PATH of an ordinary user may lack. */
	const char *const argv[] = {program ? program : "/usr/sbin/mke2fs", "-F", "-q", "-t",
		"ext4", "-b", "4096", "-m", "0", "-U", "random", "-L", label, "-M", owner, "-E",
		options, "/proc/self/fd/3", NULL};
	g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
		G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
	g_autofree char *complaint = NULL;
	g_autoptr(GError) cause = NULL;

	g_subprocess_launcher_setenv(launcher, "LC_ALL", "C.UTF-8", TRUE);
	g_subprocess_launcher_take_fd(launcher, dup(fd), CHILD_FD);
	g_autoptr(GSubprocess) child = g_subprocess_launcher_spawnv(launcher, argv, &cause);
	if (child && g_subprocess_communicate_utf8(child, NULL, NULL, NULL, &complaint, &cause) &&
		g_subprocess_get_successful(child))
		return TRUE;
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE,
		"mke2fs could not make the file system of %s: %s; is e2fsprogs installed?", label,
		cause       ? cause->message
		: complaint ? g_strstrip(complaint)
			    : "it failed");
	return FALSE;
}

int mkfs_ext4(uint64_t size, const char *label, uid_t uid, gid_t gid, GError **error)
{
	int fd = memfd_create(label, MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE,
			"no memory file for the new volume %s: %s", label, g_strerror(errno));
	} else if (run_mke2fs(fd, label, uid, gid, error)) {
		if (lseek(fd, 0, SEEK_SET) == 0)
			return fd;
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE,
			"cannot rewind the new volume %s", label);
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static unsigned le16(const unsigned char *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

gboolean mkfs_was_used(const void *head, size_t length)
{
	const unsigned char *bytes = head;
	const unsigned char *super = bytes + SUPERBLOCK;
	gboolean empty = TRUE;

	for (size_t i = 0; i < length && empty; i++)
		empty = !bytes[i];
	if (empty)
		return FALSE;
	if (length < MKFS_HEAD || le16(super + 0x38) != EXT4_MAGIC)
		return TRUE;
	return le16(super + 0x34) || le16(super + 0x2c) || le16(super + 0x2e);
}

gboolean mkfs_is_fresh(const void *head, size_t length, const char *label, uid_t uid)
{
	g_autofree char *owner = g_strdup_printf(OWNER_FORMAT, (unsigned)uid);
	const char *super = (const char *)head + SUPERBLOCK;

	return length >= MKFS_HEAD && le16((const unsigned char *)super + 0x38) == EXT4_MAGIC &&
	       !mkfs_was_used(head, length) && !strncmp(super + 0x78, label, 16) &&
	       !strncmp(super + 0x88, owner, 64);
}

static uint32_t le32(const unsigned char *p)
{
	return le16(p) | (uint32_t)le16(p + 2) << 16;
}

const char *mkfs_root_owner(int fd, uid_t *owner)
{
	unsigned char super[1024], group[64], inode[128];

	if (pread(fd, super, sizeof(super), SUPERBLOCK) != (ssize_t)sizeof(super) ||
		le16(super + 0x38) != EXT4_MAGIC)
		return "it has no ext4 file system";
	const uint32_t log_block = le32(super + 0x18), inode_size = le16(super + 0x58);
	if (log_block > 6 || inode_size < sizeof(inode))
		return "its file system is of a kind that is not known here";
	const uint64_t block = (uint64_t)1024 << log_block;
	const uint64_t first = (uint64_t)le32(super + 0x14) + 1; /* s_first_data_block */
	const bool wide = le32(super + 0x60) & 0x80;             /* INCOMPAT_64BIT */
	if (pread(fd, group, sizeof(group), (off_t)(first * block)) != (ssize_t)sizeof(group))
		return "it is cut short";
	uint64_t table = le32(group + 0x8);
	if (wide)
		table |= (uint64_t)le32(group + 0x28) << 32;
	if (table > (uint64_t)INT64_MAX / block - 2 ||
		pread(fd, inode, sizeof(inode), (off_t)(table * block + inode_size)) !=
			(ssize_t)sizeof(inode))
		return "it is cut short";
	*owner = le16(inode + 0x2) | (uid_t)le16(inode + 0x78) << 16;
	return NULL;
}
