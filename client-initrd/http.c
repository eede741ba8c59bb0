/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/http.h"

#include <string.h>
#include <strings.h>

#include "client-initrd/util.h"

#define SIZE_LIMIT (UINT64_C(1) << 48)

/* "HTTP/1.1 206 Partial Content" */
static bool parse_status(const char *line, struct http_head *head)
{
	uint64_t status;
	const char *end;
	if ((strncmp(line, "HTTP/1.1 ", 9) && strncmp(line, "HTTP/1.0 ", 9)) ||
		!util_parse_u64(line + 9, 999, &status, &end) || end != line + 12 || status < 100 ||
		(*end && *end != ' '))
		return false;
	head->status = (int)status;
	return true;
}

static bool parse_length(const char *value, struct http_head *head)
{
	uint64_t length;
	if (!util_parse_u64(value, SIZE_LIMIT, &length, NULL))
		return false;
	if (head->has_length && head->length != length)
		return false;
	head->has_length = true;
	head->length = length;
	return true;
}

/* "bytes 100-199/1000" */
static bool parse_range(const char *value, struct http_head *head)
{
	uint64_t last;
	if (strncasecmp(value, "bytes ", 6) ||
		!util_parse_u64(value + 6, SIZE_LIMIT, &head->range_first, &value) ||
		*value++ != '-' || !util_parse_u64(value, SIZE_LIMIT, &last, &value) ||
		*value++ != '/' || !util_parse_u64(value, SIZE_LIMIT, &head->range_total, NULL))
		return false;
	head->has_range = head->range_first <= last && last < head->range_total;
	return head->has_range;
}

static bool parse_field(char *line, struct http_head *head)
{
	char *value = strchr(line, ':');
	if (!value || value == line)
		return false;
	*value++ = '\0';
	value += strspn(value, " \t");
	for (size_t n = strlen(value); n && (value[n - 1] == ' ' || value[n - 1] == '\t'); n--)
		value[n - 1] = '\0';
	if (!strcasecmp(line, "Content-Length"))
		return parse_length(value, head);
	if (!strcasecmp(line, "Content-Range"))
		return parse_range(value, head);
	return strcasecmp(line, "Transfer-Encoding") != 0;
}

static bool parse_line(const char *start, size_t length, bool first, struct http_head *head)
{
	char line[1024];
	if (length >= sizeof line || memchr(start, '\0', length))
		return length >= sizeof line && !first; /* a long field is none of ours */
	memcpy(line, start, length);
	line[length] = '\0';
	return first ? parse_status(line, head) : parse_field(line, head);
}

int http_parse_head(const char *data, size_t size, struct http_head *head)
{
	size_t limit = size < HTTP_HEAD_MAX ? size : HTTP_HEAD_MAX, at = 0;
	memset(head, 0, sizeof *head);
	for (;;) {
		const char *end = memchr(data + at, '\n', limit - at);
		if (!end)
			return size < HTTP_HEAD_MAX ? 0 : -1;
		size_t length = (size_t)(end - (data + at));
		size_t text = length && end[-1] == '\r' ? length - 1 : length;
		if (!text)
			return at ? (int)(at + length + 1) : -1;
		if (!parse_line(data + at, text, at == 0, head))
			return -1;
		at += length + 1;
	}
}
