/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work on users' volumes, with a hypervisor in memory and real file systems: what is whole stays
 * whole, whatever call fails, and what is left over is cleared away.
 */
#include "broker/shared/msg.h"
#include "broker/virt/domain_xml.h"
#include "broker/virt/mkfs.h"
#include "broker/virt/volume_names.h"
#include "broker/virt/worker.h"
#include "tests/unit/test_virt_fake.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define POOL "carrel-volumes"
#define SIZE (8u << 20)
#define OLD "daily-20261125T030000Z"
#define NEW "daily-20261127T030000Z"

struct bench {
	struct worker *worker;
	struct virt_conn *conn;
	int fd;
	char *folder;   /* [paths] state */
	char *message;  /* of the last failure; owned */
	json_t *answer; /* the last one, owned */
};

/* An ext4 as mkfs_ext4 makes it, as the fake's volume. */
static void make_home(const char *name, uid_t uid)
{
	g_autofree char *data = g_malloc(SIZE);
	g_autofree char *mark = g_strconcat(name, MARK_SUFFIX, NULL);
	int fd = mkfs_ext4(SIZE, "home-3", uid, uid, NULL);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, data, SIZE), SIZE);
	close(fd);
	fake_volume(POOL, name, data, SIZE);
	fake_volume(POOL, mark, "", 0);
}

static int set_up(void **state)
{
	struct bench *bench = g_new0(struct bench, 1);

	fake_reset();
	bench->folder = g_dir_make_tmp("carrel-storage-XXXXXX", NULL);
	bench->worker = fake_worker(bench->folder, &bench->fd);
	bench->conn = worker_connect(bench->worker, LANE_STORAGE, NULL, NULL);
	make_home("home-3", 20001);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	static const char *const files[] = {
		"volumes/3.log", "out.img", "out.img.carrel-part", "volumes", "home.img", ""};

	for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
		g_autofree char *path = g_build_filename(bench->folder, files[i], NULL);

		g_remove(path);
	}
	worker_free(bench->worker);
	close(bench->fd);
	g_free(bench->folder);
	g_free(bench->message);
	json_decref(bench->answer);
	g_free(bench);
	fake_reset();
	return 0;
}

/* The answer's code, or "ok"; borrowed until the next. */
static const char *ask(struct bench *bench, const char *format, ...) G_GNUC_PRINTF(2, 3);
static const char *ask(struct bench *bench, const char *format, ...)
{
	g_autoptr(GError) error = NULL;
	va_list args;

	va_start(args, format);
	g_autofree char *members = g_strdup_vprintf(format, args);
	va_end(args);
	g_autofree char *text = g_strdup_printf("{\"id\":1,\"volume\":3,%s}", members);
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	struct request *request = request_new(json_loads(text, 0, NULL), &error);
	if (!request)
		fail_msg("%s: %s", text, error->message);
	gboolean (*handle)(struct worker *, struct virt_conn *, struct request *) =
		request->op == REQUEST_VOLUME_SHOW || request->op == REQUEST_VOLUME_DROP
			? volumes_handle
			: storage_handle;
	storage_cancel_admit(bench->worker, request);
	handle(bench->worker, bench->conn, request);
	assert_int_equal(bench->worker->storing->len, 0);
	json_decref(bench->answer);
	while ((bench->answer = msg_recv(bench->fd, NULL)) &&
		json_object_get(bench->answer, "event"))
		json_decref(bench->answer);
	assert_non_null(bench->answer);
	if (json_is_true(json_object_get(bench->answer, "ok")))
		return "ok";
	return json_string_value(json_object_get(bench->answer, "code"));
}

static json_int_t number(struct bench *bench, const char *member)
{
	return json_integer_value(json_object_get(bench->answer, member));
}

static bool there(const char *name)
{
	return fake_volume_look(POOL, name) != NULL;
}

static bool whole(const char *name)
{
	g_autofree char *mark = g_strconcat(name, MARK_SUFFIX, NULL);

	return there(name) && there(mark);
}

static void scribble(const char *name, char byte)
{
	fake_volume_look(POOL, name)->data[SIZE - 1] = (guint8)byte;
}

static char last_byte(const char *name)
{
	const GByteArray *bytes = fake_volume_look(POOL, name);

	return (char)bytes->data[bytes->len - 1];
}

