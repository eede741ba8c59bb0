/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Desktops of a whole disk, with a hypervisor in memory: their overlays come and go with them. */
#include "broker/shared/msg.h"
#include "broker/virt/overlays.h"
#include "tests/unit/test_virt_fake.h"
#include "tests/unit/test_virt_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define POOL "carrel-images"
#define OVERLAY "carrel-d7.s1.overlay"

struct bench {
	struct worker *worker;
	struct virt_conn *conn;
	int fd;
	char *folder;
};

static int set_up(void **state)
{
	struct bench *bench = g_new0(struct bench, 1);

	fake_reset();
	bench->folder = g_dir_make_tmp("carrel-virt-XXXXXX", NULL);
	image_write_guest(bench->folder, "20260101.1", "bios", "disk", 4);
	image_write_guest(bench->folder, "20260102.1", "uefi", "DISK", 4);
	bench->worker = fake_worker(bench->folder, &bench->fd);
	bench->conn = worker_connect(bench->worker, LANE_CONTROL, NULL, NULL);
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
	g_free(bench);
	fake_reset();
	return 0;
}

/* The code of the answer, or "ok"; static. */
static const char *ask(struct bench *bench,
	gboolean (*handle)(struct worker *, struct virt_conn *, struct request *), const char *text)
{
	static char code[64];
	struct request *request = request_new(json_loads(text, 0, NULL), NULL);
	json_t *answer;

	assert_non_null(request);
	handle(bench->worker, bench->conn, request);
	while ((answer = msg_recv(bench->fd, NULL)) && json_object_get(answer, "event"))
		json_decref(answer);
	const char *word = json_string_value(json_object_get(answer, "code"));
	g_strlcpy(code, word ? word : "ok", sizeof(code));
	json_decref(answer);
	return code;
}

static const char ensure[] = "{\"id\":1,\"op\":\"image-ensure\",\"image\":\"win@20260101.1\"}";
static const char start[] =
	"{\"id\":2,\"op\":\"desktop-start\",\"desktop\":7,\"image\":\"win@20260101.1\","
	"\"memory_mib\":512,\"vcpus\":1,\"network\":\"none\"}";
static const char list[] = "{\"id\":3,\"op\":\"desktop-list\"}";

static gboolean there(const char *name)
{
	return fake_volume_look(POOL, name) != NULL;
}

/* One file, whole, whatever other versions are there. */
static void disk_is_delivered(void **state)
{
	struct bench *bench = *state;

	assert_string_equal(ask(bench, images_handle, ensure), "ok");
	assert_memory_equal(fake_volume_look(POOL, "win@20260101.1.disk")->data, "disk", 4);
	assert_true(there("win@20260101.1.complete"));
	assert_false(there("win@20260101.1.root"));
	assert_string_equal(
		ask(bench, images_handle,
			"{\"id\":1,\"op\":\"image-ensure\",\"image\":\"win@20260102.1\"}"),
		"ok");
	assert_memory_equal(fake_volume_look(POOL, "win@20260102.1.disk")->data, "DISK", 4);
	assert_string_equal(
		ask(bench, images_handle,
			"{\"id\":1,\"op\":\"image-remove\",\"image\":\"win@20260101.1\"}"),
		"ok");
	assert_false(there("win@20260101.1.disk") || there("win@20260101.1.complete"));
}

static void overlay_is_made_before_the_start(void **state)
{
	struct bench *bench = *state;
	const GPtrArray *disks;

	assert_string_equal(ask(bench, control_handle, start), "no-image");
	assert_false(there(OVERLAY));
	assert_string_equal(ask(bench, images_handle, ensure), "ok");
	assert_string_equal(ask(bench, control_handle, start), "ok");
	assert_memory_equal(
		fake_volume_look(POOL, OVERLAY)->data, "win@20260101.1.disk 1048576", 27);
	disks = g_hash_table_lookup(fake.domains, "carrel-d7");
	assert_true(g_str_has_prefix(disks->pdata[0], "/" POOL "/" OVERLAY "|"));
	/* a second one of that number is refused, and the first keeps what it has */
	assert_string_equal(ask(bench, control_handle, start), "exists");
	assert_true(there(OVERLAY));
	overlay_drop(bench->worker, bench->conn, 7);
	assert_false(there(OVERLAY));
	overlay_drop(bench->worker, bench->conn, 7);
}

static void failed_start_leaves_no_overlay(void **state)
{
	struct bench *bench = *state;

	assert_string_equal(ask(bench, images_handle, ensure), "ok");
	fake.fail_call = "domain_create";
	fake.fail_code = VIRT_ERROR_NO_MEMORY;
	assert_string_equal(ask(bench, control_handle, start), "no-memory");
	assert_false(there(OVERLAY));
	/* it failed, and there is a VM all the same: it keeps its disk */
	fake.fail_call = "domain_create";
	fake.fail_after = true;
	assert_string_equal(ask(bench, control_handle, start), "no-memory");
	assert_true(there(OVERLAY));
	fake.fail_after = false;
	g_hash_table_remove_all(fake.domains);
	fake.fail_call = "overlay";
	fake.fail_code = VIRT_ERROR_STORAGE;
	assert_string_equal(ask(bench, control_handle, start), "storage");
	assert_false(there(OVERLAY));
	assert_int_equal(g_hash_table_size(fake.domains), 0);
}

/* Of VMs that are there, of other servers, and what is something else stays. */
static void sweep(void **state)
{
	static const char *const kept[] = {"carrel-d8.s1.overlay", "carrel-d9.s2.overlay",
		"carrel-d9.overlay", "carrel-d9.s1.overlay.x", "carrel-dx.s1.overlay",
		"win@20260101.1.disk", "x.s1.overlay"};
	static const char *const gone[] = {"carrel-d9.s1.overlay", "carrel-d10.s1.nvram"};
	struct bench *bench = *state;

	for (gsize i = 0; i < G_N_ELEMENTS(kept); i++)
		fake_volume(POOL, kept[i], "", 0);
	for (gsize i = 0; i < G_N_ELEMENTS(gone); i++)
		fake_volume(POOL, gone[i], "", 0);
	assert_true(fake_driver.domain_create(
		bench->conn, "<name>carrel-d8</name><source file='/r'/>", NULL));
	/* nobody knows which VMs there are: nothing goes */
	fake.fail_call = "domain_list";
	fake.fail_code = VIRT_ERROR_LIBVIRT;
	overlays_sweep(bench->worker, bench->conn);
	assert_true(there(gone[0]));
	/* carreld asks for the desktops whenever it finds the server again */
	assert_string_equal(ask(bench, control_handle, list), "ok");
	for (gsize i = 0; i < G_N_ELEMENTS(kept); i++)
		assert_true(there(kept[i]));
	for (gsize i = 0; i < G_N_ELEMENTS(gone); i++)
		assert_false(there(gone[i]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(disk_is_delivered),
		TEST(overlay_is_made_before_the_start),
		TEST(failed_start_leaves_no_overlay),
		TEST(sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
