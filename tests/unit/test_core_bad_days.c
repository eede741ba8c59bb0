/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What fails: desktops, volumes, tickets, servers, the broker itself; and the standby pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/test_core_bench.h"

static void test_release_and_detach_fail(void **state)
{
	(void)state;
	alice_connected();
	STEP("tell-ended L1 logout; forward-del S1 c1; release s1 d1", CORE_EV_GUEST_SESSION_ENDED,
		.desktop = 1);
	STEP("desktop-destroy s1 d1", CORE_EV_RELEASE_FAILED, .desktop = 1, .code = "volume-busy");
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 1);
	wait_deadline(30000, "desktop-destroy s1 d1"); /* no answer: asked again */
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 1);
	STEP("", CORE_EV_DESKTOP_GONE, .desktop = 1);
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 0);

	login(2, "alice", "c1", "desktop-start s1 d2 S2");
	boots(2, "volume-attach s1 d2 S2 v1");
	connects(2, 2, 1);
	STEP("tell-ended L2 admin; forward-del S2 c1; ticket-clear s1 d2 S2; release s1 d2",
		CORE_EV_SESSION_END, .session = 2);
	STEP("volume-detach s1 d2 v1", CORE_EV_RELEASED, .desktop = 2);
	STEP("desktop-destroy s1 d2", CORE_EV_VOLUME_DETACH_FAILED, .volume = 1, .desktop = 2);
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 2);
	STEP("", CORE_EV_DESKTOP_GONE, .desktop = 2);
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 0);
}

static void test_desktop_fails_twice(void **state)
{
	(void)state;
	server(1, 4096);
	server(2, 8192);
	login(1, "alice", "c1", "desktop-start s1 d1 S1; volume-create s1 v1");
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1);
	/* The second try goes to the other server. */
	STEP("desktop-start s2 d2 S1", CORE_EV_DESKTOP_START_FAILED, .desktop = 1,
		.code = "no-image", .text = "image lite@1 is not there");
	STEP("", CORE_EV_DESKTOP_STARTED, .desktop = 2, .vnc_port = 5902);
	wait_deadline(60000, "desktop-destroy s2 d2; tell-refused L1 desktop-failed");
	assert_true(said(CORE_ACT_TELL_REFUSED, "did not report within 60 s"));
	STEP("", CORE_EV_AGENT_HELLO, .desktop = 2);
	STEP("", CORE_EV_DESKTOP_GONE, .desktop = 2);
	assert_int_equal(core_server_used_mib(bench.core, 2), 0);
}

static void test_dies_while_booting_and_claim_fails(void **state)
{
	(void)state;
	server(1, 8192);
	login(1, "alice", "c1", NULL);
	STEP("desktop-start s1 d2 S1", CORE_EV_DESKTOP_GONE, .desktop = 1, .text = "crashed");
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1);
	boots(2, "volume-attach s1 d2 S1 v1");
	STEP("claim s1 d2 S1 v1", CORE_EV_VOLUME_ATTACHED, .volume = 1, .desktop = 2);
	STEP("desktop-destroy s1 d2; tell-refused L1 desktop-failed", CORE_EV_CLAIM_FAILED,
		.desktop = 2, .code = "session", .text = "no X");
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 2);
	STEP("", CORE_EV_DESKTOP_GONE, .desktop = 2);
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 0);
}

static void test_claim_times_out(void **state)
{
	(void)state;
	server(1, 8192);
	login(1, "alice", "c1", NULL);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1);
	boots(1, NULL);
	wait_deadline(30000, "desktop-destroy s1 d1; desktop-start s1 d2 S1");
	boots(2, ""); /* the volume is still leased to the first */
	STEP("", CORE_EV_CLAIMED, .desktop = 1);
	STEP("volume-attach s1 d2 S1 v1", CORE_EV_DESKTOP_GONE, .desktop = 1);
}

static void test_attach_fails(void **state)
{
	(void)state;
	server(1, 8192);
	login(1, "alice", "c1", NULL);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1);
	boots(1, NULL);
	/* Certain that it is not attached: the next desktop need not wait for the first's end. */
	STEP("desktop-destroy s1 d1; desktop-start s1 d2 S1", CORE_EV_VOLUME_ATTACH_FAILED,
		.volume = 1, .desktop = 1, .flag = true, .code = "libvirt");
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 0);
	boots(2, "volume-attach s1 d2 S1 v1");
	STEP("desktop-destroy s1 d2; tell-refused L1 volume-failed", CORE_EV_VOLUME_ATTACH_FAILED,
		.volume = 1, .desktop = 2, .code = "busy");
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 2);
}

