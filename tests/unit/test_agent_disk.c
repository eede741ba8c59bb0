/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/agent/agent_disk.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define IMAGE_SIZE (8 << 20)

static char dir[] = "/tmp/carrel-test-disk-XXXXXX";
static char image[64];

static int group_setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(image, sizeof(image), "%s/volume", dir);
	return 0;
}

static int group_teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command) ? -1 : 0;
}

/* A fresh file system of the kind that the broker makes; false when the tool is not there. */
static bool make_volume(const char *options)
{
	char command[256];
	int fd = open(image, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || ftruncate(fd, IMAGE_SIZE))
		return false;
	close(fd);
	snprintf(command, sizeof(command), "PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q -F %s '%s'",
		options, image);
	return system(command) == 0;
}

static void write_at(off_t offset, unsigned char value)
{
	int fd = open(image, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &value, 1, offset), 1);
	close(fd);
}

static const char *superblock(void)
{
	int fd = open(image, O_RDONLY);
	const char *wrong = agent_disk_superblock(fd);

	close(fd);
	return wrong;
}

static unsigned char *contents(void)
{
	unsigned char *bytes = malloc(IMAGE_SIZE);
	int fd = open(image, O_RDONLY);

	assert_non_null(bytes);
	assert_int_equal(read(fd, bytes, IMAGE_SIZE), IMAGE_SIZE);
	close(fd);
	return bytes;
}

static void test_crc32c(void **state)
{
	(void)state;
	/* the check value of CRC-32C, RFC 3720 B.4 and the like, counts with an inversion at the
	 * end */
	assert_int_equal(agent_disk_crc32c(~0u, "123456789", 9) ^ ~0u, 0xe3069283u);
}

static void test_whole(void **state)
{
	char text[256] = "";

	(void)state;
	if (!make_volume(""))
		skip();
	assert_null(superblock());
	assert_int_equal(agent_disk_check(image, text, sizeof(text)), AGENT_DISK_OK);
	assert_true(make_volume("-O ^metadata_csum"));
	assert_null(superblock());
}

/* Each of these must leave every byte as it was. */
static void test_damaged_is_not_touched(void **state)
{
	static const struct {
		off_t offset;
		const char *what;
	} damages[] = {
		{1024 + 0x38, "magic"},
		{1024 + 0x70, "any field, found by the checksum"},
		{1024 + 0x18, "block size"},
	};
	char text[256];

	(void)state;
	if (!make_volume(""))
		skip();
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		unsigned char *before, *after;

		assert_true(make_volume(""));
		before = contents();
		/* Inverted, so that it is another byte whatever it was: 0x70 is in the UUID. */
		before[damages[i].offset] = (unsigned char)~before[damages[i].offset];
		write_at(damages[i].offset, before[damages[i].offset]);
		assert_int_equal(agent_disk_check(image, text, sizeof(text)), AGENT_DISK_DAMAGED);
		after = contents();
		assert_memory_equal(before, after, IMAGE_SIZE);
		free(before);
		free(after);
	}
}

static void test_empty_disk(void **state)
{
	char text[256];
	unsigned char *after, *zero = calloc(1, IMAGE_SIZE);
	int fd = open(image, O_RDWR | O_CREAT | O_TRUNC, 0600);

	(void)state;
	assert_int_equal(ftruncate(fd, IMAGE_SIZE), 0);
	close(fd);
	assert_int_equal(agent_disk_check(image, text, sizeof(text)), AGENT_DISK_DAMAGED);
	after = contents();
	assert_memory_equal(after, zero, IMAGE_SIZE);
	free(after);
	free(zero);
	assert_int_equal(truncate(image, 512), 0);
	assert_int_equal(agent_disk_check(image, text, sizeof(text)), AGENT_DISK_DAMAGED);
	assert_int_equal(
		agent_disk_check("/nonexistent/disk", text, sizeof(text)), AGENT_DISK_FAILED);
}

