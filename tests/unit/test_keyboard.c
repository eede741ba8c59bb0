/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keyboards: what is the text of one. */
#include "broker/shared/keyboard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_good(void **state)
{
	static const struct {
		const char *text, *layout, *variant;
	} good[] = {{"us", "us", ""}, {"kr", "kr", ""}, {"kr(kr104)", "kr", "kr104"},
		{"de(nodeadkeys)", "de", "nodeadkeys"},
		{"us(dvorak-alt-intl)", "us", "dvorak-alt-intl"},
		{"jp(OADG109A)", "jp", "OADG109A"},
		{"abcdefghijkl(_bcdefghijklmnopqrstuvwxyz01234)", "abcdefghijkl",
			"_bcdefghijklmnopqrstuvwxyz01234"}};
	struct keyboard keyboard;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(keyboard_parse(good[i].text, &keyboard));
		assert_string_equal(keyboard.layout, good[i].layout);
		assert_string_equal(keyboard.variant, good[i].variant);
	}
}

static void test_bad(void **state)
{
	static const char *const bad[] = {"", "u", "US", "us ", " us", "us,de", "us;reboot",
		"../us", "us()", "us(", "us)", "us(a", "us(a))", "us(a)b", "us(a b)", "us(-option)",
		"us(a/b)", "us(a)(b)", "-us", "u1", "한국", "de(\xc3\xa4)", "abcdefghijklm",
		"us(abcdefghijklmnopqrstuvwxyz012345)", "us\n", "us(a)\n", "$(reboot)", "%s"};
	struct keyboard keyboard;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		keyboard = (struct keyboard){"xx", "yy"};
		assert_false(keyboard_parse(bad[i], &keyboard));
		assert_string_equal(keyboard.layout, "");
		assert_string_equal(keyboard.variant, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
