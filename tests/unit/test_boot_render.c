/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is rendered, which NFS server is chosen, and how generations come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "bootserver/commands.h"
#include "bootserver/error.h"
#include "bootserver/render.h"
#include "bootserver/template.h"
#include "bootserver/tree.h"
#include "client-initrd/params.h"
#include "tests/unit/links.h"

#define SUM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct image image = {.name = (char *)"client",
	.version = (char *)"20260301.1",
	.files = {[IMAGE_ROOT] = {.name = (char *)"root", .size = 8192, .sha256 = (char *)SUM}},
	.data_blocks = 1,
	.root_hash = (char *)SUM,
	.salt = (char *)"abcd",
	.cmdline = (char *)"quiet"};

static struct conf *make_conf(const char *text)
{
	g_autoptr(GPtrArray) problems = conf_problems_new();
	g_autoptr(GArray) links = links_of_boot_server();
	struct conf *conf = conf_parse("test", text, strlen(text), links, problems);
	assert_non_null(conf);
	return conf;
}

static void test_template(void **state)
{
	GHashTable *values = g_hash_table_new(g_str_hash, g_str_equal);
	GError *error = NULL;
	(void)state;
	g_hash_table_insert(values, (char *)"A_1", (char *)"x@B@y");
	g_hash_table_insert(values, (char *)"BAD", (char *)"x\ny");
	char *text = template_fill("t", "@A_1@ a@b @ @@ @a@ @A_1", values, &error);
	assert_string_equal(text, "x@B@y a@b @ @@ @a@ @A_1");
	g_free(text);
	assert_null(template_fill("t", "@UNKNOWN@", values, &error));
	assert_non_null(strstr(error->message, "@UNKNOWN@ has no value"));
	g_clear_error(&error);
	assert_null(template_fill("t", "@BAD@", values, &error));
	g_clear_error(&error);
	g_hash_table_unref(values);
}

static void test_nfs(void **state)
{
	static const struct {
		const char *wish;
		struct nfs_host host; /* nfsd, exportfs, ganesha, exportable */
		int kind;             /* or -1: refused */
	} cases[] = {{"auto", {1, 1, 1, 1}, NFS_KERNEL}, {"auto", {1, 0, 1, 1}, NFS_GANESHA},
		{"auto", {0, 1, 1, 1}, NFS_GANESHA}, {"auto", {0, 0, 0, 1}, NFS_OFF},
		{"auto", {1, 1, 1, 0}, NFS_OFF}, {"kernel", {1, 1, 0, 1}, NFS_KERNEL},
		{"kernel", {0, 1, 1, 1}, -1}, {"kernel", {1, 0, 1, 1}, -1},
		{"ganesha", {1, 1, 1, 1}, NFS_GANESHA}, {"ganesha", {1, 1, 0, 1}, -1},
		{"ganesha", {0, 0, 1, 0}, -1}, {"off", {1, 1, 1, 1}, NFS_OFF},
		{"off", {0, 0, 0, 0}, NFS_OFF}};
	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		enum nfs_kind kind;
		GError *error = NULL;
		g_autofree char *why = NULL;
		gboolean good = nfs_choose(cases[i].wish, &cases[i].host, &kind, &why, &error);
		assert_int_equal(good ? (int)kind : -1, cases[i].kind);
		assert_true(good ? why && *why : error->code == BOOTCONF_CONFIG);
		g_clear_error(&error);
	}
}