static void test_damaged_volume(void **state)
{
	(void)state;
	server(1, 8192);
	login(1, "alice", "c1", NULL);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1);
	boots(1, NULL);
	STEP("claim s1 d1 S1 v1", CORE_EV_VOLUME_ATTACHED, .volume = 1, .desktop = 1);
	STEP("desktop-destroy s1 d1; tell-refused L1 volume-damaged", CORE_EV_CLAIM_FAILED,
		.desktop = 1, .code = "volume-damaged", .text = "e2fsck: 4");
	assert_int_equal(core_volume_get(bench.core, 1)->state, VOLUME_BROKEN);
	STEP("", CORE_EV_VOLUME_REPAIRED, .volume = 1); /* it is still in a VM */
	STEP("", CORE_EV_DESKTOP_GONE, .desktop = 1);
	login(2, "alice", "c1", "tell-refused L2 volume-damaged");
	assert_int_equal(core_volume_get(bench.core, 1)->state, VOLUME_BROKEN);
	STEP("", CORE_EV_VOLUME_REPAIRED, .volume = 1);
	assert_int_equal(core_volume_get(bench.core, 1)->state, VOLUME_READY);
	login(3, "alice", "c1", "desktop-start s1 d2 S3");
	boots(2, "volume-attach s1 d2 S3 v1");
}

static void test_volume_creation_fails(void **state)
{
	(void)state;
	server(1, 8192);
	login(1, "alice", "c1", "desktop-start s1 d1 S1; volume-create s1 v1");
	STEP("", CORE_EV_VOLUME_CREATE_FAILED, .volume = 1, .server = 9, .code = "storage");
	STEP("volume-create s1 v1", CORE_EV_VOLUME_CREATE_FAILED, .volume = 1, .server = 1,
		.code = "storage");
	STEP("tell-refused L1 volume-failed; desktop-destroy s1 d1", CORE_EV_VOLUME_CREATE_FAILED,
		.volume = 1, .code = "storage", .text = "disk full");
	assert_true(said(CORE_ACT_TELL_REFUSED, "disk full"));
	assert_int_equal(core_volume_get(bench.core, 1)->state, VOLUME_CREATING);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1); /* nobody is at it */
	assert_int_equal(core_volume_get(bench.core, 1)->state, VOLUME_CREATING);
	login(2, "alice", "c1", NULL);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1);
	assert_int_equal(core_volume_get(bench.core, 1)->state, VOLUME_READY);
}

static void test_desktop_dies_while_active(void **state)
{
	(void)state;
	alice_connected();
	STEP("tell-ended L1 failed; forward-del S1 c1", CORE_EV_DESKTOP_GONE, .desktop = 1,
		.text = "crashed");
	assert_true(said(CORE_ACT_TELL_ENDED, "crashed"));
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 0);
	login(2, "alice", "c1", "desktop-start s1 d2 S2");
}

static void test_ticket_fails(void **state)
{
	(void)state;
	server(1, 8192);
	login(1, "alice", "c1", NULL);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1);
	boots(1, NULL);
	STEP(NULL, CORE_EV_VOLUME_ATTACHED, .volume = 1, .desktop = 1);
	STEP("ticket-set s1 d1 S1; forward-add S1 c1", CORE_EV_CLAIMED, .desktop = 1);
	for (unsigned i = 0; i < 2; i++) {
		STEP("", CORE_EV_FORWARD_ADDED, .session = 1);
		STEP("", CORE_EV_TICKET_FAILED, .session = 1, .desktop = 1, .text = "busy");
		wait_deadline(1000, "ticket-set s1 d1 S1; forward-add S1 c1");
	}
	/* No answer at all: that was the last try. The desktop is kept. */
	wait_deadline(20000, "tell-refused L1 internal; forward-del S1 c1; ticket-clear s1 d1 S1");
	assert_int_equal(session_is(1), SESSION_DISCONNECTED);
	assert_int_equal(core_desktop_get(bench.core, 1)->state, DESKTOP_ACTIVE);
}

