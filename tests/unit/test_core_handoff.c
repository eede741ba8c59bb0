/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hand-offs: who is moved, in which steps, and what becomes of them when something fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/test_core_bench.h"

static void two_servers(void)
{
	server(1, 4096);
	server(2, 4096);
}

static void arrives(unsigned n)
{
	char user[16], client[16];

	snprintf(user, sizeof(user), "user%u", n);
	snprintf(client, sizeof(client), "c%u", n);
	login(n, user, client, NULL);
}

/* All users are on, one after the other. */
static void are_on(unsigned from, unsigned to)
{
	for (unsigned n = from; n <= to; n++) {
		arrives(n);
		all_well(CORE_ACT_COUNT);
	}
}

static const struct core_session *session(uint64_t id)
{
	return core_session_get(bench.core, id);
}

static uint32_t size_of(uint64_t id)
{
	return core_desktop_get(bench.core, session(id)->desktop)->memory_mib;
}

static uint64_t server_of(uint64_t id)
{
	return core_desktop_get(bench.core, session(id)->desktop)->server;
}

static void configure(void)
{
	STEP(NULL, CORE_EV_CONFIG, .config = &bench.config);
}

/* Table 3 of the model: how many desktops of 4096, 2048, 1024, 512 MiB at each number of users. */
static const unsigned table3[16][4] = {{1}, {1, 1}, {0, 3}, {0, 3, 1}, {0, 2, 3}, {0, 1, 5},
	{0, 0, 7}, {0, 0, 7, 1}, {0, 0, 6, 3}, {0, 0, 5, 5}, {0, 0, 4, 7}, {0, 0, 3, 9},
	{0, 0, 2, 11}, {0, 0, 1, 13}, {0, 0, 0, 15}, {0, 0, 0, 16}};

static void check_row(unsigned users)
{
	unsigned counts[4] = {0};

	for (unsigned n = 1; n <= users; n++) {
		assert_int_equal(session_is(n), SESSION_CONNECTED);
		assert_int_equal(session(n)->move, MOVE_NONE);
		for (unsigned m = 0; m < 4; m++)
			counts[m] += size_of(n) == 4096u >> m;
	}
	assert_memory_equal(counts, table3[users - 1], sizeof(counts));
}

static void test_table_one_by_one(void **state)
{
	struct core_tier_status status;

	(void)state;
	two_servers();
	for (unsigned n = 1; n <= 16; n++) {
		are_on(n, n);
		check_row(n);
	}
	core_tier_status(bench.core, &status);
	assert_int_equal(status.moving, 0);
	login(17, "user17", "c17", "tell-refused L17 full");
	assert_true(said(CORE_ACT_TELL_REFUSED, "16 users are connected"));
}

/* A class logs in within a moment: nobody's desktop has booted when the last one comes. */
static void test_table_all_at_once(void **state)
{
	(void)state;
	two_servers();
	for (unsigned n = 1; n <= 16; n++)
		arrives(n);
	for (unsigned n = 1; n <= 16; n++)
		assert_int_equal(session_is(n), SESSION_WAITING);
	all_well(CORE_ACT_COUNT);
	check_row(16);
}

