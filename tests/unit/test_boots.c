/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The boot ledger, fed with what logs and PCs say of good boots and of those that stop. */
#include "broker/daemon/boots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAC "52:54:00:77:00:03"
#define ADDRESS "10.77.0.132"
#define START G_GINT64_CONSTANT(1795754692000)

static struct boots *boots;
static gint64 now;
static const char *vendor; /* of who asks; NULL: none is said */

static int begin(void **state)
{
	(void)state;
	boots = boots_new();
	now = START;
	vendor = "PXEClient:Arch:00000:UNDI:002001";
	return 0;
}

static int end(void **state)
{
	(void)state;
	boots_free(boots);
	return 0;
}

/* As with log-dhcp: each transaction says first who asks. */
static void dhcp(const char *what, const char *behind)
{
	static unsigned xid;
	struct bootlog_line line;
	xid++;
	g_autofree char *who = g_strdup_printf("dnsmasq-dhcp[1]: %u vendor class: %s", xid, vendor);
	g_autofree char *text =
		g_strdup_printf("dnsmasq-dhcp[1]: %u %s(eth1) %s", xid, what, behind);
	if (vendor) {
		assert_true(bootlog_dnsmasq(who, &line));
		boots_line(boots, &line, 0, now);
	}
	assert_true(bootlog_dnsmasq(text, &line));
	boots_line(boots, &line, 0, now);
}

static void tftp(const char *file, guint64 size)
{
	struct bootlog_line line;
	g_autofree char *text =
		g_strdup_printf("dnsmasq-tftp[1]: sent /boot/tftp/%s to " ADDRESS, file);
	assert_true(bootlog_dnsmasq(text, &line));
	boots_line(boots, &line, size, now);
}

static void http(const char *file, unsigned status, guint64 bytes)
{
	struct bootlog_line line;
	g_autofree char *text = g_strdup_printf("%d.%03d " ADDRESS " %u %" G_GUINT64_FORMAT
						" 0.500 \"GET /boot/1/%s HTTP/1.0\"",
		(int)(now / 1000), (int)(now % 1000), status, bytes, file);
	assert_true(bootlog_http(text, &line));
	boots_line(boots, &line, 0, now);
}

/* To the initramfs, a BIOS PC, 8 s. */
static void bios(void)
{
	dhcp("DHCPDISCOVER", MAC);
	now += 1000;
	dhcp("DHCPACK", ADDRESS " " MAC);
	now += 1000;
	tftp("lpxelinux.0", 75072);
	now += 1000;
	tftp("pxelinux.cfg/default", 900);
	now += 3000;
	http("vmlinuz", 200, 8000000);
	now += 2000;
	http("initrd", 200, 3000000);
}

/* Linux to the viewer; its kernel starts 1 s from now. */
static void linux_up(void)
{
	const gint64 kernel = now + 1000;
	const char *firmware = vendor;
	now = kernel + 3000;
	vendor = NULL;
	dhcp("DHCPDISCOVER", MAC);
	dhcp("DHCPACK", ADDRESS " " MAC);
	vendor = firmware;
	now = kernel + 4010;
	boots_report(boots, MAC, ADDRESS, "network", 4000, 0, "", now);
	now = kernel + 6500;
	boots_report(boots, MAC, ADDRESS, "fetch", 6000, 23000000, "", now);
	boots_report(boots, MAC, ADDRESS, "verify", 6400, 0, "", now);
	boots_report(boots, MAC, ADDRESS, "root", 6500, 0, "", now);
	now = kernel + 7000;
	boots_report(boots, MAC, ADDRESS, "viewer", 6900, 0, "", now);
}

static const char *text_of(const char *key)
{
	static char text[400];
	json_t *boot = boots_json(boots, MAC, now);
	assert_non_null(boot);
	g_strlcpy(text, json_string_value(json_object_get(boot, key)), sizeof text);
	json_decref(boot);
	return text;
}

static json_int_t stage(const char *name, const char *key)
{
	json_t *boot = boots_json(boots, MAC, now), *item;
	json_int_t found = -1;
	size_t i;
	json_array_foreach (json_object_get(boot, "stages"), i, item) {
		if (!strcmp(json_string_value(json_object_get(item, "stage")), name))
			found = json_integer_value(json_object_get(item, key));
	}
	json_decref(boot);
	return found;
}

