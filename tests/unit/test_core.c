/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The paths that people take, from the login to the logout, at one seat or several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/test_core_bench.h"

static void test_first_login_cold(void **state)
{
	(void)state;
	server(1, 8192);
	login(1, "alice", "c1", "desktop-start s1 d1 S1; volume-create s1 v1");
	assert_int_equal(core_volume_get(bench.core, 1)->state, VOLUME_CREATING);
	assert_int_equal(core_desktop_get(bench.core, 1)->memory_mib, 4096);
	STEP("", CORE_EV_DESKTOP_STARTED, .desktop = 1, .vnc_port = 5901, .vnc_host = "10.78.0.11");
	STEP("", CORE_EV_AGENT_HELLO, .desktop = 1);
	assert_int_equal(core_session_get(bench.core, 1)->state, SESSION_WAITING);
	STEP("volume-attach s1 d1 S1 v1", CORE_EV_VOLUME_CREATED, .volume = 1);
	STEP("claim s1 d1 S1 v1", CORE_EV_VOLUME_ATTACHED, .volume = 1, .desktop = 1);
	STEP("", CORE_EV_AGENT_PROGRESS, .desktop = 1, .text = "mount", .percent = 50);
	assert_true(said(CORE_ACT_TELL_STAGE, "mount"));
	STEP("ticket-set s1 d1 S1; forward-add S1 c1", CORE_EV_CLAIMED, .desktop = 1);
	STEP("", CORE_EV_FORWARD_ADDED, .session = 1);
	STEP("tell-ready s1 d1 S1 L1", CORE_EV_TICKET_SET, .session = 1, .desktop = 1);
	assert_int_equal(bench.actions.items[0].port, 5900);
	STEP("ticket-clear s1 d1 S1", CORE_EV_FIRST_FRAME, .login = 1);
	STEP("", CORE_EV_FIRST_FRAME, .login = 1);
	assert_int_equal(session_is(1), SESSION_CONNECTED);
	assert_int_equal(core_next_deadline(bench.core), INT64_MAX);
}

static void test_standby_login_and_refill(void **state)
{
	(void)state;
	bench.config.standby = 1;
	STEP("", CORE_EV_CONFIG, .config = &bench.config);
	server(1, 16384);
	assert_string_equal(bench.trace, "desktop-start s1 d1");
	boots(1, "");
	/* Alice takes it; the next one boots when she has it, not beside her claim. */
	login(1, "alice", "c1", "volume-create s1 v1");
	STEP("volume-attach s1 d1 S1 v1", CORE_EV_VOLUME_CREATED, .volume = 1);
	STEP("claim s1 d1 S1 v1", CORE_EV_VOLUME_ATTACHED, .volume = 1, .desktop = 1);
	STEP(NULL, CORE_EV_CLAIMED, .desktop = 1);
	assert_non_null(strstr(bench.trace, "desktop-start s1 d2"));
	assert_int_equal(core_session_get(bench.core, 1)->desktop, 1);
}

static void test_wrong_password(void **state)
{
	(void)state;
	server(1, 8192);
	STEP("authenticate L1", CORE_EV_LOGIN, .login = 1, .user = "alice", .client = "c1");
	STEP("tell-refused L1 denied", CORE_EV_AUTH_FAILED, .login = 1, .code = "denied",
		.text = "Wrong name or password.");
	STEP("", CORE_EV_AUTHENTICATED, .login = 1, .user = "alice");
	STEP("authenticate L2", CORE_EV_LOGIN, .login = 2, .user = "alice", .client = "c1");
	wait_deadline(60000, "tell-refused L2 unavailable");
}

static void test_too_many_logins(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 4; i++)
		STEP(NULL, CORE_EV_LOGIN, .login = i, .user = "a", .client = "c1");
	STEP("tell-refused L5 too-many", CORE_EV_LOGIN, .login = 5, .user = "a", .client = "c1");
	STEP("authenticate L6", CORE_EV_LOGIN, .login = 6, .user = "a", .client = "c2");
	STEP("", CORE_EV_VIEWER_GONE, .login = 1);
	STEP("authenticate L7", CORE_EV_LOGIN, .login = 7, .user = "a", .client = "c1");
}

