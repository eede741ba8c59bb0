/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the daily moment has come, by the clocks of Seoul and of Berlin. */
#include "broker/daemon/daily.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define THREE (3 * 60)

static gint64 at(int year, int month, int day, int hour, int minute)
{
	g_autoptr(GDateTime) time = g_date_time_new_local(year, month, day, hour, minute, 0);

	return g_date_time_to_unix(time);
}

static void zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static void test_once_a_day(void **state)
{
	(void)state;
	zone("Asia/Seoul");
	const gint64 last = at(2026, 11, 26, 3, 0);
	assert_false(daily_is_due(THREE, last, at(2026, 11, 26, 3, 1)));
	assert_false(daily_is_due(THREE, last, at(2026, 11, 27, 2, 59)));
	assert_true(daily_is_due(THREE, last, at(2026, 11, 27, 3, 0)));
	assert_false(daily_is_due(THREE, at(2026, 11, 27, 3, 0), at(2026, 11, 27, 23, 59)));
	/* Begun at noon: not before the next night. */
	assert_false(daily_is_due(THREE, at(2026, 11, 26, 12, 0), at(2026, 11, 26, 23, 0)));
	assert_true(daily_is_due(THREE, at(2026, 11, 26, 12, 0), at(2026, 11, 27, 3, 0)));
}

static void test_missed_nights_count_once(void **state)
{
	(void)state;
	zone("Asia/Seoul");
	const gint64 now = at(2026, 11, 27, 9, 0);
	assert_true(daily_is_due(THREE, at(2026, 11, 20, 3, 0), now));
	assert_false(daily_is_due(THREE, now, now + 60));
	/* Off over night, on before the hour: it was last night's. */
	assert_true(daily_is_due(THREE, at(2026, 11, 25, 3, 0), at(2026, 11, 27, 1, 0)));
}

static void test_clocks_that_jump(void **state)
{
	(void)state;
	zone("Europe/Berlin");
	const gint64 half_past_two = 2 * 60 + 30;
	/* 29 March 2026 has no 02:30, 25 October has two. */
	assert_true(
		daily_is_due((guint)half_past_two, at(2026, 3, 28, 12, 0), at(2026, 3, 29, 12, 0)));
	assert_true(daily_is_due(
		(guint)half_past_two, at(2026, 10, 24, 12, 0), at(2026, 10, 25, 12, 0)));
	assert_false(daily_is_due(
		(guint)half_past_two, at(2026, 10, 25, 4, 0), at(2026, 10, 25, 23, 0)));
	/* A last time in the future is one of a clock that was wrong: tomorrow is soon enough. */
	assert_false(daily_is_due(THREE, at(2036, 1, 1, 0, 0), at(2026, 11, 27, 9, 0)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once_a_day),
		cmocka_unit_test(test_missed_nights_count_once),
		cmocka_unit_test(test_clocks_that_jump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