static size_t stage_count(void)
{
	json_t *boot = boots_json(boots, MAC, now);
	size_t count = json_array_size(json_object_get(boot, "stages"));
	json_decref(boot);
	return count;
}

static void test_a_whole_boot(void **state)
{
	(void)state;
	bios();
	assert_string_equal(text_of("state"), "booting");
	linux_up();
	now += 800;
	boots_form(boots, MAC, now);
	assert_string_equal(text_of("state"), "up");
	assert_string_equal(text_of("stopped_at"), "");
	assert_int_equal(stage("dhcp", "ms"), 1000);
	assert_int_equal(stage("program", "ms"), 2000);
	assert_int_equal(stage("program", "bytes"), 75072);
	assert_int_equal(stage("menu", "ms"), 3000);
	assert_int_equal(stage("kernel", "ms"), 6000);
	assert_int_equal(stage("initrd", "bytes"), 3000000);
	/* by the PC's clock, set to ours by the report that was quickest here */
	assert_int_equal(stage("network", "ms"), 8000 + 1000 + 4000);
	assert_int_equal(stage("fetch", "bytes"), 23000000);
	assert_int_equal(stage("viewer", "ms"), 8000 + 1000 + 6900);
	assert_int_equal(stage("form", "ms"), 8000 + 1000 + 7000 + 800);
	assert_int_equal(stage_count(), 11);
	/* hours later it renews its lease, and its viewer asks again after a logout: the same boot
	 */
	now += 7200000;
	vendor = NULL;
	dhcp("DHCPACK", ADDRESS " " MAC);
	boots_form(boots, MAC, now);
	assert_string_equal(text_of("state"), "up");
	assert_int_equal(stage("dhcp", "ms"), 1000);
	assert_int_equal(stage("form", "ms"), 16800);
	assert_string_equal(text_of("firmware"), "bios");
	/* and is started again */
	vendor = "PXEClient:Arch:00000:UNDI:002001";
	bios();
	assert_string_equal(text_of("state"), "booting");
	assert_int_equal(stage_count(), 5);
	assert_int_equal(stage("initrd", "ms"), 8000);
}

static void test_a_plug_is_pulled(void **state)
{
	(void)state;
	dhcp("DHCPDISCOVER", MAC);
	dhcp("DHCPACK", ADDRESS " " MAC);
	tftp("lpxelinux.0", 75072);
	now += 5000;
	bios();
	assert_int_equal(stage_count(), 5);
	assert_int_equal(stage("initrd", "ms"), 8000);
}

static void stuck(const char *stopped_at, const char *cause)
{
	now += BOOTS_STUCK_MS + 1;
	assert_string_equal(text_of("state"), "stopped");
	assert_string_equal(text_of("stopped_at"), stopped_at);
	if (!strstr(text_of("cause"), cause))
		fail_msg("no word of \"%s\" in: %s", cause, text_of("cause"));
}

static void test_where_it_stopped(void **state)
{
	(void)state;
	dhcp("DHCPDISCOVER", MAC);
	now += 4000;
	dhcp("DHCPDISCOVER", MAC);
	stuck("dhcp", "another DHCP server");
	dhcp("DHCPDISCOVER", MAC " no address available");
	stuck("dhcp", "range");
	dhcp("DHCPACK", ADDRESS " " MAC);
	stuck("program", "TFTP");
	tftp("lpxelinux.0", 75072);
	stuck("menu", "Secure Boot");
	tftp("pxelinux.cfg/01-52-54-00-77-00-03", 900);
	http("vmlinuz", 404, 150);
	stuck("kernel", "carrel-http");
	http("vmlinuz", 200, 8000000);
	stuck("initrd", "initramfs");
	http("initrd", 200, 3000000);
	stuck("network", "nomodeset");
	boots_report(boots, MAC, ADDRESS, "network", 4000, 0, "", now);
	stuck("fetch", "root image");
	boots_report(boots, MAC, ADDRESS, "verify", 99000, 0, "", now);
	stuck("root", "own screen");
	boots_report(boots, MAC, ADDRESS, "root", 99500, 0, "", now);
	stuck("drivers", "graphics driver may hang");
	boots_report(boots, MAC, ADDRESS, "viewer", 190000, 0, "", now);
	stuck("form", "broker");
}