/* What the one side writes the other side reads. */
static void test_cmdline(void **state)
{
	struct conf *conf = make_conf("[boot]\nkernel_options=console=ttyS0\n[paths]\nstate=/s\n");
	struct site site = {.conf = conf, .boot = "/s/boot", .nfs = NFS_GANESHA};
	struct params params;
	(void)state;
	char *line = render_cmdline(&site, &image, "");
	assert_true(g_str_has_suffix(line, " quiet console=ttyS0"));
	assert_null(params_parse(line, &params));
	assert_int_equal(params.server, 0x0a4d0001);
	assert_int_equal(params.nfs_server, 0x0a4d0001);
	assert_string_equal(params.nfs_path, "/client");
	g_autofree char *more = render_cmdline(&site, &image, "acpi=off");
	assert_true(g_str_has_prefix(more, line) && g_str_has_suffix(more, "ttyS0 acpi=off"));
	assert_null(params_parse(more, &params));
	assert_string_equal(params.root, "client-20260301.1.root");
	g_free(line);
	site.nfs = NFS_KERNEL;
	line = render_cmdline(&site, &image, "");
	assert_null(params_parse(line, &params));
	assert_string_equal(params.nfs_path, "/s/boot/http/images");
	g_free(line);
	site.nfs = NFS_OFF;
	line = render_cmdline(&site, &image, "");
	assert_null(params_parse(line, &params));
	assert_int_equal(params.nfs_server, 0);
	g_free(line);
	conf_free(conf);
}

static void test_site(void **state)
{
	static const char *const bad[] = {
		"[boot]\nimage=A_b\n", "[paths]\nstate=/a b\n", "[paths]\nrun=/a;b\n"};
	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		struct conf *conf = make_conf(bad[i]);
		struct site site = {.conf = conf, .boot = "/s"};
		GError *error = NULL;
		assert_false(render_check_site(&site, &error));
		assert_int_equal(error->code, BOOTCONF_CONFIG);
		g_clear_error(&error);
		conf_free(conf);
	}
	struct conf *conf = make_conf("");
	struct site site = {.conf = conf, .boot = "/s"};
	assert_true(render_check_site(&site, NULL));
	conf_free(conf);
	/* an interface that is not there */
	GError *error = NULL;
	site.conf = conf = make_conf("[network]\nclient_interface=eth7\n");
	assert_false(render_check_site(&site, &error));
	assert_non_null(strstr(error->message, "no interface eth7, it has: eth0, eth1"));
	g_clear_error(&error);
	conf_free(conf);
}

static void check_no_ipv6(const struct site *site)
{
	g_autofree char *commands = commands_text(site);
	assert_null(strstr(commands, "setup-ipv6"));
	assert_non_null(strstr(commands, "dnsmasq\t"));
}

/* Without a driver a BIOS PC has the screen that PXELINUX has set. */
static void check_menus(const struct site *site)
{
	static const struct {
		const char *kernel, *first;
	} cases[] = {{"", "APPEND carrel."}, {"nomodeset", "APPEND vga=791 carrel."},
		{"vga=ask nomodeset", "APPEND carrel."}, {"i915.modeset=0", "APPEND carrel."}};
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct tree_menus menus;
		g_autofree char *end = g_strdup_printf(" %s\n  SYSAPPEND 2\n", cases[i].kernel);
		assert_true(render_menus(site, &image, cases[i].kernel, &menus, NULL));
		const char *append = strstr(menus.pxelinux, "APPEND");
		assert_true(g_str_has_prefix(append, cases[i].first));
		if (*cases[i].kernel)
			assert_non_null(strstr(append, end));
		assert_null(menus.grub);
		tree_menus_clear(&menus);
	}
}

static void check_shim(const char *dhcp, const char *boots_shim)
{
	g_autofree char *text = g_strdup_printf(
		"[network]\ndhcp=%s\n[boot]\nuefi=shim\nkernel_options=a;$b\n", dhcp);
	struct conf *conf = make_conf(text);
	struct site site = {.conf = conf, .boot = "/s/boot", .templates = "bootserver/templates"};
	struct tree_menus menus;
	assert_true(render_check_site(&site, NULL));
	GHashTable *files = render_all(&site, &image, NULL);
	assert_non_null(files);
	const char *dnsmasq = g_hash_table_lookup(files, RENDER_DNSMASQ);
	assert_non_null(strstr(dnsmasq, boots_shim));
	assert_null(strstr(dnsmasq, "tag:efi64," TREE_EFI));
	const char *menu = g_hash_table_lookup(files, RENDER_GRUB);
	assert_non_null(
		strstr(menu, "\nlinux /boot/20260301.1/vmlinuz 'carrel.server=10.77.0.1' "));
	assert_non_null(strstr(menu, " 'quiet' 'a;$b'\n"));
	assert_true(render_menus(&site, &image, "acpi=off", &menus, NULL));
	assert_non_null(strstr(menus.grub, " 'a;$b' 'acpi=off'\n"));
	tree_menus_clear(&menus);
	g_hash_table_unref(files);
	conf_free(conf);
}

