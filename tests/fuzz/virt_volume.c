/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names that lie in a pool of volumes, and a file that somebody wants to import. */
#include "broker/virt/mkfs.h"
#include "broker/virt/volume_names.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	g_autofree char *name = g_strndup((const char *)data, size);
	struct volume_part part = volume_part(name, 7);
	g_autofree char *copy = volume_copy_name(7, part.copy);
	g_autofree char *snapshot = volume_snapshot_name(7, part.snapshot);
	uid_t owner;

	/* What is taken for the volume's has the name that the volume's have. */
	const char *own = part.kind == VOLUME_PART_COPY ? copy : snapshot;
	if (part.kind != VOLUME_PART_NONE &&
		(strncmp(name, own, strlen(own)) != 0 ||
			strlen(name) != strlen(own) + (part.mark ? strlen(".complete") : 0)))
		abort();
	if (fd < 0)
		fd = memfd_create("import", 0);
	if (ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size)
		mkfs_root_owner(fd, &owner);
	return 0;
}