static void test_one_program_for_uefi(void **state)
{
	(void)state;
	vendor = "PXEClient:Arch:00007:UNDI:003016";
	dhcp("DHCPDISCOVER", MAC);
	dhcp("DHCPACK", ADDRESS " " MAC);
	now += 5000;
	tftp("carrel.efi", 12000000);
	assert_string_equal(text_of("firmware"), "uefi");
	stuck("network", "Secure Boot");
	vendor = "HTTPClient:Arch:00016:UNDI:003016";
	dhcp("DHCPDISCOVER", MAC);
	assert_int_equal(stage_count(), 0);
	dhcp("DHCPACK", ADDRESS " " MAC);
	assert_string_equal(text_of("firmware"), "uefi-http");
	stuck("program", "carrel-http");
	http("carrel.efi", 200, 12000000);
	linux_up();
	assert_int_equal(stage_count(), 2 + 5);
	assert_string_equal(text_of("state"), "booting");
}

static void test_its_own_failure(void **state)
{
	(void)state;
	bios();
	boots_report(boots, MAC, ADDRESS, "network", 4000, 0, "", now);
	boots_report(boots, MAC, ADDRESS, "failed", 5000, 0, "CARREL-B04", now);
	assert_string_equal(text_of("state"), "failed");
	assert_string_equal(text_of("error"), "CARREL-B04");
	assert_string_equal(text_of("stopped_at"), "fetch");
	assert_non_null(strstr(text_of("cause"), "carrel-nfs"));
	boots_report(boots, MAC, ADDRESS, "fetch", 25000, 1, "", now);
	assert_string_equal(text_of("state"), "booting");
	boots_report(boots, MAC, ADDRESS, "failed", 5000, 0, "\xed\x95\x9c\xea\xb5\xad", now);
	assert_string_equal(text_of("error"), "unknown");
}

static struct {
	unsigned up, failed, stopped;
	char version[24], code[16], stage[16];
} ends;

static void on_end(const char *mac, const char *version, enum boots_end end, const char *code,
	const char *stage_name, gpointer data)
{
	(void)data;
	assert_string_equal(mac, MAC);
	*(end == BOOTS_UP ? &ends.up : end == BOOTS_FAILED ? &ends.failed : &ends.stopped) += 1;
	g_strlcpy(ends.version, version, sizeof ends.version);
	g_strlcpy(ends.code, code, sizeof ends.code);
	g_strlcpy(ends.stage, stage_name, sizeof ends.stage);
}

static void ended(unsigned up, unsigned failed, unsigned stopped)
{
	assert_int_equal(ends.up, up);
	assert_int_equal(ends.failed, failed);
	assert_int_equal(ends.stopped, stopped);
}

/* Each end is told once, with the version whose kernel it was. */
static void test_ends_are_told(void **state)
{
	(void)state;
	memset(&ends, 0, sizeof ends);
	boots_on_end(boots, on_end, NULL);
	bios();
	assert_string_equal(text_of("version"), "1");
	linux_up();
	boots_form(boots, MAC, now);
	boots_form(boots, MAC, now);
	now += 10 * BOOTS_STUCK_MS;
	boots_check(boots, now);
	ended(1, 0, 0);
	assert_string_equal(ends.version, "1");
	/* It fails, and is then switched off and on: one end. */
	bios();
	boots_report(boots, MAC, ADDRESS, "network", 4000, 0, "", now);
	boots_report(boots, MAC, ADDRESS, "failed", 5000, 0, "CARREL-B07", now);
	boots_report(boots, MAC, ADDRESS, "failed", 9000, 0, "CARREL-B07", now);
	ended(1, 1, 0);
	assert_string_equal(ends.code, "CARREL-B07");
	bios();
	ended(1, 1, 0);
	/* It goes silent; a boot that ends so in less than that shows when the next one begins. */
	now += BOOTS_STUCK_MS + 1;
	boots_check(boots, now);
	boots_check(boots, now);
	ended(1, 1, 1);
	assert_string_equal(ends.stage, "network");
	bios();
	now += 30000;
	bios();
	ended(1, 1, 2);
	/* Slow, but up. */
	now += BOOTS_STUCK_MS + 1;
	boots_check(boots, now);
	linux_up();
	boots_form(boots, MAC, now);
	ended(2, 1, 3);
	/* What never loaded a kernel is no image's fault. */
	dhcp("DHCPDISCOVER", MAC);
	dhcp("DHCPACK", ADDRESS " " MAC);
	now += BOOTS_STUCK_MS + 1;
	boots_check(boots, now);
	dhcp("DHCPDISCOVER", MAC);
	ended(2, 1, 3);
}

