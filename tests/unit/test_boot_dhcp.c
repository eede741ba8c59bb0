/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "client-initrd/dhcp.h"

static const uint8_t mac[6] = {0x52, 0x54, 0, 1, 2, 3};

/* An answer as a server makes it: the question turned round, with the options given. */
static size_t answer(uint8_t *packet, uint8_t type, const uint8_t *options, size_t length)
{
	struct dhcp_ask ask = {.type = DHCP_DISCOVER, .xid = 0x01020304};
	memcpy(ask.mac, mac, 6);
	dhcp_build(&ask, packet);
	packet[0] = 2;
	memcpy(packet + 16, "\x0a\x4d\x00\x64", 4);
	uint8_t *at = packet + 240;
	*at++ = 53;
	*at++ = 1;
	*at++ = type;
	memcpy(at, options, length);
	at += length;
	*at++ = 255;
	return (size_t)(at - packet);
}

static const uint8_t good[] = {
	54, 4, 10, 77, 0, 1, 1, 4, 255, 255, 255, 0, 0, 51, 4, 0, 0, 14, 16, 3, 4, 10, 77, 0, 2};

static void test_offer(void **state)
{
	uint8_t packet[DHCP_PACKET_MAX];
	struct dhcp_lease lease;
	size_t n = answer(packet, DHCP_OFFER, good, sizeof good);
	(void)state;
	assert_int_equal(dhcp_parse(packet, n, 0x01020304, mac, &lease), DHCP_OFFER);
	assert_int_equal(lease.address, 0x0a4d0064);
	assert_int_equal(lease.server, 0x0a4d0001);
	assert_int_equal(lease.mask, 0xffffff00);
	assert_int_equal(lease.router, 0x0a4d0002);
	assert_int_equal(lease.lease_s, 3600);
	assert_int_equal(lease.renew_s, 1800);
	assert_in_range(lease.rebind_s, 1801, 3599);
}

static void test_not_ours(void **state)
{
	uint8_t packet[DHCP_PACKET_MAX], other[6] = {1, 2, 3, 4, 5, 6};
	struct dhcp_lease lease;
	size_t n = answer(packet, DHCP_ACK, good, sizeof good);
	(void)state;
	assert_int_equal(dhcp_parse(packet, n, 0x01020304, mac, &lease), DHCP_ACK);
	assert_int_equal(dhcp_parse(packet, n, 0x01020305, mac, &lease), -1);
	assert_int_equal(dhcp_parse(packet, n, 0x01020304, other, &lease), -1);
	packet[0] = 1;
	assert_int_equal(dhcp_parse(packet, n, 0x01020304, mac, &lease), -1);
	packet[0] = 2;
	packet[236] = 0;
	assert_int_equal(dhcp_parse(packet, n, 0x01020304, mac, &lease), -1);
}

static void test_malformed(void **state)
{
	uint8_t packet[DHCP_PACKET_MAX];
	struct dhcp_lease lease;
	const uint8_t no_server[] = {51, 4, 0, 0, 14, 16};
	const uint8_t too_long[] = {54, 4, 10, 77, 0, 1, 1, 200};
	const uint8_t odd_mask[] = {54, 4, 10, 77, 0, 1, 1, 4, 255, 0, 255, 0};
	(void)state;
	size_t n = answer(packet, DHCP_OFFER, no_server, sizeof no_server);
	assert_int_equal(dhcp_parse(packet, n, 0x01020304, mac, &lease), -1);
	n = answer(packet, DHCP_OFFER, too_long, sizeof too_long);
	assert_int_equal(dhcp_parse(packet, n, 0x01020304, mac, &lease), -1);
	n = answer(packet, DHCP_OFFER, odd_mask, sizeof odd_mask);
	assert_int_equal(dhcp_parse(packet, n, 0x01020304, mac, &lease), DHCP_OFFER);
	assert_int_equal(lease.mask, 0xff000000); /* 10.0.0.0 is of class A */
	for (size_t cut = 0; cut < 246; cut++)
		assert_int_equal(dhcp_parse(packet, cut, 0x01020304, mac, &lease), -1);
	packet[16] = 224; /* a multicast address is no lease */
	assert_int_equal(dhcp_parse(packet, n, 0x01020304, mac, &lease), -1);
	n = answer(packet, DHCP_NAK, good, 0);
	assert_int_equal(dhcp_parse(packet, n, 0x01020304, mac, &lease), DHCP_NAK);
}

static void test_build(void **state)
{
	uint8_t packet[DHCP_PACKET_MAX];
	struct dhcp_ask ask = {
		.type = DHCP_REQUEST, .xid = 7, .wanted = 0x0a4d0064, .server = 0x0a4d0001};
	(void)state;
	memcpy(ask.mac, mac, 6);
	assert_int_equal(dhcp_build(&ask, packet), 300);
	assert_int_equal(packet[10], 0x80);
	ask.current = 0x0a4d0064;
	dhcp_build(&ask, packet);
	assert_int_equal(packet[10], 0); /* it has an address: unicast is fine */
	assert_memory_equal(packet + 12, "\x0a\x4d\x00\x64", 4);
	assert_memory_equal(packet + 240, "\x35\x01\x03\x3d\x07\x01\x52\x54\x00\x01\x02\x03", 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_offer),
		cmocka_unit_test(test_not_ours), cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_build)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
