/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "images/store/image.h"
#include "images/store/signature.h"
#include "tests/unit/test_signing_keys.h"

#define SUM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char good[] =
	"{\"name\":\"client\",\"version\":\"20260301.1\",\"kind\":\"client\",\"inputs\":\"x\","
	"\"files\":{\"kernel\":{\"file\":\"vmlinuz\",\"size\":10,\"sha256\":\"" SUM "\"},"
	"\"initrd\":{\"file\":\"initrd\",\"size\":20,\"sha256\":\"" SUM "\"},"
	"\"root\":{\"file\":\"root.squashfs\",\"size\":8192,\"sha256\":\"" SUM "\"}},"
	"\"root\":{\"format\":\"squashfs\",\"data_blocks\":1,\"block_size\":4096,"
	"\"root_hash\":\"" SUM "\",\"salt\":\"abcd\"},\"cmdline\":\"quiet\"}";

static void test_good(void **state)
{
	GError *error = NULL;
	struct image *image = image_parse(good, strlen(good), &error);
	(void)state;
	assert_non_null(image);
	assert_string_equal(image->version, "20260301.1");
	assert_string_equal(image->files[IMAGE_ROOT].name, "root.squashfs");
	assert_int_equal(image->files[IMAGE_ROOT].size, 8192);
	assert_int_equal(image->data_blocks, 1);
	assert_int_equal(image->kind, IMAGE_CLIENT);
	assert_false(image->live);
	g_autofree char *id = image_id(image);
	assert_string_equal(id, "client@20260301.1");
	g_autofree char *line = image_desktop_cmdline(image);
	assert_string_equal(
		line, "quiet carrel.verity=1:" SUM ":abcd carrel.image=client@20260301.1");
	assert_null(image->files[IMAGE_DRIVERS].name);
	image_free(image);
}

/* The pack of drivers: of PCs' images alone, and of those that were built before there was one,
 * none. */
static void test_drivers(void **state)
{
	static const char drivers[] =
		"\"files\":{\"drivers\":{\"file\":\"drivers.pack\",\"size\":77,\"sha256\":\"" SUM
		"\"},";
	g_auto(GStrv) parts = g_strsplit(good, "\"files\":{", 2);
	g_autofree char *text = g_strconcat(parts[0], drivers, parts[1], NULL);
	g_autofree char *bad = g_strdup(text);
	GError *error = NULL;
	(void)state;
	struct image *image = image_parse(text, strlen(text), &error);
	assert_non_null(image);
	assert_string_equal(image->files[IMAGE_DRIVERS].name, "drivers.pack");
	assert_int_equal(image->files[IMAGE_DRIVERS].size, 77);
	image_free(image);
	memcpy(strstr(bad, "77,"), "-7,", 3);
	assert_null(image_parse(bad, strlen(bad), &error));
	assert_non_null(strstr(error->message, "files.drivers"));
	g_error_free(error);
}

/* One replacement makes each manifest bad; the message names the member. */
static void test_bad(void **state)
{
	static const char *const bad[][3] = {
		{"\"client\",\"version\"", "\"../x\",\"version\"", "name"},
		{"20260301.1", "20260301", "version"}, {"20260301.1", "../../etc", "version"},
		{"\"kind\":\"client\"", "\"kind\":\"phone\"", "kind"},
		{"\"kind\":\"client\"", "\"kind\":\"client\",\"handoff\":\"soft\"", "handoff"},
		{"\"kind\":\"client\"", "\"kind\":\"client\",\"handoff\":true", "needed"},
		{"\"vmlinuz\"", "\"../vmlinuz\"", "files.kernel"},
		{"\"vmlinuz\"", "\".\"", "files.kernel"},
		{"\"size\":20", "\"size\":0", "files.initrd"},
		{"\"size\":20", "\"size\":\"20\"", "files.initrd"},
		{"\"size\":8192", "\"size\":4096", "data_blocks"},
		{"\"data_blocks\":1", "\"data_blocks\":-1", "data_blocks"},
		{"squashfs\",\"data", "ext4\",\"data", "format"}, {"abcd\"}", "abc\"}", "salt"},
		{"abcd\"}", "abc;\"}", "salt"}, {"quiet", "quiet\\nroot=x", "cmdline"},
		{"\"quiet\"}", "\"quiet\"", "line"}};
	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		GError *error = NULL;
		g_autoptr(GString) text = g_string_new(good);
		assert_true(g_string_replace(text, bad[i][0], bad[i][1], 1) == 1);
		assert_null(image_parse(text->str, text->len, &error));
		assert_non_null(error);
		assert_int_equal(error->code, IMAGE_ERROR_BAD);
		assert_non_null(strstr(error->message, bad[i][2]));
		g_error_free(error);
	}
}