/* The paths by which a version's kernel goes. */
static void test_versions(void **state)
{
	static const char *const files[] = {"current/tftp/boot/20260301.1/vmlinuz",
		"current/tftp/52-54-00-77-00-03/boot/20260301.1/initrd",
		"http/boot/20260301.1/carrel-0123456789abcdef.efi"};
	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
		dhcp("DHCPDISCOVER", MAC);
		dhcp("DHCPACK", ADDRESS " " MAC);
		assert_string_equal(text_of("version"), "");
		tftp(files[i], 1000);
		assert_string_equal(text_of("version"), "20260301.1");
	}
	tftp("boot/../vmlinuz/x", 1000);
	tftp("boot/20260301.1x/vmlinuz", 1000);
	assert_string_equal(text_of("version"), "20260301.1");
}

/* Another broker begins where this one has ended. */
static void restart(void)
{
	struct boots *next = boots_new();
	json_t *saved = boots_save(boots, MAC);
	boots_restore(next, MAC, saved);
	json_decref(saved);
	boots_free(boots);
	boots = next;
}

static void test_a_restart(void **state)
{
	static const char *const bad[] = {"{}", "[]", "{\"address\": 7}"};
	(void)state;
	bios();
	linux_up();
	boots_report(boots, MAC, ADDRESS, "failed", 6900, 0, "CARREL-B09", now);
	g_auto(GStrv) macs = boots_changed(boots);
	assert_string_equal(macs[0], MAC);
	assert_null(macs[1]);
	json_t *before = boots_json(boots, MAC, now + 1000);
	boots_kept(boots);
	g_auto(GStrv) none = boots_changed(boots);
	assert_null(none[0]);
	restart();
	json_t *after = boots_json(boots, MAC, now + 1000);
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
	/* it goes on there: by its address, by its kernel's clock, and to the end */
	boots_report(boots, MAC, ADDRESS, "viewer", 7000, 0, "", now + 2000);
	boots_form(boots, MAC, now + 3000);
	assert_string_equal(text_of("state"), "up");
	http("vmlinuz", 200, 7);
	assert_int_equal(stage("kernel", "bytes"), 7);
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		json_t *saved = json_loads(bad[i], 0, NULL);
		boots_restore(boots, "52:54:00:00:00:99", saved);
		assert_false(boots_has(boots, "52:54:00:00:00:99"));
		json_decref(saved);
	}
}

/* What is forgotten is to be forgotten in the store too. */
static void test_the_oldest_is_forgotten(void **state)
{
	(void)state;
	boots_report(boots, MAC, "", "network", 1, 0, "", now);
	boots_kept(boots);
	for (int i = 0; i < BOOTS_KEPT; i++) {
		g_autofree char *mac = g_strdup_printf("02:00:00:00:%02x:%02x", i / 256, i % 256);
		boots_report(boots, mac, "", "network", 1, 0, "", ++now);
	}
	assert_false(boots_has(boots, MAC));
	g_auto(GStrv) macs = boots_changed(boots);
	assert_int_equal(g_strv_length(macs), BOOTS_KEPT + 1);
	assert_true(g_strv_contains((const char *const *)macs, MAC));
	assert_null(boots_save(boots, MAC));
}

/* A driver that is missing: the boot goes on, and what is known of it is shown until the next one.
 */
