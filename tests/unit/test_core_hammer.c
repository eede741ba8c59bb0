/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any event at any moment, about few enough things that most of them exist: the invariants hold
 * whatever the world says, in whatever order, and no event keeps core from settling.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/test_core_bench.h"

#define SEEDS 1500
#define EVENTS 400

static uint64_t next(uint64_t *seed, uint64_t below)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (*seed >> 11) % below;
}

/* One of the last ids given, mostly; sometimes one that does not exist. */
static uint64_t some_id(uint64_t *seed, uint64_t last)
{
	uint64_t back = next(seed, 4);

	return last > back ? last - back : next(seed, 3);
}

static struct core_event any_event(uint64_t *seed, uint64_t *logins)
{
	struct core_counters last = core_counters(bench.core);
	struct core_event e = {.type = (enum core_event_type)next(seed, CORE_EV_COUNT)};
	static const char *const codes[] = {"", "volume-damaged", "state", "unreachable"};

	/* Without logins there is nothing to hit. */
	if (next(seed, 4) == 0)
		e.type = CORE_EV_LOGIN;
	else if (next(seed, 4) == 0)
		e.type = CORE_EV_AUTHENTICATED;
	else if (next(seed, 12) == 0)
		e.type = CORE_EV_SERVER_UP;
	e.server = some_id(seed, last.server < 3 ? last.server : 3);
	e.desktop = some_id(seed, last.desktop);
	e.session = some_id(seed, last.session);
	e.volume = some_id(seed, last.volume);
	e.login = e.type == CORE_EV_LOGIN || e.type == CORE_EV_RESUME ? ++*logins
								      : some_id(seed, *logins);
	e.memory_mib = (uint32_t)(3000 + next(seed, 6000));
	e.vnc_port = (uint16_t)(5900 + next(seed, 3));
	e.flag = next(seed, 2);
	e.work = (enum core_volume_work)next(seed, VOLUME_WORK_COUNT);
	e.copy = (uint32_t)next(seed, 4);
	e.percent = (uint32_t)next(seed, 300);
	snprintf(e.user, sizeof(e.user), "%s", next(seed, 3) ? "" : "u");
	if (e.type == CORE_EV_LOGIN || e.type == CORE_EV_AUTHENTICATED)
		snprintf(e.user, sizeof(e.user), "u%u", (unsigned)next(seed, 14));
	snprintf(e.client, sizeof(e.client), "c%u", (unsigned)next(seed, 2));
	snprintf(e.code, sizeof(e.code), "%s", codes[next(seed, 4)]);
	snprintf(e.text, sizeof(e.text), "t%u", (unsigned)next(seed, 3));
	if (e.type == CORE_EV_CONFIG) {
		bench.config.standby = (uint32_t)next(seed, 4);
		bench.config.max_mib = (uint32_t)(512u << next(seed, 4));
		bench.config.disconnected_ms = (int64_t)next(seed, 3) * 1000;
		e.config = &bench.config;
	}
	return e;
}

/* The good answer to one of the latest actions, if it has one; what it says is any word. */
static bool answer(const struct core_action *a, struct core_event *e)
{
	const struct core_event any = *e;

	if (a->type == CORE_ACT_AUTHENTICATE) {
		e->type = CORE_EV_AUTHENTICATED;
		e->login = a->login;
		return true;
	}
	if (!good_answer(a, e)) {
		*e = any;
		return false;
	}
	memcpy(e->text, any.text, sizeof(e->text));
	memcpy(e->code, any.code, sizeof(e->code));
	e->flag = any.flag;
	return true;
}

#define LATEST 16

struct latest {
	struct core_action actions[LATEST];
	size_t count;
};

static void remember(struct latest *latest)
{
	for (size_t i = 0; i < bench.actions.count; i++) {
		if (bench.actions.items[i].type >= CORE_ACT_AUTHENTICATE &&
			bench.actions.items[i].type != CORE_ACT_TELL_STAGE)
			latest->actions[latest->count++ % LATEST] = bench.actions.items[i];
	}
}

static void test_any_event_at_any_moment(void **state)
{
	unsigned readies = 0;

	(void)state;
	for (uint64_t run = 1; run <= SEEDS; run++) {
		uint64_t seed = run * 0x9e3779b97f4a7c15u, logins = 0;
		struct latest latest = {0};
		setup(NULL);
		server(1, 8192);
		server(2, 6000);
		for (unsigned i = 0; i < EVENTS; i++) {
			struct core_event e = any_event(&seed, &logins);
			const struct core_action *a = &latest.actions[next(&seed, LATEST)];
			if (next(&seed, 4) > 0 && answer(a, &e) && next(&seed, 2))
				e.text[0] = e.code[0] = '\0';
			if (a->type == CORE_ACT_DESKTOP_START && next(&seed, 2)) {
				e.type = CORE_EV_AGENT_HELLO;
				e.user[0] = '\0';
			}
			bench.now_ms += (int64_t)next(&seed, 2000);
			e.now_ms = bench.now_ms;
			core_step(bench.core, &e, &bench.actions);
			remember(&latest);
			readies += e.type == CORE_EV_FIRST_FRAME;
			const char *broken = core_check(bench.core);
			if (broken)
				fail_msg("run %u, event %u, %s: %s", (unsigned)run, i,
					core_event_name(e.type), broken);
		}
		teardown(NULL);
	}
	print_message("%u first frames\n", readies);
	assert_true(readies > SEEDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_event_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