/* What e2fsck does not dare to repair by itself: the root directory's inode is gone. */
static void test_needs_a_person(void **state)
{
	char text[256], command[256];

	(void)state;
	if (!make_volume("-O ^metadata_csum"))
		skip();
	snprintf(command, sizeof(command),
		"PATH=$PATH:/sbin:/usr/sbin debugfs -w -R 'clri <2>' '%s' 2>/dev/null", image);
	assert_int_equal(system(command), 0);
	assert_null(superblock());
	/* a clean file system is believed; one that says that it has errors is looked at */
	write_at(1024 + 0x3a, 2);
	assert_int_equal(agent_disk_check(image, text, sizeof(text)), AGENT_DISK_DAMAGED);
	assert_non_null(strstr(text, "e2fsck"));
}

static void put_serial(const char *disk, const char *serial)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, disk);
	assert_int_equal(mkdir(path, 0755), 0);
	if (!serial)
		return;
	strcat(path, "/serial");
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(serial, file);
	fclose(file);
}

/* The output of a command, without its newline; "" when it fails. Static. */
static const char *output(const char *command)
{
	static char text[256];
	FILE *pipe = popen(command, "r");

	text[0] = '\0';
	if (pipe && !fgets(text, sizeof(text), pipe))
		text[0] = '\0';
	if (pipe)
		pclose(pipe);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* Growing a mounted file system takes CAP_SYS_RESOURCE (24), which a container's root may lack. */
static bool may_grow(void)
{
	const char *mask = output("sed -n 's/^CapEff:\\t//p' /proc/self/status");

	return strtoull(mask, NULL, 16) >> 24 & 1;
}

/* Needs a loop device: as root, where the kernel has them. */
static void test_larger_device_is_filled(void **state)
{
	char command[256], device[64], home[64], text[200] = "";
	struct statvfs before, after;

	(void)state;
	assert_true(make_volume("-b 4096 -m 0"));
	snprintf(command, sizeof(command), "losetup -f --show '%s' 2>/dev/null", image);
	snprintf(device, sizeof(device), "%s", geteuid() == 0 && may_grow() ? output(command) : "");
	if (!device[0])
		skip(); /* no root, or no loop devices */
	snprintf(home, sizeof(home), "%s/home", dir);
	assert_int_equal(agent_disk_mount(device, home, text, sizeof(text)), AGENT_DISK_OK);
	assert_int_equal(statvfs(home, &before), 0);
	/* Nothing to do. */
	assert_true(agent_disk_grow(device, home, text, sizeof(text)));
	assert_int_equal(statvfs(home, &after), 0);
	assert_int_equal(after.f_blocks, before.f_blocks);
	assert_int_equal(truncate(image, 4 * IMAGE_SIZE), 0);
	snprintf(command, sizeof(command), "losetup -c '%s'", device);
	assert_int_equal(system(command), 0);
	assert_true(agent_disk_grow(device, home, text, sizeof(text)));
	assert_int_equal(statvfs(home, &after), 0);
	assert_true(after.f_blocks * after.f_frsize > 3 * IMAGE_SIZE);
	/* What is no file system of its kind is left alone, with a word. */
	assert_false(agent_disk_grow(device, dir, text, sizeof(text)));
	assert_non_null(strstr(text, "keeps its old size"));
	assert_int_equal(agent_disk_unmount(device, home, text, sizeof(text)), AGENT_DISK_OK);
	assert_int_equal(agent_disk_check(device, text, sizeof(text)), AGENT_DISK_OK);
	snprintf(command, sizeof(command), "losetup -d '%s'", device);
	assert_int_equal(system(command), 0);
}

static void test_find(void **state)
{
	char device[32];

	(void)state;
	put_serial("vda", "root");
	put_serial("vdb", "vol-17\n");
	put_serial("vdc", "vol-1");
	put_serial("loop0", NULL);
	assert_true(agent_disk_find(dir, "vol-1", device, sizeof(device)));
	assert_string_equal(device, "/dev/vdc");
	assert_true(agent_disk_find(dir, "vol-17", device, sizeof(device)));
	assert_string_equal(device, "/dev/vdb");
	assert_false(agent_disk_find(dir, "vol-", device, sizeof(device)));
	assert_false(agent_disk_find("/nonexistent", "vol-1", device, sizeof(device)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc32c),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_damaged_is_not_touched),
		cmocka_unit_test(test_empty_disk),
		cmocka_unit_test(test_needs_a_person),
		cmocka_unit_test(test_larger_device_is_filled),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
