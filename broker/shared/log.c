/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/shared/log.h"

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

static void line_put_value(struct line *line, const char *value)
{
	if (!value)
		value = "-";
	if (*value && !strpbrk(value, " \t\"=\\\n\r") && !strchr(value, 0x1b)) {
		line_put(line, value, strlen(value));
		return;
	}
	line_put(line, "\"", 1);
	for (const char *p = value; *p; p++) {
		char escaped[5];

		if (*p == '"' || *p == '\\')
			snprintf(escaped, sizeof(escaped), "\\%c", *p);
		else if ((unsigned char)*p < 0x20 || *p == 0x7f)
			snprintf(escaped, sizeof(escaped), "\\x%02x", (unsigned)*p);
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
