/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Manifests of images; what is accepted is safe in paths, XML texts and configuration files. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "images/store/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image *image = image_parse((const char *)data, size, NULL);

	if (image && (strpbrk(image->name, "/ \n") || !image_version_is_good(image->version) ||
			     strpbrk(image->cmdline, "\r\n")))
		abort();
	for (int id = 0; image && id < IMAGE_FILE_COUNT; id++) {
		const struct image_file *file = &image->files[id];

		/* of PCs alone, and older images have none */
		if (id == IMAGE_DRIVERS && (!file->name || image->kind == IMAGE_CLIENT)) {
			if (file->name && (strpbrk(file->name, "/ \n") || !file->size))
				abort();
			continue;
		}
		if ((id == IMAGE_DISK) != (image->kind == IMAGE_GUEST)
				? !!file->name
				: !file->name || strpbrk(file->name, "/ \n") || !file->size)
			abort();
	}
	image_free(image);
	return 0;
}
