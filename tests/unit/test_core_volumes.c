/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Work on volumes that nobody has: when it is allowed, what it changes, what a crash leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/test_core_bench.h"

static const struct core_volume *row(uint64_t id)
{
	return core_volume_get(bench.core, id);
}

/* alice has logged out, her desktop is gone and her volume is free. */
static void alice_left(void)
{
	alice_connected();
	STEP(NULL, CORE_EV_LOGOUT, .login = 1);
	STEP(NULL, CORE_EV_RELEASED, .desktop = 1);
	STEP(NULL, CORE_EV_VOLUME_DETACHED, .volume = 1, .desktop = 1);
	STEP(NULL, CORE_EV_DESKTOP_GONE, .desktop = 1);
	assert_int_equal(row(1)->desktop, 0);
}

static void refused(enum core_volume_work work, uint32_t mib, const char *part)
{
	char why[CORE_TEXT_MAX] = "";

	assert_false(core_volume_work_check(bench.core, 1, work, mib, why, sizeof(why)));
	if (!strstr(why, part))
		fail_msg("\"%s\" is not in \"%s\"", part, why);
	STEP("", CORE_EV_VOLUME_WORK, .volume = 1, .work = work, .memory_mib = mib);
	assert_int_equal(row(1)->desktop != 0 || row(1)->work != VOLUME_WORK_NONE ||
				 work == VOLUME_WORK_GROW,
		1);
}

static void test_only_what_nobody_has(void **state)
{
	char why[CORE_TEXT_MAX];

	(void)state;
	assert_false(
		core_volume_work_check(bench.core, 1, VOLUME_WORK_SNAPSHOT, 0, why, sizeof(why)));
	alice_connected();
	refused(VOLUME_WORK_SNAPSHOT, 0, "alice is logged in (on server server1)");
	STEP(NULL, CORE_EV_LOGOUT, .login = 1);
	refused(VOLUME_WORK_DELETE, 0, "still being put away");
	STEP(NULL, CORE_EV_RELEASED, .desktop = 1);
	STEP(NULL, CORE_EV_VOLUME_DETACHED, .volume = 1, .desktop = 1);
	refused(VOLUME_WORK_GROW, 1024, "never made smaller");
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_CHECK);
	refused(VOLUME_WORK_SNAPSHOT, 0, "alice's home is being checked");
}

static void test_login_waits_for_the_end(void **state)
{
	(void)state;
	alice_left();
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_RESTORE,
		.text = "snap-20261127T030000Z");
	assert_int_equal(row(1)->last_copy, 1);
	assert_int_equal(row(1)->copy, 0);
	login(2, "alice", "c1", "desktop-start s1 d2 S2");
	boots(2, "");
	assert_true(said(CORE_ACT_TELL_STAGE, "Your home is being restored"));
	/* Of an earlier question, or of another volume: nothing. */
	STEP("", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 7, .flag = true, .copy = 1);
	STEP("", CORE_EV_VOLUME_WORKED, .volume = 2, .number = 1, .flag = true, .copy = 1);
	assert_int_equal(row(1)->copy, 0);
	STEP("volume-sweep s1 v1; volume-attach s1 d2 S2 v1", CORE_EV_VOLUME_WORKED, .volume = 1,
		.number = 1, .flag = true, .copy = 1);
	assert_int_equal(row(1)->copy, 1);
	assert_int_equal(row(1)->done, VOLUME_WORK_RESTORE);
	assert_string_equal(row(1)->done_code, "");
	connects(2, 2, 1);
}

static void test_failure_leaves_the_old(void **state)
{
	(void)state;
	alice_left();
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_IMPORT,
		.text = "/x");
	STEP("", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 1, .code = "storage",
		.text = "no room", .copy = 1);
	assert_int_equal(row(1)->copy, 0);
	assert_int_equal(row(1)->work, VOLUME_WORK_NONE);
	assert_string_equal(row(1)->done_text, "no room");
	/* The next try never writes where the last one may still be writing. */
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_IMPORT,
		.text = "/x");
	assert_int_equal(row(1)->last_copy, 2);
}

static void test_lost_server_and_crash_begin_anew(void **state)
{
	(void)state;
	alice_left();
	server(2, 8192);
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_RESTORE,
		.text = "snap-1");
	STEP("", CORE_EV_SERVER_DOWN, .server = 1, .text = "gone");
	STEP("", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 1, .flag = true, .copy = 1);
	assert_int_equal(row(1)->copy, 0);
	wait_deadline(10000, "volume-work s2 v1");
	assert_int_equal(row(1)->last_copy, 2);
	/* Nothing is known: asked again, elsewhere if it can be. */
	STEP("", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 2, .code = "unreachable");
	wait_deadline(10000, "volume-work s2 v1");
	restart();
	assert_int_equal(row(1)->work, VOLUME_WORK_RESTORE);
	STEP("volume-work s2 v1", CORE_EV_SERVER_UP, .server = 2, .memory_mib = 8192);
	assert_int_equal(row(1)->last_copy, 4);
	STEP("volume-sweep s2 v1", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 1, .flag = true,
		.copy = 4);
	assert_int_equal(row(1)->copy, 4);
	assert_int_equal(row(1)->work, VOLUME_WORK_NONE);
}