/* A byte of the first group's block bitmap is wiped: e2fsck has to ask. */
static void damage(const char *name)
{
	guint8 *data = fake_volume_look(POOL, name)->data;

	unsigned block = 1024u << data[1024 + 0x18];
	unsigned bitmap = data[block] | (unsigned)data[block + 1] << 8;
	data[(gsize)bitmap * block] = 0;
}

static void names_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum volume_part_kind kind;
		bool mark;
		uint32_t copy;
	} rows[] = {{"home-3", VOLUME_PART_COPY, false, 0},
		{"home-3.complete", VOLUME_PART_COPY, true, 0},
		{"home-3.12", VOLUME_PART_COPY, false, 12},
		{"home-3.12.complete", VOLUME_PART_COPY, true, 12},
		{"home-3." NEW, VOLUME_PART_SNAPSHOT, false, 0},
		{"home-3." NEW ".complete", VOLUME_PART_SNAPSHOT, true, 0},
		{"home-31", VOLUME_PART_NONE, false, 0}, {"home-3.", VOLUME_PART_NONE, false, 0},
		{"home-3.012", VOLUME_PART_NONE, false, 0},
		{"home-3.99999999999", VOLUME_PART_NONE, false, 0},
		{"home-3.snap-2026", VOLUME_PART_NONE, false, 0},
		{"home-3.other-20261127T030000Z", VOLUME_PART_NONE, false, 0},
		{"home", VOLUME_PART_NONE, false, 0}, {"", VOLUME_PART_NONE, false, 0}};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct volume_part part = volume_part(rows[i].name, 3);

		if (part.kind != rows[i].kind || part.mark != rows[i].mark ||
			part.copy != rows[i].copy)
			fail_msg("%s", rows[i].name);
	}
}

static void snapshot_is_a_copy(void **state)
{
	struct bench *bench = *state;

	scribble("home-3", 7);
	assert_string_equal(ask(bench, "'op':'volume-snapshot','copy':0,'snapshot':'" NEW "',"
				       "'keep':0"),
		"ok");
	assert_true(whole("home-3." NEW));
	assert_int_equal(last_byte("home-3." NEW), 7);
	assert_string_equal(ask(bench, "'op':'volume-show'"), "ok");
	json_t *list = json_object_get(bench->answer, "snapshots");
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(list, 0), "name")), NEW);
	/* Not of one that a desktop has, nor of one that was not finished. */
	static const char xml[] = "<name>carrel-d9</name><source file='/x'/>";
	assert_true(fake_driver.domain_create(bench->conn, xml, NULL));
	g_autofree char *disk = domain_disk_xml(3, "/" POOL "/home-3", 0);
	assert_true(fake_driver.device_change(bench->conn, "carrel-d9", VIRT_ATTACH, disk, NULL));
	assert_string_equal(
		ask(bench, "'op':'volume-snapshot','snapshot':'" OLD "','keep':0"), "busy");
	assert_string_equal(ask(bench, "'op':'volume-delete'"), "busy");
	assert_true(whole("home-3"));
	g_hash_table_remove_all(fake.domains);
	assert_string_equal(ask(bench, "'op':'volume-snapshot','copy':4,'snapshot':'" OLD "',"
				       "'keep':0"),
		"not-found");
	assert_string_equal(ask(bench, "'op':'volume-drop','snapshot':'" NEW "'"), "ok");
	assert_false(there("home-3." NEW) || there("home-3." NEW MARK_SUFFIX));
	assert_string_equal(ask(bench, "'op':'volume-drop','snapshot':'" NEW "'"), "not-found");
}

static void old_daily_ones_go(void **state)
{
	struct bench *bench = *state;

	for (unsigned day = 1; day <= 5; day++)
		assert_string_equal(
			ask(bench,
				"'op':'volume-snapshot','snapshot':'%s-202611%02uT030000Z',"
				"'keep':%u",
				day == 1 ? "snap" : "daily", day, day == 1 ? 0 : 2),
			"ok");
	assert_true(whole("home-3.snap-20261101T030000Z"));
	assert_false(there("home-3.daily-20261102T030000Z"));
	assert_false(there("home-3.daily-20261103T030000Z.complete"));
	assert_true(whole("home-3.daily-20261104T030000Z"));
	assert_true(whole("home-3.daily-20261105T030000Z"));
}

