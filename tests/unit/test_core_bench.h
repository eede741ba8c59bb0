/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bench for core: each line of a test is an event and the effects that it must have, in their
 * order (rows written, stages shown and audit lines are left out). core_check runs after each.
 */
#ifndef CARREL_TEST_CORE_BENCH_H
#define CARREL_TEST_CORE_BENCH_H

#include "broker/core/core.h"

#define BENCH_PENDING 4096
#define BENCH_SESSIONS 64

struct bench {
	struct core *core;
	struct core_config config;
	struct core_actions actions;
	int64_t now_ms;
	char trace[2000];
	struct core_action pending[BENCH_PENDING]; /* effects that all_well has not answered */
	size_t pending_count;
	uint32_t way[BENCH_SESSIONS]; /* number of a session's last question, for its answers */
	struct core_action stopped;   /* the last one that all_well came to */
};

extern struct bench bench;

int setup(void **state);
int teardown(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* The one version that there is, from the beginning. */
void publish(const char *image, bool live);
/* One event; its effects must be `expected` (NULL: not looked at). */
void expect(const struct core_event *event, const char *expected);
#define STEP(expected, ...) expect(&(struct core_event){__VA_ARGS__}, (expected))

/* The effects of the last step as text, into bench.trace. */
void trace(struct bench *b);
/* Time passes until the next deadline, which must be at most `ms` away. */
void wait_deadline(int64_t ms, const char *expected);
/* Did the last step have an action of that type whose text has `part` in it? */
bool said(enum core_action_type type, const char *part);

/* Server `id` (the next one) is added and comes up; a login is asked for and its password is right.
 */
void server(unsigned id, uint32_t mib);
void login(uint64_t id, const char *user, const char *client, const char *expected);
void boots(uint64_t desktop, const char *expected);
/* From the attach on, to the first frame. */
void connects(uint64_t desktop, uint64_t session, uint64_t volume);
/* One server, alice at c1 with desktop 1, session 1, volume 1, login 1. */
void alice_connected(void);
/* The broker crashes and has its rows again. */
void restart(void);
/* What an effect's success looks like; false for those that nobody answers. */
bool good_answer(const struct core_action *a, struct core_event *e);
/* Every effect that was asked for, and what follows from it, succeeds; until one of that type comes
 * (true: it is not answered), CORE_ACT_COUNT = to the end. Answers given by hand are not known
 * here: core is told twice, which it does not mind. */
bool all_well(enum core_action_type until);
void forget(enum core_action_type type); /* the answer to these does not come */
/* ENDED also when it is no longer there. */
enum core_session_state session_is(uint64_t id);

#endif