static void test_steps(void **state)
{
	(void)state;
	two_servers();
	are_on(1, 2);
	assert_int_equal(size_of(1), 4096);
	assert_int_equal(size_of(2), 2048);
	/* The third needs the first one's memory; there is room for his new desktop on server 2. */
	login(3, "carol", "c3",
		"desktop-start s2 d3 S1; tell-handoff S1 L1 announced; volume-create s1 v3");
	assert_int_equal(session(1)->move, MOVE_PREPARE);
	assert_int_equal(session(1)->next, 3);
	assert_int_equal(session_is(1), SESSION_CONNECTED);
	assert_int_equal(core_desktop_get(bench.core, 4)->server, 1); /* carol's, held */
	assert_int_equal(core_server_used_mib(bench.core, 1), 4096);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 3);
	boots(3, "tell-handoff S1 L1 moving; release s1 d1");
	assert_int_equal(session_is(1), SESSION_MOVING);
	STEP("volume-detach s1 d1 v1", CORE_EV_RELEASED, .desktop = 1);
	assert_int_equal(session(1)->move, MOVE_DETACH);
	STEP("forward-del S1 c1; volume-attach s2 d3 S1 v1; desktop-destroy s1 d1",
		CORE_EV_VOLUME_DETACHED, .volume = 1, .desktop = 1);
	assert_int_equal(session(1)->move, MOVE_CLAIM);
	STEP("claim s2 d3 S1 v1", CORE_EV_VOLUME_ATTACHED, .volume = 1, .desktop = 3);
	STEP("desktop-start s1 d4 S3", CORE_EV_DESKTOP_GONE, .desktop = 1);
	STEP("ticket-set s2 d3 S1; forward-add S1 c1", CORE_EV_CLAIMED, .desktop = 3);
	assert_int_equal(session(1)->move, MOVE_SWITCH);
	STEP("", CORE_EV_TICKET_SET, .session = 1, .desktop = 3);
	STEP("tell-ready s2 d3 S1 L1", CORE_EV_FORWARD_ADDED, .session = 1);
	STEP("ticket-clear s2 d3 S1", CORE_EV_FIRST_FRAME, .login = 1);
	assert_int_equal(session(1)->move, MOVE_NONE);
	assert_int_equal(size_of(1), 2048);
}

static void test_grace(void **state)
{
	(void)state;
	bench.config.handoff_grace_ms = 30000;
	configure();
	two_servers();
	are_on(1, 2);
	arrives(3);
	assert_int_equal(session(1)->move, MOVE_ANNOUNCE);
	all_well(CORE_ACT_COUNT);
	assert_int_equal(session(1)->move, MOVE_ANNOUNCE); /* the new desktop is up; he reads */
	/* Another seat: he is told again, once his desktop is on the screen. */
	bench.now_ms += 10000;
	login(9, "user1", "c9", NULL);
	forget(CORE_ACT_TELL_HANDOFF);
	assert_true(all_well(CORE_ACT_TELL_HANDOFF));
	assert_int_equal(bench.stopped.ms, 20000);
	STEP("tell-handoff S1 L9 moving; release s1 d1", CORE_EV_MOVE_NOW, .login = 9);
	all_well(CORE_ACT_COUNT);
	assert_int_equal(size_of(1), 2048);
	assert_int_equal(session_is(3), SESSION_CONNECTED);
}

static void test_grace_ends_by_itself(void **state)
{
	(void)state;
	bench.config.handoff_grace_ms = 5000;
	configure();
	two_servers();
	are_on(1, 3);
	assert_int_equal(size_of(1), 4096);
	wait_deadline(5000, "tell-handoff S1 L1 moving; release s1 d1");
	all_well(CORE_ACT_COUNT);
	assert_int_equal(size_of(1), 2048);
}

/* Nobody reads the notice of somebody whose viewer is away. */
static void test_grace_of_an_absent_user(void **state)
{
	(void)state;
	bench.config.handoff_grace_ms = 30000;
	configure();
	two_servers();
	are_on(1, 2);
	STEP(NULL, CORE_EV_VIEWER_GONE, .login = 1);
	are_on(3, 3);
	assert_int_equal(session_is(1), SESSION_DISCONNECTED);
	assert_int_equal(size_of(1), 2048);
	assert_int_equal(session_is(3), SESSION_CONNECTED);
}

/* The new desktop does not boot: he stays where he is, and the newcomer gets another one. */
static void test_undone(void **state)
{
	(void)state;
	two_servers();
	are_on(1, 2);
	arrives(3);
	forget(CORE_ACT_DESKTOP_START);
	STEP(NULL, CORE_EV_DESKTOP_START_FAILED, .desktop = 3, .code = "no-memory");
	assert_true(said(CORE_ACT_TELL_HANDOFF, "stays as it is"));
	assert_int_equal(session_is(1), SESSION_CONNECTED);
	assert_int_equal(session(1)->desktop, 1);
	assert_int_equal(session(1)->next, 0);
	all_well(CORE_ACT_COUNT);
	assert_int_equal(session_is(3), SESSION_CONNECTED);
	assert_int_equal(size_of(1), 4096);
	assert_int_equal(size_of(3), 1024); /* what leaves a reserve as long as the first rests */
	wait_deadline(60000, "");
	assert_int_equal(core_server_used_mib(bench.core, 2), 3072);
}

