/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carrel-virtd's pure parts: XML that is made and read, requests, agent lines, URIs. */
#include "broker/virt/domain_info.h"
#include "broker/virt/domain_xml.h"
#include "broker/virt/lines.h"
#include "broker/virt/mkfs.h"
#include "broker/virt/request.h"
#include "broker/virt/uri.h"
#include "broker/virt/virt.h"

#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct domain_spec spec(void)
{
	return (struct domain_spec){.desktop = 7,
		.image = "lite@20260301.1",
		.memory_mib = 2048,
		.vcpus = 2,
		.kernel = "/p/k",
		.initrd = "/p/i",
		.root = "/p/r",
		.cmdline = "quiet carrel.image=lite@20260301.1",
		.network = "none",
		.password = "abcdefgh"};
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is missing in %s", part, text);
}

static void assert_lacks(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" should not be in %s", part, text);
}

static void xml_is_what_a_desktop_needs(void **state)
{
	struct domain_spec s = spec();
	g_autofree char *xml = domain_xml(&s);

	(void)state;
	assert_has(xml, "<domain type='qemu'>");
	assert_has(xml, "<name>carrel-d7</name>");
	assert_has(xml, "<memory unit='MiB'>2048</memory><vcpu>2</vcpu>");
	assert_has(xml, "<readonly/><serial>root</serial>");
	assert_has(xml, "name='org.carrel.agent.0'");
	assert_has(xml, "passwd='abcdefgh' passwdValidTo='1970-01-01T00:00:01'");
	assert_has(xml, "<tb-cache unit='MiB'>128</tb-cache>");
	assert_has(xml, "<on_reboot>destroy</on_reboot>");
	assert_has(xml, "<memballoon model='none'/>");
	assert_has(xml, "id='7' image='lite@20260301.1'");
	assert_lacks(xml, "<interface");
	assert_lacks(xml, "kvm");
	s.kvm = true;
	g_autofree char *kvm = domain_xml(&s);
	assert_has(kvm, "<domain type='kvm'>");
	assert_has(kvm, "host-passthrough");
	assert_lacks(kvm, "tb-cache");
}

static void xml_escapes_everything(void **state)
{
	struct domain_spec s = spec();

	(void)state;
	s.image = s.kernel = s.initrd = s.root = s.cmdline = s.password = "a'/><evil b=\"&c";
	s.network = "network:a'/><evil/>";
	g_autofree char *xml = domain_xml(&s);
	g_autofree char *disk = domain_disk_xml(3, "a'/><evil/>", 0);
	g_autofree char *screen = domain_graphics_xml(5900, "a'/><evil/>", "b'/><evil/>", 1);
	g_autofree char *volume = volume_xml("<evil/>", 1);
	const char *all[] = {xml, disk, screen, volume};
	for (unsigned i = 0; i < G_N_ELEMENTS(all); i++) {
		GMarkupParser nothing = {.text = NULL};
		GMarkupParseContext *context = g_markup_parse_context_new(&nothing, 0, NULL, NULL);

		assert_lacks(all[i], "<evil");
		assert_true(g_markup_parse_context_parse(context, all[i], -1, NULL));
		assert_true(g_markup_parse_context_end_parse(context, NULL));
		g_markup_parse_context_free(context);
	}
}

static void xml_of_a_whole_disk(void **state)
{
	struct domain_spec s = spec();

	(void)state;
	s.kernel = s.initrd = s.root = s.cmdline = NULL;
	s.disk = "/p/base";
	s.overlay = "/p/over'<";
	g_autofree char *bios = domain_xml(&s);
	assert_has(bios, "<boot dev='hd'/>");
	assert_has(bios,
		"<source file='/p/over&apos;&lt;'/><backingStore type='file'>"
		"<format type='qcow2'/><source file='/p/base'/><backingStore/></backingStore>");
	assert_has(bios, "guest='carrel'");
	assert_lacks(bios, "<kernel");
	assert_lacks(bios, "firmware");
	assert_lacks(bios, "qemu:override");
	s.nvram = "/p/vars";
	s.qemu_ga = true;
	g_autofree char *uefi = domain_xml(&s);
	assert_has(uefi, "<os firmware='efi'>");
	assert_has(uefi, "<nvram>/p/vars</nvram>");
	assert_has(uefi, "guest='qemu-ga'");
	assert_has(uefi, "name='org.carrel.agent.0'/><alias name='ua-agent'/>");
	assert_has(uefi, "<qemu:device alias='ua-agent'>");
	assert_has(uefi, "value='org.qemu.guest_agent.0'");
	struct domain_info *info = domain_info_parse(uefi, strlen(uefi), NULL);
	assert_non_null(info);
	assert_true(info->guest && info->qemu_ga);
	assert_string_equal(info->image, "lite@20260301.1");
	assert_string_equal(info->disks[0].path, "/p/over'<");
	domain_info_free(info);
	g_autofree char *overlay = volume_overlay_xml("o<", 512, "/p/b<");
	assert_has(overlay, "<name>o&lt;</name><capacity unit='bytes'>512</capacity>");
	assert_has(overlay, "<backingStore><path>/p/b&lt;</path><format type='qcow2'/>");
}

