/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the broker says: stream parser, decoding, quoting, back-off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "sdl-viewer/ui/strings.h"
#include "sdl-viewer/app/utf8.h"
#include "sdl-viewer/control/backoff.h"
#include "sdl-viewer/control/decode.h"
#include "sdl-viewer/control/sse.h"

struct seen {
	int count;
	char name[SSE_NAME_MAX], data[256];
};

static void see(void *context, const char *name, const char *data)
{
	struct seen *seen = context;

	seen->count++;
	snprintf(seen->name, sizeof(seen->name), "%s", name);
	snprintf(seen->data, sizeof(seen->data), "%s", data);
}

static void stream_in_any_pieces(void **unused)
{
	static const char text[] = ": keep\n\nevent: stage\r\ndata: {\"a\":1}\r\n\r\n"
				   "data:x\ndata: y\nid: 7\n\nevent: lonely\n\n";
	static struct sse sse;

	(void)unused;
	for (size_t piece = 1; piece < sizeof(text); piece++) {
		struct seen seen = {0};

		sse_init(&sse, see, &seen);
		for (size_t at = 0; at < sizeof(text) - 1; at += piece) {
			size_t n = sizeof(text) - 1 - at < piece ? sizeof(text) - 1 - at : piece;

			assert_true(sse_feed(&sse, text + at, n));
		}
		/* An event without data is none. */
		assert_int_equal(seen.count, 2);
		assert_string_equal(seen.name, "message");
		assert_string_equal(seen.data, "x\ny");
	}
}

static void stream_is_bounded(void **unused)
{
	static struct sse sse;
	static char line[SSE_LINE_MAX + 1];
	struct seen seen = {0};

	(void)unused;
	memset(line, 'a', sizeof(line));
	sse_init(&sse, see, &seen);
	assert_true(sse_feed(&sse, line, SSE_LINE_MAX));
	assert_false(sse_feed(&sse, "a", 1));
	assert_false(sse_feed(&sse, "\n", 1));
	sse_reset(&sse);
	memcpy(line, "data:", 5);
	assert_true(sse_feed(&sse, line, 10000));
	assert_true(sse_feed(&sse, "\n", 1));
	assert_true(sse_feed(&sse, line, 10000));
	assert_false(sse_feed(&sse, "\n", 1)); /* together above SSE_DATA_MAX */
	sse_reset(&sse);
	assert_false(sse_feed(&sse, "da\0ta: x\n", 9));
	assert_int_equal(seen.count, 0);
}

static void events_are_checked(void **unused)
{
	static const char good[] = "{\"host\":\"10.77.0.1\",\"port\":5900,\"ticket\":\"Ab3-_x\","
				   "\"tls_name\":\"server1\",\"session\":3}";
	static const char *const bad[] = {"{}", "[]", "",
		"{\"host\":\"name\",\"port\":5900,\"ticket\":\"a\",\"tls_name\":\"s\"}",
		"{\"host\":\"10.0.0.1\",\"port\":0,\"ticket\":\"a\",\"tls_name\":\"s\"}",
		"{\"host\":\"10.0.0.1\",\"port\":65536,\"ticket\":\"a\",\"tls_name\":\"s\"}",
		"{\"host\":\"10.0.0.1\",\"port\":\"1\",\"ticket\":\"a\",\"tls_name\":\"s\"}",
		"{\"host\":\"10.0.0.1\",\"port\":1,\"ticket\":\"\",\"tls_name\":\"s\"}",
		"{\"host\":\"10.0.0.1\",\"port\":1,\"ticket\":\"a b\",\"tls_name\":\"s\"}",
		"{\"host\":\"10.0.0.1\",\"port\":1,\"ticket\":\"a\",\"tls_name\":\"s/\"}"};
	struct event *event = decode_stream("ready", good);

	(void)unused;
	assert_int_equal(event->type, EVENT_READY);
	assert_int_equal(event->port, 5900);
	assert_string_equal(event->host, "10.77.0.1");
	assert_string_equal(event->tls_name, "server1");
	assert_string_equal(event->ticket, "Ab3-_x");
	event_free(event);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(decode_stream("ready", bad[i]));
	assert_null(decode_stream("unheard-of", "{}"));
	event = decode_stream("refused", "{\"code\":\"denied\",\"message\":\"no\"}");
	assert_int_equal(event->type, EVENT_DENIED);
	event_free(event);
	event = decode_stream("refused", "{\"code\":\"full\",\"message\":\"a\\u001b[2Jb\\u202e\"}");
	assert_int_equal(event->type, EVENT_REFUSED);
	assert_string_equal(event->text, "a [2Jb");
	event_free(event);
	event = decode_stream("stage", "{\"stage\":\"queued\",\"percent\":10,\"message\":\"m\","
				       "\"position\":3,\"minutes\":-5}");
	assert_int_equal(event->position, 3);
	assert_int_equal(event->minutes, 0);
	event_free(event);
	event = decode_stream("stage", "{\"stage\":\"placing\",\"percent\":700}");
	assert_int_equal(event->percent, 100);
	event_free(event);
}

