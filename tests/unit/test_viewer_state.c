/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state table: whole, reachable, never a dead end; and the queue that feeds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "sdl-viewer/app/state.h"

static void every_state_is_reached_and_left(void **unused)
{
	bool reached[STATE_COUNT] = {[STATE_HELLO] = true};
	bool changed = true;

	(void)unused;
	while (changed) {
		changed = false;
		for (int s = 0; s < STATE_COUNT; s++)
			for (int e = 0; reached[s] && e < EVENT_TABLE_COUNT; e++) {
				struct state_step step;

				state_step((enum state)s, (enum event_type)e, &step);
				changed = changed || !reached[step.next];
				reached[step.next] = true;
			}
	}
	for (int s = 0; s < STATE_COUNT; s++) {
		bool left = false;

		assert_true(reached[s]);
		for (int e = 0; e < EVENT_TABLE_COUNT; e++) {
			struct state_step step;

			state_step((enum state)s, (enum event_type)e, &step);
			left = left || step.next != (enum state)s;
		}
		assert_true(left);
		assert_string_not_equal(state_name((enum state)s), "?");
	}
}

static void every_action_is_used(void **unused)
{
	bool used[ACTION_COUNT] = {[ACTION_NONE] = true};

	(void)unused;
	for (int s = 0; s < STATE_COUNT; s++)
		for (int e = 0; e < EVENT_TABLE_COUNT; e++) {
			struct state_step step;

			if (state_step((enum state)s, (enum event_type)e, &step))
				used[step.action] = true;
		}
	for (int a = 0; a < ACTION_COUNT; a++) {
		assert_true(used[a]);
		assert_string_not_equal(action_name((enum action)a), "?");
	}
	for (int e = 0; e < EVENT_COUNT; e++)
		assert_non_null(event_name((enum event_type)e));
}

/* While a login is under way, its end and the person's wish to leave are always heard. */
static void a_login_can_always_end(void **unused)
{
	static const enum state during[] = {
		STATE_LOGGING_IN, STATE_CONNECTING, STATE_DESKTOP, STATE_MOVING, STATE_LOST};
	static const enum event_type ends[] = {
		EVENT_MOVED, EVENT_ENDED, EVENT_REFUSED, EVENT_DISCONNECT, EVENT_LOGOUT};
	struct state_step step;

	(void)unused;
	for (size_t s = 0; s < sizeof(during) / sizeof(during[0]); s++)
		for (size_t e = 0; e < sizeof(ends) / sizeof(ends[0]); e++) {
			assert_true(state_step(during[s], ends[e], &step));
			assert_true(step.next == STATE_MESSAGE || step.next == STATE_LOGIN);
		}
}

struct step {
	enum event_type event;
	enum state next;
	enum action action;
};

static void go(enum state state, const struct step *way, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct state_step step;

		state_step(state, way[i].event, &step);
		assert_int_equal(step.next, way[i].next);
		assert_int_equal(step.action, way[i].action);
		state = step.next;
	}
}

static void the_usual_way(void **unused)
{
	static const struct step way[] = {{EVENT_HELLO_FAILED, STATE_HELLO, ACTION_TROUBLE},
		{EVENT_KNOCK, STATE_HELLO, ACTION_NONE}, {EVENT_HELLO, STATE_LOGIN, ACTION_SITE},
		{EVENT_KNOCK, STATE_LOGIN, ACTION_HELLO},
		{EVENT_SUBMIT, STATE_LOGGING_IN, ACTION_START_LOGIN},
		{EVENT_DENIED, STATE_LOGIN, ACTION_FORM_ERROR},
		{EVENT_SUBMIT, STATE_LOGGING_IN, ACTION_START_LOGIN},
		{EVENT_STAGE, STATE_LOGGING_IN, ACTION_STAGE},
		{EVENT_READY, STATE_CONNECTING, ACTION_CONNECT},
		{EVENT_FRAME, STATE_DESKTOP, ACTION_FIRST_FRAME},
		{EVENT_TOKEN_GONE, STATE_DESKTOP, ACTION_NONE},
		{EVENT_KNOCK, STATE_DESKTOP, ACTION_NONE},
		{EVENT_READY, STATE_DESKTOP, ACTION_CONNECT},
		{EVENT_FRAME, STATE_DESKTOP, ACTION_FIRST_FRAME},
		{EVENT_DESKTOP_LOST, STATE_LOST, ACTION_ASK_AGAIN},
		{EVENT_TIMEOUT, STATE_LOST, ACTION_ASK_AGAIN},
		{EVENT_READY, STATE_LOST, ACTION_CONNECT},
		{EVENT_DESKTOP_UNSAFE, STATE_MESSAGE, ACTION_MESSAGE},
		{EVENT_CONFIRM, STATE_LOGIN, ACTION_FORM}};

	(void)unused;
	go(STATE_HELLO, way, sizeof(way) / sizeof(way[0]));
}

