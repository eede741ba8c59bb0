/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The head of an HTTP/1.1 answer (RFC 9112), as much of it as a download needs. No I/O. */
#ifndef CARREL_CLIENT_HTTP_H
#define CARREL_CLIENT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX 8192

struct http_head {
	int status;
	bool has_length, has_range;
	uint64_t length;                   /* Content-Length */
	uint64_t range_first, range_total; /* of "Content-Range: bytes first-last/total" */
};

/*
 * Reads the head at the start of `data`. Its length, so that the body begins there; 0 when more
 * bytes are needed; -1 when this is no answer that can be used (malformed, longer than
 * HTTP_HEAD_MAX, a transfer coding, two different lengths).
 */
int http_parse_head(const char *data, size_t size, struct http_head *head);

#endif
