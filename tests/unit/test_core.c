/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The paths that people take, event by event: each line of a test is an event and the effects that
 * it must have, in their order (rows written, stages shown and audit lines are left out).
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "broker/core/core.h"

struct bench {
	struct core *core;
	struct core_config config;
	struct core_actions actions;
	int64_t now_ms;
	char trace[2000];
};

static struct bench bench;

static void trace(struct bench *b)
{
	size_t used = 0;

	b->trace[0] = '\0';
	for (size_t i = 0; i < b->actions.count; i++) {
		const struct core_action *a = &b->actions.items[i];
		const struct {
			const char *name;
			uint64_t value;
		} ids[] = {{"s", a->server}, {"d", a->desktop}, {"S", a->session}, {"v", a->volume},
			{"L", a->login}};
		if (a->type < CORE_ACT_AUTHENTICATE || a->type == CORE_ACT_TELL_STAGE ||
			a->type == CORE_ACT_AUDIT)
			continue;
		used += (size_t)snprintf(b->trace + used, sizeof(b->trace) - used, "%s%s",
			used ? "; " : "", core_action_name(a->type));
		for (size_t j = 0; j < sizeof(ids) / sizeof(ids[0]); j++) {
			if (ids[j].value)
				used += (size_t)snprintf(b->trace + used, sizeof(b->trace) - used,
					" %s%" PRIu64, ids[j].name, ids[j].value);
		}
		if (a->client[0])
			used += (size_t)snprintf(
				b->trace + used, sizeof(b->trace) - used, " %s", a->client);
		if (a->code[0])
			used += (size_t)snprintf(
				b->trace + used, sizeof(b->trace) - used, " %s", a->code);
	}
}

/* One event; its effects must be `expected` (NULL: not looked at). */
static void expect(const struct core_event *event, const char *expected)
{
	struct core_event e = *event;
	const char *broken;

	e.now_ms = bench.now_ms;
	core_step(bench.core, &e, &bench.actions);
	trace(&bench);
	if (expected)
		assert_string_equal(bench.trace, expected);
	broken = core_check(bench.core);
	if (broken)
		fail_msg("%s: %s", core_event_name(e.type), broken);
}

#define STEP(expected, ...) expect(&(struct core_event){__VA_ARGS__}, (expected))

/* Time passes until the next deadline, which must be at most `ms` away. */
static void wait_deadline(int64_t ms, const char *expected)
{
	int64_t deadline = core_next_deadline(bench.core);

	assert_true(deadline <= bench.now_ms + ms);
	bench.now_ms = deadline;
	STEP(expected, CORE_EV_TICK);
}

static bool said(enum core_action_type type, const char *part)
{
	for (size_t i = 0; i < bench.actions.count; i++) {
		if (bench.actions.items[i].type == type &&
			strstr(bench.actions.items[i].text, part))
			return true;
	}
	return false;
}

static int setup(void **state)
{
	(void)state;
	bench.now_ms = 1000;
	bench.config = (struct core_config){
		.max_mib = 4096,
		.min_mib = 512,
		.volume_size_mib = 1024,
		.boot_timeout_ms = 60000,
		.claim_timeout_ms = 30000,
		.ticket_ms = 30000,
		.disconnected_ms = 600000,
		.forward_port = 5900,
		.image = "lite@1",
	};
	bench.core = core_new(&bench.config);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	core_free(bench.core);
	core_actions_clear(&bench.actions);
	return 0;
}

static void server(unsigned id, uint32_t mib)
{
	struct core_event e = {.type = CORE_EV_SERVER_ADDED};

	snprintf(e.text, sizeof(e.text), "server%u", id);
	expect(&e, "");
	STEP("", CORE_EV_RECONCILE_DONE, .server = id);
	STEP(NULL, CORE_EV_SERVER_UP, .server = id, .memory_mib = mib);
}

static void login(uint64_t id, const char *user, const char *client, const char *expected)
{
	struct core_event e = {.type = CORE_EV_LOGIN, .login = id};
	char asked[64];

	snprintf(e.user, sizeof(e.user), "%s", user);
	snprintf(e.client, sizeof(e.client), "%s", client);
	snprintf(asked, sizeof(asked), "authenticate L%" PRIu64, id);
	expect(&e, asked);
	e.type = CORE_EV_AUTHENTICATED;
	e.uid = 20000;
	e.gid = 100;
	expect(&e, expected);
}

static void boots(uint64_t desktop, const char *expected)
{
	STEP("", CORE_EV_DESKTOP_STARTED, .desktop = desktop,
		.vnc_port = (uint16_t)(5900 + desktop), .vnc_host = "10.78.0.11");
	STEP(expected, CORE_EV_AGENT_HELLO, .desktop = desktop);
}

