/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "client-initrd/params.h"
#include "client-initrd/util.h"

#define SUM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"
#define ROOT_HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define GOOD                                                                                       \
	"BOOT_IMAGE=http://x/vmlinuz carrel.server=10.77.0.1 carrel.http=80 carrel.report=7480 "   \
	"carrel.broker=7443 carrel.nfs=10.77.0.1:/client carrel.root=client-20260301.1.root "      \
	"carrel.size=8200 carrel.sha256=" SUM " carrel.verity=1:" ROOT_HASH                        \
	":abcd quiet BOOTIF=01-52-54-00-aA-00-01\n"

static void test_good(void **state)
{
	struct params p;
	(void)state;
	assert_null(params_parse(GOOD, &p));
	assert_int_equal(p.server, 0x0a4d0001);
	assert_int_equal(p.http, 80);
	assert_int_equal(p.report, 7480);
	assert_int_equal(p.broker, 7443);
	assert_int_equal(p.nfs_server, 0x0a4d0001);
	assert_string_equal(p.nfs_path, "/client");
	assert_string_equal(p.root, "client-20260301.1.root");
	assert_int_equal(p.size, 8200);
	assert_int_equal(p.verity.data_blocks, 1);
	assert_string_equal(p.verity.salt, "abcd");
	assert_string_equal(p.sha256 + 58, "abcdef");
	assert_string_equal(p.bootif, "52:54:00:aa:00:01");
}

/* Each parameter's bad values make just that parameter the complaint. */
static void test_bad_values(void **state)
{
	static const char *const bad[][2] = {{"carrel.server", "10.77.0"},
		{"carrel.server", "0.0.0.0"}, {"carrel.http", "0"}, {"carrel.http", "65536"},
		{"carrel.http", "80x"}, {"carrel.report", ""}, {"carrel.broker", "-1"},
		{"carrel.nfs", "10.77.0.1"}, {"carrel.nfs", "10.77.0.1:client"},
		{"carrel.nfs", "10.77.0.1:/a,b"}, {"carrel.nfs", "10.77.0.1:/../etc"},
		{"carrel.root", "../etc/passwd"}, {"carrel.root", "a/b"}, {"carrel.root", "a%20b"},
		{"carrel.size", "0"}, {"carrel.size", "99999999999999999999"},
		{"carrel.sha256", "abcd"}, {"carrel.sha256", SUM "00"},
		{"carrel.verity", "2:" ROOT_HASH ":abcd"},
		{"carrel.verity", "0:" ROOT_HASH ":abcd"}, {"carrel.verity", "1:" ROOT_HASH},
		{"carrel.verity", "1:" ROOT_HASH ":abc"}, {"carrel.verity", "1:" ROOT_HASH ":"}};
	struct params p;
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char line[2048];
		size_t used = 0;
		assert_true(
			util_append(line, sizeof line, &used, GOOD " %s=%s", bad[i][0], bad[i][1]));
		assert_string_equal(params_parse(line, &p), bad[i][0]);
	}
}

static void test_missing_and_off(void **state)
{
	struct params p;
	(void)state;
	assert_string_equal(params_parse("quiet", &p), "carrel.server");
	assert_string_equal(params_parse("", &p), "carrel.server");
	assert_null(params_parse(GOOD " carrel.nfs=off", &p));
	assert_int_equal(p.nfs_server, 0);
	/* a BOOTIF that cannot be read is no reason to stop */
	assert_null(params_parse(GOOD " BOOTIF=01-52-54", &p));
	/* what is there is kept for the failure page */
	assert_string_equal(params_parse("carrel.server=10.77.0.1", &p), "carrel.http");
	assert_int_equal(p.server, 0x0a4d0001);
}

static void test_numbers(void **state)
{
	uint64_t value;
	const char *end;
	(void)state;
	assert_true(util_parse_u64("18446744073709551615", UINT64_MAX, &value, NULL));
	assert_true(value == UINT64_MAX);
	assert_false(util_parse_u64("18446744073709551616", UINT64_MAX, &value, NULL));
	assert_false(util_parse_u64("7", 5, &value, NULL));
	assert_false(util_parse_u64("", 5, &value, NULL));
	assert_false(util_parse_u64("5 ", 5, &value, NULL));
	assert_true(util_parse_u64("12-", 99, &value, &end));
	assert_int_equal(value, 12);
	assert_string_equal(end, "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad_values), cmocka_unit_test(test_missing_and_off),
		cmocka_unit_test(test_numbers)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