static void test_server_down_and_back(void **state)
{
	(void)state;
	alice_connected();
	server(2, 8192);
	login(2, "bob", "c2", "desktop-start s1 d2 S2; volume-create s1 v2");
	/* Who waits is moved; who works goes on. */
	STEP("desktop-start s2 d3 S2; volume-create s2 v2", CORE_EV_SERVER_DOWN, .server = 1,
		.text = "connection lost");
	assert_int_equal(session_is(1), SESSION_CONNECTED);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 2, .server = 1); /* late, of the old worker */
	assert_int_equal(core_volume_get(bench.core, 2)->state, VOLUME_CREATING);
	STEP("", CORE_EV_RECONCILE_DESKTOP, .server = 1, .desktop = 1, .flag = true,
		.vnc_port = 5901, .vnc_host = "10.78.0.11");
	STEP("", CORE_EV_RECONCILE_DESKTOP, .server = 1, .desktop = 77, .flag = true,
		.memory_mib = 1024);
	STEP("", CORE_EV_RECONCILE_DESKTOP, .server = 1, .desktop = 2, .flag = true,
		.vnc_port = 5902, .vnc_host = "10.78.0.11");
	STEP("", CORE_EV_RECONCILE_DONE, .server = 1);
	STEP("desktop-destroy s1 d2; desktop-destroy s1 d77", CORE_EV_SERVER_UP, .server = 1,
		.memory_mib = 8192);
	assert_int_equal(session_is(1), SESSION_CONNECTED);
}

static void test_server_lost(void **state)
{
	(void)state;
	alice_connected();
	STEP("", CORE_EV_SERVER_DOWN, .server = 1);
	login(2, "bob", "c2", "tell-refused L2 no-server");
	STEP("tell-ended L1 failed; forward-del S1 c1", CORE_EV_RECONCILE_DONE, .server = 1);
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 0);
	STEP("", CORE_EV_SERVER_UP, .server = 1, .memory_mib = 8192);
	login(3, "alice", "c1", "desktop-start s1 d2 S3");
}

static void test_drain_and_remove(void **state)
{
	(void)state;
	alice_connected();
	STEP("", CORE_EV_SERVER_DRAIN, .server = 1, .flag = true);
	STEP("", CORE_EV_SERVER_REMOVED, .server = 1);
	assert_non_null(core_server_get(bench.core, 1));
	STEP("tell-ended L1 logout; forward-del S1 c1; release s1 d1", CORE_EV_LOGOUT, .login = 1);
	STEP("volume-detach s1 d1 v1", CORE_EV_RELEASED, .desktop = 1);
	STEP("desktop-destroy s1 d1", CORE_EV_VOLUME_DETACHED, .volume = 1, .desktop = 1);
	STEP("", CORE_EV_DESKTOP_GONE, .desktop = 1);
	STEP("", CORE_EV_SERVER_REMOVED, .server = 1);
	assert_null(core_server_get(bench.core, 1));
	assert_null(core_server_by_name(bench.core, "server1"));
	STEP("", CORE_EV_SERVER_ADDED, .text = "server1");
	assert_int_equal(core_server_by_name(bench.core, "server1")->id, 2);
}

static void test_pool_gives_way(void **state)
{
	(void)state;
	bench.config.standby = 1;
	STEP("", CORE_EV_CONFIG, .config = &bench.config);
	server(1, 4096);
	/* One user and one standby desktop fit with a reserve at 1024 MiB. */
	assert_string_equal(bench.trace, "desktop-start s1 d1");
	assert_int_equal(core_desktop_get(bench.core, 1)->memory_mib, 1024);
	boots(1, "");
	bench.config.max_mib = bench.config.min_mib = 4096;
	/* Of the new sizes one fits; the standby desktop is of an old one. */
	STEP("desktop-destroy s1 d1", CORE_EV_CONFIG, .config = &bench.config);
	login(1, "alice", "c1", "volume-create s1 v1");
	assert_int_equal(core_desktop_get(bench.core, 2)->state, DESKTOP_BOOTING);
	assert_int_equal(core_server_used_mib(bench.core, 1), 4096);
	STEP("desktop-start s1 d2 S1", CORE_EV_DESKTOP_GONE, .desktop = 1);
}

static void test_pool_in_the_way(void **state)
{
	(void)state;
	bench.config.standby = 1;
	bench.config.max_mib = 2048;
	STEP("", CORE_EV_CONFIG, .config = &bench.config);
	server(1, 2048);
	for (uint64_t i = 1; i <= 3; i++) {
		char user[] = {(char)('a' + i), 0};
		login(i, user, "c", NULL);
		STEP(NULL, CORE_EV_VOLUME_CREATED, .volume = i);
		uint64_t desktop = core_session_get(bench.core, i)->desktop;
		if (core_desktop_get(bench.core, desktop)->state == DESKTOP_BOOTING)
			boots(desktop, NULL);
		connects(desktop, i, i);
	}
	unsigned running = 0, users = 0;
	for (const struct core_desktop *d = core_desktop_next(bench.core, 0); d;
		d = core_desktop_next(bench.core, d->id)) {
		running++;
		users += d->session != 0;
	}
	assert_int_equal(users, 3);
	assert_int_equal(running, 4); /* three users and the standby one in the last place */
	login(4, "e", "c2", NULL);
	assert_int_equal(core_server_used_mib(bench.core, 1), 2048);
	login(5, "f", "c2", "tell-refused L5 full");
}