static void no_room_is_said(void **state)
{
	struct bench *bench = *state;

	fake.available = ((uint64_t)1024 << 20) + SIZE - 1;
	assert_string_equal(
		ask(bench, "'op':'volume-snapshot','snapshot':'" NEW "','keep':0"), "storage");
	assert_non_null(strstr(
		json_string_value(json_object_get(bench->answer, "message")), "keep_free_mib"));
	assert_false(there("home-3." NEW));
	assert_string_equal(ask(bench, "'op':'volume-grow','size_mib':64"), "storage");
	assert_int_equal(fake_volume_look(POOL, "home-3")->len, SIZE);
	fake.available++;
	assert_string_equal(
		ask(bench, "'op':'volume-snapshot','snapshot':'" NEW "','keep':0"), "ok");
}

static void restore_is_whole_or_nothing(void **state)
{
	struct bench *bench = *state;
	static const char restore[] =
		"'op':'volume-restore','copy':%u,'to':%u,'snapshot':'" NEW "'";
	static const char *const calls[] = {"list", "pool", "copy", "volume_put", "volume_get"};

	scribble("home-3", 1);
	assert_string_equal(
		ask(bench, "'op':'volume-snapshot','snapshot':'" NEW "','keep':0"), "ok");
	scribble("home-3", 2);
	unsigned to = 1;
	for (int after = 0; after < 2; after++)
		for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
			fake.fail_call = calls[i];
			fake.fail_code = VIRT_ERROR_STORAGE;
			fake.fail_after = after;
			g_autofree char *name = volume_copy_name(3, to);
			const char *code = ask(bench, restore, 0, to++);
			assert_string_equal(code, "storage");
			assert_true(whole("home-3") && last_byte("home-3") == 2);
			assert_true(whole("home-3." NEW));
			assert_false(there(name));
		}
	g_autofree char *name = volume_copy_name(3, to);
	assert_string_equal(ask(bench, restore, 0, to), "ok");
	assert_int_equal(number(bench, "copy"), to);
	assert_int_equal(number(bench, "size_mib"), SIZE >> 20);
	assert_true(whole(name) && last_byte(name) == 1);
	/* What the tries have left is gone, and what counted until now is there still. */
	for (unsigned i = 1; i < to; i++) {
		g_autofree char *rest = volume_copy_name(3, i);

		assert_false(there(rest));
	}
	assert_true(whole("home-3"));
	assert_string_equal(ask(bench, "'op':'volume-sweep','copy':%u", to), "ok");
	assert_false(there("home-3") || there("home-3.complete"));
	assert_true(whole(name) && whole("home-3." NEW));
	/* A word that comes too late, of an older copy, touches no newer one. */
	assert_string_equal(ask(bench, "'op':'volume-sweep','copy':0"), "ok");
	assert_string_equal(ask(bench, restore, 0, to - 1), "not-found");
	assert_true(whole(name));
	assert_string_equal(
		ask(bench, "'op':'volume-restore','copy':%u,'to':%u,'snapshot':'" OLD "'", to,
			to + 1),
		"not-found");
}

static void smaller_snapshot_keeps_the_size(void **state)
{
	struct bench *bench = *state;

	assert_string_equal(
		ask(bench, "'op':'volume-snapshot','snapshot':'" NEW "','keep':0"), "ok");
	assert_string_equal(ask(bench, "'op':'volume-grow','size_mib':16"), "ok");
	assert_int_equal(number(bench, "size_mib"), 16);
	assert_string_equal(ask(bench, "'op':'volume-grow','size_mib':16"), "ok");
	assert_string_equal(ask(bench, "'op':'volume-restore','to':1,'snapshot':'" NEW "'"), "ok");
	assert_int_equal(number(bench, "size_mib"), 16);
	assert_int_equal(fake_volume_look(POOL, "home-3.1")->len, 16 << 20);
}

static char *log_text(struct bench *bench)
{
	g_autofree char *path = g_build_filename(bench->folder, "volumes/3.log", NULL);
	char *text = NULL;

	g_file_get_contents(path, &text, NULL, NULL);
	return text;
}