static void test_repair_opens_a_broken_one(void **state)
{
	(void)state;
	server(1, 8192);
	login(1, "alice", "c1", NULL);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1);
	boots(1, NULL);
	STEP(NULL, CORE_EV_VOLUME_ATTACHED, .volume = 1, .desktop = 1);
	STEP("desktop-destroy s1 d1; tell-refused L1 volume-damaged", CORE_EV_CLAIM_FAILED,
		.desktop = 1, .code = "volume-damaged", .text = "e2fsck status 4");
	STEP("", CORE_EV_DESKTOP_GONE, .desktop = 1);
	assert_int_equal(row(1)->state, VOLUME_BROKEN);
	assert_string_equal(row(1)->done_text, "e2fsck status 4");
	/* A look that finds damage leaves it as it is. */
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_CHECK);
	STEP("", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 1, .flag = true, .code = "damaged");
	assert_int_equal(row(1)->state, VOLUME_BROKEN);
	/* Who logs in meanwhile is not refused before it is known. */
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_REPAIR);
	login(2, "alice", "c1", "desktop-start s1 d2 S2");
	STEP("tell-refused L2 volume-damaged; desktop-destroy s1 d2", CORE_EV_VOLUME_WORKED,
		.volume = 1, .number = 2, .code = "storage", .text = "bad");
	assert_int_equal(row(1)->state, VOLUME_BROKEN);
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_REPAIR);
	STEP("volume-sweep s1 v1", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 3, .flag = true,
		.copy = 2);
	assert_int_equal(row(1)->state, VOLUME_READY);
	assert_int_equal(row(1)->copy, 2);
}

static void test_deleted_home_is_made_anew(void **state)
{
	(void)state;
	alice_left();
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_DELETE);
	login(2, "alice", "c1", "desktop-start s1 d2 S2");
	STEP("volume-create s1 v2", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 1, .flag = true);
	assert_null(row(1));
	assert_string_equal(row(2)->user, "alice");
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 2);
	boots(2, "volume-attach s1 d2 S2 v2");
}

static void test_half_deleted_home_is_not_opened(void **state)
{
	(void)state;
	alice_left();
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_DELETE);
	STEP("", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 1, .code = "busy");
	assert_int_equal(row(1)->state, VOLUME_READY);
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_DELETE);
	STEP("", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 2, .code = "storage");
	assert_int_equal(row(1)->state, VOLUME_BROKEN);
	login(2, "alice", "c1", "tell-refused L2 volume-damaged");
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_DELETE);
	STEP("", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 3, .flag = true);
	assert_null(row(1));
}

static void test_growth(void **state)
{
	(void)state;
	alice_left();
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_GROW,
		.memory_mib = 4096);
	assert_int_equal(row(1)->size_mib, 1024);
	STEP("", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 1, .flag = true, .memory_mib = 4096);
	assert_int_equal(row(1)->size_mib, 4096);
}

static void test_daily_snapshots(void **state)
{
	(void)state;
	alice_connected();
	login(2, "bob", "c2", NULL);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 2);
	boots(2, NULL);
	connects(2, 2, 2);
	/* Both are at work: each one's is made when he leaves, one after the other. */
	STEP("", .type = CORE_EV_VOLUME_SNAPSHOTS);
	assert_true(row(1)->due && row(2)->due);
	for (uint64_t d = 1; d <= 2; d++) {
		STEP(NULL, CORE_EV_LOGOUT, .login = d);
		STEP(NULL, CORE_EV_RELEASED, .desktop = d);
	}
	STEP("desktop-destroy s1 d1; volume-work s1 v1", CORE_EV_VOLUME_DETACHED, .volume = 1,
		.desktop = 1);
	assert_string_equal(row(1)->work_text, "daily");
	STEP("desktop-destroy s1 d2", CORE_EV_VOLUME_DETACHED, .volume = 2, .desktop = 2);
	STEP("volume-work s1 v2", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 1, .flag = true);
	assert_false(row(1)->due || row(1)->changed);
	/* One that fails is not tried again and again. */
	STEP("", CORE_EV_VOLUME_WORKED, .volume = 2, .number = 1, .code = "storage");
	assert_false(row(2)->due);
	assert_true(row(2)->changed);
	/* What nobody has used since needs none. */
	STEP("volume-work s1 v2", .type = CORE_EV_VOLUME_SNAPSHOTS);
	assert_false(row(1)->due);
}

