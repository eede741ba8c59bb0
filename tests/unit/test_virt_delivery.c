/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is sent of a version, to a hypervisor in memory that has another one, or a part of this. */
#include "broker/virt/delivery.h"
#include "broker/virt/marks.h"
#include "tests/unit/test_virt_fake.h"
#include "tests/unit/test_virt_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define IMAGES "carrel-images"
#define OLD "20260101.1"
#define NEW "20260102.1"
#define MIB (1024 * 1024)
#define BLOCK 4096

struct bench {
	struct worker *worker;
	struct virt_conn *conn;
	int fd;
	char *folder;
	guint8 *root; /* owned, of `size` bytes */
	size_t size;
};

static int set_up(void **state)
{
	struct bench *bench = g_new0(struct bench, 1);

	fake_reset();
	bench->folder = g_dir_make_tmp("carrel-delivery-XXXXXX", NULL);
	bench->worker = fake_worker(bench->folder, &bench->fd);
	bench->conn = worker_connect(bench->worker, LANE_IMAGES, NULL, NULL);
	bench->size = 3 * MIB + 5 * BLOCK;
	bench->root = g_malloc(bench->size + 9 * BLOCK);
	for (size_t i = 0; i < bench->size + 9 * BLOCK; i++)
		bench->root[i] = (guint8)(i * 2654435761u >> 13);
	image_write(bench->folder, OLD, bench->root, bench->size);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	image_remove(bench->folder);
	worker_free(bench->worker);
	close(bench->fd);
	g_free(bench->folder);
	g_free(bench->root);
	g_free(bench);
	fake_reset();
	return 0;
}

/* Sends the root of a version; the error's code, or NULL. */
static const char *deliver(struct bench *bench, const char *version)
{
	g_autofree char *id = g_strconcat("lite@", version, NULL);
	struct image *image = worker_image(bench->worker, id, NULL);
	g_autoptr(GError) error = NULL;

	assert_non_null(image);
	fake.sent = 0;
	struct image *base = delivery_base(bench->worker, bench->conn, image, NULL);
	gboolean good = delivery_send(bench->worker, bench->conn, image, base, IMAGE_ROOT, &error);
	image_free(base);
	image_free(image);
	assert_int_equal(good, error == NULL);
	return good ? NULL : virt_error_code(error);
}

static void assert_there(const struct bench *bench, const char *version)
{
	g_autofree char *name = g_strdup_printf("lite@%s.root", version);
	const GByteArray *bytes = fake_volume_look(IMAGES, name);

	assert_non_null(bytes);
	assert_int_equal(bytes->len, bench->size);
	assert_memory_equal(bytes->data, bench->root, bench->size);
}

/* The server has the old version, whole. */
static void has_old(struct bench *bench)
{
	assert_null(deliver(bench, OLD));
	assert_int_equal(fake.sent, bench->size);
	assert_there(bench, OLD);
	assert_true(mark_make(bench->worker, bench->conn, IMAGES, "lite@" OLD, NULL));
}

static void only_differences_are_sent(void **state)
{
	struct bench *bench = *state;

	has_old(bench);
	bench->root[7] ^= 1;
	bench->root[2 * MIB] ^= 1;
	bench->root[bench->size - 1] ^= 1;
	image_write(bench->folder, NEW, bench->root, bench->size);
	assert_null(deliver(bench, NEW));
	assert_there(bench, NEW);
	assert_int_equal(fake.sent, 3 * BLOCK);
}

static void other_lengths(void **state)
{
	struct bench *bench = *state;

	has_old(bench);
	bench->size += 9 * BLOCK - 100;
	image_write(bench->folder, NEW, bench->root, bench->size);
	assert_null(deliver(bench, NEW));
	assert_there(bench, NEW);
	assert_int_equal(fake.sent, 9 * BLOCK - 100);
	bench->size = MIB + 77;
	image_write(bench->folder, "20260103.1", bench->root, bench->size);
	assert_true(mark_make(bench->worker, bench->conn, IMAGES, "lite@" NEW, NULL));
	assert_null(deliver(bench, "20260103.1"));
	assert_there(bench, "20260103.1");
	assert_int_equal(fake.sent, 0);
}

