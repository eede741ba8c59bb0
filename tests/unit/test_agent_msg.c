/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/agent/agent_msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CLAIM                                                                                      \
	"{\"op\":\"claim\",\"id\":7,\"user\":\"%s\",\"full_name\":\"%s\",\"uid\":%s,\"gid\":%s,"   \
	"\"volume\":\"%s\"}"

static const char *parse(const char *line, struct agent_request *request)
{
	return agent_msg_parse(line, strlen(line), request);
}

static const char *claim(struct agent_request *request, const char *user, const char *full_name,
	const char *uid, const char *gid, const char *volume)
{
	char line[2048];

	snprintf(line, sizeof(line), CLAIM, user, full_name, uid, gid, volume);
	return parse(line, request);
}

static void test_claim(void **state)
{
	struct agent_request r;

	(void)state;
	assert_null(claim(&r, "alice", "Alice Kim", "20001", "20002", "vol-7"));
	assert_int_equal(r.op, AGENT_OP_CLAIM);
	assert_int_equal(r.id, 7);
	assert_string_equal(r.user, "alice");
	assert_string_equal(r.full_name, "Alice Kim");
	assert_string_equal(r.volume, "vol-7");
	assert_int_equal(r.uid, 20001);
	assert_int_equal(r.gid, 20002);
	assert_null(claim(&r, "홍길동", "홍 길동", "20001", "100", "vol-7"));
	assert_string_equal(r.user, "홍길동");
}

/* The GECOS field is one field of passwd, and a long name is cut between characters. */
static void test_full_name(void **state)
{
	struct agent_request r;
	char name[300] = "";

	(void)state;
	assert_null(claim(&r, "bob", "Bob: root,x\\n0:0", "20001", "20001", "vol-7"));
	assert_string_equal(r.full_name, "Bob  root x 0 0");
	for (int i = 0; i < 60; i++)
		strcat(name, "가");
	assert_null(claim(&r, "bob", name, "20001", "20001", "vol-7"));
	assert_true(strlen(r.full_name) % 3 == 0);
	assert_true(strlen(r.full_name) >= 90);
	assert_null(parse("{\"op\":\"claim\",\"id\":7,\"user\":\"bob\",\"uid\":20001,\"gid\":20001,"
			  "\"volume\":\"vol-7\"}",
		&r));
	assert_string_equal(r.full_name, "");
}

static void test_claim_refused(void **state)
{
	static const char *const users[] = {"", "-rf", ".", "..", "../etc", "a:b", "a b", "a\\nb",
		"a/b", "a\\\\b", "\\u007f", "$HOME", "`id`", "a,b"};
	static const char *const volumes[] = {
		"", "123456789012345678901", "../vdb", "vol 7", "vol\\n7"};
	struct agent_request r;
	char name[AGENT_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(users) / sizeof(*users); i++)
		assert_non_null(claim(&r, users[i], "x", "20001", "20001", "vol-7"));
	memset(name, 'a', sizeof(name));
	name[AGENT_NAME_MAX - 1] = '\0';
	assert_null(claim(&r, name, "x", "20001", "20001", "vol-7"));
	name[AGENT_NAME_MAX - 1] = 'a';
	name[AGENT_NAME_MAX] = '\0';
	assert_non_null(claim(&r, name, "x", "20001", "20001", "vol-7"));
	for (size_t i = 0; i < sizeof(volumes) / sizeof(*volumes); i++)
		assert_non_null(claim(&r, "bob", "x", "20001", "20001", volumes[i]));
	assert_non_null(claim(&r, "bob", "x", "0", "20001", "vol-7"));
	assert_non_null(claim(&r, "bob", "x", "999", "20001", "vol-7"));
	assert_non_null(claim(&r, "bob", "x", "4294967296", "20001", "vol-7"));
	assert_non_null(claim(&r, "bob", "x", "-1", "20001", "vol-7"));
	assert_non_null(claim(&r, "bob", "x", "20001", "0", "vol-7"));
	assert_non_null(claim(&r, "bob", "x", "\"20001\"", "20001", "vol-7"));
	assert_int_equal(r.id, 7); /* so that the refusal can be told to whom it belongs */
}

