/* SPDX-License-Identifier: GPL-2.0-or-later */
/* EFI programs: a section that is found lies within the bytes, and behind all there is room. */
#include <stdint.h>
#include <stdlib.h>

#include "bootserver/pe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	guint64 address, alignment;
	gsize length;
	const guint8 *found = pe_section(data, size, ".linux", &length);
	if (found && (found < data || length > size || (size_t)(found - data) > size - length))
		abort();
	if (pe_free_address(data, size, &address, &alignment) &&
		(alignment == 0 || address > G_GUINT64_CONSTANT(1) << 41))
		abort();
	return 0;
}