static void handoffs_are_checked(void **unused)
{
	static const char *const bad[] = {"{}", "[]", "\"moving\"",
		"{\"step\":\"leaving\",\"ms\":1,\"from_mib\":2,\"size_mib\":1}",
		"{\"step\":7,\"ms\":1,\"from_mib\":2,\"size_mib\":1}",
		"{\"ms\":1,\"from_mib\":2,\"size_mib\":1}",
		"{\"step\":\"announced\",\"from_mib\":2,\"size_mib\":1}",
		"{\"step\":\"announced\",\"ms\":-1,\"from_mib\":2,\"size_mib\":1}",
		"{\"step\":\"announced\",\"ms\":1.5,\"from_mib\":2,\"size_mib\":1}",
		"{\"step\":\"announced\",\"ms\":\"1\",\"from_mib\":2,\"size_mib\":1}",
		"{\"step\":\"announced\",\"ms\":3600001,\"from_mib\":2,\"size_mib\":1}",
		"{\"step\":\"moving\",\"ms\":0,\"from_mib\":null,\"size_mib\":1}",
		"{\"step\":\"moving\",\"ms\":0,\"from_mib\":2,\"size_mib\":16777217}",
		"{\"step\":\"moving\",\"ms\":0,\"from_mib\":2}"};
	static const struct {
		const char *step;
		enum event_type type;
	} steps[] = {{"announced", EVENT_HANDOFF_ANNOUNCED}, {"moving", EVENT_HANDOFF_MOVING},
		{"cancelled", EVENT_HANDOFF_CANCELLED}};

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(decode_stream("handoff", bad[i]));
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		char data[256];
		struct event *event;

		snprintf(data, sizeof(data),
			"{\"step\":\"%s\",\"ms\":30000,\"from_mib\":2048,\"size_mib\":1024,"
			"\"message\":\"a\\u001bb\"}",
			steps[i].step);
		event = decode_stream("handoff", data);
		assert_int_equal(event->type, steps[i].type);
		assert_int_equal(event->ms, 30000);
		assert_int_equal(event->from_mib, 2048);
		assert_int_equal(event->size_mib, 1024);
		assert_string_equal(event->text, "a b");
		event_free(event);
	}
}