static void test_roams_while_connected(void **state)
{
	(void)state;
	alice_connected();
	login(2, "alice", "c2",
		"tell-moved L1 moved; forward-del S1 c1; ticket-set s1 d1 S1; forward-add S1 c2");
	STEP("", CORE_EV_VIEWER_GONE, .login = 1); /* the first one, late */
	STEP("", CORE_EV_FORWARD_ADDED, .session = 1);
	STEP("tell-ready s1 d1 S1 L2", CORE_EV_TICKET_SET, .session = 1, .desktop = 1);
	assert_string_equal(core_session_get(bench.core, 1)->client, "c2");
}

static void test_roams_in_every_earlier_state(void **state)
{
	(void)state;
	server(1, 8192);
	login(1, "alice", "c1", "desktop-start s1 d1 S1; volume-create s1 v1");
	login(2, "alice", "c2", "tell-moved L1 moved");
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1);
	boots(1, "volume-attach s1 d1 S1 v1");
	login(3, "alice", "c3", "tell-moved L2 moved");
	uint32_t earlier;
	STEP("claim s1 d1 S1 v1", CORE_EV_VOLUME_ATTACHED, .volume = 1, .desktop = 1);
	STEP("ticket-set s1 d1 S1; forward-add S1 c3", CORE_EV_CLAIMED, .desktop = 1);
	/* The answers to the first viewer's way must not make the second one's ready. */
	earlier = bench.way[1];
	login(4, "alice", "c4",
		"tell-moved L3 moved; forward-del S1 c3; ticket-clear s1 d1 S1; "
		"ticket-set s1 d1 S1; forward-add S1 c4");
	STEP("", CORE_EV_TICKET_SET, .session = 1, .desktop = 1, .number = earlier);
	STEP("", CORE_EV_FORWARD_ADDED, .session = 1, .number = earlier);
	STEP("", CORE_EV_TICKET_SET, .session = 1, .desktop = 1);
	STEP("tell-ready s1 d1 S1 L4", CORE_EV_FORWARD_ADDED, .session = 1);
}

static void test_two_logins_race(void **state)
{
	(void)state;
	server(1, 8192);
	STEP("authenticate L1", CORE_EV_LOGIN, .login = 1, .user = "alice", .client = "c1");
	STEP("authenticate L2", CORE_EV_LOGIN, .login = 2, .user = "alice", .client = "c2");
	STEP("desktop-start s1 d1 S1; volume-create s1 v1", CORE_EV_AUTHENTICATED, .login = 2,
		.user = "alice");
	STEP("tell-moved L2 moved", CORE_EV_AUTHENTICATED, .login = 1, .user = "alice");
	STEP("", CORE_EV_AUTHENTICATED, .login = 1, .user = "alice");
	assert_int_equal(core_session_get(bench.core, 1)->login, 1);
	assert_null(core_session_get(bench.core, 2));
}

static void test_viewer_gone_and_back(void **state)
{
	(void)state;
	alice_connected();
	STEP("forward-del S1 c1", CORE_EV_VIEWER_GONE, .login = 1);
	assert_int_equal(session_is(1), SESSION_DISCONNECTED);
	assert_int_equal(core_next_deadline(bench.core), bench.now_ms + 600000);
	login(2, "alice", "c2", "ticket-set s1 d1 S1; forward-add S1 c2");
	STEP("", CORE_EV_TICKET_SET, .session = 1, .desktop = 1);
	STEP("tell-ready s1 d1 S1 L2", CORE_EV_FORWARD_ADDED, .session = 1);
	STEP("ticket-set s1 d1 S1; forward-add S1 c2", CORE_EV_RECONNECT, .login = 2);
	STEP("", CORE_EV_TICKET_SET, .session = 1, .desktop = 1);
	STEP("tell-ready s1 d1 S1 L2", CORE_EV_FORWARD_ADDED, .session = 1);
}

