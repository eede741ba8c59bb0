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

void expect(const struct core_event *event, const char *expected)
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

int setup(void **state)
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