static void xml_networks(void **state)
{
	struct domain_spec s = spec();

	(void)state;
	s.network = "network:carrel";
	g_autofree char *network = domain_xml(&s);
	assert_has(network, "<interface type='network'><source network='carrel'/>"
			    "<port isolated='yes'/>");
	s.network = "bridge:br0";
	g_autofree char *bridge = domain_xml(&s);
	assert_has(bridge, "<interface type='bridge'><source bridge='br0'/><port isolated='yes'/>");
}

static void xml_of_memory(void **state)
{
	struct domain_spec s = spec();

	(void)state;
	g_autofree char *hard = domain_xml(&s);
	assert_has(hard, "<memballoon model='none'/>");
	s.live = true;
	g_autofree char *live = domain_xml(&s);
	assert_has(live, "<memballoon model='virtio'/>");
}

static void xml_of_devices(void **state)
{
	(void)state;
	g_autofree char *disk = domain_disk_xml(12, "/v/home-12", 2);
	assert_has(disk, "<target dev='vdd' bus='virtio'/><serial>vol-12</serial>");
	assert_has(disk, "<alias name='ua-vol12'/>");
	assert_has(disk, "cache='none'");
	g_autofree char *screen = domain_graphics_xml(5901, "10.78.0.11", "secret12", 1767225600);
	assert_has(screen, "passwdValidTo='2026-01-01T00:00:00' connected='keep'");
	assert_has(screen, "port='5901'");
	assert_has(screen, "address='10.78.0.11'");
}

static void names(void **state)
{
	static const char *const others[] = {"carrel-d", "carrel-d0", "carrel-d01", "carrel-d1x",
		"carrel-d-1", "xcarrel-d1", "carrel-d99999999999999999999", "carrel-trial-1", ""};
	g_autofree char *name = domain_name(42);

	(void)state;
	assert_int_equal(domain_id(name), 42);
	for (unsigned i = 0; i < G_N_ELEMENTS(others); i++)
		assert_int_equal(domain_id(others[i]), 0);
}

static const char live[] =
	"<domain type='qemu' id='3'><name>carrel-d7</name><memory unit='KiB'>2097152</memory>"
	"<currentMemory unit='KiB'>1048577</currentMemory>"
	"<devices><memory "
	"model='virtio-mem'><target><currentMemory>9</currentMemory></target></memory>"
	"<memballoon model='virtio'/><disk type='file'><source file='/p/root'><seclabel/></source>"
	"<backingStore type='file'><source file='/p/below'/></backingStore>"
	"<target dev='vda'/><alias name='virtio-disk0'/></disk>"
	"<disk type='block'><source dev='/dev/v'/><target dev='vdc'/><alias name='ua-vol9'/></disk>"
	"<graphics type='spice' port='1'/><graphics type='vnc' port='5903' listen='10.78.0.11'>"
	"<listen type='address' address='10.78.0.11'/></graphics></devices></domain>";

static void live_xml_is_read(void **state)
{
	struct domain_info *info = domain_info_parse(live, strlen(live), NULL);

	(void)state;
	assert_non_null(info);
	assert_int_equal(info->desktop, 7);
	assert_int_equal(info->memory_mib, 1025);
	assert_int_equal(info->largest_mib, 2048);
	assert_true(info->balloon);
	assert_true(info->emulated);
	assert_int_equal(info->vnc_port, 5903);
	assert_string_equal(info->vnc_host, "10.78.0.11");
	assert_int_equal(info->disk_count, 2);
	assert_true(domain_info_has_path(info, "/p/root"));
	assert_false(domain_info_has_path(info, "/p/below"));
	assert_true(domain_info_has_path(info, "/dev/v"));
	assert_true(domain_info_has_alias(info, "ua-vol9"));
	assert_false(domain_info_has_alias(info, "ua-vol"));
	assert_int_equal(domain_info_free_slot(info), 0);
	domain_info_free(info);
}

static void memory_of_one_without_a_balloon_is_read(void **state)
{
	static const char text[] = "<domain type='kvm'><name>x</name><memory>4096</memory>"
				   "<devices><memballoon model='none'/></devices></domain>";
	struct domain_info *info = domain_info_parse(text, strlen(text), NULL);

	(void)state;
	assert_non_null(info);
	assert_int_equal(info->memory_mib, 4);
	assert_int_equal(info->largest_mib, 4);
	assert_false(info->balloon);
	assert_false(info->emulated);
	domain_info_free(info);
}

