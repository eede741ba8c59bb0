/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/shared/log.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *log_program = "carrel";
static enum log_level log_limit = LOG_INFO;

void log_init(const char *program, enum log_level level)
{
	log_program = program;
	log_limit = level;
}

struct line {
	char text[2048];
	size_t used;
};

static void line_put(struct line *line, const char *s, size_t n)
{
	/* Two bytes are kept for the newline and the terminator. */
	size_t room = sizeof(line->text) - 2 - line->used;

	if (n > room)
		n = room;
	memcpy(line->text + line->used, s, n);
	line->used += n;
}

/* A control character: those of ASCII, or the first byte of one of Unicode's (U+0080 to U+009F),
 * among which a terminal finds its escapes too. */
static bool is_control(const char *p)
{
	unsigned char c = (unsigned char)p[0], next = (unsigned char)p[1];

	return c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next <= 0x9f);
}

static void line_put_value(struct line *line, const char *value)
{
	bool plain;

	if (!value)
		value = "-";
	plain = *value != '\0' && !strpbrk(value, " \"=\\");
	for (const char *p = value; *p; p++)
		plain = plain && !is_control(p);
	if (plain) {
		line_put(line, value, strlen(value));
		return;
	}
	line_put(line, "\"", 1);
	for (const char *p = value; *p; p++) {
		char escaped[8];

		if (*p == '"' || *p == '\\')
			snprintf(escaped, sizeof(escaped), "\\%c", *p);
		else if (is_control(p) && p[0] == '\xc2')
			snprintf(escaped, sizeof(escaped), "\\u00%02x",
				(unsigned)(unsigned char)*++p);
		else if (is_control(p))
			snprintf(escaped, sizeof(escaped), "\\x%02x", (unsigned)(unsigned char)*p);
		else
			snprintf(escaped, sizeof(escaped), "%c", *p);
		line_put(line, escaped, strlen(escaped));
	}
	line_put(line, "\"", 1);
}

void log_event(enum log_level level, const char *event, ...)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	struct line line = {.used = 0};
	va_list ap;

	if (level > log_limit)
		return;
	line_put(&line, log_program, strlen(log_program));
	line_put(&line, " ", 1);
	line_put(&line, names[level], strlen(names[level]));
	line_put(&line, " ", 1);
	line_put(&line, event, strlen(event));
	va_start(ap, event);
	for (const char *key = va_arg(ap, const char *); key; key = va_arg(ap, const char *)) {
		line_put(&line, " ", 1);
		line_put(&line, key, strlen(key));
		line_put(&line, "=", 1);
		line_put_value(&line, va_arg(ap, const char *));
	}
	va_end(ap);
	line.text[line.used++] = '\n';
	/* One write, so that lines of several processes do not mix; a lost log line is not an
	 * error. */
	if (write(STDERR_FILENO, line.text, line.used) < 0)
		return;
}

const char *log_fmt(const char *format, ...)
{
	static _Thread_local char ring[8][256];
	static _Thread_local unsigned next;
	char *buffer = ring[next++ % 8];
	va_list ap;

	va_start(ap, format);
	vsnprintf(buffer, sizeof(ring[0]), format, ap);
	va_end(ap);
	return buffer;
}