static void test_pool_replaces_old_image(void **state)
{
	(void)state;
	bench.config.standby = 1;
	STEP("", CORE_EV_CONFIG, .config = &bench.config);
	server(1, 16384);
	boots(1, "");
	STEP("desktop-destroy s1 d1; desktop-start s1 d2", CORE_EV_IMAGE_PROMOTE,
		.image = {"lite@2", false});
	assert_string_equal(core_desktop_get(bench.core, 2)->image, "lite@2");
}

static void test_pool_backs_off(void **state)
{
	int64_t last = 0;

	(void)state;
	bench.config.standby = 1;
	STEP("", CORE_EV_CONFIG, .config = &bench.config);
	server(1, 16384);
	for (uint64_t i = 1; i <= 12; i++) {
		STEP("", CORE_EV_DESKTOP_START_FAILED, .desktop = i, .code = "no-image");
		int64_t pause = core_next_deadline(bench.core) - bench.now_ms;
		assert_int_equal(pause, last == 0 ? 5000 : last * 2 < 600000 ? last * 2 : 600000);
		last = pause;
		wait_deadline(600000, NULL);
	}
	boots(13, "");
	STEP("desktop-start s1 d14", CORE_EV_DESKTOP_GONE, .desktop = 13);
	STEP("", CORE_EV_DESKTOP_START_FAILED, .desktop = 14, .code = "no-image");
	assert_int_equal(core_next_deadline(bench.core) - bench.now_ms, 5000);
}

/* Everything that the store has is loaded into a new core. */
static void test_restart_adopts(void **state)
{
	(void)state;
	alice_connected();
	login(2, "bob", "c2", "desktop-start s1 d2 S2; volume-create s1 v2");
	restart();
	assert_string_equal(bench.trace, "");
	assert_int_equal(session_is(1), SESSION_DISCONNECTED);
	assert_int_equal(core_session_get(bench.core, 1)->forward_port, 5900);
	assert_int_equal(session_is(2), SESSION_ENDED); /* its viewer is lost */
	assert_false(core_server_get(bench.core, 1)->up);
	STEP("", CORE_EV_RECONCILE_DESKTOP, .server = 1, .desktop = 1, .flag = true,
		.vnc_port = 5999, .vnc_host = "10.78.0.12");
	STEP("", CORE_EV_RECONCILE_DONE, .server = 1); /* the second was never started */
	assert_null(core_desktop_next(bench.core, 1));
	STEP("", CORE_EV_SERVER_UP, .server = 1, .memory_mib = 8192);
	assert_int_equal(core_desktop_get(bench.core, 1)->vnc_port, 5999);
	/* The viewer is heard of again: the same desktop, its forward is kept. */
	STEP("ticket-set s1 d1 S1; forward-add S1 c1", CORE_EV_RESUME, .login = 9, .session = 1,
		.client = "c1");
	assert_int_equal(session_is(1), SESSION_CONNECTED);
	login(10, "bob", "c2", "desktop-start s1 d3 S3; volume-create s1 v2");
}

static void test_restart_while_claiming(void **state)
{
	(void)state;
	server(1, 8192);
	login(1, "alice", "c1", NULL);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1);
	boots(1, "volume-attach s1 d1 S1 v1");
	restart();
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 1);
	STEP("", CORE_EV_RECONCILE_DESKTOP, .server = 1, .desktop = 1, .flag = true);
	STEP("", CORE_EV_RECONCILE_DONE, .server = 1);
	STEP("desktop-destroy s1 d1", CORE_EV_SERVER_UP, .server = 1, .memory_mib = 8192);
	login(2, "alice", "c1", "desktop-start s1 d2 S2");
	boots(2, "");
	STEP("volume-attach s1 d2 S2 v1", CORE_EV_DESKTOP_GONE, .desktop = 1);
}

/* What the user wrote last is in the guest's memory until the agent has unmounted: a VM is not
 * destroyed for a connection or a broker that was away when he logged out. */