static void check_finds_and_repair_mends(void **state)
{
	struct bench *bench = *state;

	assert_string_equal(ask(bench, "'op':'volume-check','user':'alice'"), "ok");
	assert_false(json_is_true(json_object_get(bench->answer, "damaged")));
	g_autofree char *clean = log_text(bench);
	assert_non_null(strstr(clean, "home of alice"));
	assert_non_null(strstr(clean, "is whole"));
	/* A repair of one that is whole copies nothing. */
	assert_string_equal(ask(bench, "'op':'volume-repair','to':1,'user':'alice','snapshot':"
				       "'before-20261127T030000Z'"),
		"ok");
	assert_int_equal(number(bench, "copy"), 0);
	assert_false(there("home-3.1") || there("home-3.before-20261127T030000Z"));
	damage("home-3");
	g_autofree char *damaged = g_memdup2(fake_volume_look(POOL, "home-3")->data, SIZE);
	assert_string_equal(ask(bench, "'op':'volume-check','user':'alice'"), "ok");
	assert_true(json_is_true(json_object_get(bench->answer, "damaged")));
	assert_memory_equal(fake_volume_look(POOL, "home-3")->data, damaged, SIZE);
	assert_string_equal(ask(bench, "'op':'volume-repair','to':2,'user':'alice','snapshot':"
				       "'before-20261127T030000Z'"),
		"ok");
	assert_int_equal(number(bench, "copy"), 2);
	g_autofree char *repaired = log_text(bench);
	assert_non_null(strstr(repaired, "FILE SYSTEM WAS MODIFIED"));
	assert_true(whole("home-3.2"));
	assert_memory_equal(
		fake_volume_look(POOL, "home-3.before-20261127T030000Z")->data, damaged, SIZE);
	assert_memory_equal(fake_volume_look(POOL, "home-3")->data, damaged, SIZE);
	assert_string_equal(ask(bench, "'op':'volume-check','copy':2,'user':'alice'"), "ok");
	assert_false(json_is_true(json_object_get(bench->answer, "damaged")));
	/* What is no file system any more is said to be none. */
	memset(fake_volume_look(POOL, "home-3.2")->data, 0, SIZE);
	assert_string_equal(ask(bench, "'op':'volume-repair','copy':2,'to':3,'user':'alice',"
				       "'snapshot':'before-20261127T030001Z'"),
		"storage");
	assert_false(there("home-3.3"));
}

static void export_and_import(void **state)
{
	struct bench *bench = *state;
	g_autofree char *path = g_build_filename(bench->folder, "out.img", NULL);
	g_autofree char *text = NULL;
	gsize length;
	static const char import[] = "'op':'volume-import','copy':%u,'to':%u,'path':'%s',"
				     "'size_mib':%u,'uid':%u,'user':'alice'";

	assert_string_equal(ask(bench, "'op':'volume-export','path':'%s'", path), "ok");
	assert_true(g_file_get_contents(path, &text, &length, NULL));
	assert_int_equal(length, SIZE);
	assert_memory_equal(text, fake_volume_look(POOL, "home-3")->data, SIZE);
	assert_string_equal(ask(bench, "'op':'volume-export','path':'%s'", path), "exists");
	assert_string_equal(ask(bench, "'op':'volume-export','path':'/nowhere/x'"), "storage");
	scribble("home-3", 9);
	assert_string_equal(ask(bench, import, 0, 1, path, 16, 20001), "ok");
	assert_int_equal(number(bench, "size_mib"), 16);
	assert_true(whole("home-3.1"));
	assert_memory_equal(fake_volume_look(POOL, "home-3.1")->data, text, SIZE);
	/* Another user's; too large; damaged; none at all; not there. */
	assert_string_equal(ask(bench, import, 1, 2, path, 16, 20002), "storage");
	assert_non_null(strstr(
		json_string_value(json_object_get(bench->answer, "message")), "user id 20001"));
	text[1024 + 0x10] ^= 0x55;
	assert_true(g_file_set_contents(path, text, (gssize)length, NULL));
	assert_string_equal(ask(bench, import, 1, 3, path, 8, 20001), "storage");
	assert_string_equal(ask(bench, import, 1, 3, path, 4 + 4, 20001), "storage");
	memset(text, 0, length);
	assert_true(g_file_set_contents(path, text, (gssize)length, NULL));
	assert_string_equal(ask(bench, import, 1, 3, path, 8, 20001), "storage");
	assert_string_equal(ask(bench, import, 1, 3, "/nowhere/x", 8, 20001), "storage");
	assert_false(there("home-3.2") || there("home-3.3"));
	assert_true(whole("home-3.1"));
}

