/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When reservations are in force: what is written, and the clock of Seoul and of Berlin. */
#include "broker/daemon/when.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static int seoul(void **state)
{
	(void)state;
	zone("Asia/Seoul");
	return 0;
}

static gint64 at(const char *local)
{
	struct when when;
	g_autofree char *problem = when_parse_once(&when, local, "2099-01-01");

	assert_null(problem);
	return when.from;
}

static struct when weekly(const char *text)
{
	struct when when;
	g_autofree char *problem = when_parse_weekly(&when, text);

	if (problem)
		fail_msg("%s", problem);
	return when;
}

static struct when once(const char *from, const char *until)
{
	struct when when;
	g_autofree char *problem = when_parse_once(&when, from, until);

	if (problem)
		fail_msg("%s", problem);
	return when;
}

static void test_weekly_is_read(void **state)
{
	static const struct {
		const char *text, *back; /* NULL: refused */
	} cases[] = {{"Tue 09:00-11:00", "Tue 09:00-11:00"},
		{"mon,WED 13:00-14:30", "Mon,Wed 13:00-14:30"},
		{"Mon-Fri 08:00-24:00", "Mon,Tue,Wed,Thu,Fri 08:00-24:00"}, {"", NULL},
		{"Tue", NULL}, {"Tue 9:00-11:00", NULL}, {"Tue 09:00-11:00 ", NULL},
		{"Tue 09:00-09:00", NULL}, {"Tue 22:00-02:00", NULL}, {"Tue 09:00-24:01", NULL},
		{"Tue 09:60-11:00", NULL}, {"Fri-Mon 09:00-11:00", NULL},
		{"Tue, 09:00-11:00", NULL}, {"Die 09:00-11:00", NULL}};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct when when;
		g_autofree char *problem = when_parse_weekly(&when, cases[i].text);
		g_autofree char *back = problem ? NULL : when_text(&when);

		if (g_strcmp0(back, cases[i].back) != 0)
			fail_msg("\"%s\" was read as \"%s\"", cases[i].text, back ?: problem);
	}
}

static void test_dates_are_read(void **state)
{
	static const char *const bad[][2] = {{"2026-03-03", "2026-03-02"},
		{"2026-02-30", "2026-03-03"}, {"2026-03-03 24:00", "2026-03-04"},
		{"2026-03-03 09:00", "2026-03-03 09:00"}, {"2026-3-3", "2026-03-04"},
		{"2026-03-03 09:00:61", "2026-03-04"}, {"soon", "2026-03-04"},
		{"2026-03-03 09:00x", "2026-03-04"}};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		struct when when;
		g_autofree char *problem = when_parse_once(&when, bad[i][0], bad[i][1]);

		if (!problem)
			fail_msg("\"%s\" to \"%s\" was taken", bad[i][0], bad[i][1]);
	}
	struct when day = once("2026-03-03", "2026-03-03");
	assert_int_equal(day.until - day.from, 24 * 3600);
	assert_int_equal(day.from, 1772463600); /* 2 March, 15:00 UTC */
	g_autofree char *text = when_text(&day);
	assert_string_equal(text, "2026-03-03 00:00 to 2026-03-04 00:00");
}

static void test_hours_of_the_week(void **state)
{
	struct when when = weekly("Tue 09:00-11:00");

	(void)state;
	assert_false(when_contains(&when, at("2026-03-03 08:59:59")));
	assert_true(when_contains(&when, at("2026-03-03 09:00")));
	assert_true(when_contains(&when, at("2026-03-03 10:59:59")));
	assert_false(when_contains(&when, at("2026-03-03 11:00")));
	assert_false(when_contains(&when, at("2026-03-04 10:00")));
	assert_true(when_contains(&when, at("2026-03-10 10:00")));
	assert_false(when_is_over(&when, at("2036-03-10 10:00")));
	/* It is the wall's nine o'clock, before and after summer time has begun. */
	zone("Europe/Berlin");
	assert_true(when_contains(&when, 1774339200)); /* 24 March 2026, 08:00 UTC */
	assert_false(when_contains(&when, 1774339200 - 1));
	assert_true(when_contains(&when, 1774339200 + 7 * 86400 - 3600));
	assert_false(when_contains(&when, 1774339200 + 7 * 86400 - 3601));
}

static void test_the_clock_is_looked_at_in_time(void **state)
{
	struct when tuesday = weekly("Tue 09:00-11:00");
	struct when moment = once("2026-03-03 09:00:10", "2026-03-03 09:00:40");
	gint64 nine = at("2026-03-03 09:00");

	(void)state;
	assert_int_equal(when_wait(&tuesday, nine), 60);
	assert_int_equal(when_wait(&tuesday, nine + 59), 1);
	assert_int_equal(when_wait(&moment, nine - 3600), 60);
	assert_int_equal(when_wait(&moment, nine), 10);
	assert_int_equal(when_wait(&moment, nine + 10), 30);
	assert_true(when_contains(&moment, nine + 39));
	assert_true(when_is_over(&moment, nine + 40));
}

static void test_overlaps(void **state)
{
	struct when tue = weekly("Tue 09:00-11:00"), later = weekly("Mon-Fri 11:00-12:00");
	struct when half = weekly("Tue,Thu 10:59-12:00"), wed = weekly("Wed 09:00-11:00");
	struct when march = once("2026-03-01", "2026-03-31"),
		    day = once("2026-03-04", "2026-03-04");
	struct when hour = once("2026-03-03 10:00", "2026-03-03 10:30");

	(void)state;
	assert_true(when_overlap(&tue, &half));
	assert_false(when_overlap(&tue, &later));
	assert_false(when_overlap(&tue, &wed));
	assert_true(when_overlap(&tue, &march) && when_overlap(&march, &tue));
	assert_false(when_overlap(&tue, &day));
	assert_true(when_overlap(&wed, &day));
	assert_true(when_overlap(&hour, &tue));
	assert_true(when_overlap(&hour, &march));
	assert_false(when_overlap(&hour, &day));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_weekly_is_read, seoul),
		cmocka_unit_test_setup(test_dates_are_read, seoul),
		cmocka_unit_test_setup(test_hours_of_the_week, seoul),
		cmocka_unit_test_setup(test_the_clock_is_looked_at_in_time, seoul),
		cmocka_unit_test_setup(test_overlaps, seoul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