static void test_release_survives_lost_connection(void **state)
{
	(void)state;
	alice_connected();
	STEP("", CORE_EV_SERVER_DOWN, .server = 1);
	STEP("tell-ended L1 logout; forward-del S1 c1", CORE_EV_LOGOUT, .login = 1);
	wait_deadline(30000, ""); /* as long as it is down there is nothing to be done */
	wait_deadline(30000, "");
	restart();
	assert_string_equal(bench.trace, "");
	STEP("", CORE_EV_RECONCILE_DESKTOP, .server = 1, .desktop = 1, .flag = true);
	STEP("", CORE_EV_RECONCILE_DONE, .server = 1);
	STEP("", CORE_EV_SERVER_UP, .server = 1, .memory_mib = 8192);
	STEP("release s1 d1", CORE_EV_AGENT_HELLO, .desktop = 1, .user = "alice", .flag = true);
	STEP("", CORE_EV_RELEASE_FAILED, .desktop = 1, .code = "unreachable");
	STEP("release s1 d1", CORE_EV_AGENT_HELLO, .desktop = 1, .user = "alice", .flag = true);
	STEP("volume-detach s1 d1 v1", CORE_EV_RELEASED, .desktop = 1);
}

/* The agent's channel is there before the server counts as up; nobody says hello twice. */
static void test_release_of_an_agent_heard_early(void **state)
{
	(void)state;
	alice_connected();
	STEP(NULL, CORE_EV_LOGOUT, .login = 1);
	restart();
	STEP("", CORE_EV_RECONCILE_DESKTOP, .server = 1, .desktop = 1, .flag = true);
	STEP("", CORE_EV_AGENT_HELLO, .desktop = 1, .user = "alice");
	STEP("", CORE_EV_RECONCILE_DONE, .server = 1);
	STEP("release s1 d1", CORE_EV_SERVER_UP, .server = 1, .memory_mib = 8192);
	STEP("volume-detach s1 d1 v1", CORE_EV_RELEASED, .desktop = 1);
}

static void test_agent_never_heard_of_again(void **state)
{
	(void)state;
	alice_connected();
	STEP("tell-ended L1 logout; forward-del S1 c1; release s1 d1", CORE_EV_LOGOUT, .login = 1);
	STEP("", CORE_EV_SERVER_DOWN, .server = 1);
	STEP("", CORE_EV_RECONCILE_DESKTOP, .server = 1, .desktop = 1, .flag = true);
	STEP("", CORE_EV_RECONCILE_DONE, .server = 1);
	STEP("", CORE_EV_SERVER_UP, .server = 1, .memory_mib = 8192);
	wait_deadline(30000, "desktop-destroy s1 d1");
}

static void test_claim_survives_lost_connection(void **state)
{
	(void)state;
	server(1, 8192);
	login(1, "alice", "c1", NULL);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1);
	boots(1, NULL);
	STEP("claim s1 d1 S1 v1", CORE_EV_VOLUME_ATTACHED, .volume = 1, .desktop = 1);
	STEP("", CORE_EV_AGENT_HELLO, .desktop = 1); /* an old one: the claim is on its way */
	STEP("", CORE_EV_SERVER_DOWN, .server = 1);
	STEP("", CORE_EV_RECONCILE_DESKTOP, .server = 1, .desktop = 1, .flag = true);
	STEP("", CORE_EV_RECONCILE_DONE, .server = 1);
	STEP("", CORE_EV_SERVER_UP, .server = 1, .memory_mib = 8192);
	STEP("claim s1 d1 S1 v1", CORE_EV_AGENT_HELLO, .desktop = 1);
	STEP("ticket-set s1 d1 S1; forward-add S1 c1", CORE_EV_AGENT_HELLO, .desktop = 1,
		.user = "alice", .flag = true);
	STEP("", CORE_EV_CLAIMED, .desktop = 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_release_and_detach_fail),
		TEST(test_desktop_fails_twice),
		TEST(test_dies_while_booting_and_claim_fails),
		TEST(test_claim_times_out),
		TEST(test_attach_fails),
		TEST(test_damaged_volume),
		TEST(test_volume_creation_fails),
		TEST(test_desktop_dies_while_active),
		TEST(test_ticket_fails),
		TEST(test_server_down_and_back),
		TEST(test_server_lost),
		TEST(test_drain_and_remove),
		TEST(test_pool_gives_way),
		TEST(test_pool_in_the_way),
		TEST(test_pool_replaces_old_image),
		TEST(test_pool_backs_off),
		TEST(test_restart_adopts),
		TEST(test_restart_while_claiming),
		TEST(test_claim_survives_lost_connection),
		TEST(test_release_survives_lost_connection),
		TEST(test_release_of_an_agent_heard_early),
		TEST(test_agent_never_heard_of_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