/* UEFI PCs by PXE start Debian's programs; HTTP Boot goes on with the site's own. */
static void test_shim(void **state)
{
	GError *error = NULL;
	(void)state;
	check_shim("own", "dhcp-boot=tag:efihttp,http://10.77.0.1:80/boot/" TREE_EFI "\n");
	check_shim("own", "\ndhcp-boot=tag:efi64," TREE_SHIM "\n");
	check_shim("own", "::1]/" TREE_SHIM "\n");
	check_shim("proxy", "\npxe-service=X86-64_EFI,\"Carrel\"," TREE_SHIM "\n");
	struct conf *conf = make_conf("[boot]\nuefi=shim\nkernel_options=a=\"b\"\n");
	struct site site = {.conf = conf, .boot = "/s/boot"};
	assert_false(render_check_site(&site, &error));
	assert_non_null(strstr(error->message, "no quotation marks"));
	g_clear_error(&error);
	conf_free(conf);
	g_autofree char *boot = g_dir_make_tmp("carrel-test-XXXXXX", NULL);
	const struct tree_programs missing = {
		.pxelinux = "/usr/lib/PXELINUX:bootserver/templates", .shim = boot};
	const struct tree_menus menus = {.pxelinux = (char *)"menu", .grub = (char *)"menu"};
	assert_false(tree_write_variant(boot, "variant/1", &menus, &missing, &error));
	assert_non_null(strstr(error->message, "install the packages"));
	g_clear_error(&error);
	tree_remove(boot);
}

static void test_files_and_commands(void **state)
{
	struct conf *conf = make_conf("[boot]\nhttp_port=8080\n");
	struct site site = {.conf = conf,
		.boot = "/s/boot",
		.nfs = NFS_KERNEL,
		.templates = "bootserver/templates"};
	GError *error = NULL;
	(void)state;
	GHashTable *files = render_all(&site, &image, &error);
	assert_non_null(files);
	assert_int_equal(g_hash_table_size(files), 4);
	assert_non_null(strstr(g_hash_table_lookup(files, RENDER_NGINX), "listen 10.77.0.1:8080;"));
	assert_non_null(strstr(g_hash_table_lookup(files, RENDER_EXPORTS),
		"/s/boot/http/images 10.77.0.0/24(ro,all_squash,"));
	assert_non_null(strstr(g_hash_table_lookup(files, RENDER_PXELINUX),
		"http://10.77.0.1:8080/boot/20260301.1/vmlinuz"));
	assert_null(g_hash_table_lookup(files, RENDER_GANESHA));
	g_hash_table_unref(files);
	check_menus(&site);
	char *commands = commands_text(&site);
	assert_non_null(strstr(commands, "setup-nfs\t/usr/sbin/exportfs -o ro,"));
	assert_non_null(strstr(commands, "dnsmasq\t/usr/sbin/dnsmasq --keep-in-foreground "));
	g_free(commands);
	site.nfs = NFS_GANESHA;
	commands = commands_text(&site);
	assert_non_null(strstr(commands, "\nnfs\t/usr/bin/ganesha.nfsd -F "));
	/* a unit's standard error is a socket, which cannot be opened by a name */
	assert_non_null(strstr(commands, " -L STDERR "));
	g_free(commands);
	struct conf *proxy = make_conf("[network]\ndhcp=proxy\nclient_address=10.9.8.7/20\n");
	site.conf = proxy;
	files = render_all(&site, &image, &error);
	assert_non_null(files);
	const char *dnsmasq = g_hash_table_lookup(files, RENDER_DNSMASQ);
	assert_non_null(strstr(dnsmasq, "\ndhcp-range=10.9.0.0,proxy,255.255.240.0\n"));
	assert_null(strstr(strstr(dnsmasq, "dhcp-range=") + 1, "dhcp-range="));
	assert_null(strstr(dnsmasq, "enable-ra"));
	assert_null(strstr(dnsmasq, "bootfile-url"));
	assert_null(strstr(dnsmasq, "authoritative"));
	g_hash_table_unref(files);
	check_no_ipv6(&site);
	site.conf = conf;
	conf_free(proxy);
	site.templates = "/nonexistent";
	assert_null(render_all(&site, &image, &error));
	assert_non_null(strstr(error->message, "--templates"));
	g_clear_error(&error);
	conf_free(conf);
}