static void test_file(void **state)
{
	/* "abc" and its sum, FIPS 180-4 */
	struct image_file file = {.name = (char *)"x",
		.size = 3,
		.sha256 =
			(char *)"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"};
	g_autofree char *folder = g_dir_make_tmp("carrel-test-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(folder, "x", NULL);
	GError *error = NULL;
	(void)state;
	assert_false(image_check_file(&file, path, &error));
	g_clear_error(&error);
	assert_true(g_file_set_contents(path, "abc", 3, NULL));
	assert_true(image_check_file(&file, path, &error));
	assert_true(g_file_set_contents(path, "abd", 3, NULL));
	assert_false(image_check_file(&file, path, &error));
	assert_non_null(strstr(error->message, "sha256"));
	g_clear_error(&error);
	assert_true(g_file_set_contents(path, "abcd", 4, NULL));
	assert_false(image_check_file(&file, path, &error));
	assert_non_null(strstr(error->message, "size"));
	g_clear_error(&error);
	g_unlink(path);
	g_rmdir(folder);
}

static void test_handoff(void **state)
{
	(void)state;
	for (int live = 0; live < 2; live++) {
		g_autoptr(GString) text = g_string_new(good);

		g_string_replace(text, "\"kind\":\"client\"",
			live ? "\"kind\":\"desktop\",\"handoff\":\"live\""
			     : "\"kind\":\"desktop\",\"handoff\":\"hard\"",
			1);
		struct image *image = image_parse(text->str, text->len, NULL);
		assert_non_null(image);
		assert_int_equal(image->kind, IMAGE_DESKTOP);
		assert_int_equal(image->live, live);
		image_free(image);
	}
}

static const char guest[] =
	"{\"name\":\"win\",\"version\":\"20260301.1\",\"kind\":\"disk\","
	"\"files\":{\"disk\":{\"file\":\"disk.qcow2\",\"size\":4096,\"sha256\":\"" SUM "\"}},"
	"\"disk\":{\"format\":\"qcow2\",\"size\":1048576,\"firmware\":\"uefi\","
	"\"agent\":\"qemu-ga\"},\"handoff\":\"hard\"}";

static void test_guest(void **state)
{
	struct image *image = image_parse(guest, strlen(guest), NULL);

	(void)state;
	assert_non_null(image);
	assert_int_equal(image->kind, IMAGE_GUEST);
	assert_string_equal(image_kind_word(image->kind), "disk");
	for (int id = 0; id < IMAGE_FILE_COUNT; id++)
		assert_int_equal(image->files[id].name != NULL, id == IMAGE_DISK);
	assert_int_equal(image->disk_size, 1 << 20);
	assert_true(image->uefi);
	assert_int_equal(image->agent, IMAGE_AGENT_QEMU);
	assert_string_equal(image->cmdline, "");
	image_free(image);
}

static void test_bad_guests(void **state)
{
	static const char *const bad[][3] = {{"\"disk.qcow2\"", "\"../disk\"", "files.disk"},
		{"{\"disk\":{\"file", "{\"root\":{\"file", "files.disk"},
		{"\"kind\":\"disk\"", "\"kind\":\"disk\",\"cmdline\":\"x\"", "no cmdline"},
		{"\"kind\":\"disk\"", "\"kind\":\"desktop\"", "needed"},
		{"\"format\":\"qcow2\"", "\"format\":\"raw\"", "disk.format"},
		{"1048576", "0", "disk.size"}, {"1048576", "1000", "disk.size"},
		{"1048576", "9007199254740992", "disk.size"},
		{"\"uefi\"", "\"efi\"", "disk.firmware"},
		{"\"qemu-ga\"", "\"vmware\"", "disk.agent"},
		{"\"agent\":", "\"agents\":", "agent"}};

	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GString) text = g_string_new(guest);
		g_autoptr(GError) error = NULL;

		assert_int_equal(g_string_replace(text, bad[i][0], bad[i][1], 1), 1);
		assert_null(image_parse(text->str, text->len, &error));
		assert_int_equal(error->code, IMAGE_ERROR_BAD);
		assert_non_null(strstr(error->message, bad[i][2]));
	}
}

/* The public key of test 2 there. */
static const char other_key[] = "-----BEGIN PUBLIC KEY-----\n"
				"MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n"
				"-----END PUBLIC KEY-----\n";

/* A folder with keys and image client 20260301.1. */
struct site {
	char *folder, *version, *secret, *key, *other, *manifest, *signature; /* owned */
};

static char *put(const char *folder, const char *name, const char *text)
{
	char *path = g_build_filename(folder, name, NULL);

	assert_true(g_file_set_contents(path, text, -1, NULL));
	return path;
}

static int site_set_up(void **state)
{
	struct site *site = g_new0(struct site, 1);

	site->folder = g_dir_make_tmp("carrel-test-XXXXXX", NULL);
	site->version = g_build_filename(site->folder, "client", "20260301.1", NULL);
	assert_int_equal(g_mkdir_with_parents(site->version, 0700), 0);
	site->secret = put(site->folder, "key", private_key);
	site->key = put(site->folder, "pub", public_key);
	site->other = put(site->folder, "other", other_key);
	site->manifest = put(site->version, "manifest.json", good);
	g_autofree char *signature = signature_make(site->secret, good, strlen(good), NULL);
	assert_non_null(signature);
	site->signature = put(site->version, "manifest.sig", signature);
	*state = site;
	return 0;
}

