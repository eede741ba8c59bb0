/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bench for core: each line of a test is an event and the effects that it must have, in their
 * order (rows written, stages shown and audit lines are left out). core_check runs after each.
 */
#ifndef CARREL_TEST_CORE_BENCH_H
#define CARREL_TEST_CORE_BENCH_H

#include "broker/core/core.h"

struct bench {
	struct core *core;
	struct core_config config;
	struct core_actions actions;
	int64_t now_ms;
	char trace[2000];
};

extern struct bench bench;

int setup(void **state);
int teardown(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
/* ENDED also when it is no longer there. */
enum core_session_state session_is(uint64_t id);

#endif
