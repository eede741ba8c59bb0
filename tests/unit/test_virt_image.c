/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test_virt_image.h"

#include "images/store/image.h"
#include "images/store/signature.h"
#include "tests/unit/test_signing_keys.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* The caller frees the path. */
static char *put(const char *folder, const char *name, const void *data, size_t size)
{
	char *path = g_build_filename(folder, name, NULL);

	assert_int_equal(g_mkdir_with_parents(folder, 0755), 0);
	assert_true(g_file_set_contents(path, data, (gssize)size, NULL));
	return path;
}

static void add_file(
	GString *manifest, const char *folder, const char *key, const void *data, size_t size)
{
	const char name[] = {key[0], 0};
	g_autofree char *sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, data, size);

	g_free(put(folder, name, data, size));
	g_string_append_printf(manifest,
		"%s\"%s\":{\"file\":\"%s\",\"size\":%zu,\"sha256\":\"%s\"}",
		key[0] == 'k' || key[0] == 'd' ? "" : ",", key, name, size, sum);
}

static void sign(const char *folder, const char *own, const GString *text)
{
	g_autofree char *secret =
		put(folder, IMAGE_PRIVATE_KEY, private_key, sizeof(private_key) - 1);
	g_autofree char *signature = signature_make(secret, text->str, text->len, NULL);

	g_free(put(folder, IMAGE_PUBLIC_KEY, public_key, sizeof(public_key) - 1));
	assert_non_null(signature);
	g_free(put(own, "manifest.json", text->str, text->len));
	g_free(put(own, "manifest.sig", signature, strlen(signature)));
}

void image_write_guest(const char *folder, const char *version, const char *firmware,
	const void *disk, size_t size)
{
	g_autofree char *own = g_build_filename(folder, "win", version, NULL);
	g_autoptr(GString) text = g_string_new(NULL);

	g_string_printf(text,
		"{\"name\":\"win\",\"version\":\"%s\",\"kind\":\"disk\",\"disk\":{\"format\":"
		"\"qcow2\",\"size\":1048576,\"firmware\":\"%s\",\"agent\":\"qemu-ga\"},"
		"\"files\":{",
		version, firmware);
	add_file(text, own, "disk", disk, size);
	g_string_append(text, "}}");
	sign(folder, own, text);
}

void image_write(const char *folder, const char *version, const void *root, size_t size)
{
	g_autofree char *own = g_build_filename(folder, "lite", version, NULL);
	g_autoptr(GString) text = g_string_new(NULL);

	g_string_printf(text,
		"{\"name\":\"lite\",\"version\":\"%s\",\"kind\":\"desktop\","
		"\"cmdline\":\"quiet\",\"root\":{\"format\":\"erofs\",\"block_size\":4096,"
		"\"data_blocks\":1,\"root_hash\":"
		"\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\","
		"\"salt\":\"00\"},\"files\":{",
		version);
	add_file(text, own, "kernel", "abc", 3);
	add_file(text, own, "initrd", "abc", 3);
	add_file(text, own, "root", root, size);
	g_string_append(text, "}}");
	sign(folder, own, text);
}

void image_remove(const char *folder)
{
	GDir *dir = g_dir_open(folder, 0, NULL);

	for (const char *name; dir && (name = g_dir_read_name(dir));) {
		g_autofree char *path = g_build_filename(folder, name, NULL);

		if (g_file_test(path, G_FILE_TEST_IS_DIR))
			image_remove(path);
		else
			g_unlink(path);
	}
	if (dir)
		g_dir_close(dir);
	g_rmdir(folder);
}