/* From the release on it is driven on: here the old VM dies, and the new one too. */
static void test_driven_on(void **state)
{
	(void)state;
	two_servers();
	are_on(1, 2);
	arrives(3);
	assert_true(all_well(CORE_ACT_RELEASE));
	STEP(NULL, CORE_EV_DESKTOP_GONE, .desktop = 1);
	assert_int_equal(session(1)->move, MOVE_CLAIM);
	assert_int_equal(session(1)->desktop, 3);
	STEP(NULL, CORE_EV_DESKTOP_GONE, .desktop = 3);
	assert_int_equal(session_is(1), SESSION_WAITING);
	all_well(CORE_ACT_COUNT);
	assert_int_equal(session_is(1), SESSION_CONNECTED);
	assert_int_equal(session(1)->move, MOVE_NONE);
}

static void test_old_machine_dies_before(void **state)
{
	(void)state;
	bench.config.handoff_grace_ms = 30000;
	configure();
	two_servers();
	are_on(1, 3);
	assert_int_equal(session(1)->move, MOVE_ANNOUNCE);
	STEP(NULL, CORE_EV_DESKTOP_GONE, .desktop = 1);
	all_well(CORE_ACT_COUNT);
	assert_int_equal(session_is(1), SESSION_CONNECTED); /* in the new one, which was ready */
	assert_int_equal(size_of(1), 2048);
}

static void test_logout_on_the_way(void **state)
{
	static const enum core_action_type at[] = {CORE_ACT_DESKTOP_START, CORE_ACT_RELEASE,
		CORE_ACT_VOLUME_DETACH, CORE_ACT_CLAIM, CORE_ACT_TICKET_SET};

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		two_servers();
		are_on(1, 2);
		arrives(3);
		assert_true(all_well(at[i]));
		STEP(NULL, CORE_EV_LOGOUT, .login = 1);
		assert_int_equal(session_is(1), SESSION_ENDED);
		all_well(CORE_ACT_COUNT);
		for (int late = 0; late < 40 && core_volume_get(bench.core, 1)->desktop; late++) {
			wait_deadline(60000, NULL);
			all_well(CORE_ACT_COUNT);
		}
		assert_int_equal(core_volume_get(bench.core, 1)->desktop, 0);
		teardown(state);
		setup(state);
	}
}

static void comes_back(uint64_t id, uint64_t desktop, bool running)
{
	if (desktop)
		STEP(NULL, CORE_EV_RECONCILE_DESKTOP, .server = id, .desktop = desktop,
			.flag = running, .vnc_port = (uint16_t)(5900 + desktop),
			.vnc_host = "10.78.0.11");
}

