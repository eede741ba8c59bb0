/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/verity/verity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_parse(void **state)
{
	struct verity v;

	(void)state;
	assert_true(verity_parse("32753:" HASH ":00ff", &v));
	assert_int_equal(v.data_blocks, 32753);
	assert_string_equal(v.root_hash, HASH);
	assert_string_equal(v.salt, "00ff");
	assert_true(verity_parse("1:" HASH ":-", &v));
	assert_string_equal(v.salt, "-");
}

static void test_refused(void **state)
{
	static const char *const texts[] = {"", "32753", "32753:", "0:" HASH ":00",
		"-1:" HASH ":00", " 1:" HASH ":00", "99999999999999999999:" HASH ":00",
		"18446744073709551615:" HASH ":00", "1x:" HASH ":00", "1:" HASH, "1:" HASH ":",
		"1:" HASH ":0", "1:" HASH ":zz", "1:" HASH "0:00",
		"1:" HASH ":00 1 ignore_corruption", "1:0123:00", "1:" HASH ":AB",
		"1:" HASH ":00:00"};
	char longest[VERITY_SALT_HEX_MAX + 128];
	struct verity v;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_false(verity_parse(texts[i], &v));
	snprintf(longest, sizeof(longest), "1:%s:%0*d", HASH, VERITY_SALT_HEX_MAX, 0);
	assert_true(verity_parse(longest, &v));
	strcat(longest, "00");
	assert_false(verity_parse(longest, &v));
}

static void test_table(void **state)
{
	struct verity v;
	char buffer[512], small[64];

	(void)state;
	assert_true(verity_parse("10:" HASH ":00ff", &v));
	assert_true(verity_table(&v, "/dev/vda", true, buffer, sizeof(buffer)));
	assert_string_equal(buffer,
		"1 /dev/vda /dev/vda 4096 4096 10 10 sha256 " HASH " 00ff 1 panic_on_corruption");
	assert_true(verity_table(&v, "/dev/vda", false, buffer, sizeof(buffer)));
	assert_string_equal(buffer, "1 /dev/vda /dev/vda 4096 4096 10 10 sha256 " HASH " 00ff");
	assert_false(verity_table(&v, "/dev/vda", true, small, sizeof(small)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
