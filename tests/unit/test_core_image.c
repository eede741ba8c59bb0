/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Versions of the image: who gets which, and what becomes of one that does not work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/test_core_bench.h"

#define NEW "lite@2"

static const struct core_session *session(uint64_t id)
{
	return core_session_get(bench.core, id);
}

static const char *image_of(uint64_t id)
{
	return core_desktop_get(bench.core, session(id)->desktop)->image;
}

static const char *stable(void)
{
	return core_channels(bench.core)->stable.id;
}

static void arrives(unsigned n)
{
	char user[16], client[16];

	snprintf(user, sizeof(user), "user%u", n);
	snprintf(client, sizeof(client), "c%u", n);
	login(n, user, client, NULL);
}

static void is_on(unsigned n)
{
	arrives(n);
	all_well(CORE_ACT_COUNT);
	assert_int_equal(session_is(n), SESSION_CONNECTED);
}

static void promote(uint32_t canary, int64_t until_wall_ms)
{
	STEP(NULL, CORE_EV_IMAGE_PROMOTE, .image = {NEW, false}, .number = canary,
		.until_wall_ms = until_wall_ms);
}

static void test_running_sessions_stay(void **state)
{
	(void)state;
	server(1, 16384);
	is_on(1);
	promote(0, 0);
	is_on(2);
	assert_string_equal(image_of(1), "lite@1");
	assert_string_equal(image_of(2), NEW);
	/* Also where they are handed off to. */
	STEP(NULL, CORE_EV_SESSION_MOVE, .session = 1, .memory_mib = 1024);
	all_well(CORE_ACT_COUNT);
	assert_int_equal(core_desktop_get(bench.core, session(1)->desktop)->memory_mib, 1024);
	assert_string_equal(image_of(1), "lite@1");
	STEP(NULL, CORE_EV_LOGOUT, .login = 1);
	all_well(CORE_ACT_COUNT);
	is_on(3);
	assert_string_equal(image_of(3), NEW);
}

static void test_restart_knows_the_versions(void **state)
{
	(void)state;
	server(1, 16384);
	is_on(1);
	promote(2, 0);
	restart();
	assert_string_equal(stable(), NEW);
	assert_string_equal(core_channels(bench.core)->previous.id, "lite@1");
	assert_int_equal(core_channels(bench.core)->canary, 2);
	assert_string_equal(session(1)->image.id, "lite@1");
}

static void test_way_back(void **state)
{
	(void)state;
	server(1, 16384);
	STEP("", CORE_EV_IMAGE_ROLLBACK, .text = "no");
	assert_string_equal(stable(), "lite@1"); /* there was none before it */
	promote(0, 0);
	STEP("", CORE_EV_IMAGE_ROLLBACK, .text = "the printers");
	const struct core_channels *c = core_channels(bench.core);
	assert_string_equal(c->stable.id, "lite@1");
	assert_string_equal(c->testing.id, NEW);
	assert_string_equal(c->previous.id, "");
	assert_string_equal(c->returned, NEW);
	assert_string_equal(c->reason, "the printers");
	is_on(1);
	assert_string_equal(image_of(1), "lite@1");
	promote(0, 0);
	assert_string_equal(core_channels(bench.core)->returned, "");
	assert_string_equal(core_channels(bench.core)->testing.id, "");
}

static void test_proof(void **state)
{
	(void)state;
	server(1, 16384);
	promote(2, 0);
	is_on(1);
	assert_int_equal(core_channels(bench.core)->canary, 1);
	/* The same user's second viewer proves nothing. */
	STEP(NULL, CORE_EV_RECONNECT, .login = 1);
	all_well(CORE_ACT_COUNT);
	STEP(NULL, CORE_EV_FIRST_FRAME, .login = 1);
	assert_int_equal(core_channels(bench.core)->canary, 1);
	is_on(2);
	assert_int_equal(core_channels(bench.core)->canary, 0);
	/* What is proven stays, whatever becomes of a desktop. */
	arrives(3);
	STEP(NULL, CORE_EV_DESKTOP_GONE, .desktop = session(3)->desktop);
	assert_string_equal(stable(), NEW);
}

/* Each fails another way; the user who was waiting gets the version before. */
static void failing(enum core_event_type type, const char *code, bool taken_back)
{
	setup(NULL);
	server(1, 16384);
	promote(3, 0);
	arrives(1);
	uint64_t desktop = session(1)->desktop;
	assert_string_equal(image_of(1), NEW);
	if (type == CORE_EV_CLAIM_FAILED)
		assert_true(all_well(CORE_ACT_CLAIM));
	struct core_event event = {.type = type, .desktop = desktop};
	snprintf(event.code, sizeof(event.code), "%s", code);
	if (type == CORE_EV_TICK)
		wait_deadline(60000, NULL);
	else
		expect(&event, NULL);
	assert_string_equal(stable(), taken_back ? "lite@1" : NEW);
	if (taken_back) {
		assert_non_null(strstr(core_channels(bench.core)->reason, "d1 failed"));
		assert_string_equal(core_channels(bench.core)->returned, NEW);
	}
	forget(CORE_ACT_CLAIM);
	all_well(CORE_ACT_COUNT);
	if (session_is(1) == SESSION_CONNECTED)
		assert_string_equal(image_of(1), taken_back ? "lite@1" : NEW);
	teardown(NULL);
}

