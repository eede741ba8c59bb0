/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *const columns[] = {"mac", "name", NULL};
static const char *const optional[] = {"language", NULL};

static json_t *parse(const char *text, GError **error)
{
	return csv_parse(text, strlen(text), columns, optional, error);
}

static void test_good_files(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"mac,name\n", "[]"},
		{"mac,name", "[]"},
		{"mac,name\na,b\n", "[{\"line\":2,\"mac\":\"a\",\"name\":\"b\"}]"},
		{"name,mac\r\nb,a", "[{\"line\":2,\"mac\":\"a\",\"name\":\"b\"}]"},
		{"\xef\xbb\xbfMAC;Name\r\n\r\n a ; b c \r\n \r\n",
			"[{\"line\":3,\"mac\":\"a\",\"name\":\"b c\"}]"},
		{"\n\nmac,name\n\"a,b\", \"say \"\"c\"\"\" \n,\n",
			"[{\"line\":4,\"mac\":\"a,b\",\"name\":\"say \\\"c\\\"\"},"
			"{\"line\":5,\"mac\":\"\",\"name\":\"\"}]"},
		{"\"mac\",\"name\"\na,301호/1\n\t\n  ",
			"[{\"line\":2,\"mac\":\"a\",\"name\":\"301호/1\"}]"},
		{"language,mac,name\nko,a,b\n",
			"[{\"line\":2,\"language\":\"ko\",\"mac\":\"a\",\"name\":\"b\"}]"},
		{"mac,name\na;x,b\n", "[{\"line\":2,\"mac\":\"a;x\",\"name\":\"b\"}]"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		json_t *list = parse(cases[i].text, &error);
		json_t *expected = json_loads(cases[i].expected, 0, NULL);

		if (!list)
			fail_msg("%s: %s", cases[i].text, error->message);
		if (!json_equal(list, expected))
			fail_msg("%s", cases[i].text);
		json_decref(list);
		json_decref(expected);
	}
}

static void test_mistakes_name_their_line(void **state)
{
	static const struct {
		const char *text, *problem;
	} cases[] = {
		{"", "line 1: the header names a column \"\""},
		{"mac\na\n", "line 1: the header lacks the column name"},
		{"mac,name,colour\n", "line 1: the header names a column \"colour\"; the columns "
				      "are mac, name, and if you like language"},
		{"mac,name,MAC\n", "line 1: the header names the column mac twice"},
		{"language,language,mac,name\n",
			"line 1: the header names the column language twice"},
		{"mac,name\na,b\na\n", "line 3: there are 1 fields, the header has 2"},
		{"mac,name\na,b,c\n", "line 2: there are 3 fields"},
		{"mac,name\n\na,\"b\n\n", "line 3: the quotes are not closed"},
		{"mac,name\na,\"b\"c\n", "line 2: after closing quotes"},
		{"mac,name\na,b\x01\n", "line 2: there is a control character"},
		{"mac,name\na,\"b\nc\"\n", "there is a control character"},
		{"mac,name\na,b\xff\n", "not UTF-8"},
		{"mac,name\na,,,,,,,,,,,,,,,,,,\n", "line 2: there are more than 16 fields"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;

		assert_null(parse(cases[i].text, &error));
		if (!strstr(error->message, cases[i].problem))
			fail_msg("%s: %s", cases[i].text, error->message);
	}
	g_autoptr(GError) error = NULL;
	assert_null(csv_parse("mac,name\0\n", 10, columns, optional, &error));
	assert_non_null(strstr(error->message, "not UTF-8"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_files),
		cmocka_unit_test(test_mistakes_name_their_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
