/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Queue, groups and reservations, as core carries them out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/test_core_bench.h"

/* One server for two desktops of one size; a queue for two. */
static void small_lab(void)
{
	bench.config.min_mib = bench.config.max_mib;
	bench.config.queue = 2;
	STEP("", CORE_EV_CONFIG, .config = &bench.config);
	server(1, 8192);
}

/* User `name` logs in at his own PC and works on; ids are those that the next one gets. */
static void user_connects(uint64_t id, const char *name)
{
	char client[8];

	snprintf(client, sizeof(client), "c%u", (unsigned)id);
	login(id, name, client, NULL);
	STEP(NULL, CORE_EV_VOLUME_CREATED, .volume = id);
	boots(core_session_get(bench.core, id)->desktop, NULL);
	connects(core_session_get(bench.core, id)->desktop, id, id);
	STEP(NULL, CORE_EV_FIRST_FRAME, .login = id);
}

/* The desktop of a session that has ended finds its end. */
static void desktop_goes(uint64_t desktop)
{
	STEP(NULL, CORE_EV_RELEASED, .desktop = desktop);
	STEP(NULL, CORE_EV_VOLUME_DETACHED, .volume = desktop, .desktop = desktop);
	STEP(NULL, CORE_EV_DESKTOP_GONE, .desktop = desktop);
}

static unsigned queue_length(void)
{
	struct core_queue_entry entry;
	unsigned n = 0;

	while (core_queue_get(bench.core, n + 1, &entry))
		n++;
	return n;
}

static void full_lab_with_two_waiting(void)
{
	small_lab();
	user_connects(1, "alice");
	user_connects(2, "bob");
	login(3, "carol", "c3", "");
	assert_true(said(CORE_ACT_TELL_STAGE, "number 1 in the queue; how long it takes cannot"));
	login(4, "dave", "c4", "");
	assert_true(said(CORE_ACT_TELL_STAGE, "number 2 in the queue"));
}

static void test_first_come_first_served(void **state)
{
	struct core_queue_entry entry;

	(void)state;
	full_lab_with_two_waiting();
	login(5, "erin", "c5", "tell-refused L5 full");
	assert_true(said(CORE_ACT_TELL_REFUSED, "2 wait in the queue already"));
	assert_true(core_queue_get(bench.core, 1, &entry));
	assert_int_equal(entry.session, 3);
	assert_int_equal(entry.minutes, 0);
	STEP(NULL, CORE_EV_LOGOUT, .login = 1); /* what she has is promised to the first */
	assert_true(said(CORE_ACT_TELL_STAGE, "number 1 in the queue"));
	STEP(NULL, CORE_EV_RELEASED, .desktop = 1);
	STEP(NULL, CORE_EV_VOLUME_DETACHED, .volume = 1, .desktop = 1);
	STEP("desktop-start s1 d3 S3", CORE_EV_DESKTOP_GONE, .desktop = 1);
	assert_int_equal(session_is(3), SESSION_WAITING);
	assert_int_equal(queue_length(), 1);
}

/* Room for one more is there, but not for the first in the queue: nobody passes him. */
static void test_nobody_overtakes(void **state)
{
	const char *const names[] = {"carol"};
	const struct core_group group = {{names, 1}, 4096, 0};
	const struct core_policy policy = {&group, 1, NULL, 0, NULL, 0};

	(void)state;
	bench.config.min_mib = 2048;
	bench.config.queue = 2;
	STEP("", CORE_EV_CONFIG, .config = &bench.config);
	STEP("", CORE_EV_POLICY, .policy = &policy);
	server(1, 6144);
	user_connects(1, "alice");
	assert_int_equal(core_desktop_get(bench.core, 1)->memory_mib, 2048);
	user_connects(2, "bob");
	login(3, "carol", "c3", "");
	login(4, "dave", "c4", "");
	assert_int_equal(queue_length(), 2);
	STEP("desktop-start s1 d3 S4; volume-create s1 v4", CORE_EV_VIEWER_GONE, .login = 3);
	assert_int_equal(session_is(4), SESSION_WAITING);
	assert_int_equal(core_desktop_get(bench.core, 3)->memory_mib, 2048);
}

static void test_who_goes_leaves_the_queue(void **state)
{
	(void)state;
	full_lab_with_two_waiting();
	STEP("", CORE_EV_VIEWER_GONE, .login = 3);
	assert_int_equal(session_is(3), SESSION_ENDED);
	assert_true(said(CORE_ACT_TELL_STAGE, "number 1 in the queue"));
	STEP("tell-ended L4 logout", CORE_EV_LOGOUT, .login = 4);
	assert_int_equal(queue_length(), 0);
}