static void test_session_expires(void **state)
{
	(void)state;
	alice_connected();
	STEP("forward-del S1 c1", CORE_EV_VIEWER_GONE, .login = 1);
	wait_deadline(600000, "release s1 d1");
	assert_int_equal(session_is(1), SESSION_ENDED);
}

static void test_viewer_gone_while_waiting(void **state)
{
	(void)state;
	server(1, 8192);
	login(1, "alice", "c1", NULL);
	/* Nobody has claimed the desktop; the pool keeps none, so it goes. */
	STEP("desktop-destroy s1 d1", CORE_EV_VIEWER_GONE, .login = 1);
	STEP("", CORE_EV_DESKTOP_STARTED, .desktop = 1, .vnc_port = 5901);
	STEP("", CORE_EV_DESKTOP_GONE, .desktop = 1);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1);
	assert_int_equal(core_volume_get(bench.core, 1)->state, VOLUME_READY);
}

static void test_logout_and_login_waits_for_volume(void **state)
{
	(void)state;
	alice_connected();
	STEP("tell-ended L1 logout; forward-del S1 c1; release s1 d1", CORE_EV_LOGOUT, .login = 1);
	login(2, "alice", "c2", "desktop-start s1 d2 S2");
	boots(2, "");
	assert_true(said(CORE_ACT_TELL_STAGE, "put away"));
	STEP("volume-detach s1 d1 v1", CORE_EV_RELEASED, .desktop = 1);
	STEP("volume-attach s1 d2 S2 v1; desktop-destroy s1 d1", CORE_EV_VOLUME_DETACHED,
		.volume = 1, .desktop = 1);
	STEP("", CORE_EV_VOLUME_DETACHED, .volume = 1, .desktop = 1);
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 2);
	STEP("", CORE_EV_DESKTOP_GONE, .desktop = 1);
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 2);
	connects(2, 2, 1);
}

static void test_no_server_and_full(void **state)
{
	(void)state;
	login(1, "alice", "c1", "tell-refused L1 no-server");
	server(1, 1024); /* two of the smallest */
	login(2, "alice", "c1", "desktop-start s1 d1 S2; volume-create s1 v1");
	assert_int_equal(core_desktop_get(bench.core, 1)->memory_mib, 512);
	login(3, "bob", "c2", "desktop-start s1 d2 S3; volume-create s1 v2");
	login(4, "eve", "c3", "tell-refused L4 full");
	assert_true(said(CORE_ACT_TELL_REFUSED, "2 users are connected"));
	/* Somebody is leaving: the next one waits for his memory. */
	STEP("desktop-destroy s1 d2", CORE_EV_VIEWER_GONE, .login = 3);
	login(5, "eve", "c3", "volume-create s1 v3");
	assert_int_equal(core_server_used_mib(bench.core, 1), 1024);
	STEP("desktop-start s1 d3 S5", CORE_EV_DESKTOP_GONE, .desktop = 2);
}

/* Alice has the only place and logs out; bob comes before her desktop is gone. */
static void alice_leaves_bob_waits(void)
{
	server(1, 512);
	login(1, "alice", "c1", "desktop-start s1 d1 S1; volume-create s1 v1");
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1);
	boots(1, NULL);
	connects(1, 1, 1);
	STEP(NULL, CORE_EV_LOGOUT, .login = 1);
	login(2, "bob", "c2", "volume-create s1 v2");
	assert_int_equal(session_is(2), SESSION_WAITING);
}

static void test_waits_for_room(void **state)
{
	(void)state;
	alice_leaves_bob_waits();
	login(3, "bob", "c3", "tell-moved L2 moved");
	STEP("volume-detach s1 d1 v1", CORE_EV_RELEASED, .desktop = 1);
	STEP("desktop-destroy s1 d1", CORE_EV_VOLUME_DETACHED, .volume = 1, .desktop = 1);
	assert_int_equal(core_server_used_mib(bench.core, 1), 512);
	STEP("desktop-start s1 d2 S2", CORE_EV_DESKTOP_GONE, .desktop = 1);
}

