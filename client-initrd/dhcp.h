/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DHCP messages (RFC 2131, options of RFC 2132): building and reading, without any I/O. */
#ifndef CARREL_CLIENT_DHCP_H
#define CARREL_CLIENT_DHCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dhcp_type { DHCP_DISCOVER = 1, DHCP_OFFER, DHCP_REQUEST, DHCP_DECLINE, DHCP_ACK, DHCP_NAK };

#define DHCP_PACKET_MAX 1500
#define DHCP_INFINITE UINT32_MAX

/* Addresses in host byte order, 0 where there is none; times in seconds. */
struct dhcp_lease {
	uint32_t address, mask, router, server;
	uint32_t lease_s, renew_s, rebind_s;
};

/* What a message asks for. */
struct dhcp_ask {
	enum dhcp_type type;
	uint32_t xid;
	uint8_t mac[6];
	uint16_t seconds;        /* since the first try */
	uint32_t current;        /* the address in use (renewal), or 0: answers come by broadcast */
	uint32_t wanted, server; /* options 50 and 54, or 0 */
};

/* Writes the message; its length, which is always at least 300 (some relays want that). */
size_t dhcp_build(const struct dhcp_ask *ask, uint8_t packet[DHCP_PACKET_MAX]);

/*
 * Reads an answer to the exchange `xid` of this card. The message's type, or -1 when it is not one
 * or is malformed. For OFFER and ACK all of `lease` is set, renew_s < rebind_s < lease_s.
 */
int dhcp_parse(const uint8_t *packet, size_t length, uint32_t xid, const uint8_t mac[6],
	struct dhcp_lease *lease);

#endif