static void test_place_is_kept_at_another_seat(void **state)
{
	(void)state;
	full_lab_with_two_waiting();
	login(6, "carol", "c6", "tell-moved L3 moved");
	assert_true(said(CORE_ACT_TELL_STAGE, "number 1 in the queue"));
	STEP("", CORE_EV_VIEWER_GONE, .login = 3);
	assert_int_equal(queue_length(), 2);
}

static void test_estimate(void **state)
{
	struct core_queue_entry entry;

	(void)state;
	small_lab();
	for (uint64_t i = 1; i <= 4; i++) {
		user_connects(i, (const char *[]){"", "a", "b", "c", "d"}[i]);
		STEP(NULL, CORE_EV_LOGOUT, .login = i);
		desktop_goes(i);
		bench.now_ms += 5 * 60000;
	}
	user_connects(5, "alice");
	user_connects(6, "bob");
	login(7, "carol", "c7", "");
	/* Four in 20 minutes. */
	assert_true(said(CORE_ACT_TELL_STAGE, "your turn is in about 5 minutes."));
	login(8, "dave", "c8", "");
	assert_true(said(CORE_ACT_TELL_STAGE, "your turn is in about 10 minutes."));
	/* Nobody leaves, so it takes longer; and in the end nothing is known any more. */
	for (unsigned i = 0; i < 8; i++)
		wait_deadline(60000, "");
	assert_true(core_queue_get(bench.core, 1, &entry));
	assert_int_equal(entry.minutes, 7);
	for (unsigned i = 0; i < 120; i++)
		wait_deadline(60000, "");
	assert_true(core_queue_get(bench.core, 1, &entry));
	assert_int_equal(entry.minutes, 0);
}

static void test_queue_outlives_a_lost_server(void **state)
{
	(void)state;
	full_lab_with_two_waiting();
	STEP("", CORE_EV_SERVER_DOWN, .server = 1, .text = "cable");
	assert_int_equal(queue_length(), 2);
	login(5, "erin", "c5", "tell-refused L5 no-server");
	server(2, 8192);
	assert_string_equal(bench.trace, "desktop-start s2 d3 S3; volume-create s2 v3; "
					 "desktop-start s2 d4 S4; volume-create s2 v4");
	assert_int_equal(queue_length(), 0);
}

static void test_a_smaller_queue_sends_nobody_away(void **state)
{
	(void)state;
	full_lab_with_two_waiting();
	bench.config.queue = 0;
	STEP("", CORE_EV_CONFIG, .config = &bench.config);
	assert_int_equal(queue_length(), 2);
	login(5, "erin", "c5", "tell-refused L5 full");
}

static void test_group_sizes(void **state)
{
	const char *const big[] = {"bob", "prof-*"}, *const kiosk[] = {"52:54:00:30:*"};
	const struct core_group groups[] = {{{big, 2}, 4096, 0}, {{kiosk, 1}, 0, 1024}};
	const struct core_policy policy = {groups, 2, NULL, 0, NULL, 0};
	struct core_event e = {.type = CORE_EV_LOGIN, .login = 9, .user = "kim", .client = "c9"};

	(void)state;
	STEP("", CORE_EV_POLICY, .policy = &policy);
	server(1, 14336);
	for (uint64_t i = 1; i <= 3; i++) {
		const char *const names[] = {"", "a", "bob", "prof-x"};
		char client[8];

		snprintf(client, sizeof(client), "c%u", (unsigned)i);
		login(i, names[i], client, NULL);
	}
	assert_int_equal(core_desktop_get(bench.core, 2)->memory_mib, 4096);
	assert_int_equal(core_desktop_get(bench.core, 3)->memory_mib, 4096);
	snprintf(e.seat, sizeof(e.seat), "52:54:00:30:01:09");
	expect(&e, "authenticate L9");
	e.type = CORE_EV_AUTHENTICATED;
	expect(&e, NULL);
	assert_int_equal(
		core_desktop_get(bench.core, core_session_by_user(bench.core, "kim")->desktop)
			->memory_mib,
		1024);
}

static void test_a_size_that_no_server_has(void **state)
{
	const char *const all[] = {"*"};
	const struct core_group group = {{all, 1}, 4096, 0};
	const struct core_policy policy = {&group, 1, NULL, 0, NULL, 0};

	(void)state;
	STEP("", CORE_EV_POLICY, .policy = &policy);
	server(1, 3000);
	login(1, "alice", "c1", "tell-refused L1 no-server");
	assert_true(said(CORE_ACT_TELL_REFUSED, "large enough"));
}