static void make_efi(const char *boot, const char *name, const char *served, const char *version)
{
	g_autofree char *folder = g_build_filename(boot, "gen", name, NULL);
	g_autofree char *efi_name =
		g_strdup_printf("carrel-%s%s.efi", name, strcmp(served, TREE_TFTP) ? "v" : "");
	g_autofree char *efi = tree_efi_path(boot, version, efi_name);
	assert_true(g_file_set_contents(efi, "x", 1, NULL));
	assert_true(tree_link_efi(folder, served, version, efi_name, NULL));
}

/* All PCs boot `version`, one other boots it with options of its own. */
static void make_generation(const char *boot, const char *name, const char *version)
{
	g_autoptr(GPtrArray) versions = g_ptr_array_new();
	g_autofree char *served = tree_variant(1);
	g_autoptr(GHashTable) texts = g_hash_table_new(g_str_hash, g_str_equal);
	g_autofree char *folder = g_build_filename(boot, "gen", name, NULL);
	g_autofree char *programs = g_build_filename(boot, "programs", NULL);
	g_autofree char *images = g_build_filename(boot, "http/boot", version, NULL);
	g_autofree char *root = g_strdup_printf("%s/http/images/client-%s.root", boot, version);
	static const char *const names[] = {"lpxelinux.0", "ldlinux.c32"};
	g_mkdir_with_parents(programs, 0755);
	for (int i = 0; i < 2; i++) {
		g_autofree char *path = g_build_filename(programs, names[i], NULL);
		assert_true(g_file_set_contents(path, "x", 1, NULL));
	}
	g_hash_table_insert(texts, (char *)RENDER_PXELINUX, (char *)name);
	g_ptr_array_add(versions, (char *)version);
	const struct tree_programs found = {.pxelinux = programs};
	const struct tree_menus menus = {.pxelinux = (char *)"menu"};
	assert_true(tree_write(folder, texts, &found, versions, NULL));
	assert_true(tree_write_variant(folder, served, &menus, &found, NULL));
	assert_true(tree_link_seat(folder, "52:54:00:77:00:01", served, NULL));
	g_mkdir_with_parents(images, 0755);
	for (int i = 0; i < 2; i++) {
		g_autofree char *path = g_build_filename(images, i ? "vmlinuz" : "initrd", NULL);
		assert_true(g_file_set_contents(path, "x", 1, NULL));
	}
	assert_true(g_file_set_contents(root, "x", 1, NULL));
	make_efi(boot, name, TREE_TFTP, version);
	make_efi(boot, name, served, version);
}

