/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCP answers, behind a head that is ours so that the options are reached. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client-initrd/dhcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t mac[6] = {2, 2, 2, 2, 2, 2};
	struct dhcp_lease lease;
	uint8_t *packet = malloc(size + 1);
	memcpy(packet, data, size);
	dhcp_parse(packet, size, 0x02020202, mac, &lease);
	if (size >= 240) {
		packet[0] = 2;
		packet[1] = 1;
		packet[2] = 6;
		memset(packet + 4, 2, 4);
		memset(packet + 28, 2, 6);
		memcpy(packet + 236, "\x63\x82\x53\x63", 4);
		int type = dhcp_parse(packet, size, 0x02020202, mac, &lease);
		if ((type == DHCP_OFFER || type == DHCP_ACK) &&
			(!lease.address || !lease.server || !lease.mask ||
				lease.renew_s >= lease.rebind_s || lease.rebind_s >= lease.lease_s))
			abort();
	}
	free(packet);
	return 0;
}
