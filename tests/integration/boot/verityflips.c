/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /init of a virtual PC that opens root images as the initramfs's init does, with its code and with
 * the kernel's dm-verity, but without the sum before: what must the blocks' hashes refuse? The
 * image is /root.img; each line "OFFSET BIT BLOCK" of /places flips a bit of it, and BLOCK is one
 * that cannot be good then. For each a line says who refused what:
 *
 *     PLACE 0 mount CARREL-B07 squashfs: Input/output error
 *     PLACE 1 block Input/output error
 *     PLACE 2 nobody
 *
 * The bit is flipped back after each. Never part of a product image.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client-initrd/root.h"
#include "client-initrd/util.h"

#define IMAGE "/keep/root"
#define OPENED "/dev/carrel-root" /* as root.c names it */

static struct modules modules;
static struct boot boot;

static void mount_basics(void)
{
	static const struct {
		const char *type, *folder;
	} mounts[] = {{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"},
		{"tmpfs", "/keep"}};
	for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
		mkdir(mounts[i].folder, 0755);
		mount(mounts[i].type, mounts[i].folder, mounts[i].type, 0, NULL);
	}
}

static int copy_image(void)
{
	static char part[1 << 18];
	int from = open("/root.img", O_RDONLY), to = open(IMAGE, O_WRONLY | O_CREAT, 0600);
	ssize_t n = from < 0 || to < 0 ? -1 : 1;
	while (n > 0 && (n = read(from, part, sizeof part)) > 0)
		if (util_write_all(to, part, (size_t)n))
			n = -1;
	close(from);
	close(to);
	return (int)n;
}

static bool flip(long long offset, int bit)
{
	unsigned char byte = 0;
	int fd = open(IMAGE, O_RDWR);
	bool good = fd >= 0 && pread(fd, &byte, 1, offset) == 1;
	byte ^= (unsigned char)(1 << bit);
	good = good && pwrite(fd, &byte, 1, offset) == 1;
	close(fd);
	return good;
}

/* Reads blocks past all caches; the number that are good until one is not (errno) or `count`. */
static long long read_blocks(long long first, long long count)
{
	static char block[VERITY_BLOCK] __attribute__((aligned(VERITY_BLOCK)));
	int fd = open(OPENED, O_RDONLY | O_DIRECT);
	long long n = 0;
	errno = 0;
	while (n < count &&
		pread(fd, block, VERITY_BLOCK, (first + n) * VERITY_BLOCK) == VERITY_BLOCK)
		n++;
	int error = errno;
	close(fd);
	errno = error;
	return n;
}

static void try_place(int number, long long offset, int bit, long long block)
{
	if (!flip(offset, bit)) {
		printf("PLACE %d is not in the image\n", number);
		return;
	}
	enum boot_code code = root_mount(&boot, &modules, IMAGE);
	if (code != BOOT_OK)
		printf("PLACE %d mount %s %s\n", number, boot_code_name(code), boot.detail);
	else if (read_blocks(block, 1) == 0)
		printf("PLACE %d block %s\n", number, strerror(errno));
	else
		printf("PLACE %d nobody\n", number);
	root_unmount();
	flip(offset, bit);
}

/* The image as it is: mounted, and each of its blocks good. */
static void try_good(const char *when)
{
	boot.detail[0] = '\0';
	enum boot_code code = root_mount(&boot, &modules, IMAGE);
	long long count = (long long)boot.params.verity.data_blocks;
	long long good = code == BOOT_OK ? read_blocks(0, count) : 0;
	printf("GOOD %s %lld of %lld blocks %s\n", when, good, count, boot.detail);
	root_unmount();
}

int main(void)
{
	long long offset, block;
	int bit, number = 0;
	mount_basics();
	const char *lacks = params_load(&boot.params);
	FILE *places = fopen("/places", "r");
	if (lacks || !places || copy_image() < 0 || modules_open_running(&modules))
		printf("the test's init lacks %s\n", lacks ? lacks : "a file");
	try_good("before");
	while (places && fscanf(places, "%lld %d %lld", &offset, &bit, &block) == 3)
		try_place(number++, offset, bit, block);
	try_good("after");
	printf("END\n");
	fflush(stdout);
	sync();
	reboot(RB_AUTOBOOT);
	return 1;
}