static gboolean is_there(const char *boot, const char *name)
{
	g_autofree char *path = g_build_filename(boot, name, NULL);
	return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void test_generations(void **state)
{
	g_autofree char *boot = g_dir_make_tmp("carrel-test-XXXXXX", NULL);
	GError *error = NULL;
	(void)state;
	assert_true(tree_prepare(boot, TRUE, NULL));
	assert_int_equal(tree_next(boot), 1);
	make_generation(boot, "1", "20260301.9");
	make_generation(boot, "2", "20260301.10");
	make_generation(boot, "3", "20260301.11");
	make_generation(boot, "4", "20260301.12");
	assert_int_equal(tree_next(boot), 5);
	assert_true(tree_switch(boot, "1", NULL));
	assert_null(tree_linked(boot, TREE_PREVIOUS));
	assert_true(tree_switch(boot, "4", NULL));
	g_autofree char *previous = tree_linked(boot, TREE_PREVIOUS);
	assert_string_equal(previous, "1");
	g_autofree char *half = tree_efi_path(boot, "20260301.12", "carrel-0.efi.plain");
	assert_true(g_file_set_contents(half, "x", 1, NULL));
	tree_prune(boot);
	assert_false(g_file_test(half, G_FILE_TEST_EXISTS));
	/* kept: the two generations, their versions, the two newest versions */
	assert_true(is_there(boot, "gen/1") && is_there(boot, "gen/4"));
	assert_false(is_there(boot, "gen/2") || is_there(boot, "gen/3"));
	assert_true(is_there(boot, "http/boot/20260301.9") &&
		    is_there(boot, "http/boot/20260301.11") &&
		    is_there(boot, "http/boot/20260301.12"));
	assert_false(is_there(boot, "http/boot/20260301.10"));
	assert_false(is_there(boot, "http/images/client-20260301.10.root"));
	assert_true(is_there(boot, "http/images/client-20260301.9.root"));
	/* of EFI programs those that one of the two leads to, whatever version they are of */
	assert_true(is_there(boot, "http/boot/20260301.9/carrel-1.efi") &&
		    is_there(boot, "gen/1/tftp/" TREE_EFI) &&
		    is_there(boot, "gen/1/tftp/52-54-00-77-00-01/" TREE_EFI) &&
		    is_there(boot, "gen/1/tftp/52-54-00-77-00-01/boot/20260301.9/vmlinuz"));
	assert_false(is_there(boot, "http/boot/20260301.11/carrel-3.efi"));
	assert_false(is_there(boot, "http/boot/20260301.11/carrel-3v.efi"));
	/* back, and forth again */
	assert_true(tree_check_generation(boot, "1", NULL));
	assert_true(tree_switch(boot, "1", NULL));
	g_autofree char *now = tree_linked(boot, TREE_CURRENT);
	g_autofree char *before = tree_linked(boot, TREE_PREVIOUS);
	assert_string_equal(now, "1");
	assert_string_equal(before, "4");
	assert_false(tree_check_generation(boot, "2", &error));
	g_clear_error(&error);
	g_autofree char *efi = tree_efi_path(boot, "20260301.12", "carrel-4.efi");
	g_autofree char *variant = tree_efi_path(boot, "20260301.12", "carrel-4v.efi");
	assert_true(tree_check_generation(boot, "4", NULL));
	assert_int_equal(g_rename(variant, efi), 0);
	assert_false(tree_check_generation(boot, "4", NULL));
	assert_int_equal(g_rename(efi, variant), 0);
	assert_false(tree_check_generation(boot, "4", &error));
	assert_non_null(strstr(error->message, TREE_EFI ": leads nowhere"));
	g_clear_error(&error);
	/* a second program is kept out */
	assert_false(tree_prepare(boot, FALSE, &error));
	assert_non_null(strstr(error->message, "another carrel-bootconf"));
	g_clear_error(&error);
	tree_remove(boot);
	assert_false(g_file_test(boot, G_FILE_TEST_EXISTS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_template),
		cmocka_unit_test(test_nfs), cmocka_unit_test(test_cmdline),
		cmocka_unit_test(test_site), cmocka_unit_test(test_files_and_commands),
		cmocka_unit_test(test_shim), cmocka_unit_test(test_generations)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
