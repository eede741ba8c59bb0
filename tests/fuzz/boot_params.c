/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel command line, as a network may write it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client-initrd/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct params params;
	char *text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	const char *lacks = params_parse(text, &params);
	/* what is accepted is safe in paths and mount options */
	if (!lacks && (strpbrk(params.root, "/,") || strstr(params.root, "..") ||
			      strpbrk(params.nfs_path, ", \n") || !params.size ||
			      params.size / 4096 <= params.verity.data_blocks ||
			      strlen(params.sha256) != 64 || strlen(params.verity.root_hash) != 64))
		abort();
	free(text);
	return 0;
}
