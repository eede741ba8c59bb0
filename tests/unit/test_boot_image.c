/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "bootserver/error.h"
#include "bootserver/image.h"

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
	g_autofree char *name = image_root_name(image);
	assert_string_equal(name, "client-20260301.1.root");
	image_free(image);
}

/* One replacement makes each manifest bad; the message names the member. */
static void test_bad(void **state)
{
	static const char *const bad[][3] = {
		{"\"client\",\"version\"", "\"../x\",\"version\"", "name"},
		{"20260301.1", "20260301", "version"}, {"20260301.1", "../../etc", "version"},
		{"\"kind\":\"client\"", "\"kind\":\"desktop\"", "kind"},
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
		assert_int_equal(error->code, BOOTCONF_IMAGE);
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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
		cmocka_unit_test(test_file)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