/* The broker crashes in each step. Up to the release the hand-off is undone, then it goes on. */
static void test_restart_on_the_way(void **state)
{
	static const struct {
		enum core_action_type at;
		uint32_t size;
		const char *agent1, *agent3; /* who they say they are; NULL = the VM is gone */
	} cases[] = {{CORE_ACT_DESKTOP_START, 4096, "user1", NULL},
		{CORE_ACT_RELEASE, 2048, "user1", ""}, {CORE_ACT_VOLUME_DETACH, 2048, "user1", ""},
		{CORE_ACT_VOLUME_ATTACH, 2048, NULL, ""}, {CORE_ACT_CLAIM, 2048, NULL, ""},
		{CORE_ACT_TICKET_SET, 2048, NULL, "user1"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		two_servers();
		are_on(1, 2);
		arrives(3);
		assert_true(all_well(cases[i].at));
		restart();
		assert_int_not_equal(session_is(1), SESSION_ENDED);
		assert_int_equal(session_is(2), SESSION_DISCONNECTED);
		comes_back(1, cases[i].agent1 ? 1 : 0, true);
		STEP(NULL, CORE_EV_RECONCILE_DONE, .server = 1);
		STEP(NULL, CORE_EV_SERVER_UP, .server = 1, .memory_mib = 4096);
		comes_back(2, 2, true);
		comes_back(2, cases[i].agent3 ? 3 : 0, true);
		STEP(NULL, CORE_EV_RECONCILE_DONE, .server = 2);
		STEP(NULL, CORE_EV_SERVER_UP, .server = 2, .memory_mib = 4096);
		all_well(CORE_ACT_COUNT);
		for (unsigned d = 1; d <= 3; d += 2) {
			struct core_event e = {
				.type = CORE_EV_AGENT_HELLO, .desktop = d, .flag = true};
			const char *name = d == 1 ? cases[i].agent1 : cases[i].agent3;
			snprintf(e.user, sizeof(e.user), "%s", name ? name : "");
			if (name)
				expect(&e, NULL);
			all_well(CORE_ACT_COUNT);
		}
		assert_int_equal(session_is(1), SESSION_DISCONNECTED);
		assert_int_equal(session(1)->move, MOVE_NONE);
		assert_int_equal(size_of(1), cases[i].size);
		teardown(state);
		setup(state);
	}
}

static void test_in_place(void **state)
{
	(void)state;
	publish("lite@1", true);
	bench.config.shrink_ms = 20000;
	configure();
	two_servers();
	are_on(1, 2);
	arrives(3);
	assert_int_equal(session(1)->move, MOVE_SHRINK);
	assert_false(said(CORE_ACT_TELL_HANDOFF, ""));
	all_well(CORE_ACT_COUNT);
	assert_int_equal(session(1)->desktop, 1);
	assert_int_equal(size_of(1), 2048);
	assert_int_equal(session_is(3), SESSION_CONNECTED);
	assert_int_equal(server_of(3), 1);
}

static void test_in_place_fails(void **state)
{
	(void)state;
	publish("lite@1", true);
	bench.config.shrink_ms = 20000;
	configure();
	two_servers();
	are_on(1, 2);
	arrives(3);
	forget(CORE_ACT_DESKTOP_RESIZE);
	STEP(NULL, CORE_EV_DESKTOP_RESIZE_FAILED, .desktop = 1, .code = "timeout");
	assert_true(said(CORE_ACT_TELL_HANDOFF, "make room"));
	all_well(CORE_ACT_COUNT);
	assert_int_equal(session(1)->desktop, 3);
	assert_int_equal(size_of(1), 2048);
	assert_int_equal(session_is(3), SESSION_CONNECTED);
}

static void test_drain(void **state)
{
	(void)state;
	two_servers();
	server(3, 4096);
	are_on(1, 5);
	STEP(NULL, CORE_EV_SERVER_DRAIN, .server = 1, .flag = true);
	assert_true(core_server_users(bench.core, 1) > 0);
	all_well(CORE_ACT_COUNT);
	assert_int_equal(core_server_users(bench.core, 1), 0);
	for (unsigned n = 1; n <= 5; n++) {
		assert_int_equal(session_is(n), SESSION_CONNECTED);
		assert_int_not_equal(server_of(n), 1);
	}
	STEP("", CORE_EV_SERVER_REMOVED, .server = 1);
	assert_null(core_server_get(bench.core, 1));
}

static void test_server_lost(void **state)
{
	(void)state;
	bench.config.lost_ms = 30000;
	bench.config.fence = true;
	configure();
	two_servers();
	are_on(1, 3);
	assert_int_equal(server_of(2), 2);
	STEP(NULL, CORE_EV_SERVER_DOWN, .server = 2, .text = "no route");
	assert_int_equal(session_is(2), SESSION_CONNECTED); /* often only the connection is lost */
	wait_deadline(30000, NULL);
	assert_true(said(CORE_ACT_AUDIT, "server2"));
	uint64_t volume = session(2)->volume;
	assert_int_not_equal(core_volume_get(bench.core, volume)->desktop, 0); /* until it is off */
	all_well(CORE_ACT_COUNT);
	for (unsigned n = 1; n <= 3; n++) {
		assert_int_equal(session_is(n), SESSION_CONNECTED);
		assert_int_equal(server_of(n), 1);
		assert_int_equal(size_of(n), 1024);
	}
	/* It comes back with what was not known to be gone: that goes before anything is started.
	 */
	STEP(NULL, CORE_EV_RECONCILE_DESKTOP, .server = 2, .desktop = 2, .flag = true,
		.memory_mib = 2048);
	STEP(NULL, CORE_EV_RECONCILE_DONE, .server = 2);
	STEP("desktop-destroy s2 d2", CORE_EV_SERVER_UP, .server = 2, .memory_mib = 4096);
	assert_int_equal(core_server_used_mib(bench.core, 2), 2048);
	STEP("", CORE_EV_DESKTOP_GONE, .desktop = 2);
	assert_int_equal(core_server_used_mib(bench.core, 2), 0);
}

/* The viewer has lost its picture with the server: it waits, and is not sent away. */
static void test_viewer_waits_for_its_server(void **state)
{
	(void)state;
	two_servers();
	are_on(1, 1);
	uint64_t server = server_of(1);
	STEP("", CORE_EV_SERVER_DOWN, .server = server);
	STEP("", CORE_EV_RECONNECT, .login = 1);
	assert_true(said(CORE_ACT_TELL_STAGE, "does not answer"));
	for (int i = 0; i < 10; i++)
		wait_deadline(20000, "");
	assert_int_equal(session_is(1), SESSION_CONNECTED);
	STEP("", CORE_EV_RECONCILE_DESKTOP, .server = server, .desktop = 1, .flag = true);
	STEP("", CORE_EV_RECONCILE_DONE, .server = server);
	STEP("ticket-set s1 d1 S1; forward-add S1 c1", CORE_EV_SERVER_UP, .server = server,
		.memory_mib = 4096);
	all_well(CORE_ACT_COUNT);
	assert_true(core_session_get(bench.core, 1)->deadline_ms == 0);
}

/* A server is away for a moment while a newcomer's desktop boots on it: he waits for it. */
static void test_newcomer_waits_for_a_server(void **state)
{
	(void)state;
	server(1, 512);
	login(1, "alice", "c1", NULL);
	STEP("", CORE_EV_SERVER_DOWN, .server = 1);
	assert_int_equal(session_is(1), SESSION_PLACING);
	STEP("", CORE_EV_RECONCILE_DONE, .server = 1);
	STEP(NULL, CORE_EV_SERVER_UP, .server = 1, .memory_mib = 512);
	forget(CORE_ACT_DESKTOP_DESTROY);
	all_well(CORE_ACT_COUNT);
	assert_int_equal(session_is(1), SESSION_CONNECTED);
}

static void test_server_lost_without_fence(void **state)
{
	(void)state;
	bench.config.lost_ms = 30000;
	configure();
	two_servers();
	are_on(1, 2);
	STEP(NULL, CORE_EV_SERVER_DOWN, .server = 2, .text = "no route");
	wait_deadline(30000, NULL);
	assert_true(said(CORE_ACT_AUDIT, "carrel server lost server2"));
	all_well(CORE_ACT_COUNT);
	assert_int_equal(session_is(2), SESSION_WAITING); /* for his volume */
	STEP(NULL, CORE_EV_SERVER_FENCED, .server = 2);
	all_well(CORE_ACT_COUNT);
	assert_int_equal(session_is(2), SESSION_CONNECTED);
}

static void test_fence_fails(void **state)
{
	(void)state;
	bench.config.lost_ms = 30000;
	bench.config.fence = true;
	configure();
	two_servers();
	are_on(1, 2);
	STEP(NULL, CORE_EV_SERVER_DOWN, .server = 2);
	wait_deadline(30000, NULL);
	all_well(CORE_ACT_FENCE);
	STEP(NULL, CORE_EV_FENCE_FAILED, .server = 2, .text = "the switch does not answer");
	assert_true(said(CORE_ACT_AUDIT, "the switch does not answer"));
	assert_false(all_well(CORE_ACT_FENCE));
	wait_deadline(30000, NULL);
	assert_true(all_well(CORE_ACT_FENCE));
}

static void why_not(uint64_t session, uint64_t server, uint32_t mib, const char *part)
{
	char why[CORE_TEXT_MAX];

	assert_false(core_move_check(bench.core, session, server, mib, why, sizeof(why)));
	if (!strstr(why, part))
		fail_msg("\"%s\" lacks \"%s\"", why, part);
}

static void test_admin_moves(void **state)
{
	char why[CORE_TEXT_MAX];

	(void)state;
	two_servers();
	server(3, 4096);
	are_on(1, 2);
	why_not(9, 0, 0, "no such session");
	why_not(1, 0, 1000, "no size of a desktop");
	why_not(1, server_of(1), 0, "already");
	why_not(1, 2, 0, "no server has 4096 MiB free in one piece");
	STEP(NULL, CORE_EV_SERVER_DRAIN, .server = 3, .flag = true);
	why_not(1, 3, 0, "being drained");
	all_well(CORE_ACT_COUNT); /* two servers are left: somebody was made smaller */
	STEP("", CORE_EV_SERVER_DRAIN, .server = 3, .flag = false);
	assert_true(core_move_check(bench.core, 2, 3, 1024, why, sizeof(why)));
	STEP(NULL, CORE_EV_SESSION_MOVE, .session = 2, .server = 3, .memory_mib = 1024);
	why_not(2, 0, 0, "moved already");
	all_well(CORE_ACT_COUNT);
	assert_int_equal(server_of(2), 3);
	assert_int_equal(size_of(2), 1024);
	assert_int_equal(session(2)->move, MOVE_NONE);
}

static const struct core_desktop *standby(void)
{
	const struct core_desktop *d = core_desktop_next(bench.core, 0);

	while (d && d->state != DESKTOP_STANDBY)
		d = core_desktop_next(bench.core, d->id);
	assert_non_null(d);
	return d;
}

static void test_reserve_is_booted(void **state)
{
	(void)state;
	bench.config.boot_reserve = true;
	configure();
	two_servers();
	all_well(CORE_ACT_COUNT);
	assert_int_equal(standby()->memory_mib, 4096);
	are_on(1, 2);
	/* The next login moves the first user: his desktop of 2048 MiB is ready, on the server that
	 * has the second one. */
	const struct core_desktop *d = standby();
	assert_int_equal(d->memory_mib, 2048);
	assert_int_equal(d->server, server_of(2));
	uint64_t ready = d->id;
	arrives(3);
	assert_int_equal(session(1)->next, ready);
	assert_int_equal(session_is(1), SESSION_MOVING); /* nothing to wait for */
}

static unsigned count(enum core_action_type type)
{
	unsigned n = 0;

	for (size_t i = 0; i < bench.actions.count; i++)
		n += bench.actions.items[i].type == type;
	return n;
}

static void test_boots_queue(void **state)
{
	(void)state;
	bench.config.boots = 1;
	configure();
	server(1, 8192);
	login(1, "a", "c1", NULL);
	assert_int_equal(count(CORE_ACT_DESKTOP_START), 1);
	login(2, "b", "c2", NULL);
	assert_int_equal(count(CORE_ACT_DESKTOP_START), 0);
	STEP("", CORE_EV_DESKTOP_STARTED, .desktop = 1, .vnc_port = 5901, .vnc_host = "h");
	STEP(NULL, CORE_EV_AGENT_HELLO, .desktop = 1);
	assert_int_equal(count(CORE_ACT_DESKTOP_START), 1);
}

static void test_discard(void **state)
{
	(void)state;
	two_servers();
	are_on(1, 2);
	STEP(NULL, CORE_EV_DESKTOP_DISCARD, .desktop = 2);
	assert_int_equal(session_is(2), SESSION_ENDED);
	assert_int_equal(count(CORE_ACT_TELL_ENDED), 1);
	assert_int_equal(count(CORE_ACT_DESKTOP_DESTROY), 1);
	all_well(CORE_ACT_COUNT);
	STEP("", CORE_EV_TICK);
	assert_null(core_desktop_get(bench.core, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_table_one_by_one),
		TEST(test_table_all_at_once),
		TEST(test_steps),
		TEST(test_grace),
		TEST(test_grace_ends_by_itself),
		TEST(test_grace_of_an_absent_user),
		TEST(test_undone),
		TEST(test_driven_on),
		TEST(test_old_machine_dies_before),
		TEST(test_logout_on_the_way),
		TEST(test_restart_on_the_way),
		TEST(test_in_place),
		TEST(test_in_place_fails),
		TEST(test_drain),
		TEST(test_server_lost),
		TEST(test_viewer_waits_for_its_server),
		TEST(test_newcomer_waits_for_a_server),
		TEST(test_server_lost_without_fence),
		TEST(test_fence_fails),
		TEST(test_admin_moves),
		TEST(test_reserve_is_booted),
		TEST(test_boots_queue),
		TEST(test_discard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