static void test_a_missing_driver(void **state)
{
	(void)state;
	linux_up();
	boots_report(boots, MAC, ADDRESS, "drivers", 6800, 1351194,
		"i915/kbl_dmc_ver1_04.bin: not in the image", now);
	assert_string_equal(text_of("state"), "booting");
	assert_string_equal(text_of("note"), "i915/kbl_dmc_ver1_04.bin: not in the image");
	assert_int_equal(stage("drivers", "bytes"), 1351194);
	boots_report(boots, MAC, ADDRESS, "failed", 9000, 0, "CARREL-B10", now);
	assert_non_null(strstr(text_of("cause"), "firmware"));
	boots_report(boots, MAC, ADDRESS, "drivers", 9800, 1, "\xed\x95\x9c", now);
	assert_string_equal(text_of("note"), "");
	boots_report(boots, MAC, ADDRESS, "drivers", 9900, 1, "radeon.ko: Connection refused", now);
	bios();
	assert_string_equal(text_of("note"), "");
}

/* To a driver's start, as far as a PC comes that crashes with it. */
static void crash(const char *driver)
{
	bios();
	boots_report(boots, MAC, ADDRESS, "network", 4000, 0, "", now);
	boots_report(boots, MAC, ADDRESS, "root", 6500, 0, "", now);
	assert_true(boots_driver(boots, MAC, "ttm", now));
	assert_true(boots_driver(boots, MAC, driver, now));
	now += 20000;
}

static void test_a_driver_that_crashes(void **state)
{
	(void)state;
	assert_true(boots_driver(boots, MAC, "radeon", now)); /* of a PC that nobody knows */
	crash("radeon");
	crash("radeon");
	bios();
	assert_false(boots_driver(boots, MAC, "radeon", now));
	assert_true(boots_driver(boots, MAC, "ttm", now));
	assert_true(boots_driver(boots, MAC, "rade", now));
	linux_up();
	boots_form(boots, MAC, now);
	/* for as long as it is the same version, whatever its next boots are like */
	bios();
	assert_false(boots_driver(boots, MAC, "radeon", now));
	crash("i915");
	restart(); /* of carreld, between the two */
	crash("i915");
	bios();
	assert_false(boots_driver(boots, MAC, "radeon", now));
	assert_false(boots_driver(boots, MAC, "i915", now));
	restart();
	assert_false(boots_driver(boots, MAC, "radeon", now));
	boots_driver_again(boots, MAC);
	assert_true(boots_driver(boots, MAC, "radeon", now));
	crash("i915");
	bios();
	assert_true(boots_driver(boots, MAC, "i915", now));
	restart(); /* of carreld, while the PC starts it */
	now += 20000;
	bios();
	assert_false(boots_driver(boots, MAC, "i915", now));
	now += 200000;
	dhcp("DHCPDISCOVER", MAC);
	dhcp("DHCPACK", ADDRESS " " MAC);
	tftp("boot/20260302.1/vmlinuz", 1000);
	assert_true(boots_driver(boots, MAC, "i915", now));
}

/* What came to its login form, or could say that it failed, has not crashed, nor what ended once,
 * for somebody may have pulled the plug; nor is a card that comes later the reason why a PC is
 * switched off. */
static void test_drivers_that_do_not_crash(void **state)
{
	(void)state;
	crash("radeon");
	crash("i915"); /* another card: neither has ended two in a row */
	crash("radeon");
	boots_report(boots, MAC, ADDRESS, "drivers", 9000, 0, "", now);
	boots_report(boots, MAC, ADDRESS, "failed", 9000, 0, "CARREL-B09", now);
	crash("radeon");
	boots_report(boots, MAC, ADDRESS, "viewer", 9000, 0, "", now);
	boots_form(boots, MAC, now);
	assert_true(boots_driver(boots, MAC, "i915", now));
	bios();
	assert_true(boots_driver(boots, MAC, "i915", now));
	assert_true(boots_driver(boots, MAC, "radeon", now));
	/* more names than there is room for, and too long a one */
	for (int i = 0; i < 60; i++) {
		g_autofree char *name = g_strdup_printf("driver%d", i);
		for (int boot = 0; boot < 2; boot++) {
			now += 20000;
			bios();
			boots_driver(boots, MAC, name, now);
		}
	}
	bios();
	assert_false(boots_driver(boots, MAC, "driver0", now));
	assert_true(boots_driver(boots, MAC, "driver59", now));
	assert_true(boots_driver(boots, MAC,
		"a_name_that_no_module_of_the_kernel_has_for_it_is_much_too_long", now));
}