static void test_due_snapshot_lets_a_login_pass(void **state)
{
	(void)state;
	alice_connected();
	STEP("", .type = CORE_EV_VOLUME_SNAPSHOTS);
	STEP(NULL, CORE_EV_LOGOUT, .login = 1);
	STEP(NULL, CORE_EV_RELEASED, .desktop = 1);
	login(2, "alice", "c2", NULL);
	boots(2, "");
	STEP("volume-attach s1 d2 S2 v1; desktop-destroy s1 d1", CORE_EV_VOLUME_DETACHED,
		.volume = 1, .desktop = 1);
	assert_true(row(1)->due);
}

static void cancels(const char *wanted)
{
	STEP(wanted, CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_CANCEL);
}

static void test_called_off(void **state)
{
	(void)state;
	alice_left();
	cancels("");
	assert_int_equal(row(1)->done, VOLUME_WORK_NONE);
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_RESTORE,
		.text = "snap-20261127T030000Z");
	login(2, "alice", "c1", "desktop-start s1 d2 S2");
	boots(2, "");
	cancels("volume-cancel s1 v1");
	/* It is nobody's until the server has let go of it. */
	assert_int_equal(row(1)->work, VOLUME_WORK_CANCEL);
	assert_int_equal(row(1)->desktop, 0);
	refused(VOLUME_WORK_CANCEL, 0, "cannot be called off");
	STEP("volume-attach s1 d2 S2 v1", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 1,
		.code = "cancelled");
	assert_int_equal(row(1)->work, VOLUME_WORK_NONE);
	assert_int_equal(row(1)->done, VOLUME_WORK_RESTORE);
	assert_int_equal(row(1)->done_number, row(1)->work_number);
	assert_string_equal(row(1)->done_code, "cancelled");
	assert_int_equal(row(1)->copy, 0);
}

static void test_called_off_too_late(void **state)
{
	(void)state;
	alice_left();
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_RESTORE,
		.text = "snap-20261127T030000Z");
	cancels("volume-cancel s1 v1");
	STEP("volume-sweep s1 v1", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 1, .flag = true,
		.copy = 1);
	assert_int_equal(row(1)->copy, 1);
	assert_int_equal(row(1)->done, VOLUME_WORK_RESTORE);
	assert_string_equal(row(1)->done_code, "");
}

/* It is not begun anew: neither when its server is lost nor when it waits for a server. */
static void test_called_off_and_nobody_is_left(void **state)
{
	(void)state;
	alice_left();
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_CHECK);
	cancels("volume-cancel s1 v1");
	STEP("", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 1, .code = "unreachable");
	assert_int_equal(row(1)->work, VOLUME_WORK_NONE);
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_CHECK);
	STEP("", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 2, .code = "unreachable");
	cancels("");
	assert_int_equal(row(1)->work, VOLUME_WORK_NONE);
	assert_string_equal(row(1)->done_code, "cancelled");
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_EXPORT);
	cancels("volume-cancel s1 v1");
	restart();
	STEP("", CORE_EV_SERVER_UP, .server = 1, .memory_mib = 8192);
	assert_int_equal(row(1)->work, VOLUME_WORK_NONE);
	assert_int_equal(row(1)->done, VOLUME_WORK_EXPORT);
	/* Half a deletion is none; and a daily one is another day's. */
	STEP(NULL, .type = CORE_EV_VOLUME_SNAPSHOTS);
	assert_int_equal(row(1)->work, VOLUME_WORK_SNAPSHOT);
	cancels("volume-cancel s1 v1");
	STEP("", CORE_EV_VOLUME_WORKED, .volume = 1, .number = 1, .code = "cancelled");
	assert_false(row(1)->due);
	assert_true(row(1)->changed);
	STEP("volume-work s1 v1", CORE_EV_VOLUME_WORK, .volume = 1, .work = VOLUME_WORK_DELETE);
	refused(VOLUME_WORK_CANCEL, 0, "cannot be called off");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_only_what_nobody_has),
		TEST(test_login_waits_for_the_end),
		TEST(test_failure_leaves_the_old),
		TEST(test_lost_server_and_crash_begin_anew),
		TEST(test_repair_opens_a_broken_one),
		TEST(test_deleted_home_is_made_anew),
		TEST(test_half_deleted_home_is_not_opened),
		TEST(test_growth),
		TEST(test_daily_snapshots),
		TEST(test_due_snapshot_lets_a_login_pass),
		TEST(test_called_off),
		TEST(test_called_off_too_late),
		TEST(test_called_off_and_nobody_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
