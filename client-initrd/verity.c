/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/verity.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "client-initrd/util.h"

#define CONTROL "/dev/mapper/control"
#define BLOCK_SIZE 4096
#define SECTORS_PER_BLOCK (BLOCK_SIZE / 512)

struct dm_request {
	struct dm_ioctl head;
	struct dm_target_spec target;
	char table[768];
};

static void prepare(struct dm_request *request, uint32_t flags)
{
	memset(request, 0, sizeof *request);
	request->head.version[0] = DM_VERSION_MAJOR;
	request->head.data_size = sizeof *request;
	request->head.data_start = sizeof request->head;
	request->head.flags = flags;
	snprintf(request->head.name, sizeof request->head.name, VERITY_NAME);
}

/* devtmpfs makes the control node; without it, it is made from the number in /proc/misc. */
static int open_control(void)
{
	char misc[1024];
	int fd = open(CONTROL, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	util_read_file("/proc/misc", misc, sizeof misc);
	const char *at = strstr(misc, " device-mapper");
	unsigned number;
	while (at && at > misc && at[-1] != '\n')
		at--;
	if (!at || sscanf(at, "%u", &number) != 1)
		return -ENODEV;
	mkdir("/dev/mapper", 0755);
	if (mknod(CONTROL, S_IFCHR | 0600, makedev(10, number)) < 0 && errno != EEXIST)
		return -errno;
	fd = open(CONTROL, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int load_table(int control, const struct params *params, const char *device)
{
	struct dm_request request;
	unsigned long long blocks = params->verity_blocks;
	prepare(&request, DM_READONLY_FLAG);
	request.head.target_count = 1;
	request.target.length = blocks * SECTORS_PER_BLOCK;
	snprintf(request.target.target_type, sizeof request.target.target_type, "verity");
	/* version, data device, hash device, block sizes, blocks, first hash block, ... */
	snprintf(request.table, sizeof request.table, "1 %s %s %d %d %llu %llu sha256 %s %s",
		device, device, BLOCK_SIZE, BLOCK_SIZE, blocks, blocks, params->verity_hash,
		params->verity_salt);
	return ioctl(control, DM_TABLE_LOAD, &request) < 0 ? -errno : 0;
}

int verity_open(const struct params *params, const char *device, char *node, size_t size)
{
	struct dm_request request;
	int control = open_control(), error = 0;
	if (control < 0)
		return control;
	prepare(&request, DM_READONLY_FLAG);
	if (ioctl(control, DM_DEV_CREATE, &request) < 0)
		error = -errno;
	dev_t number = (dev_t)request.head.dev;
	if (!error)
		error = load_table(control, params, device);
	prepare(&request, 0); /* "suspend" without the flag means resume: the table goes live */
	if (!error && ioctl(control, DM_DEV_SUSPEND, &request) < 0)
		error = -errno;
	close(control);
	if (error) {
		verity_close();
		return error;
	}
	snprintf(node, size, "/dev/dm-%u", minor(number));
	if (mknod(node, S_IFBLK | 0600, number) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

void verity_close(void)
{
	struct dm_request request;
	int control = open_control();
	if (control < 0)
		return;
	prepare(&request, 0);
	ioctl(control, DM_DEV_REMOVE, &request);
	close(control);
}
