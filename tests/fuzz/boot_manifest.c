/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Manifests of client images; what is accepted is safe in paths and configuration files. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bootserver/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image *image = image_parse((const char *)data, size, NULL);
	if (image && (strpbrk(image->name, "/ \n") || strpbrk(image->version, "/ \n") ||
			     strpbrk(image->files[IMAGE_ROOT].name, "/ \n") ||
			     strpbrk(image->cmdline, "\r\n")))
		abort();
	image_free(image);
	return 0;
}
