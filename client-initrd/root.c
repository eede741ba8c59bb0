/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client-initrd/util.h"

#define LOWER "/lower"
#define UPPER "/upper"
#define VERITY_NAME "carrel-root"
#define VERITY_NODE "/dev/carrel-root"
/* What the kernel, the overlay and the viewer need beside the image, bytes. */
#define HEADROOM (UINT64_C(96) << 20)

static char loop_node[32];

static uint64_t available_bytes(void)
{
	char text[2048];
	uint64_t kib = 0;
	util_read_file("/proc/meminfo", text, sizeof text);
	const char *line = strstr(text, "MemAvailable:");
	if (!line)
		return 0;
	line += strlen("MemAvailable:");
	util_parse_u64(line + strspn(line, " "), UINT64_MAX / 1024, &kib, &line);
	return kib * 1024;
}

enum boot_code root_make_room(struct boot *boot)
{
	char options[64];
	uint64_t free_bytes = available_bytes(), size = boot->params.size;
	if (free_bytes < size + HEADROOM)
		return boot_fail(boot, BOOT_NO_MEMORY, "%llu MiB free, %llu MiB needed",
			(unsigned long long)(free_bytes >> 20),
			(unsigned long long)((size + HEADROOM) >> 20));
	mkdir(BOOT_IMAGE_DIR, 0700);
	snprintf(options, sizeof options, "mode=0700,size=%llu",
		(unsigned long long)(size + (1 << 20)));
	if (mount("carrel-image", BOOT_IMAGE_DIR, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
		return boot_fail(boot, BOOT_NO_MEMORY, "tmpfs: %s", strerror(errno));
	return BOOT_OK;
}

static int attach_loop(const char *path)
{
	struct loop_config config = {.info.lo_flags = LO_FLAGS_READ_ONLY};
	int image = open(path, O_RDONLY | O_CLOEXEC);
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int error = image < 0 || control < 0 ? -errno : 0, loop = -1;
	if (!error) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		snprintf(loop_node, sizeof loop_node, "/dev/loop%d", number);
		loop = number < 0 ? -1 : open(loop_node, O_RDONLY | O_CLOEXEC);
		config.fd = (uint32_t)image;
		if (loop < 0 || ioctl(loop, LOOP_CONFIGURE, &config) < 0)
			error = -errno;
	}
	if (error)
		loop_node[0] = '\0';
	if (loop >= 0)
		close(loop);
	if (control >= 0)
		close(control);
	if (image >= 0)
		close(image);
	return error;
}

static void detach_loop(void)
{
	int fd = loop_node[0] ? open(loop_node, O_RDONLY | O_CLOEXEC) : -1;
	loop_node[0] = '\0';
	if (fd < 0)
		return;
	ioctl(fd, LOOP_CLR_FD, 0);
	close(fd);
}

/* By the magic numbers: squashfs has "hsqs" at 0, erofs 0xe0f5e1e2 (little endian) at 1024. */
static const char *file_system(const char *path)
{
	static const unsigned char erofs[4] = {0xe2, 0xe1, 0xf5, 0xe0};
	unsigned char head[1028] = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);
	if (fd >= 0)
		close(fd);
	if (n != sizeof head)
		return NULL;
	if (!memcmp(head, "hsqs", 4))
		return "squashfs";
	return memcmp(head + 1024, erofs, sizeof erofs) ? NULL : "erofs";
}

static enum boot_code mount_overlay(struct boot *boot)
{
	mkdir(UPPER, 0755);
	mkdir(BOOT_NEW_ROOT, 0755);
	if (mount("carrel-upper", UPPER, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=25%") < 0)
		return boot_fail(boot, BOOT_NO_ROOT, "tmpfs: %s", strerror(errno));
	if (mkdir(UPPER "/data", 0755) < 0 || mkdir(UPPER "/work", 0755) < 0)
		return boot_fail(boot, BOOT_NO_ROOT, "overlay folders: %s", strerror(errno));
	if (mount("carrel-root", BOOT_NEW_ROOT, "overlay", MS_NODEV | MS_NOSUID,
		    "lowerdir=" LOWER ",upperdir=" UPPER "/data,workdir=" UPPER "/work") < 0)
		return boot_fail(boot, BOOT_NO_ROOT, "overlay: %s", strerror(errno));
	return BOOT_OK;
}

enum boot_code root_mount(struct boot *boot, struct modules *modules, const char *path)
{
	static const char *const needed[] = {"loop", "dm_verity", "sha256_ssse3", "overlay"};
	dev_t number;
	const char *type = file_system(path);
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		modules_load(modules, needed[i]);
	if (!type)
		return boot_fail(boot, BOOT_NO_ROOT, "neither squashfs nor erofs");
	modules_load(modules, type);
	int error = attach_loop(path);
	if (error)
		return boot_fail(boot, BOOT_NO_ROOT, "loop device: %s", strerror(-error));
	if (verity_open(&boot->params.verity, loop_node, VERITY_NAME, false, &number) < 0 ||
		(mknod(VERITY_NODE, S_IFBLK | 0600, number) < 0 && errno != EEXIST))
		return boot_fail(boot, BOOT_NO_ROOT, "dm-verity: %s", strerror(errno));
	mkdir(LOWER, 0755);
	if (mount(VERITY_NODE, LOWER, type, MS_RDONLY | MS_NODEV | MS_NOSUID, NULL) < 0)
		return boot_fail(boot, BOOT_NO_ROOT, "%s: %s", type, strerror(errno));
	enum boot_code code = mount_overlay(boot);
	if (code == BOOT_OK && access(BOOT_NEW_ROOT "/sbin/init", X_OK) < 0)
		return boot_fail(boot, BOOT_NO_ROOT, "/sbin/init: %s", strerror(errno));
	return code;
}

void root_unmount(void)
{
	umount2(BOOT_NEW_ROOT, MNT_DETACH);
	umount2(UPPER, MNT_DETACH);
	umount2(LOWER, MNT_DETACH);
	verity_close(VERITY_NAME);
	unlink(VERITY_NODE);
	detach_loop();
	umount2(BOOT_IMAGE_DIR, MNT_DETACH);
}

void root_switch(const char *program)
{
	static const char *const moved[] = {"/dev", "/proc", "/sys", "/run"};
	char *const arguments[] = {(char *)program, NULL};
	char *const environment[] = {"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "TERM=linux", NULL};
	for (size_t i = 0; i < sizeof moved / sizeof *moved; i++) {
		char to[64];
		snprintf(to, sizeof to, BOOT_NEW_ROOT "%s", moved[i]);
		mount(moved[i], to, NULL, MS_MOVE, NULL);
	}
	/* The initramfs itself cannot be unmounted; its init is the only large thing left in it. */
	unlink("/init");
	if (chdir(BOOT_NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 ||
		chroot(".") < 0 || chdir("/") < 0)
		return;
	execve(program, arguments, environment);
}