static void a_handoff_has_words(void **unused)
{
	char text[512];

	(void)unused;
	string_of_handoff(text, sizeof(text), LANGUAGE_EN, 2048, 1024, 27);
	assert_string_equal(
		text, "Your desktop moves to a smaller one (from 2048 to 1024 MiB) in 27 s.");
	string_of_handoff(text, sizeof(text), LANGUAGE_KO, 2048, 1024, 27);
	assert_string_equal(
		text, "27초 후 더 작은 데스크톱으로 옮겨집니다 (2048 MiB에서 1024 MiB로).");
	string_of_handoff(text, sizeof(text), LANGUAGE_EN, 1024, 2048, 0);
	assert_string_equal(
		text, "Your desktop moves to a larger one (from 1024 to 2048 MiB) now.");
	string_of_handoff(text, sizeof(text), LANGUAGE_EN, 0, 2048, 1);
	assert_string_equal(text, "Your desktop moves to another one in 1 s.");
	string_of_handoff(text, sizeof(text), LANGUAGE_KO, 1024, 1024, 0);
	assert_string_equal(text, "지금 다른 데스크톱으로 옮겨집니다.");
}

static void all_words_in_both_languages(void **unused)
{
	(void)unused;
	for (int i = 0; i < STR_COUNT; i++)
		for (int l = 0; l < LANGUAGE_COUNT; l++) {
			const char *text = string_get((enum language)l, (enum string_id)i);

			assert_non_null(text);
			assert_true(text[0] != 0);
		}
}

static void the_queue_has_words(void **unused)
{
	char text[512];

	(void)unused;
	assert_int_equal(string_of_stage("queued"), STR_STAGE_QUEUED);
	assert_int_equal(string_of_stage("not-known-yet"), STR_LOGGING_IN);
	string_of_queue(text, sizeof(text), LANGUAGE_EN, 3, 12);
	assert_string_equal(text, "You are number 3; your turn is in about 12 min");
	string_of_queue(text, sizeof(text), LANGUAGE_KO, 3, 12);
	assert_string_equal(text, "현재 3번째이며, 약 12분 남았습니다");
	string_of_queue(text, sizeof(text), LANGUAGE_EN, 3, 0);
	assert_string_equal(text, "You are number 3; the time cannot be estimated yet");
}

static void answers_are_checked(void **unused)
{
	char token[DECODE_TOKEN_MAX], code[32], text[64];
	struct event *event;

	(void)unused;
	assert_true(decode_token("{\"login\":\"abc.DEF\"}", 19, token));
	assert_string_equal(token, "abc.DEF");
	/* A line break would end the header. */
	assert_false(decode_token("{\"login\":\"a\\r\\nX: y\"}", 22, token));
	assert_false(decode_token("{\"login\":7}", 11, token));
	assert_null(decode_hello("{\"site\":7}", 10));
	event = decode_hello("{\"site\":\"Lab\",\"language\":\"ko\"}", 30);
	assert_string_equal(event->text, "Lab");
	assert_string_equal(event->code, "ko");
	assert_int_equal(event->power, POWER_STAY);
	event_free(event);
	event = decode_hello("{\"site\":\"Lab\",\"screen\":\"1920x1080@60\"}", 38);
	assert_string_equal(event->screen, "1920x1080@60");
	event_free(event);
	event = decode_hello("{\"site\":\"Lab\",\"keyboard\":\"de(nodeadkeys)\"}", 42);
	assert_string_equal(event->keyboard, "de(nodeadkeys)");
	event_free(event);
	event = decode_hello("{\"site\":\"Lab\",\"keyboard\":\"../de\"}", 33);
	assert_string_equal(event->keyboard, "");
	event_free(event);
	event = decode_hello("{\"site\":\"Lab\",\"screen\":\"1920 x 1080\"}", 37);
	assert_string_equal(event->screen, "");
	event_free(event);
	event = decode_hello("{\"site\":\"Lab\",\"held\":\"It waits.\"}", 33);
	assert_string_equal(event->notice, "It waits.");
	event_free(event);
	static const struct {
		const char *text;
		enum event_power power;
	} powers[] = {{"\"off\"", POWER_OFF}, {"\"reboot\"", POWER_REBOOT}, {"\"\"", POWER_STAY},
		{"\"on\"", POWER_STAY}, {"1", POWER_STAY}};
	for (size_t i = 0; i < sizeof(powers) / sizeof(powers[0]); i++) {
		char body[64];
		int size = snprintf(
			body, sizeof(body), "{\"site\":\"Lab\",\"power\":%s}", powers[i].text);

		event = decode_hello(body, (size_t)size);
		assert_int_equal(event->power, powers[i].power);
		event_free(event);
	}
	decode_error("<html>", 6, code, sizeof(code), text, sizeof(text));
	assert_string_equal(code, "");
	assert_string_equal(text, "");
	decode_error(
		"{\"code\":\"x-y\",\"message\":\"m\"}", 28, code, sizeof(code), text, sizeof(text));
	assert_string_equal(code, "x-y");
	assert_string_equal(text, "m");
}

