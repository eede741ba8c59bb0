/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Modes of screens: what is one, and which one is what is wanted. */
#include "broker/shared/screen_mode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_texts(void **state)
{
	static const char *const good[] = {
		"640x400", "1920x1080", "1920x1080@60", "16384x16384@500", "3840x2160@1"};
	static const char *const bad[] = {"", "preferred", "x", "1920", "1920x", "x1080", "639x400",
		"640x399", "16385x1080", "1920x1080@", "1920x1080@0", "1920x1080@501",
		"1920x1080@60 ", " 1920x1080", "1920X1080", "-1920x1080", "01920x1080",
		"1920x1080@60i", "99999999999x1080", "1920x1080@060", "1920*1080", "1920x1080x60"};
	struct screen_mode mode;
	char text[SCREEN_MODE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(screen_mode_parse(good[i], &mode));
		assert_string_equal(screen_mode_text(&mode, text), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		mode.width = 7;
		assert_false(screen_mode_parse(bad[i], &mode));
		assert_int_equal(mode.width, 0);
		assert_string_equal(screen_mode_text(&mode, text), "");
	}
}

static void test_fits(void **state)
{
	const struct screen_mode shown = {1920, 1080, 75};

	(void)state;
	assert_true(screen_mode_fits(&shown, &(struct screen_mode){1920, 1080, 0}));
	assert_true(screen_mode_fits(&shown, &(struct screen_mode){1920, 1080, 75}));
	assert_false(screen_mode_fits(&shown, &(struct screen_mode){1920, 1080, 60}));
	assert_false(screen_mode_fits(&shown, &(struct screen_mode){1920, 1200, 0}));
	assert_false(screen_mode_fits(&shown, &(struct screen_mode){0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts), cmocka_unit_test(test_fits)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
