/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The manifest of a desktop image. */
#include "broker/virt/manifest.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest *manifest = manifest_parse((const char *)data, size, "lite@1", NULL);

	if (manifest && !manifest->files[MANIFEST_ROOT].size)
		abort();
	manifest_free(manifest);
	return 0;
}
