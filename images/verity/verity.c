/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/verity/verity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SECTORS_PER_BLOCK (VERITY_BLOCK / 512)

/* The ioctl's header, one target and its parameters, in the layout that the kernel expects. */
struct request {
	struct dm_ioctl head;
	struct dm_target_spec target;
	char parameters[2048];
};

/* Copies `length` bytes if all of them are lower-case hex digits. */
static bool copy_hex(char *to, size_t to_size, const char *from, size_t length)
{
	if (length >= to_size || strspn(from, "0123456789abcdef") < length)
		return false;
	memcpy(to, from, length);
	to[length] = '\0';
	return true;
}

bool verity_parse(const char *text, struct verity *verity)
{
	char *end = NULL;
	const char *hash, *salt;

	if (*text < '1' || *text > '9')
		return false;
	errno = 0;
	verity->data_blocks = strtoull(text, &end, 10);
	if (errno || *end != ':' || verity->data_blocks > UINT64_MAX / VERITY_BLOCK)
		return false;
	hash = end + 1;
	salt = strchr(hash, ':');
	if (!salt || salt - hash != VERITY_HASH_HEX ||
		!copy_hex(verity->root_hash, sizeof(verity->root_hash), hash, VERITY_HASH_HEX))
		return false;
	salt++;
	if (strcmp(salt, "-") == 0) {
		strcpy(verity->salt, "-");
		return true;
	}
	return *salt && strlen(salt) % 2 == 0 &&
	       copy_hex(verity->salt, sizeof(verity->salt), salt, strlen(salt));
}

bool verity_table(
	const struct verity *verity, const char *device, bool panic, char *buffer, size_t size)
{
	int n = snprintf(buffer, size, "1 %s %s %d %d %" PRIu64 " %" PRIu64 " sha256 %s %s%s",
		device, device, VERITY_BLOCK, VERITY_BLOCK, verity->data_blocks,
		verity->data_blocks, verity->root_hash, verity->salt,
		panic ? " 1 panic_on_corruption" : "");

	return n > 0 && (size_t)n < size;
}

static void request_init(struct request *request, const char *name, uint32_t flags)
{
	memset(request, 0, sizeof(*request));
	request->head.version[0] = 4;
	request->head.data_size = sizeof(*request);
	request->head.data_start = offsetof(struct request, target);
	request->head.flags = flags;
	snprintf(request->head.name, sizeof(request->head.name), "%s", name);
}

/* The kernel's dev numbers in this ioctl are in its own packed form. */
static dev_t unpack_dev(uint64_t packed)
{
	return makedev((unsigned)((packed >> 8) & 0xfff),
		(unsigned)((packed & 0xff) | ((packed >> 12) & 0xfff00)));
}

static int load_and_start(int control, struct request *request, const struct verity *verity,
	const char *device, const char *name, bool panic)
{
	request_init(request, name, DM_READONLY_FLAG);
	request->head.target_count = 1;
	request->target.length = verity->data_blocks * SECTORS_PER_BLOCK;
	strcpy(request->target.target_type, "verity");
	if (!verity_table(
		    verity, device, panic, request->parameters, sizeof(request->parameters))) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (ioctl(control, DM_TABLE_LOAD, request))
		return -1;
	request_init(
		request, name, 0); /* "suspend" without its flag resumes: the table goes live */
	return ioctl(control, DM_DEV_SUSPEND, request);
}

int verity_open(const struct verity *verity, const char *device, const char *name, bool panic,
	dev_t *number)
{
	struct request request;
	int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	int result = -1, saved;

	if (control < 0)
		return -1;
	request_init(&request, name, DM_READONLY_FLAG);
	if (ioctl(control, DM_DEV_CREATE, &request))
		goto out;
	*number = unpack_dev(request.head.dev);
	result = load_and_start(control, &request, verity, device, name, panic);
	if (result) {
		saved = errno;
		request_init(&request, name, 0);
		(void)ioctl(control, DM_DEV_REMOVE, &request);
		errno = saved;
	}
out:
	saved = errno;
	close(control);
	errno = saved;
	return result;
}

void verity_close(const char *name)
{
	struct request request;
	int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);

	if (control < 0)
		return;
	request_init(&request, name, 0);
	(void)ioctl(control, DM_DEV_REMOVE, &request);
	close(control);
}
