/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/test_core_bench.h"

struct bench bench;

void trace(struct bench *b)
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

bool good_answer(const struct core_action *a, struct core_event *e)
{
	static const enum core_event_type good[CORE_ACT_COUNT] = {
		[CORE_ACT_DESKTOP_START] = CORE_EV_DESKTOP_STARTED,
		[CORE_ACT_DESKTOP_DESTROY] = CORE_EV_DESKTOP_GONE,
		[CORE_ACT_DESKTOP_RESIZE] = CORE_EV_DESKTOP_RESIZED,
		[CORE_ACT_FENCE] = CORE_EV_SERVER_FENCED,
		[CORE_ACT_VOLUME_CREATE] = CORE_EV_VOLUME_CREATED,
		[CORE_ACT_VOLUME_ATTACH] = CORE_EV_VOLUME_ATTACHED,
		[CORE_ACT_VOLUME_DETACH] = CORE_EV_VOLUME_DETACHED,
		[CORE_ACT_VOLUME_WORK] = CORE_EV_VOLUME_WORKED,
		[CORE_ACT_CLAIM] = CORE_EV_CLAIMED,
		[CORE_ACT_RELEASE] = CORE_EV_RELEASED,
		[CORE_ACT_TICKET_SET] = CORE_EV_TICKET_SET,
		[CORE_ACT_FORWARD_ADD] = CORE_EV_FORWARD_ADDED,
		[CORE_ACT_TELL_READY] = CORE_EV_FIRST_FRAME,
	};

	*e = (struct core_event){.type = good[a->type],
		.server = a->server,
		.desktop = a->desktop,
		.session = a->session,
		.volume = a->volume,
		.login = a->login,
		.memory_mib = a->memory_mib,
		.number = a->number,
		.flag = a->type == CORE_ACT_VOLUME_WORK};
	if (a->type == CORE_ACT_DESKTOP_START) {
		e->vnc_port = (uint16_t)(5900 + a->desktop);
		snprintf(e->vnc_host, sizeof(e->vnc_host), "10.78.0.%u", (unsigned)a->server);
	}
	return e->type != CORE_EV_TICK;
}

static void keep_pending(void)
{
	for (size_t i = 0; i < bench.actions.count; i++) {
		const struct core_action *a = &bench.actions.items[i];
		struct core_event ignored;
		if (a->type == CORE_ACT_FORWARD_ADD && a->session < BENCH_SESSIONS)
			bench.way[a->session] = a->number;
		if (!good_answer(a, &ignored) && a->type != CORE_ACT_TELL_HANDOFF)
			continue;
		assert_true(bench.pending_count < BENCH_PENDING);
		bench.pending[bench.pending_count++] = *a;
	}
}

void expect(const struct core_event *event, const char *expected)
{
	struct core_event e = *event;
	const char *broken;

	e.now_ms = bench.now_ms;
	e.wall_ms = bench.now_ms;
	if (e.number == 0 && e.session < BENCH_SESSIONS)
		e.number = bench.way[e.session];
	core_step(bench.core, &e, &bench.actions);
	trace(&bench);
	keep_pending();
	if (expected)
		assert_string_equal(bench.trace, expected);
	broken = core_check(bench.core);
	if (broken)
		fail_msg("%s: %s", core_event_name(e.type), broken);
}

void wait_deadline(int64_t ms, const char *expected)
{
	int64_t deadline = core_next_deadline(bench.core);

	assert_true(deadline <= bench.now_ms + ms);
	bench.now_ms = deadline;
	STEP(expected, CORE_EV_TICK);
}

bool said(enum core_action_type type, const char *part)
{
	for (size_t i = 0; i < bench.actions.count; i++) {
		if (bench.actions.items[i].type == type &&
			strstr(bench.actions.items[i].text, part))
			return true;
	}
	return false;
}

void publish(const char *image, bool live)
{
	struct core_channels channels = {.stable = {.live = live}};

	snprintf(channels.stable.id, sizeof(channels.stable.id), "%s", image);
	core_load_channels(bench.core, &channels);
}