static void test_reservation(void **state)
{
	const char *const class[] = {"k*"};
	const struct core_reservation reservation = {7, {class, 1}, 1, 0};
	const struct core_policy policy = {NULL, 0, &reservation, 1, NULL, 0}, none = {0};
	struct core_tier_status status;

	(void)state;
	small_lab();
	STEP("", CORE_EV_POLICY, .policy = &policy);
	assert_true(said(CORE_ACT_AUDIT, "1 seats"));
	user_connects(1, "alice");
	login(2, "bob", "c2", "");
	login(3, "carol", "c3", "");
	assert_int_equal(queue_length(), 2);
	core_tier_status(bench.core, &status);
	assert_int_equal(status.kept_seats, 1);
	assert_int_equal(status.queued, 2);
	/* The seat is kept for one of the class, and he does not wait for it. */
	login(4, "kim", "c4", "desktop-start s1 d2 S4; volume-create s1 v4");
	assert_int_equal(core_reservation_filled(bench.core, 7), 1);
	login(5, "kai", "c5", "tell-refused L5 full");
	/* He goes and the seat is kept again, until the class is over. */
	STEP("desktop-destroy s1 d2", CORE_EV_VIEWER_GONE, .login = 4);
	STEP("", CORE_EV_DESKTOP_GONE, .desktop = 2);
	assert_int_equal(core_reservation_filled(bench.core, 7), 0);
	assert_int_equal(queue_length(), 2);
	STEP("desktop-start s1 d3 S2; volume-create s1 v2", CORE_EV_POLICY, .policy = &none);
	assert_true(said(CORE_ACT_AUDIT, "0 of 1 seats were taken"));
	assert_int_equal(queue_length(), 1);
}

/* Who is on already when the class begins has a seat; a second reservation is the next choice. */
static void test_reservation_counts_who_is_on(void **state)
{
	const char *const class[] = {"k*"};
	const struct core_reservation two[] = {{7, {class, 1}, 1, 0}, {8, {class, 1}, 1, 0}};
	const struct core_policy policy = {NULL, 0, two, 2, NULL, 0};

	(void)state;
	small_lab();
	user_connects(1, "kim");
	STEP("", CORE_EV_POLICY, .policy = &policy);
	assert_int_equal(core_reservation_filled(bench.core, 7), 1);
	assert_int_equal(core_reservation_filled(bench.core, 8), 0);
	login(2, "alice", "c2", "");
	assert_int_equal(queue_length(), 1);
	login(3, "kai", "c3", "desktop-start s1 d2 S3; volume-create s1 v3");
	assert_int_equal(core_reservation_filled(bench.core, 8), 1);
}

/* The pool boots what the class needs, and nobody of another kind gets it. */
static void test_standby_is_of_the_class(void **state)
{
	const char *const class[] = {"k*"};
	const struct core_reservation reservation = {7, {class, 1}, 1, 4096};
	const struct core_policy policy = {NULL, 0, &reservation, 1, NULL, 0};

	(void)state;
	bench.config.standby = 1;
	STEP("", CORE_EV_CONFIG, .config = &bench.config);
	STEP("", CORE_EV_POLICY, .policy = &policy);
	server(1, 5120);
	assert_int_equal(core_desktop_get(bench.core, 1)->memory_mib, 4096);
	boots(1, "");
	login(1, "alice", "c1", NULL);
	assert_int_equal(core_session_get(bench.core, 1)->desktop, 2);
	assert_int_equal(core_desktop_get(bench.core, 2)->memory_mib, 512);
	login(2, "kim", "c2", NULL);
	assert_int_equal(core_session_get(bench.core, 2)->desktop, 1);
}

static void test_patterns(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool fits;
	} cases[] = {{"alice", "alice", true}, {"alice", "alic", false}, {"alic", "alice", false},
		{"*", "", true}, {"", "", true}, {"", "a", false}, {"a*", "a", true},
		{"a*e", "alice", true}, {"a*e", "alic", false}, {"*ic*", "alice", true},
		{"a*i*e", "aiie", true}, {"??", "ab", true}, {"??", "a", false},
		{"*ab", "aab", true}, {"*?", "", false}, {"a**b", "ab", true},
		{"52:54:00:30:*", "52:54:00:30:01:02", true},
		{"52:54:00:30:*", "52:54:00:31:01:02", false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (core_pattern_match(cases[i].pattern, cases[i].text) != cases[i].fits)
			fail_msg("\"%s\" and \"%s\"", cases[i].pattern, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_first_come_first_served),
		TEST(test_nobody_overtakes),
		TEST(test_who_goes_leaves_the_queue),
		TEST(test_place_is_kept_at_another_seat),
		TEST(test_estimate),
		TEST(test_queue_outlives_a_lost_server),
		TEST(test_a_smaller_queue_sends_nobody_away),
		TEST(test_group_sizes),
		TEST(test_a_size_that_no_server_has),
		TEST(test_reservation),
		TEST(test_reservation_counts_who_is_on),
		TEST(test_standby_is_of_the_class),
		TEST(test_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