static void test_failures(void **state)
{
	(void)state;
	teardown(NULL);
	failing(CORE_EV_TICK, "", true);
	failing(CORE_EV_DESKTOP_GONE, "crashed", true);
	failing(CORE_EV_CLAIM_FAILED, "session-failed", true);
	failing(CORE_EV_CLAIM_FAILED, "volume-damaged", false);
	failing(CORE_EV_DESKTOP_START_FAILED, "no-memory", false);
	setup(NULL);
}

static void test_standby_that_does_not_boot(void **state)
{
	(void)state;
	bench.config.standby = 1;
	STEP(NULL, CORE_EV_CONFIG, .config = &bench.config);
	server(1, 16384);
	boots(1, "");
	promote(3, 0);
	assert_string_equal(core_desktop_get(bench.core, 2)->image, NEW);
	STEP(NULL, CORE_EV_DESKTOP_GONE, .desktop = 2, .text = "crashed");
	assert_string_equal(stable(), "lite@1");
	assert_non_null(strstr(core_channels(bench.core)->reason, "crashed"));
}

static void test_lost_server_proves_nothing(void **state)
{
	(void)state;
	server(1, 16384);
	server(2, 16384);
	promote(3, 0);
	arrives(1);
	STEP(NULL, CORE_EV_SERVER_DOWN, .server = 1, .text = "power");
	STEP(NULL, CORE_EV_SERVER_DOWN, .server = 2, .text = "power");
	assert_string_equal(stable(), NEW);
}

static void tries(const char *user, const char *seat)
{
	const char *users[] = {user}, *seats[] = {seat};
	const struct core_trial trials[] = {
		{{users, 1}, {NEW, true}}, {{seats, 1}, {"lite@3", false}}};
	const struct core_policy policy = {.trials = trials, .trial_count = 2};

	STEP(NULL, CORE_EV_POLICY, .policy = &policy);
}

static void test_trial(void **state)
{
	(void)state;
	bench.config.standby = 1;
	STEP(NULL, CORE_EV_CONFIG, .config = &bench.config);
	server(1, 16384);
	boots(1, "");
	tries("user2", "52:54:00:*");
	is_on(1);
	assert_string_equal(image_of(1), "lite@1");
	is_on(2);
	assert_string_equal(image_of(2), NEW);
	assert_true(core_desktop_get(bench.core, session(2)->desktop)->live);
	STEP(NULL, CORE_EV_LOGIN, .login = 3, .user = "user3", .client = "c3",
		.seat = "52:54:00:12:34:56");
	STEP(NULL, CORE_EV_AUTHENTICATED, .login = 3, .user = "user3", .uid = 3, .gid = 3);
	all_well(CORE_ACT_COUNT);
	assert_string_equal(image_of(3), "lite@3");
	assert_string_equal(stable(), "lite@1");
	/* A trial that fails is no promotion's. */
	STEP(NULL, CORE_EV_POLICY, .policy = &(struct core_policy){0});
	is_on(4);
	assert_string_equal(image_of(4), "lite@1");
}

static void grace(uint32_t ms)
{
	bench.config.handoff_grace_ms = ms;
	STEP(NULL, CORE_EV_CONFIG, .config = &bench.config);
}

static void passes(int64_t ms)
{
	bench.now_ms += ms;
	STEP(NULL, CORE_EV_TICK);
}

static void test_deadline(void **state)
{
	(void)state;
	server(1, 16384);
	is_on(1);
	is_on(2);
	grace(5000);
	promote(0, bench.now_ms + 90000);
	passes(89999);
	assert_int_equal(session(1)->move, MOVE_NONE);
	passes(1);
	/* One after the other, with notice. */
	assert_int_equal(session(1)->move, MOVE_ANNOUNCE);
	assert_int_equal(session(1)->move_why, MOVE_WHY_IMAGE);
	assert_true(said(CORE_ACT_TELL_HANDOFF, "up to date"));
	assert_int_equal(session(2)->move, MOVE_NONE);
	assert_string_equal(image_of(1), "lite@1");
	for (unsigned i = 0; i < 20 && strcmp(image_of(2), NEW) != 0; i++) {
		all_well(CORE_ACT_COUNT);
		passes(5000);
	}
	assert_string_equal(image_of(1), NEW);
	assert_string_equal(image_of(2), NEW);
}

/* The renewal of a session that is undone leaves it what it has. */
static void test_undone_renewal(void **state)
{
	(void)state;
	server(1, 16384);
	is_on(1);
	grace(5000);
	promote(0, bench.now_ms + 1);
	passes(1);
	assert_int_equal(session(1)->move, MOVE_ANNOUNCE);
	assert_string_equal(session(1)->image.id, NEW);
	STEP(NULL, CORE_EV_DESKTOP_START_FAILED, .desktop = session(1)->next, .code = "no-image");
	assert_int_equal(session(1)->move, MOVE_NONE);
	assert_string_equal(session(1)->image.id, "lite@1");
	assert_string_equal(image_of(1), "lite@1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_running_sessions_stay),
		TEST(test_restart_knows_the_versions),
		TEST(test_way_back),
		TEST(test_proof),
		TEST(test_failures),
		TEST(test_standby_that_does_not_boot),
		TEST(test_lost_server_proves_nothing),
		TEST(test_trial),
		TEST(test_deadline),
		TEST(test_undone_renewal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