int setup(void **state)
{
	(void)state;
	bench.now_ms = 1000;
	bench.pending_count = 0;
	bench.config = (struct core_config){
		.max_mib = 4096,
		.min_mib = 512,
		.volume_size_mib = 1024,
		.boot_timeout_ms = 60000,
		.claim_timeout_ms = 30000,
		.ticket_ms = 30000,
		.disconnected_ms = 600000,
		.forward_port = 5900,
	};
	bench.core = core_new(&bench.config);
	publish("lite@1", false);
	return 0;
}

int teardown(void **state)
{
	(void)state;
	core_free(bench.core);
	core_actions_clear(&bench.actions);
	return 0;
}

void server(unsigned id, uint32_t mib)
{
	struct core_event e = {.type = CORE_EV_SERVER_ADDED};

	snprintf(e.text, sizeof(e.text), "server%u", id);
	expect(&e, "");
	STEP("", CORE_EV_RECONCILE_DONE, .server = id);
	STEP(NULL, CORE_EV_SERVER_UP, .server = id, .memory_mib = mib);
}

void login(uint64_t id, const char *user, const char *client, const char *expected)
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

void boots(uint64_t desktop, const char *expected)
{
	STEP("", CORE_EV_DESKTOP_STARTED, .desktop = desktop,
		.vnc_port = (uint16_t)(5900 + desktop), .vnc_host = "10.78.0.11");
	STEP(expected, CORE_EV_AGENT_HELLO, .desktop = desktop);
}

void connects(uint64_t desktop, uint64_t session, uint64_t volume)
{
	STEP(NULL, CORE_EV_VOLUME_ATTACHED, .volume = volume, .desktop = desktop);
	STEP(NULL, CORE_EV_CLAIMED, .desktop = desktop);
	STEP("", CORE_EV_TICKET_SET, .session = session, .desktop = desktop);
	STEP(NULL, CORE_EV_FORWARD_ADDED, .session = session);
	assert_int_equal(bench.actions.items[0].type, CORE_ACT_TELL_READY);
}

void alice_connected(void)
{
	server(1, 8192);
	login(1, "alice", "c1", NULL);
	STEP("", CORE_EV_VOLUME_CREATED, .volume = 1);
	boots(1, NULL);
	connects(1, 1, 1);
	STEP("ticket-clear s1 d1 S1", CORE_EV_FIRST_FRAME, .login = 1);
}

enum core_session_state session_is(uint64_t id)
{
	const struct core_session *s = core_session_get(bench.core, id);

	return s ? s->state : SESSION_ENDED;
}

void restart(void)
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
	core_load_channels(bench.core, core_channels(old));
	core_load_counters(bench.core, &counters);
	core_free(old);
	core_load_done(bench.core, bench.now_ms, &bench.actions);
	assert_null(core_check(bench.core));
	bench.pending_count = 0; /* what was under way is not known */
	trace(&bench);
	keep_pending();
}

static void answer(const struct core_action *a)
{
	struct core_event e;

	if (!good_answer(a, &e))
		return;
	expect(&e, NULL);
	if (a->type == CORE_ACT_DESKTOP_START)
		STEP(NULL, CORE_EV_AGENT_HELLO, .desktop = a->desktop);
}

bool all_well(enum core_action_type until)
{
	while (bench.pending_count > 0) {
		const struct core_action a = bench.pending[0];
		memmove(bench.pending, bench.pending + 1,
			--bench.pending_count * sizeof(bench.pending[0]));
		bench.stopped = a;
		if (a.type == until)
			return true;
		answer(&a);
	}
	return false;
}

void forget(enum core_action_type type)
{
	size_t kept = 0;

	for (size_t i = 0; i < bench.pending_count; i++) {
		if (bench.pending[i].type != type)
			bench.pending[kept++] = bench.pending[i];
	}
	bench.pending_count = kept;
}