/* Whenever it is called off, in any of these calls, nothing is left of it. */
static void called_off_changes_nothing(void **state)
{
	struct bench *bench = *state;
	g_autofree char *path = g_build_filename(bench->folder, "home.img", NULL);
	g_autofree char *out = g_build_filename(bench->folder, "out.img", NULL);
	g_autofree char *part = g_strconcat(out, ".carrel-part", NULL);
	g_autofree char *before = g_memdup2(fake_volume_look(POOL, "home-3")->data, SIZE);
	g_autofree char *export = g_strdup_printf("'op':'volume-export','path':'%s'", out);
	g_autofree char *import =
		g_strdup_printf("'op':'volume-import','copy':0,'to':1,'path':'%s','size_mib':8,"
				"'uid':20001,'user':'alice'",
			path);
	const struct {
		const char *members, *call;
	} rows[] = {{"'op':'volume-snapshot','snapshot':'" NEW "','keep':0", "pool"},
		{"'op':'volume-snapshot','snapshot':'" NEW "','keep':0", "copy"},
		{"'op':'volume-restore','to':1,'snapshot':'" OLD "'", "copy"},
		{"'op':'volume-check','user':'alice'", "fetch"}, {export, "fetch"},
		{import, "list"}, /* e2fsck is the next that looks */
		{import, "volume_put"}};

	assert_true(g_file_set_contents(path, before, SIZE, NULL));
	assert_string_equal(
		ask(bench, "'op':'volume-snapshot','snapshot':'" OLD "','keep':0"), "ok");
	fake.cancel_worker = bench->worker;
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		fake.cancel_call = rows[i].call;
		assert_string_equal(ask(bench, "%s", rows[i].members), "cancelled");
		assert_null(fake.cancel_call);
		assert_true(whole("home-3") && whole("home-3." OLD));
		assert_memory_equal(fake_volume_look(POOL, "home-3")->data, before, SIZE);
		assert_false(there("home-3.1") || there("home-3." NEW));
		assert_int_equal(access(out, F_OK), -1);
		assert_int_equal(access(part, F_OK), -1);
	}
	/* Of these it is not asked, and done all the same: they end as ever. */
	fake.cancel_call = "list";
	assert_string_equal(ask(bench, "'op':'volume-delete'"), "ok");
	assert_false(there("home-3"));
}

/* What waits for another volume's end is answered at once, and once. */
static void called_off_before_its_turn(void **state)
{
	struct bench *bench = *state;
	json_t *json = json_pack("{s:i, s:i, s:s, s:i, s:s, s:i}", "id", 5, "volume", 3, "op",
		"volume-snapshot", "copy", 0, "snapshot", NEW, "keep", 0);
	struct request *request = request_new(json, NULL);

	storage_cancel_admit(bench->worker, request);
	storage_cancel(bench->worker, 31);
	assert_null(msg_recv(bench->fd, NULL));
	storage_cancel(bench->worker, 3);
	storage_cancel(bench->worker, 3);
	json_t *answer = msg_recv(bench->fd, NULL);
	assert_string_equal(json_string_value(json_object_get(answer, "code")), "cancelled");
	assert_int_equal(json_integer_value(json_object_get(answer, "id")), 5);
	json_decref(answer);
	assert_true(storage_handle(bench->worker, bench->conn, request));
	assert_null(msg_recv(bench->fd, NULL));
	assert_int_equal(bench->worker->storing->len, 0);
	assert_false(there("home-3." NEW));
}

static void delete_takes_all_of_it(void **state)
{
	struct bench *bench = *state;

	make_home("home-31", 20031);
	fake_volume(POOL, "home-3.7", "half", 4);
	assert_string_equal(
		ask(bench, "'op':'volume-snapshot','snapshot':'" NEW "','keep':0"), "ok");
	/* The mark goes first: what is left of a try that failed counts for nothing. */
	fake.fail_call = "volume_delete";
	fake.fail_code = VIRT_ERROR_STORAGE;
	assert_string_equal(ask(bench, "'op':'volume-delete'"), "storage");
	assert_string_equal(ask(bench, "'op':'volume-delete'"), "ok");
	g_autoptr(GPtrArray) left = fake_storage.list(bench->conn, POOL, NULL);
	assert_int_equal(left->len, 2);
	assert_true(whole("home-31"));
	assert_string_equal(ask(bench, "'op':'volume-delete'"), "ok");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_told_apart),
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(snapshot_is_a_copy),
		TEST(old_daily_ones_go),
		TEST(no_room_is_said),
		TEST(restore_is_whole_or_nothing),
		TEST(smaller_snapshot_keeps_the_size),
		TEST(check_finds_and_repair_mends),
		TEST(export_and_import),
		TEST(called_off_changes_nothing),
		TEST(called_off_before_its_turn),
		TEST(delete_takes_all_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
