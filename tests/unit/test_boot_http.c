/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "client-initrd/http.h"

static int parse(const char *text, struct http_head *head)
{
	return http_parse_head(text, strlen(text), head);
}

static void test_good(void **state)
{
	struct http_head head;
	static const char whole[] =
		"HTTP/1.1 200 OK\r\nServer: x\r\nContent-length:  1000 \r\n\r\nbody";
	(void)state;
	assert_int_equal(parse(whole, &head), (int)strlen(whole) - 4);
	assert_int_equal(head.status, 200);
	assert_true(head.has_length);
	assert_int_equal(head.length, 1000);
	assert_false(head.has_range);
	assert_true(parse("HTTP/1.1 206 Partial Content\nContent-Length: 900\n"
			  "Content-Range: bytes 100-999/1000\n\n",
			    &head) > 0);
	assert_true(head.has_range);
	assert_int_equal(head.range_first, 100);
	assert_int_equal(head.range_total, 1000);
}

/* Every shorter piece of a good head asks for more. */
static void test_pieces(void **state)
{
	struct http_head head;
	static const char whole[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
	(void)state;
	for (size_t n = 0; n < sizeof whole - 1; n++)
		assert_int_equal(http_parse_head(whole, n, &head), 0);
	assert_int_equal(http_parse_head(whole, sizeof whole - 1, &head), (int)sizeof whole - 1);
}

static void test_bad(void **state)
{
	static const char *const bad[] = {"\r\n\r\n", "HTTP/2 200 OK\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 200OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
		"HTTP/1.1 206 x\r\nContent-Range: bytes 9-5/10\r\n\r\n",
		"HTTP/1.1 206 x\r\nContent-Range: bytes 0-10/10\r\n\r\n",
		"HTTP/1.1 206 x\r\nContent-Range: bytes */10\r\n\r\n"};
	struct http_head head;
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(parse(bad[i], &head), -1);
}

static void test_too_long(void **state)
{
	static char endless[HTTP_HEAD_MAX + 100];
	struct http_head head;
	(void)state;
	memset(endless, 'a', sizeof endless);
	memcpy(endless, "HTTP/1.1 200 OK\r\nX: ", 20);
	assert_int_equal(http_parse_head(endless, 4000, &head), 0);
	assert_int_equal(http_parse_head(endless, sizeof endless, &head), -1);
	/* a long field in a whole head is passed over */
	memcpy(endless + 3000, "\r\nContent-Length: 5\r\n\r\n", 23);
	assert_int_equal(http_parse_head(endless, sizeof endless, &head), 3023);
	assert_int_equal(head.length, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good),
		cmocka_unit_test(test_pieces), cmocka_unit_test(test_bad),
		cmocka_unit_test(test_too_long)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