/* From the attach on, to the first frame. */
static void connects(uint64_t desktop, uint64_t session, uint64_t volume)
{
	STEP(NULL, CORE_EV_VOLUME_ATTACHED, .volume = volume, .desktop = desktop);
	STEP(NULL, CORE_EV_CLAIMED, .desktop = desktop);
	STEP("", CORE_EV_TICKET_SET, .session = session, .desktop = desktop);
	STEP(NULL, CORE_EV_FORWARD_ADDED, .session = session);
	assert_int_equal(bench.actions.items[0].type, CORE_ACT_TELL_READY);
}

/* One server, alice at c1 with desktop 1, session 1, volume 1, login 1. */
static void alice_connected(void)
{
	server(1, 8192);
	login(1, "alice", "c1", NULL);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1);
	boots(1, NULL);
	connects(1, 1, 1);
	STEP("ticket-clear s1 d1 S1", CORE_EV_FIRST_FRAME, .login = 1);
}

static enum core_session_state session_state(uint64_t id)
{
	const struct core_session *s = core_session_get(bench.core, id);

	return s ? s->state : SESSION_ENDED;
}

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
	assert_int_equal(session_state(1), SESSION_CONNECTED);
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
	login(1, "alice", "c1", "volume-create s1 v1; desktop-start s1 d2");
	STEP("volume-attach s1 d1 S1 v1", CORE_EV_VOLUME_CREATED, .volume = 1);
	connects(1, 1, 1);
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
	STEP("claim s1 d1 S1 v1", CORE_EV_VOLUME_ATTACHED, .volume = 1, .desktop = 1);
	STEP("ticket-set s1 d1 S1; forward-add S1 c3", CORE_EV_CLAIMED, .desktop = 1);
	/* The answers to the first viewer's way must not make the second one's ready. */
	login(4, "alice", "c4",
		"tell-moved L3 moved; forward-del S1 c3; ticket-clear s1 d1 S1; "
		"ticket-set s1 d1 S1; forward-add S1 c4");
	STEP("", CORE_EV_TICKET_SET, .session = 1, .desktop = 1);
	STEP("", CORE_EV_FORWARD_ADDED, .session = 1);
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
	assert_int_equal(session_state(1), SESSION_DISCONNECTED);
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
	assert_int_equal(session_state(1), SESSION_ENDED);
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
	STEP("", CORE_EV_DESKTOP_GONE, .desktop = 1);
	login(2, "alice", "c1", "tell-refused L2 volume-damaged");
	assert_int_equal(core_volume_get(bench.core, 1)->state, VOLUME_BROKEN);
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
	login(2, "bob", "c2", "");
	assert_int_equal(session_state(2), SESSION_PLACING);
}

static void test_waits_for_room(void **state)
{
	(void)state;
	alice_leaves_bob_waits();
	login(3, "bob", "c3", "tell-moved L2 moved");
	STEP("volume-detach s1 d1 v1", CORE_EV_RELEASED, .desktop = 1);
	STEP("desktop-destroy s1 d1", CORE_EV_VOLUME_DETACHED, .volume = 1, .desktop = 1);
	STEP("desktop-start s1 d2 S2; volume-create s1 v2", CORE_EV_DESKTOP_GONE, .desktop = 1);
	assert_int_equal(session_state(2), SESSION_WAITING);
}

static void test_waiting_for_room_ends(void **state)
{
	int64_t start = bench.now_ms;

	(void)state;
	alice_leaves_bob_waits();
	while (session_state(2) == SESSION_PLACING)
		wait_deadline(30000, NULL);
	assert_int_equal(bench.now_ms - start, 60000);
	assert_true(said(CORE_ACT_TELL_REFUSED, "none came free"));
	assert_int_equal(core_volume_get(bench.core, 1)->desktop, 1);
}

