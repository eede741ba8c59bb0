/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the client's init reads and writes: sums, module tables, lease file, stages, uevents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client-initrd/dhcpc.h"
#include "client-initrd/modules.h"
#include "client-initrd/report.h"
#include "client-initrd/screen.h"
#include "client-initrd/sha256.h"
#include "client-initrd/uevent.h"
#include "client-initrd/util.h"

static char folder[64];

static const char *in_folder(const char *name)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/carrel-test-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	static const char *const names[] = {
		"modules.dep", "modules.alias", "here.ko", "network", "boot.json"};
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlink(in_folder(names[i]));
	return rmdir(folder);
}

static void put(const char *name, const char *text)
{
	assert_int_equal(util_write_file(in_folder(name), text, strlen(text)), 0);
}

/* The examples of FIPS 180-4, and pieces of every size. */
static void test_sha256(void **state)
{
	static char million[1000000];
	char text[65], again[65];
	struct sha256 sum;
	(void)state;
	sha256_init(&sum);
	sha256_update(&sum, "abc", 3);
	sha256_hex(&sum, text);
	assert_string_equal(
		text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256_init(&sum);
	sha256_hex(&sum, text);
	assert_string_equal(
		text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	memset(million, 'a', sizeof million);
	sha256_init(&sum);
	sha256_update(&sum, million, sizeof million);
	sha256_hex(&sum, text);
	assert_string_equal(
		text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	for (size_t length = 0; length < 200; length++) {
		struct sha256 whole, pieces;
		sha256_init(&whole);
		sha256_init(&pieces);
		sha256_update(&whole, million, length);
		for (size_t at = 0; at < length;) {
			size_t take = at % 7 + 1 < length - at ? at % 7 + 1 : length - at;
			sha256_update(&pieces, million + at, take);
			at += take;
		}
		sha256_hex(&whole, text);
		sha256_hex(&pieces, again);
		assert_string_equal(text, again);
	}
}

static void test_modules(void **state)
{
	struct modules modules;
	(void)state;
	put("modules.dep", "kernel/net/a-b.ko: kernel/lib/c.ko kernel/lib/d.ko\n"
			   "kernel/lib/c.ko: kernel/lib/d.ko\nkernel/lib/d.ko:\nnonsense\n");
	put("modules.alias",
		"# comment\nalias pci:v00008086d*sv* a_b\nalias crc32 c\nalias broken\n");
	assert_int_equal(modules_open(&modules, folder), 0);
	assert_int_equal(modules.count, 3);
	assert_int_equal(modules.alias_count, 2);
	assert_int_equal(modules_find(&modules, "a_b"), 0);
	assert_int_equal(modules_find(&modules, "a-b"), 0);
	assert_int_equal(modules_find(&modules, "b"), -1);
	assert_int_equal(modules_find(&modules, "a_b_c"), -1);
	assert_int_equal(modules_load(&modules, "built_in"), 0);
	/* there are no files: what is tried, and in what order, shows in the marks */
	const char *const skip[] = {"/net/", NULL};
	modules_load_alias(&modules, "pci:v00008086d1234sv0", skip);
	assert_false(modules.items[0].tried);
	modules_load_alias(&modules, "pci:v00008087d1234sv0", NULL);
	assert_false(modules.items[0].tried);
	modules_load_alias(&modules, "pci:v00008086d1234sv0", NULL);
	assert_true(modules.items[0].tried && modules.items[1].tried && modules.items[2].tried);
	modules_free(&modules);
	assert_true(modules_open(&modules, "/nonexistent") < 0);
	assert_int_equal(modules_find(&modules, "c"), -1);
	modules_free(&modules);
}

static void test_module_parameters(void **state)
{
	static const struct {
		const char *cmdline, *module, *parameters;
	} cases[] = {{"quiet i915.a=1 i9150.b=2 xi915.c=3 i915.d=4\n", "i915", "a=1 d=4"},
		{"snd-hda-intel.x=1 snd_hda_intel.y=2", "snd_hda_intel", "x=1 y=2"},
		{"snd-hda-intel.x=1", "snd-hda-intel", "x=1"}, {"i915 i915. .a=1", "i915", ""},
		{"", "i915", ""}, {"a.b=1", "", ""},
		{"m.a=123456 m.b=123456789012345 m.c=1", "m", "a=123456 c=1"}};
	char text[20];
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(
			modules_parameters(cases[i].cmdline, cases[i].module, text, sizeof text),
			cases[i].parameters);
}

static char asked[512]; /* the modules that were to be got, in order */

static int cannot_be_got(void *context, const char *path, char **content, size_t *size)
{
	(void)context, (void)content, (void)size;
	const char *name = strrchr(path, '/') + 1;
	snprintf(asked + strlen(asked), sizeof asked - strlen(asked), "%s ", name);
	return -EIO;
}

static const char *asks_for(struct modules *modules, const char *modalias)
{
	asked[0] = '\0';
	modules_load_alias(modules, modalias, NULL);
	return asked;
}

/* Aliases as Debian's kernel 6.1 has them; cards as QEMU's and real ones say who they are. */
static void test_modules_that_are_not_here(void **state)
{
	struct modules modules;
	(void)state;
	put("modules.dep",
		"gpu/amdgpu.ko: gpu/drm_buddy.ko\ngpu/drm_buddy.ko:\ngpu/i915.ko:\n"
		"gpu/nouveau.ko:\ngpu/radeon.ko: here.ko gpu/ttm.ko\ngpu/ttm.ko:\nhere.ko:\n");
	put("modules.alias", "alias pci:v00001002d*sv*sd*bc03sc80i00* amdgpu\n"
			     "alias pci:v00001002d*sv*sd*bc03sc00i00* amdgpu\n"
			     "alias pci:v00001002d000067DFsv*sd*bc*sc*i* amdgpu\n"
			     "alias pci:v00001002d00006610sv*sd*bc*sc*i* amdgpu\n"
			     "alias pci:v00008086d00003EA0sv*sd*bc03sc*i* i915\n"
			     "alias pci:v000010DEd*sv*sd*bc03sc*i* nouveau\n"
			     "alias pci:v00001002d00006610sv*sd*bc*sc*i* radeon\n"
			     "alias pci:v00001002d00005159sv*sd*bc*sc*i* radeon\n"
			     "alias pci:v00001002d* here\n");
	put("here.ko", "no module");
	assert_int_equal(modules_open(&modules, folder), 0);
	modules.absent = cannot_be_got;
	/* what a driver needs first; what cannot be got is asked for again, without what needs it
	 */
	for (int i = 0; i < 2; i++)
		assert_string_equal(
			asks_for(&modules, "pci:v00001002d000067DFsv00001002sd00000B00bc03sc00i00"),
			"drm_buddy.ko ");
	assert_true(modules.items[modules_find(&modules, "here")].tried);
	/* a card of today, which only its class says it is */
	assert_string_equal(
		asks_for(&modules, "pci:v00001002d0000744Csv00001002sd00000E3Bbc03sc00i00"),
		"drm_buddy.ko ");
	/* radeon names this card, amdgpu only its maker: not a second driver is fetched for it */
	assert_string_equal(
		asks_for(&modules, "pci:v00001002d00005159sv00001AF4sd00001100bc03sc00i00"),
		"ttm.ko ");
	/* this one both have */
	assert_string_equal(
		asks_for(&modules, "pci:v00001002d00006610sv00001043sd000004A0bc03sc00i00"),
		"drm_buddy.ko ttm.ko ");
	assert_string_equal(
		asks_for(&modules, "pci:v00008086d00003EA0sv00001028sd00000869bc03sc00i00"),
		"i915.ko ");
	assert_string_equal(
		asks_for(&modules, "pci:v000010DEd00001C82sv00001043sd00008613bc03sc00i00"),
		"nouveau.ko ");
	assert_string_equal(
		asks_for(&modules, "pci:v000010DEd00000FB9sv00001043sd00008613bc04sc03i00"), "");
	/* where there is no pack, nothing can be got */
	modules.absent = NULL;
	assert_string_equal(
		asks_for(&modules, "pci:v00008086d00003EA0sv00001028sd00000869bc03sc00i00"), "");
	modules_free(&modules);
}

static void test_lease_file(void **state)
{
	struct boot out = {.interface = "eth0", .mac = "52:54:00:01:02:03", .lease_start_ms = 4321};
	struct boot in = {0};
	(void)state;
	out.lease = (struct dhcp_lease){.address = 0x0a4d0064,
		.mask = 0xffffff00,
		.server = 0x0a4d0001,
		.lease_s = 3600,
		.renew_s = 1800,
		.rebind_s = 3150};
	assert_int_equal(dhcpc_save(&out, in_folder("network")), 0);
	assert_int_equal(dhcpc_restore(&in, in_folder("network")), 0);
	assert_memory_equal(&in.lease, &out.lease, sizeof in.lease);
	assert_string_equal(in.interface, "eth0");
	assert_string_equal(in.mac, out.mac);
	assert_int_equal(in.lease_start_ms, 4321);
	memset(&in, 0, sizeof in);
	put("network", "interface=eth0\nnonsense\nlease=x\n");
	assert_true(dhcpc_restore(&in, in_folder("network")) < 0);
}

static void test_stages(void **state)
{
	char object[512], text[8300];
	(void)state;
	assert_true(report_format(object, sizeof object, "52:54:00:01:02:03", "fetch", 4817,
			    8499200, NULL) > 0);
	assert_string_equal(object, "{\"mac\":\"52:54:00:01:02:03\",\"stage\":\"fetch\",\"ms\":"
				    "4817,\"bytes\":8499200}");
	assert_true(report_format(object, sizeof object, "a\"\\\n\x80", "failed", 1, 0,
			    "CARREL-B05") > 0);
	assert_string_equal(object, "{\"mac\":\"a\\\"\\\\\?\?\",\"stage\":\"failed\",\"ms\":1,"
				    "\"error\":\"CARREL-B05\"}");
	assert_int_equal(report_format(object, 20, "52:54:00:01:02:03", "fetch", 1, 0, NULL), -1);
	assert_int_equal(report_keep(in_folder("boot.json"), "{\"a\":1}"), 0);
	assert_int_equal(report_keep(in_folder("boot.json"), "{\"b\":2}"), 0);
	util_read_file(in_folder("boot.json"), text, sizeof text);
	assert_string_equal(text, "[{\"a\":1},{\"b\":2}]");
	/* when it is full, what is there stays whole */
	while (report_keep(in_folder("boot.json"), "{\"ccccccccccccccccccccccccccccc\":3}") == 0) {
	}
	ssize_t n = util_read_file(in_folder("boot.json"), text, sizeof text);
	assert_in_range(n, 8000, 8192);
	assert_int_equal(text[n - 1], ']');
}

static void test_uevent(void **state)
{
	static const char add[] =
		"add@/devices/x\0ACTION=add\0MODALIAS=usb:v1\0DEVNAME=input/event3";
	static const char bad[] = "add@/devices/x\0DEVNAME=../etc/passwd";
	static const char firmware[] =
		"add@/devices/x\0DEVPATH=/devices/pci0/firmware/radeon!R100_cp.bin\0"
		"FIRMWARE=radeon/R100_cp.bin";
	static const char elsewhere[] = "add@/devices/x\0DEVPATH=/../proc\0FIRMWARE=x";
	struct uevent event;
	(void)state;
	assert_true(uevent_parse(add, sizeof add, &event));
	assert_true(event.add);
	assert_string_equal(event.modalias, "usb:v1");
	assert_string_equal(event.node, "input/event3");
	assert_string_equal(event.firmware, "");
	assert_true(uevent_parse(firmware, sizeof firmware, &event));
	assert_string_equal(event.firmware, "radeon/R100_cp.bin");
	assert_string_equal(event.device, "/devices/pci0/firmware/radeon!R100_cp.bin");
	assert_true(uevent_parse(elsewhere, sizeof elsewhere, &event));
	assert_string_equal(event.firmware, "");
	assert_false(uevent_parse(add, sizeof add - 1, &event));
	assert_false(uevent_parse("", 0, &event));
	assert_false(uevent_parse("libudev", 8, &event));
	assert_true(uevent_parse(bad, sizeof bad, &event));
	assert_string_equal(event.node, "");
}

static void test_backoff(void **state)
{
	static const int expected[] = {5, 5, 10, 20, 40, 60, 60};
	(void)state;
	for (unsigned i = 0; i < 7; i++)
		assert_in_range(screen_backoff(i), expected[i], expected[i] * 3 / 2);
	/* PCs that fail together do not all come back together */
	bool different = false;
	for (int i = 0; i < 200; i++) {
		int seconds = screen_backoff(100000);
		assert_in_range(seconds, 60, 90);
		different |= seconds != screen_backoff(100000);
	}
	assert_true(different);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_sha256),
		cmocka_unit_test_setup_teardown(test_modules, set_up, tear_down),
		cmocka_unit_test(test_module_parameters),
		cmocka_unit_test_setup_teardown(test_modules_that_are_not_here, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lease_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stages, set_up, tear_down),
		cmocka_unit_test(test_uevent), cmocka_unit_test(test_backoff)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
