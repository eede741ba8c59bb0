/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/agent/agent_disk.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUPERBLOCK_OFFSET 1024
#define SUPERBLOCK_SIZE 1024
#define EXT4_MAGIC 0xef53
#define RO_COMPAT_METADATA_CSUM 0x400
/* Linux, fs/ext4/ext4.h: grows a mounted file system to so many blocks; it has no user header. */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)

/* Offsets in the superblock. */
enum {
	SB_BLOCKS_LO = 0x4,
	SB_LOG_BLOCK_SIZE = 0x18,
	SB_BLOCKS_PER_GROUP = 0x20,
	SB_INODES_PER_GROUP = 0x28,
	SB_MAGIC = 0x38,
	SB_RO_COMPAT = 0x64,
	SB_CHECKSUM = 0x3fc,
};

static bool read_line(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buffer, size - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	buffer[n] = '\0';
	buffer[strcspn(buffer, "\n")] = '\0';
	return true;
}

bool agent_disk_find(const char *sys_block, const char *serial, char *device, size_t size)
{
	DIR *dir = opendir(sys_block);
	bool found = false;

	if (!dir)
		return false;
	for (struct dirent *e; !found && (e = readdir(dir));) {
		char path[512], text[64];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s/serial", sys_block, e->d_name);
		if (read_line(path, text, sizeof(text)) && strcmp(text, serial) == 0)
			found = (size_t)snprintf(device, size, "/dev/%s", e->d_name) < size;
	}
	closedir(dir);
	return found;
}

uint32_t agent_disk_crc32c(uint32_t seed, const void *data, size_t size)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < size; i++) {
		seed ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			seed = (seed >> 1) ^ (seed & 1 ? 0x82f63b78u : 0);
	}
	return seed;
}

static uint32_t get32(const unsigned char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

const char *agent_disk_superblock(int fd)
{
	unsigned char sb[SUPERBLOCK_SIZE];

	if (pread(fd, sb, sizeof(sb), SUPERBLOCK_OFFSET) != (ssize_t)sizeof(sb))
		return "its superblock cannot be read";
	if (sb[SB_MAGIC] != (EXT4_MAGIC & 0xff) || sb[SB_MAGIC + 1] != EXT4_MAGIC >> 8)
		return "it has no ext4 superblock";
	if (get32(sb + SB_BLOCKS_LO) == 0 || get32(sb + SB_LOG_BLOCK_SIZE) > 6 ||
		get32(sb + SB_BLOCKS_PER_GROUP) == 0 || get32(sb + SB_INODES_PER_GROUP) == 0)
		return "its superblock makes no sense";
	if ((get32(sb + SB_RO_COMPAT) & RO_COMPAT_METADATA_CSUM) &&
		agent_disk_crc32c(~0u, sb, SB_CHECKSUM) != get32(sb + SB_CHECKSUM))
		return "its superblock is damaged (checksum)";
	return NULL;
}

/* e2fsck's status, or -1 when it did not run. */
static int run_e2fsck(const char *device)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/sbin/e2fsck", "e2fsck", "-p", device, (char *)NULL);
		_exit(127);
	}
	if (pid < 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) != 127 ? WEXITSTATUS(status) : -1;
}

enum agent_disk_result agent_disk_check(const char *device, char *text, size_t size)
{
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	const char *wrong;
	int status;

	if (fd < 0) {
		snprintf(text, size, "the volume (%s) cannot be read: %s", device, strerror(errno));
		return AGENT_DISK_FAILED;
	}
	wrong = agent_disk_superblock(fd);
	close(fd);
	if (wrong) {
		snprintf(text, size, "the volume is not mounted: %s; nothing was written to it",
			wrong);
		return AGENT_DISK_DAMAGED;
	}
	status = run_e2fsck(device);
	if (status < 0) {
		snprintf(text, size, "e2fsck could not be run in the desktop");
		return AGENT_DISK_FAILED;
	}
	if (status >= 4) {
		snprintf(text, size,
			"the volume's file system needs repair by hand (e2fsck status %d)", status);
		return AGENT_DISK_DAMAGED;
	}
	return AGENT_DISK_OK;
}

enum agent_disk_result agent_disk_mount(
	const char *device, const char *home, char *text, size_t size)
{
	if (mkdir(home, 0700) && errno != EEXIST) {
		snprintf(text, size, "%s cannot be made: %s", home, strerror(errno));
		return AGENT_DISK_FAILED;
	}
	if (mount(device, home, "ext4", MS_NOSUID | MS_NODEV | MS_NOATIME, NULL)) {
		snprintf(text, size, "the volume (%s) cannot be mounted: %s", device,
			strerror(errno));
		return AGENT_DISK_FAILED;
	}
	return AGENT_DISK_OK;
}

bool agent_disk_grow(const char *device, const char *home, char *text, size_t size)
{
	int disk = open(device, O_RDONLY | O_CLOEXEC);
	int root = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t bytes = 0, blocks;
	struct statvfs fs;
	int result = -1;

	if (disk >= 0 && root >= 0 && ioctl(disk, BLKGETSIZE64, &bytes) == 0 &&
		fstatvfs(root, &fs) == 0 && fs.f_bsize > 0) {
		blocks = bytes / fs.f_bsize;
		/* As many as it has: nothing happens. */
		result = ioctl(root, EXT4_IOC_RESIZE_FS, &blocks);
	}
	if (result)
		snprintf(text, size, "the volume (%s) keeps its old size: %s", device,
			strerror(errno));
	if (disk >= 0)
		close(disk);
	if (root >= 0)
		close(root);
	return result == 0;
}

enum agent_disk_result agent_disk_unmount(
	const char *device, const char *home, char *text, size_t size)
{
	int fd;

	/* whatever is stacked there: the user may have mounted something on top */
	while (umount2(home, UMOUNT_NOFOLLOW) == 0)
		;
	if (errno != EINVAL && errno != ENOENT) {
		snprintf(text, size, "%s cannot be unmounted: %s", home, strerror(errno));
		return AGENT_DISK_BUSY;
	}
	/* a mount elsewhere, in another namespace perhaps, keeps the device in exclusive use */
	fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd < 0 && errno == EBUSY) {
		snprintf(text, size, "the volume (%s) is still mounted somewhere", device);
		return AGENT_DISK_BUSY;
	}
	/* a disk that was taken out of the VM cannot be opened, and any other failure says nothing
	 */
	if (fd < 0 && errno != ENOENT && errno != ENXIO) {
		snprintf(text, size, "the volume (%s) cannot be looked at: %s", device,
			strerror(errno));
		return AGENT_DISK_BUSY;
	}
	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
	return AGENT_DISK_OK;
}