static void the_way_of_a_handoff(void **unused)
{
	static const struct step way[] = {{EVENT_HANDOFF_ANNOUNCED, STATE_DESKTOP, ACTION_ANNOUNCE},
		{EVENT_HANDOFF_CANCELLED, STATE_DESKTOP, ACTION_CALL_OFF},
		{EVENT_HANDOFF_ANNOUNCED, STATE_DESKTOP, ACTION_ANNOUNCE},
		{EVENT_HANDOFF_MOVING, STATE_MOVING, ACTION_FREEZE},
		{EVENT_HANDOFF_MOVING, STATE_MOVING, ACTION_NONE},
		{EVENT_STAGE, STATE_MOVING, ACTION_STAGE},
		{EVENT_TROUBLE, STATE_MOVING, ACTION_TROUBLE},
		{EVENT_READY, STATE_MOVING, ACTION_CONNECT},
		{EVENT_DESKTOP_LOST, STATE_MOVING, ACTION_RETRY},
		{EVENT_READY, STATE_MOVING, ACTION_CONNECT},
		{EVENT_FRAME, STATE_DESKTOP, ACTION_FIRST_FRAME},
		/* undone after the picture stood still */
		{EVENT_HANDOFF_MOVING, STATE_MOVING, ACTION_FREEZE},
		{EVENT_HANDOFF_CANCELLED, STATE_DESKTOP, ACTION_THAW},
		/* nothing heard any more: as a lost desktop, which may be moved too */
		{EVENT_HANDOFF_MOVING, STATE_MOVING, ACTION_FREEZE},
		{EVENT_TIMEOUT, STATE_LOST, ACTION_ASK_AGAIN},
		{EVENT_HANDOFF_ANNOUNCED, STATE_LOST, ACTION_ANNOUNCE},
		{EVENT_HANDOFF_MOVING, STATE_MOVING, ACTION_FREEZE},
		{EVENT_DESKTOP_UNSAFE, STATE_MESSAGE, ACTION_MESSAGE}};

	(void)unused;
	go(STATE_DESKTOP, way, sizeof(way) / sizeof(way[0]));
}

/* Only the new desktop's picture, or a word of the broker, gives the screen back to a desktop; and
 * a broker that keeps silent does not hold the person for ever. */
static void a_standing_picture_stands_until_the_swap(void **unused)
{
	(void)unused;
	for (int e = 0; e < EVENT_TABLE_COUNT; e++) {
		struct state_step step;

		state_step(STATE_MOVING, (enum event_type)e, &step);
		if (step.next == STATE_DESKTOP)
			assert_true(e == EVENT_FRAME || e == EVENT_HANDOFF_CANCELLED);
	}
	assert_true(state_timeout_ms(STATE_MOVING) >= 60000);
	assert_int_equal(state_timeout_ms(STATE_DESKTOP), 0);
	assert_true(state_shows_desktop(STATE_MOVING));
}

static void count_wake(void *context)
{
	(*(int *)context)++;
}

static void the_queue_keeps_the_order(void **unused)
{
	struct event_queue queue;
	struct event *event;
	int wakes = 0;

	(void)unused;
	event_queue_init(&queue, count_wake, &wakes);
	assert_null(event_queue_take(&queue));
	for (unsigned i = 0; i < 3; i++) {
		event = event_new(EVENT_STAGE);
		event->percent = i;
		event_queue_post(&queue, event);
	}
	for (unsigned i = 0; i < 2; i++) {
		event = event_queue_take(&queue);
		assert_int_equal(event->percent, i);
		event_free(event);
	}
	event_queue_post(&queue, event_new(EVENT_READY));
	event = event_queue_take(&queue);
	assert_int_equal(event->percent, 2);
	event_free(event);
	assert_int_equal(wakes, 4);
	event_queue_clear(&queue); /* frees the one that is left */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state_is_reached_and_left),
		cmocka_unit_test(every_action_is_used),
		cmocka_unit_test(a_login_can_always_end),
		cmocka_unit_test(the_usual_way),
		cmocka_unit_test(the_way_of_a_handoff),
		cmocka_unit_test(a_standing_picture_stands_until_the_swap),
		cmocka_unit_test(the_queue_keeps_the_order),
	};

	return cmocka_run_group_tests_name("viewer state", tests, NULL, NULL);
}