static void test_plain(void **state)
{
	struct agent_request r;

	(void)state;
	assert_null(parse("{\"op\":\"hello\"}", &r));
	assert_int_equal(r.op, AGENT_OP_HELLO);
	assert_int_equal(r.id, 0);
	assert_null(parse("{\"op\":\"release\",\"id\":9}", &r));
	assert_int_equal(r.op, AGENT_OP_RELEASE);
	assert_int_equal(r.id, 9);
	assert_null(parse("{\"op\":\"status\",\"id\":10}", &r));
	assert_int_equal(r.op, AGENT_OP_STATUS);
}

static void test_keyboard(void **state)
{
	static const char *const bad[] = {"{\"op\":\"keyboard\",\"id\":7}",
		"{\"op\":\"keyboard\",\"keyboard\":\"us\"}",
		"{\"op\":\"keyboard\",\"id\":7,\"keyboard\":7}",
		"{\"op\":\"keyboard\",\"id\":7,\"keyboard\":\"us\",\"user\":\"bob\"}",
		"{\"op\":\"keyboard\",\"id\":7,\"keyboard\":\"us -option x\"}",
		"{\"op\":\"keyboard\",\"id\":7,\"keyboard\":\"../../tmp/x\"}",
		"{\"op\":\"keyboard\",\"id\":7,\"keyboard\":\"us(a)(b)\"}",
		"{\"op\":\"keyboard\",\"id\":7,\"keyboard\":\"us\\u0000\"}"};
	struct agent_request r;

	(void)state;
	assert_null(parse("{\"op\":\"keyboard\",\"id\":7,\"keyboard\":\"de(nodeadkeys)\"}", &r));
	assert_int_equal(r.op, AGENT_OP_KEYBOARD);
	assert_int_equal(r.id, 7);
	assert_string_equal(r.keyboard.layout, "de");
	assert_string_equal(r.keyboard.variant, "nodeadkeys");
	assert_null(parse("{\"op\":\"keyboard\",\"id\":8,\"keyboard\":\"\"}", &r));
	assert_string_equal(r.keyboard.layout, "");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_non_null(parse(bad[i], &r));
		assert_string_equal(r.keyboard.layout, "");
	}
}

static void test_refused(void **state)
{
	static const char *const lines[] = {"", "x", "7", "[]", "{}", "{\"op\":7}",
		"{\"op\":\"format\"}", "{\"op\":\"release\"}", "{\"op\":\"release\",\"id\":\"9\"}",
		"{\"op\":\"status\",\"id\":1,\"x\":1}", "{\"op\":\"hello\",\"op\":\"release\"}",
		"{\"op\":\"hello\"} {}", "{\"op\":\"hello\""};
	struct agent_request r;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_non_null(parse(lines[i], &r));
}

struct seen {
	char text[8][64];
	int count, too_long;
};

static void see(void *context, const char *text, size_t length)
{
	struct seen *seen = context;

	if (!text) {
		seen->too_long++;
		return;
	}
	assert_true(seen->count < 8);
	snprintf(seen->text[seen->count++], sizeof(*seen->text), "%.*s", (int)length, text);
}

static void test_lines(void **state)
{
	static struct agent_lines lines;
	static char big[AGENT_LINE_MAX + 100];
	struct seen seen = {.count = 0};

	(void)state;
	agent_lines_init(&lines);
	agent_lines_feed(&lines, "\n\none\ntw", 8, see, &seen);
	assert_int_equal(seen.count, 1);
	agent_lines_feed(&lines, "o\nthree", 7, see, &seen);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.text[0], "one");
	assert_string_equal(seen.text[1], "two");
	memset(big, 'x', sizeof(big));
	agent_lines_feed(&lines, big, sizeof(big), see, &seen);
	agent_lines_feed(&lines, big, sizeof(big), see, &seen);
	assert_int_equal(seen.too_long, 1);
	assert_int_equal(seen.count, 2);
	agent_lines_feed(&lines, "\nfour\n", 6, see, &seen);
	assert_int_equal(seen.count, 3);
	assert_string_equal(seen.text[2], "four");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_full_name),
		cmocka_unit_test(test_claim_refused),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_keyboard),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
