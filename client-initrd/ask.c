/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/ask.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "client-initrd/util.h"

#define TIMEOUT_MS 5000

int ask_file(const struct params *params, const char *file, uint64_t first, uint64_t last)
{
	char request[512], host[16], end[24] = "";
	size_t used = 0;
	int fd = util_connect(params->server, params->http, TIMEOUT_MS);
	if (fd < 0)
		return fd;
	if (last)
		snprintf(end, sizeof end, "%llu", (unsigned long long)last);
	bool fits = util_append(request, sizeof request, &used,
		"GET /images/%s HTTP/1.1\r\nHost: %s:%u\r\nUser-Agent: carrel-init\r\n"
		"Connection: close\r\n",
		file, params_ipv4(params->server, host), params->http);
	if (fits && (first || last))
		fits = util_append(request, sizeof request, &used, "Range: bytes=%llu-%s\r\n",
			(unsigned long long)first, end);
	fits = fits && util_append(request, sizeof request, &used, "\r\n");
	int error = fits ? util_write_all(fd, request, used) : -ENAMETOOLONG;
	if (!error)
		return fd;
	close(fd);
	return error;
}

ssize_t ask_head(int fd, char *data, size_t *head_size, struct http_head *head)
{
	size_t used = 0;
	for (;;) {
		ssize_t n = read(fd, data + used, HTTP_HEAD_MAX - used);
		if (n <= 0)
			return n < 0 ? -errno : -ECONNRESET;
		used += (size_t)n;
		int length = http_parse_head(data, used, head);
		if (length < 0)
			return -EPROTO;
		if (length > 0) {
			*head_size = (size_t)length;
			return (ssize_t)used;
		}
	}
}