static int site_tear_down(void **state)
{
	struct site *site = *state;
	char *files[] = {site->manifest, site->signature, site->secret, site->key, site->other};
	g_autofree char *name = g_path_get_dirname(site->version);

	for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
		g_unlink(files[i]);
		g_free(files[i]);
	}
	g_rmdir(site->version);
	g_rmdir(name);
	g_rmdir(site->folder);
	g_free(site->version);
	g_free(site->folder);
	g_free(site);
	return 0;
}

static void test_signature(void **state)
{
	/* RFC 8032, 7.1, test 3: the message af82 */
	static const unsigned char message[] = {0xaf, 0x82};
	static const char expected[] = "YpHWV97sJAJIJ+acOr4BowzlSKKEdDpEXjaA19taw6wY/5tTjRbykK5n"
				       "92CYTcZZSnwV6XFu0o3AJ77O6h7ECg==\n";
	struct site *site = *state;
	GError *error = NULL;
	g_autofree char *signature = signature_make(site->secret, message, 2, &error);

	assert_string_equal(signature, expected);
	assert_true(signature_check(site->key, message, 2, signature, &error));
	assert_false(signature_check(site->key, message, 1, signature, &error));
	assert_int_equal(error->code, SIGNATURE_ERROR_BAD);
	g_clear_error(&error);
	assert_false(signature_check(site->other, message, 2, signature, &error));
	assert_int_equal(error->code, SIGNATURE_ERROR_BAD);
	g_clear_error(&error);
	signature[3] = signature[3] == 'A' ? 'B' : 'A';
	assert_false(signature_check(site->key, message, 2, signature, &error));
	g_clear_error(&error);
	static const char *const none[] = {"", "A", "*", "YpHWV97sJAJI", "\n"};
	for (gsize i = 0; i < G_N_ELEMENTS(none); i++) {
		assert_false(signature_check(site->key, message, 2, none[i], &error));
		g_clear_error(&error);
	}
	/* Keys that are none. */
	assert_null(signature_make(site->key, message, 2, &error));
	assert_int_equal(error->code, SIGNATURE_ERROR_KEY);
	assert_non_null(strstr(error->message, site->key));
	g_clear_error(&error);
	assert_false(signature_check(site->manifest, message, 2, expected, &error));
	assert_int_equal(error->code, SIGNATURE_ERROR_KEY);
	g_clear_error(&error);
}

static void assert_load(const struct site *site, const char *key, int code, const char *word)
{
	g_autoptr(GError) error = NULL;
	struct image *image = image_load(site->folder, "client", "20260301.1", key, &error);

	if (image || error->code != code || !strstr(error->message, word))
		fail_msg("%s", error ? error->message : "taken");
}

static void test_load(void **state)
{
	struct site *site = *state;
	GError *error = NULL;
	struct image *image = image_load(site->folder, "client", "20260301.1", site->key, &error);

	assert_non_null(image);
	assert_string_equal(image->folder, site->version);
	image_free(image);
	assert_load(site, site->other, IMAGE_ERROR_UNTRUSTED, "not signed by this site");
	assert_null(image_load(site->folder, "client", "20260302.1", site->key, &error));
	assert_int_equal(error->code, IMAGE_ERROR_MISSING);
	g_clear_error(&error);
	/* One changed byte anywhere. */
	for (gsize i = 0; i < strlen(good); i += 7) {
		g_autofree char *text = g_strdup(good);

		text[i] ^= 1;
		assert_true(g_file_set_contents(site->manifest, text, -1, NULL));
		assert_load(site, site->key, IMAGE_ERROR_UNTRUSTED, "manifest.json");
	}
	/* The site's signature, but of another image. */
	g_autofree char *folder = g_build_filename(site->folder, "client", "20260302.1", NULL);
	assert_true(g_file_set_contents(site->manifest, good, -1, NULL));
	assert_int_equal(g_rename(site->version, folder), 0);
	assert_null(image_load(site->folder, "client", "20260302.1", site->key, &error));
	assert_int_equal(error->code, IMAGE_ERROR_BAD);
	assert_non_null(strstr(error->message, "client@20260301.1"));
	g_clear_error(&error);
	assert_int_equal(g_rename(folder, site->version), 0);
	g_unlink(site->signature);
	assert_load(site, site->key, IMAGE_ERROR_UNTRUSTED, "manifest.sig");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good),
		cmocka_unit_test(test_drivers), cmocka_unit_test(test_bad),
		cmocka_unit_test(test_file), cmocka_unit_test(test_handoff),
		cmocka_unit_test(test_guest), cmocka_unit_test(test_bad_guests),
		cmocka_unit_test_setup_teardown(test_signature, site_set_up, site_tear_down),
		cmocka_unit_test_setup_teardown(test_load, site_set_up, site_tear_down)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