static void strange_xml_is_refused(void **state)
{
	(void)state;
	for (size_t cut = 0; cut + 1 < strlen(live); cut += 7) {
		g_autoptr(GError) error = NULL;

		assert_null(domain_info_parse(live, cut, &error));
		assert_true(g_error_matches(error, VIRT_ERROR, VIRT_ERROR_LIBVIRT));
	}
	assert_null(domain_info_parse("<network><name>n</name></network>", 33, NULL));
	assert_null(domain_info_parse("<domain/>", 9, NULL));
}

static struct request *parse(const char *text, GError **error)
{
	return request_new(json_loads(text, 0, NULL), error);
}

static void requests_are_unpacked(void **state)
{
	struct request *request =
		parse("{\"id\":3,\"op\":\"desktop-start\",\"desktop\":7,\"image\":\"lite@1\","
		      "\"memory_mib\":512,\"vcpus\":2,\"network\":\"network:carrel\"}",
			NULL);

	(void)state;
	assert_non_null(request);
	assert_int_equal(request->op, REQUEST_DESKTOP_START);
	assert_int_equal(request->id, 3);
	assert_int_equal(request->desktop, 7);
	assert_int_equal(request->memory_mib, 512);
	assert_string_equal(request->network, "network:carrel");
	request_free(request);
	request = parse(
		"{\"id\":4,\"op\":\"agent-send\",\"desktop\":7,\"message\":{\"op\":\"x\"}}", NULL);
	assert_non_null(request);
	assert_true(json_is_object(request->message));
	request_free(request);
}

static void bad_requests_are_refused(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"id\":1,\"op\":\"nothing\"}",
		"{\"op\":\"ping\"}",
		"{\"id\":1,\"op\":\"ping\",\"desktop\":1}",
		"{\"id\":1,\"op\":\"desktop-destroy\"}",
		"{\"id\":1,\"op\":\"desktop-destroy\",\"desktop\":0}",
		"{\"id\":1,\"op\":\"desktop-destroy\",\"desktop\":-1}",
		"{\"id\":1,\"op\":\"desktop-destroy\",\"desktop\":\"1\"}",
		"{\"id\":1,\"op\":\"desktop-destroy\",\"desktop\":1,\"more\":1}",
		"{\"id\":1,\"op\":\"image-ensure\",\"image\":\"lite\"}",
		"{\"id\":1,\"op\":\"image-ensure\",\"image\":\"../a@1\"}",
		"{\"id\":1,\"op\":\"image-ensure\",\"image\":\"a@..\"}",
		"{\"id\":1,\"op\":\"image-ensure\",\"image\":\"a@b@c\"}",
		"{\"id\":1,\"op\":\"ticket-set\",\"desktop\":1,\"password\":\"short\",\"seconds\":"
		"5}",
		"{\"id\":1,\"op\":\"ticket-set\",\"desktop\":1,\"password\":\"longer123\","
		"\"seconds\":5}",
		"{\"id\":1,\"op\":\"ticket-set\",\"desktop\":1,\"password\":\"with "
		"bl\",\"seconds\":5}",
		"{\"id\":1,\"op\":\"ticket-set\",\"desktop\":1,\"password\":\"ticket12\","
		"\"seconds\":0}",
		"{\"id\":1,\"op\":\"volume-create\",\"volume\":1,\"size_mib\":64,\"uid\":0,"
		"\"user\":\"r\"}",
		"{\"id\":1,\"op\":\"agent-send\",\"desktop\":1,\"message\":\"text\"}",
		"{\"id\":1,\"op\":\"desktop-resize\",\"desktop\":1,\"memory_mib\":512}",
		"{\"id\":1,\"op\":\"desktop-resize\",\"desktop\":1,\"memory_mib\":512,\"ms\":0}",
		"{\"id\":1,\"op\":\"desktop-resize\",\"desktop\":1,\"memory_mib\":8,\"ms\":9}",
	};

	(void)state;
	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;

		if (parse(bad[i], &error))
			fail_msg("taken: %s", bad[i]);
		assert_string_equal(virt_error_code(error), "bad-request");
	}
}

static void keep_line(void *user, const char *text, size_t length)
{
	GString *all = user;

	g_string_append_len(all, text, (gssize)length);
	g_string_append_c(all, '|');
}