static void quoting_agrees_with_the_library(void **unused)
{
	static const char *const texts[] = {"", "plain", "a\"b\\c\td\x01\x7f", "한글 이름", "𝄞"};
	char out[256];

	(void)unused;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t n = decode_quote(out, sizeof(out), texts[i]);
		json_t *value = json_loadb(out, n, JSON_DECODE_ANY, NULL);

		assert_int_equal(n, strlen(out));
		assert_string_equal(json_string_value(value), texts[i]);
		json_decref(value);
	}
	assert_int_equal(decode_quote(out, sizeof(out), "\xff"), 0);
	assert_int_equal(decode_quote(out, 8, "too long for it"), 0);
}

static void waits_grow_and_differ(void **unused)
{
	(void)unused;
	assert_int_equal(backoff_ms(1, 0), BACKOFF_FIRST_MS);
	assert_int_equal(backoff_ms(2, 0), 2 * BACKOFF_FIRST_MS);
	assert_int_equal(backoff_ms(1000000, 0), BACKOFF_MAX_MS);
	for (uint32_t r = 0; r < 100000; r += 77) {
		unsigned ms = backoff_ms(3, r);

		assert_in_range(ms, BACKOFF_FIRST_MS * 2, BACKOFF_FIRST_MS * 4);
	}
	assert_int_not_equal(backoff_ms(5, 1), backoff_ms(5, 1000));
}

static void utf8_whole_characters(void **unused)
{
	char out[8];
	uint32_t code;

	(void)unused;
	assert_int_equal(utf8_read("한", 3, &code), 3);
	assert_int_equal(code, 0xd55c);
	assert_int_equal(utf8_read("한", 2, &code), 0);
	assert_int_equal(utf8_read("\xc0\x80", 2, &code), 0);
	assert_int_equal(utf8_read("\xed\xa0\x80", 3, &code), 0);
	assert_int_equal(utf8_write(0xd55c, out), 3);
	assert_string_equal(out, "한");
	for (uint32_t c = 1; c < 0x110000; c += 13) {
		size_t n = utf8_write(c, out);

		if (c >= 0xd800 && c < 0xe000) {
			assert_int_equal(n, 0);
			continue;
		}
		assert_int_equal(utf8_read(out, n, &code), n);
		assert_int_equal(code, c);
	}
	utf8_clean(out, sizeof(out), "한글이름");
	assert_string_equal(out, "한글");
	utf8_clean(out, sizeof(out), "a\xff\nb");
	assert_string_equal(out, "a b");
	assert_int_equal(utf8_prev("a한", 4), 1);
	assert_int_equal(utf8_count("a한b"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stream_in_any_pieces),
		cmocka_unit_test(stream_is_bounded),
		cmocka_unit_test(events_are_checked),
		cmocka_unit_test(handoffs_are_checked),
		cmocka_unit_test(the_queue_has_words),
		cmocka_unit_test(a_handoff_has_words),
		cmocka_unit_test(all_words_in_both_languages),
		cmocka_unit_test(answers_are_checked),
		cmocka_unit_test(quoting_agrees_with_the_library),
		cmocka_unit_test(waits_grow_and_differ),
		cmocka_unit_test(utf8_whole_characters),
	};

	return cmocka_run_group_tests_name("viewer control", tests, NULL, NULL);
}
