/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/dhcp.h"

#include <string.h>

/* Offsets of RFC 2131, figure 1. */
enum {
	OP = 0,
	HTYPE = 1,
	HLEN = 2,
	XID = 4,
	SECS = 8,
	FLAGS = 10,
	CIADDR = 12,
	YIADDR = 16,
	CHADDR = 28,
	COOKIE = 236,
	OPTIONS = 240,
	MINIMUM = 300
};

enum {
	OPT_PAD = 0,
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_WANTED = 50,
	OPT_LEASE = 51,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_LIST = 55,
	OPT_SIZE = 57,
	OPT_RENEW = 58,
	OPT_REBIND = 59,
	OPT_CLIENT = 61,
	OPT_END = 255
};

static const uint8_t cookie[4] = {99, 130, 83, 99};

static void put32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint8_t *put_option(uint8_t *at, uint8_t code, const void *data, uint8_t length)
{
	at[0] = code;
	at[1] = length;
	memcpy(at + 2, data, length);
	return at + 2 + length;
}

static uint8_t *put_option32(uint8_t *at, uint8_t code, uint32_t value)
{
	uint8_t data[4];
	put32(data, value);
	return value ? put_option(at, code, data, sizeof data) : at;
}

size_t dhcp_build(const struct dhcp_ask *ask, uint8_t packet[DHCP_PACKET_MAX])
{
	static const uint8_t list[] = {
		OPT_MASK, OPT_ROUTER, OPT_LEASE, OPT_SERVER, OPT_RENEW, OPT_REBIND};
	static const uint8_t size[] = {DHCP_PACKET_MAX >> 8, DHCP_PACKET_MAX & 0xff};
	uint8_t type = (uint8_t)ask->type, client[7] = {1};
	memset(packet, 0, DHCP_PACKET_MAX);
	packet[OP] = 1;
	packet[HTYPE] = 1;
	packet[HLEN] = 6;
	put32(packet + XID, ask->xid);
	packet[SECS] = (uint8_t)(ask->seconds >> 8);
	packet[SECS + 1] = (uint8_t)ask->seconds;
	if (!ask->current)
		packet[FLAGS] = 0x80; /* broadcast: the card has no address yet */
	put32(packet + CIADDR, ask->current);
	memcpy(packet + CHADDR, ask->mac, 6);
	memcpy(packet + COOKIE, cookie, sizeof cookie);
	memcpy(client + 1, ask->mac, 6);
	uint8_t *at = packet + OPTIONS;
	at = put_option(at, OPT_TYPE, &type, 1);
	at = put_option(at, OPT_CLIENT, client, sizeof client);
	at = put_option(at, OPT_SIZE, size, sizeof size);
	at = put_option(at, OPT_LIST, list, sizeof list);
	at = put_option32(at, OPT_WANTED, ask->wanted);
	at = put_option32(at, OPT_SERVER, ask->server);
	*at++ = OPT_END;
	return at - packet < MINIMUM ? MINIMUM : (size_t)(at - packet);
}

static void set_option(
	uint8_t code, const uint8_t *data, size_t length, struct dhcp_lease *lease, int *type)
{
	if (code == OPT_TYPE && length == 1) {
		*type = data[0];
		return;
	}
	if (length < 4)
		return;
	uint32_t value = get32(data);
	switch (code) {
	case OPT_MASK:
		lease->mask = value;
		break;
	case OPT_ROUTER:
		lease->router = value;
		break;
	case OPT_LEASE:
		lease->lease_s = value;
		break;
	case OPT_SERVER:
		lease->server = value;
		break;
	case OPT_RENEW:
		lease->renew_s = value;
		break;
	case OPT_REBIND:
		lease->rebind_s = value;
		break;
	default:
		break;
	}
}

/* The mask of an address without one: its class, as RFC 950 has it. */
static uint32_t class_mask(uint32_t address)
{
	if (address >> 31 == 0)
		return 0xff000000;
	return address >> 30 == 2 ? 0xffff0000 : 0xffffff00;
}

static bool is_unicast(uint32_t address)
{
	uint32_t first = address >> 24;
	return first != 0 && first != 127 && first < 224;
}

/* Fills what may be missing and puts the times in order; false when the lease cannot be used. */
static bool complete(struct dhcp_lease *lease)
{
	if (!is_unicast(lease->address) || !is_unicast(lease->server))
		return false;
	uint32_t host = ~lease->mask;
	if (!lease->mask || (host & (host + 1)))
		lease->mask = class_mask(lease->address);
	if (lease->lease_s < 60)
		lease->lease_s = 60;
	if (!lease->renew_s || lease->renew_s >= lease->lease_s)
		lease->renew_s = lease->lease_s / 2;
	if (lease->rebind_s <= lease->renew_s || lease->rebind_s >= lease->lease_s)
		lease->rebind_s = lease->renew_s + (lease->lease_s - lease->renew_s) / 4 * 3;
	return true;
}

int dhcp_parse(const uint8_t *packet, size_t length, uint32_t xid, const uint8_t mac[6],
	struct dhcp_lease *lease)
{
	int type = -1;
	memset(lease, 0, sizeof *lease);
	if (length < OPTIONS || packet[OP] != 2 || packet[HTYPE] != 1 || packet[HLEN] != 6 ||
		get32(packet + XID) != xid || memcmp(packet + CHADDR, mac, 6) ||
		memcmp(packet + COOKIE, cookie, sizeof cookie))
		return -1;
	lease->address = get32(packet + YIADDR);
	for (size_t at = OPTIONS; at < length && packet[at] != OPT_END;) {
		if (packet[at] == OPT_PAD) {
			at++;
			continue;
		}
		if (at + 2 > length || at + 2 + packet[at + 1] > length)
			return -1;
		set_option(packet[at], packet + at + 2, packet[at + 1], lease, &type);
		at += 2u + packet[at + 1];
	}
	if (type == DHCP_NAK)
		return type;
	if ((type != DHCP_OFFER && type != DHCP_ACK) || !complete(lease))
		return -1;
	return type;
}
