/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines as dnsmasq and nginx write them, and lines that PCs would have them write. */
#include "broker/daemon/bootlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAC "52:54:00:77:00:03"

static struct bootlog_line line;

static void test_dhcp(void **state)
{
	(void)state;
	assert_true(
		bootlog_dnsmasq("dnsmasq-dhcp[11]: DHCPDISCOVER(eth1) 52:54:00:77:00:AF ", &line));
	assert_int_equal(line.event, BOOTLOG_DISCOVER);
	assert_string_equal(line.mac, "52:54:00:77:00:af");
	assert_string_equal(line.address, "");
	assert_true(bootlog_dnsmasq(
		"Nov  7 05:51:03 dnsmasq-dhcp[11074]: DHCPACK(eth1) 10.77.0.132 " MAC " pc3",
		&line));
	assert_int_equal(line.event, BOOTLOG_ADDRESS);
	assert_string_equal(line.mac, MAC);
	assert_string_equal(line.address, "10.77.0.132");
	assert_true(bootlog_dnsmasq(
		"dnsmasq-dhcp[1]: DHCPDISCOVER(eth1) " MAC " no address available", &line));
	assert_int_equal(line.event, BOOTLOG_NO_ADDRESS);
	assert_string_equal(line.file, "no address available");
	assert_true(bootlog_dnsmasq(
		"dnsmasq-dhcp[1]: DHCPNAK(eth1) 10.9.9.9 " MAC " wrong network", &line));
	assert_int_equal(line.event, BOOTLOG_NO_ADDRESS);
	assert_true(bootlog_dnsmasq("dnsmasq-dhcp[1]: PXE(eth1) 10.77.0.9 " MAC " proxy", &line));
	assert_int_equal(line.event, BOOTLOG_PROXY);
	assert_string_equal(line.address, "10.77.0.9");
	assert_true(
		bootlog_dnsmasq("dnsmasq-dhcp[1]: 4294967295 DHCPDISCOVER(eth1) " MAC " ", &line));
	assert_int_equal(line.event, BOOTLOG_DISCOVER);
	assert_int_equal(line.xid, 4294967295);
	assert_true(bootlog_dnsmasq(
		"dnsmasq-dhcp[1]: 77 vendor class: PXEClient:Arch:00007:UNDI:003016", &line));
	assert_int_equal(line.event, BOOTLOG_VENDOR);
	assert_int_equal(line.xid, 77);
	assert_string_equal(line.file, "PXEClient:Arch:00007:UNDI:003016");
	assert_true(bootlog_dnsmasq("dnsmasq-dhcp[1]: PXE(eth1) " MAC " proxy", &line));
	assert_string_equal(line.address, "");
}

static void test_tftp(void **state)
{
	(void)state;
	assert_true(bootlog_dnsmasq(
		"dnsmasq-tftp[11]: sent /var/boot/current/tftp/lpxelinux.0 to 10.77.0.132", &line));
	assert_int_equal(line.event, BOOTLOG_TFTP);
	assert_string_equal(line.file, "/var/boot/current/tftp/lpxelinux.0");
	assert_string_equal(line.address, "10.77.0.132");
	assert_true(bootlog_dnsmasq("dnsmasq-tftp[1]: failed sending /a to b to 10.77.0.1", &line));
	assert_int_equal(line.event, BOOTLOG_TFTP_STOP);
	assert_string_equal(line.file, "/a to b");
	g_autofree char *path = g_strnfill(300, 'x');
	g_autofree char *cut = g_strdup_printf("dnsmasq-tftp[1]: sent /%s to 10.77.0.1", path);
	assert_true(bootlog_dnsmasq(cut, &line));
	assert_int_equal(strlen(line.file), sizeof line.file - 1);
}

static void test_http(void **state)
{
	(void)state;
	assert_true(bootlog_http("1795754692.250 10.77.0.132 200 8765432 1.204 \"GET "
				 "/boot/20261127.1/vmlinuz HTTP/1.0\"",
		&line));
	assert_int_equal(line.event, BOOTLOG_HTTP);
	assert_int_equal(line.wall_ms, 1795754692250);
	assert_string_equal(line.address, "10.77.0.132");
	assert_string_equal(line.file, "/boot/20261127.1/vmlinuz");
	assert_int_equal(line.status, 200);
	assert_int_equal(line.bytes, 8765432);
	assert_int_equal(line.ms, 1204);
}

static void test_others_are_no_word_of_a_boot(void **state)
{
	static const char *const dnsmasq[] = {"", "dnsmasq[1]: exiting on receipt of SIGTERM",
		"dnsmasq-dhcp[1]: RTR-ADVERT(eth1) fd63:6172:a4d::",
		"dnsmasq-dhcp[1]: DHCPREQUEST(eth1) 10.77.0.132 " MAC,
		"dnsmasq-dhcp[1]: DHCPACK(eth1) " MAC, "dnsmasq-dhcp[1]: DHCPACK(eth1) 10.77.0.1",
		"dnsmasq-dhcp[1]: DHCPDISCOVER(eth1) 52:54:00:77:00:0g ",
		"dnsmasq-dhcp[1]: DHCPDISCOVER(eth1)", "dnsmasq-dhcp[",
		"dnsmasq-dhcp[1]: ", "dnsmasq-tftp[1]: file /a not found for 10.77.0.132",
		"dnsmasq-tftp[1]: sent  to ", "dnsmasq-tftp[1]: sent /a to everybody",
		/* a name that a PC gave itself */
		"dnsmasq[1]: hostname is dnsmasq-dhcp[1]: DHCPACK(eth1) 10.77.0.1 " MAC};
	static const char *const http[] = {"", "1.000",
		"1.000 10.77.0.1 200 5 0.1 \"GET / HTTP/1.0\"",
		"1.000 10.77.0.1 200 5 0.100 \"HEAD / HTTP/1.0\"",
		"1.000 10.77.0.1 200 5 0.100 \"GET http://other/ HTTP/1.0\"",
		"1.000 host 200 5 0.100 \"GET / HTTP/1.0\"",
		"1.000 10.77.0.1 - 5 0.100 \"GET / X\"",
		"1.000 10.77.0.1 200 -5 0.100 \"GET / HTTP/1.0\"",
		"99999999999999999999.000 10.77.0.1 200 5 0.100 \"GET / HTTP/1.0\"",
		"1.000 10.77.0.1 400 5 0.100 \"\""};
	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(dnsmasq); i++) {
		if (bootlog_dnsmasq(dnsmasq[i], &line))
			fail_msg("taken: %s", dnsmasq[i]);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(http); i++) {
		if (bootlog_http(http[i], &line))
			fail_msg("taken: %s", http[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dhcp),
		cmocka_unit_test(test_tftp),
		cmocka_unit_test(test_http),
		cmocka_unit_test(test_others_are_no_word_of_a_boot),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