static void test_reports_alone(void **state)
{
	(void)state;
	linux_up(); /* carreld began to listen in the middle of a boot */
	assert_string_equal(text_of("state"), "booting");
	const json_int_t before = stage("viewer", "ms");
	assert_true(before >= 0 && before < 60000);
	/* the same PC again, and no log of it: its kernel's clock began anew */
	now += 600000;
	boots_report(boots, MAC, ADDRESS, "network", 4000, 0, "", now);
	assert_int_equal(stage_count(), 1);
}

static void test_beside_the_sites_own_dhcp(void **state)
{
	(void)state;
	dhcp("PXE", MAC " proxy");
	dhcp("PXE", ADDRESS " " MAC " lpxelinux.0");
	tftp("lpxelinux.0", 75072);
	assert_int_equal(stage_count(), 2);
	dhcp("PXE", MAC " proxy"); /* the plug was pulled */
	assert_int_equal(stage_count(), 1);
}

static void test_others_on_the_network(void **state)
{
	(void)state;
	vendor = "MSFT 5.0"; /* somebody's laptop */
	dhcp("DHCPDISCOVER", MAC);
	dhcp("DHCPACK", ADDRESS " " MAC);
	vendor = NULL;
	dhcp("DHCPDISCOVER", MAC);
	tftp("lpxelinux.0", 75072);
	assert_null(boots_json(boots, MAC, now));
}

static void test_an_address_goes_to_another(void **state)
{
	(void)state;
	bios();
	dhcp("DHCPDISCOVER", "52:54:00:77:00:09");
	dhcp("DHCPACK", ADDRESS " 52:54:00:77:00:09");
	http("vmlinuz", 200, 9000000);
	assert_string_equal(text_of("state"), "booting");
	assert_string_equal(text_of("address"), "");
	json_t *other = boots_json(boots, "52:54:00:77:00:09", now);
	assert_int_equal(json_array_size(json_object_get(other, "stages")), 2);
	json_decref(other);
	boots_form(boots, "52:54:00:77:00:0a", now); /* nobody's */
}

static void test_a_flood_is_bounded(void **state)
{
	(void)state;
	bios();
	for (unsigned i = 0; i < BOOTS_KEPT + 10; i++) {
		g_autofree char *mac = g_strdup_printf("02:00:00:00:%02x:%02x", i >> 8, i & 0xff);
		g_autofree char *behind = g_strdup_printf("10.80.%u.%u %s", i >> 8, i & 0xff, mac);
		now++;
		dhcp("DHCPDISCOVER", mac);
		dhcp("DHCPACK", behind);
	}
	assert_null(boots_json(boots, MAC, now));
	json_t *list = boots_troubles(boots, now);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	now += BOOTS_STUCK_MS + BOOTS_KEPT;
	list = boots_troubles(boots, now);
	assert_int_equal(json_array_size(list), BOOTS_KEPT);
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_whole_boot, begin, end),
		cmocka_unit_test_setup_teardown(test_a_plug_is_pulled, begin, end),
		cmocka_unit_test_setup_teardown(test_where_it_stopped, begin, end),
		cmocka_unit_test_setup_teardown(test_one_program_for_uefi, begin, end),
		cmocka_unit_test_setup_teardown(test_its_own_failure, begin, end),
		cmocka_unit_test_setup_teardown(test_ends_are_told, begin, end),
		cmocka_unit_test_setup_teardown(test_versions, begin, end),
		cmocka_unit_test_setup_teardown(test_a_restart, begin, end),
		cmocka_unit_test_setup_teardown(test_the_oldest_is_forgotten, begin, end),
		cmocka_unit_test_setup_teardown(test_a_missing_driver, begin, end),
		cmocka_unit_test_setup_teardown(test_a_driver_that_crashes, begin, end),
		cmocka_unit_test_setup_teardown(test_drivers_that_do_not_crash, begin, end),
		cmocka_unit_test_setup_teardown(test_reports_alone, begin, end),
		cmocka_unit_test_setup_teardown(test_beside_the_sites_own_dhcp, begin, end),
		cmocka_unit_test_setup_teardown(test_others_on_the_network, begin, end),
		cmocka_unit_test_setup_teardown(test_an_address_goes_to_another, begin, end),
		cmocka_unit_test_setup_teardown(test_a_flood_is_bounded, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