/* Her VM does not go: what was promised to bob is taken back. */
static void test_waiting_for_room_ends(void **state)
{
	(void)state;
	alice_leaves_bob_waits();
	while (session_is(2) != SESSION_ENDED)
		wait_deadline(60000, NULL);
	assert_true(said(CORE_ACT_TELL_REFUSED, "none came free"));
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 1);
}

static void test_ports_of_one_client(void **state)
{
	(void)state;
	server(1, 8192);
	login(1, "a", "c1", NULL);
	login(2, "b", "c1", NULL);
	for (uint64_t i = 1; i <= 2; i++) {
		STEP(NULL, CORE_EV_VOLUME_CREATED, .volume = i);
		boots(i, NULL);
		connects(i, i, i);
		assert_int_equal(core_session_get(bench.core, i)->forward_port, 5899 + i);
	}
}

static void test_unpublished_image(void **state)
{
	(void)state;
	publish("", false);
	server(1, 8192);
	login(1, "alice", "c1", "tell-refused L1 desktop-failed");
	assert_true(said(CORE_ACT_TELL_REFUSED, "image"));
}

static void test_status(void **state)
{
	struct core_tier_status status;

	(void)state;
	server(1, 4096);
	server(2, 4096);
	core_tier_status(bench.core, &status);
	assert_int_equal(status.users, 0);
	assert_int_equal(status.tiers, 4);
	assert_int_equal(status.threshold, 1);
	assert_int_equal(status.capacity_users, 16);
	login(1, "a", "c1", NULL);
	login(2, "b", "c2", NULL);
	core_tier_status(bench.core, &status);
	assert_int_equal(status.users, 2);
	assert_int_equal(status.tier, 1);
	assert_int_equal(status.size_mib, 2048);
	assert_int_equal(status.threshold, 3);
	assert_int_equal(status.reserve_server_free_mib, 2048);
	assert_int_equal(status.next_size_mib, 2048);
	assert_int_equal(status.next_handoff, 1);
	assert_int_equal(status.next_handoff_size_mib, 2048);
	assert_int_equal(status.next_server, 1);
}

static void test_names(void **state)
{
	(void)state;
	for (int i = 0; i < CORE_EV_COUNT; i++)
		assert_non_null(core_event_name((enum core_event_type)i));
	for (int i = 0; i < CORE_ACT_COUNT; i++)
		assert_non_null(core_action_name((enum core_action_type)i));
	assert_string_equal(core_session_state_name(SESSION_MOVING), "moving");
	assert_string_equal(core_desktop_state_name((enum core_desktop_state)99), "?");
}

static void test_more_desktops_than_ports(void **state)
{
	(void)state;
	server(1, 65536);
	for (uint64_t i = 1; i <= 9; i++) {
		char user[] = {(char)('a' + i), 0};
		login(i, user, "c1", NULL);
		STEP(NULL, CORE_EV_VOLUME_CREATED, .volume = i);
		boots(i, NULL);
		if (i <= 8)
			connects(i, i, i);
	}
	STEP(NULL, CORE_EV_VOLUME_ATTACHED, .volume = 9, .desktop = 9);
	STEP("tell-refused L9 too-many", CORE_EV_CLAIMED, .desktop = 9);
	assert_int_equal(session_is(9), SESSION_DISCONNECTED);
	assert_ptr_equal(core_session_by_user(bench.core, "j"), core_session_get(bench.core, 9));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_first_login_cold),
		TEST(test_standby_login_and_refill),
		TEST(test_wrong_password),
		TEST(test_too_many_logins),
		TEST(test_roams_while_connected),
		TEST(test_roams_in_every_earlier_state),
		TEST(test_two_logins_race),
		TEST(test_viewer_gone_and_back),
		TEST(test_session_expires),
		TEST(test_viewer_gone_while_waiting),
		TEST(test_logout_and_login_waits_for_volume),
		TEST(test_no_server_and_full),
		TEST(test_waits_for_room),
		TEST(test_waiting_for_room_ends),
		TEST(test_ports_of_one_client),
		TEST(test_more_desktops_than_ports),
		TEST(test_unpublished_image),
		TEST(test_status),
		TEST(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