static void test_smaller_desktops_keep_a_reserve(void **state)
{
	static const uint32_t sizes[] = {4096, 2048, 1024, 512, 512};
	static const char *const users[] = {"a", "b", "c", "d", "e"};

	(void)state;
	server(1, 4096);
	server(2, 4096);
	for (unsigned i = 0; i < 5; i++) {
		login(i + 1, users[i], "c", NULL);
		assert_int_equal(core_desktop_get(bench.core, i + 1)->memory_mib, sizes[i]);
		STEP(NULL, CORE_EV_VOLUME_CREATED, .volume = i + 1);
		boots(i + 1, NULL);
		connects(i + 1, i + 1, i + 1);
	}
	login(6, "f", "c", "tell-refused L6 full");
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
	assert_int_equal(session_state(1), SESSION_DISCONNECTED);
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
	assert_int_equal(session_state(1), SESSION_CONNECTED);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 2, .server = 1); /* late, of the old worker */
	assert_int_equal(core_volume_get(bench.core, 2)->state, VOLUME_CREATING);
	STEP("", CORE_EV_RECONCILE_DESKTOP, .server = 1, .desktop = 1, .flag = true,
		.vnc_port = 5901, .vnc_host = "10.78.0.11");
	STEP("desktop-destroy s1 d77", CORE_EV_RECONCILE_DESKTOP, .server = 1, .desktop = 77,
		.flag = true);
	STEP("", CORE_EV_RECONCILE_DESKTOP, .server = 1, .desktop = 2, .flag = true,
		.vnc_port = 5902, .vnc_host = "10.78.0.11");
	STEP("", CORE_EV_RECONCILE_DONE, .server = 1);
	STEP("desktop-destroy s1 d2", CORE_EV_SERVER_UP, .server = 1, .memory_mib = 8192);
	assert_int_equal(session_state(1), SESSION_CONNECTED);
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
	server(2, 8192);
	STEP("", CORE_EV_SERVER_DRAIN, .server = 1, .flag = true);
	login(2, "bob", "c2", "desktop-start s2 d2 S2; volume-create s2 v2");
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
	assert_int_equal(core_server_by_name(bench.core, "server1")->id, 3);
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
	snprintf(bench.config.image, sizeof(bench.config.image), "lite@2");
	STEP("desktop-destroy s1 d1; desktop-start s1 d2", CORE_EV_CONFIG, .config = &bench.config);
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

static void test_unpublished_image(void **state)
{
	(void)state;
	bench.config.image[0] = '\0';
	STEP("", CORE_EV_CONFIG, .config = &bench.config);
	server(1, 8192);
	login(1, "alice", "c1", "tell-refused L1 desktop-failed");
	assert_true(said(CORE_ACT_TELL_REFUSED, "image"));
}

/* Everything that the store has is loaded into a new core. */
static void restart(void)
{
	struct core *old = bench.core;
	struct core_counters counters = core_counters(old);

	bench.core = core_new(&bench.config);
	for (const struct core_server *s = core_server_next(old, 0); s;
		s = core_server_next(old, s->id))
		core_load_server(bench.core, s);
	for (const struct core_desktop *d = core_desktop_next(old, 0); d;
		d = core_desktop_next(old, d->id))
		core_load_desktop(bench.core, d);
	for (const struct core_volume *v = core_volume_next(old, 0); v;
		v = core_volume_next(old, v->id))
		core_load_volume(bench.core, v);
	for (const struct core_session *s = core_session_next(old, 0); s;
		s = core_session_next(old, s->id))
		core_load_session(bench.core, s);
	core_load_counters(bench.core, &counters);
	core_free(old);
	core_load_done(bench.core, bench.now_ms, &bench.actions);
	assert_null(core_check(bench.core));
	trace(&bench);
}

static void test_restart_adopts(void **state)
{
	(void)state;
	alice_connected();
	login(2, "bob", "c2", "desktop-start s1 d2 S2; volume-create s1 v2");
	restart();
	assert_string_equal(bench.trace, "");
	assert_int_equal(session_state(1), SESSION_DISCONNECTED);
	assert_int_equal(core_session_get(bench.core, 1)->forward_port, 5900);
	assert_int_equal(session_state(2), SESSION_ENDED); /* its viewer is lost */
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
	assert_int_equal(session_state(1), SESSION_CONNECTED);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
		TEST(test_release_and_detach_fail),
		TEST(test_desktop_fails_twice),
		TEST(test_dies_while_booting_and_claim_fails),
		TEST(test_claim_times_out),
		TEST(test_attach_fails),
		TEST(test_damaged_volume),
		TEST(test_volume_creation_fails),
		TEST(test_desktop_dies_while_active),
		TEST(test_no_server_and_full),
		TEST(test_waits_for_room),
		TEST(test_waiting_for_room_ends),
		TEST(test_smaller_desktops_keep_a_reserve),
		TEST(test_ports_of_one_client),
		TEST(test_ticket_fails),
		TEST(test_server_down_and_back),
		TEST(test_server_lost),
		TEST(test_drain_and_remove),
		TEST(test_pool_gives_way),
		TEST(test_pool_in_the_way),
		TEST(test_pool_replaces_old_image),
		TEST(test_pool_backs_off),
		TEST(test_unpublished_image),
		TEST(test_restart_adopts),
		TEST(test_restart_while_claiming),
		TEST(test_claim_survives_lost_connection),
		TEST(test_status),
		TEST(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