static void much_that_is_new_is_sent_as_a_whole(void **state)
{
	struct bench *bench = *state;

	has_old(bench);
	for (size_t i = 0; i < bench->size; i += 3)
		bench->root[i] ^= 0x55;
	image_write(bench->folder, NEW, bench->root, bench->size);
	assert_null(deliver(bench, NEW));
	assert_there(bench, NEW);
	assert_int_equal(fake.sent, bench->size);
}

static void damaged_copy_is_not_kept(void **state)
{
	struct bench *bench = *state;

	has_old(bench);
	((GByteArray *)fake_volume_look(IMAGES, "lite@" OLD ".root"))->data[MIB] ^= 1;
	bench->root[7] ^= 1;
	image_write(bench->folder, NEW, bench->root, bench->size);
	assert_null(deliver(bench, NEW));
	assert_there(bench, NEW);
	assert_int_equal(fake.sent, BLOCK + bench->size);
}

static void server_that_cannot_copy(void **state)
{
	struct bench *bench = *state;

	has_old(bench);
	bench->root[7] ^= 1;
	image_write(bench->folder, NEW, bench->root, bench->size);
	fake.fail_call = "copy";
	fake.fail_code = VIRT_ERROR_STORAGE;
	fake.fail_after = true;
	assert_null(deliver(bench, NEW));
	assert_there(bench, NEW);
	assert_int_equal(fake.sent, bench->size);
}

/* A root of two pieces and a bit, and nothing like it on the server. */
static void large(struct bench *bench)
{
	bench->size = 65 * MIB;
	bench->root = g_realloc(bench->root, bench->size);
	for (size_t i = 0; i < bench->size; i++)
		bench->root[i] = (guint8)(i * 2654435761u >> 11);
	image_write(bench->folder, NEW, bench->root, bench->size);
}

static void interrupted_delivery_goes_on(void **state)
{
	struct bench *bench = *state;

	large(bench);
	fake.fail_call = "patch";
	fake.fail_code = VIRT_ERROR_UNREACHABLE;
	fake.patches_before_failure = 1;
	assert_string_equal(deliver(bench, NEW), "unreachable");
	assert_int_equal(fake.sent, 32 * MIB);
	assert_null(deliver(bench, NEW));
	assert_there(bench, NEW);
	assert_int_equal(fake.sent, 33 * MIB);
}

static void what_was_lost_meanwhile_is_noticed(void **state)
{
	struct bench *bench = *state;

	large(bench);
	fake.fail_call = "patch";
	fake.fail_code = VIRT_ERROR_UNREACHABLE;
	fake.patches_before_failure = 1;
	assert_string_equal(deliver(bench, NEW), "unreachable");
	/* The server's power went before it had written that. */
	memset(((GByteArray *)fake_volume_look(IMAGES, "lite@" NEW ".root"))->data, 0, MIB);
	assert_null(deliver(bench, NEW));
	assert_there(bench, NEW);
	assert_int_equal(fake.sent, 33 * MIB + bench->size);
}

static void damaged_source_is_refused(void **state)
{
	struct bench *bench = *state;
	g_autofree char *path = g_build_filename(bench->folder, "lite", OLD, "r", NULL);

	bench->root[MIB] ^= 1;
	assert_true(g_file_set_contents(path, (char *)bench->root, (gssize)bench->size, NULL));
	assert_string_equal(deliver(bench, OLD), "no-image");
	assert_true(g_file_set_contents(path, (char *)bench->root, 100, NULL));
	assert_string_equal(deliver(bench, OLD), "no-image");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_differences_are_sent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_lengths, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			much_that_is_new_is_sent_as_a_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damaged_copy_is_not_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(server_that_cannot_copy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(interrupted_delivery_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_was_lost_meanwhile_is_noticed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damaged_source_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
