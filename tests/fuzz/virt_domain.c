/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The XML of a domain, as a server gives it. */
#include "broker/virt/domain_info.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct domain_info *info = domain_info_parse((const char *)data, size, NULL);

	if (info && (!info->name || info->disk_count > DOMAIN_DISKS_MAX))
		abort();
	domain_info_free(info);
	return 0;
}