static void lines_are_cut(void **state)
{
	struct lines *lines = g_new(struct lines, 1);
	g_autoptr(GString) all = g_string_new(NULL);
	g_autofree char *longest = g_strnfill(LINES_MAX, 'x');

	(void)state;
	lines_init(lines);
	lines_feed(lines, "\nab", 3, keep_line, all);
	lines_feed(lines, "c\n\n", 3, keep_line, all);
	lines_feed(lines, "d\ne", 3, keep_line, all);
	assert_string_equal(all->str, "abc|d|");
	/* "e" and so many bytes are one line too long: it is dropped whole, the next one is not. */
	lines_feed(lines, longest, LINES_MAX, keep_line, all);
	lines_feed(lines, longest, LINES_MAX, keep_line, all);
	assert_int_equal(lines->dropped, 1);
	lines_feed(lines, "tail\nf\n", 7, keep_line, all);
	assert_string_equal(all->str, "abc|d|f|");
	g_string_truncate(all, 0);
	lines_feed(lines, longest, LINES_MAX - 1, keep_line, all);
	lines_feed(lines, "\n", 1, keep_line, all);
	assert_int_equal(all->len, LINES_MAX);
	g_free(lines);
	assert_null(lines_object("[1]", 3));
	assert_null(lines_object("{\"a\":1,\"a\":2}", 13));
	assert_null(lines_object("{\"a\":\"\xff\"}", 9));
	json_t *good = lines_object("{\"a\":1}", 7);
	assert_non_null(good);
	json_decref(good);
}

static void uris(void **state)
{
	g_autoptr(GError) error = NULL;

	(void)state;
	g_autofree char *plain =
		uri_complete("qemu+tls://10.78.0.11/system", "/etc/carrel/pki/libvirt");
	assert_string_equal(plain, "qemu+tls://10.78.0.11/system?pkipath=/etc/carrel/pki/libvirt");
	g_autofree char *query = uri_complete("qemu+tls://h/system?x=1", "/p");
	assert_string_equal(query, "qemu+tls://h/system?x=1&pkipath=/p");
	g_autofree char *own = uri_complete("qemu+tls://h/system?pkipath=/q", "/p");
	assert_string_equal(own, "qemu+tls://h/system?pkipath=/q");
	g_autofree char *local = uri_complete("qemu:///system", "/p");
	assert_string_equal(local, "qemu:///system");
	g_autofree char *ssh = uri_complete("qemu+ssh://root@h/system", "/p");
	assert_string_equal(ssh, "qemu+ssh://root@h/system");
	g_autofree char *host = uri_host("qemu+tls://10.78.0.11:1/system");
	assert_string_equal(host, "10.78.0.11");
	assert_null(uri_host("qemu:///system"));
	assert_true(uri_probe("qemu:///system", 1, NULL));
	/* Nothing listens on port 1 of the loopback. */
	assert_false(uri_probe("qemu+tls://127.0.0.1:1/system", 1000, &error));
	assert_string_equal(virt_error_code(error), "unreachable");
}

static void file_system_is_made_and_known(void **state)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *program = g_find_program_in_path("mke2fs");
	unsigned char head[MKFS_HEAD] = {0};
	int fd;

	(void)state;
	assert_false(mkfs_was_used(head, sizeof(head)));
	head[0] = 1;
	assert_true(mkfs_was_used(head, sizeof(head)));
	if (!program && access("/usr/sbin/mke2fs", X_OK) != 0)
		skip();
	fd = mkfs_ext4(64 << 20, "home-7", 20001, 20002, &error);
	if (fd < 0)
		fail_msg("%s", error->message);
	assert_int_equal(lseek(fd, 0, SEEK_END), 64 << 20);
	assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
	assert_false(mkfs_was_used(head, sizeof(head)));
	assert_memory_equal(head + 1024 + 0x78, "home-7", 7);
	assert_true(mkfs_is_fresh(head, sizeof(head), "home-7", 20001));
	assert_false(mkfs_is_fresh(head, sizeof(head), "home-8", 20001));
	assert_false(mkfs_is_fresh(head, sizeof(head), "home-7", 20002));
	assert_false(mkfs_is_fresh(head, 1024, "home-7", 20001));
	head[1024 + 0x34] = 1; /* mounted once */
	assert_true(mkfs_was_used(head, sizeof(head)));
	assert_false(mkfs_is_fresh(head, sizeof(head), "home-7", 20001));
	close(fd);
	assert_int_equal(mkfs_ext4(4096, "home-8", 1, 1, &error), -1);
	assert_string_equal(virt_error_code(error), "storage");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(xml_is_what_a_desktop_needs),
		cmocka_unit_test(xml_escapes_everything),
		cmocka_unit_test(xml_of_a_whole_disk),
		cmocka_unit_test(xml_networks),
		cmocka_unit_test(xml_of_memory),
		cmocka_unit_test(xml_of_devices),
		cmocka_unit_test(names),
		cmocka_unit_test(live_xml_is_read),
		cmocka_unit_test(memory_of_one_without_a_balloon_is_read),
		cmocka_unit_test(strange_xml_is_refused),
		cmocka_unit_test(requests_are_unpacked),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(lines_are_cut),
		cmocka_unit_test(uris),
		cmocka_unit_test(file_system_is_made_and_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
