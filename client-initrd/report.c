/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/report.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client-initrd/util.h"

#define SEND_MS 3000
#define KEEP_MAX 8192

/* A JSON string (RFC 8259, 7); what is no printable ASCII becomes '?': all we send is ASCII. */
static bool append_string(char *text, size_t size, size_t *used, const char *value)
{
	bool fits = util_append(text, size, used, "\"");
	for (; *value && fits; value++) {
		char c = *value >= 0x20 && *value < 0x7f ? *value : '?';
		fits = util_append(text, size, used, c == '"' || c == '\\' ? "\\%c" : "%c", c);
	}
	return fits && util_append(text, size, used, "\"");
}

int report_format(char *text, size_t size, const char *mac, const char *stage, int64_t ms,
	uint64_t bytes, const char *error)
{
	size_t used = 0;
	bool fits = util_append(text, size, &used, "{\"mac\":") &&
		    append_string(text, size, &used, mac) &&
		    util_append(text, size, &used, ",\"stage\":") &&
		    append_string(text, size, &used, stage) &&
		    util_append(text, size, &used, ",\"ms\":%lld", (long long)ms);
	if (fits && bytes)
		fits = util_append(text, size, &used, ",\"bytes\":%llu", (unsigned long long)bytes);
	if (fits && error)
		fits = util_append(text, size, &used, ",\"error\":") &&
		       append_string(text, size, &used, error);
	return fits && util_append(text, size, &used, "}") ? (int)used : -1;
}

int report_keep(const char *path, const char *object)
{
	char text[KEEP_MAX];
	ssize_t n = util_read_file(path, text, sizeof text);
	size_t used = n > 2 ? (size_t)n : 0;
	while (used && text[used - 1] != ']')
		used--;
	if (used)
		used--; /* the array is opened again */
	if (!util_append(text, sizeof text, &used, "%s%s]", used ? "," : "[", object))
		return -ENOSPC;
	return util_write_file(path, text, used);
}

static void send_report(const struct params *params, const char *object, size_t length)
{
	char request[1024], host[16], answer[256];
	int n = snprintf(request, sizeof request,
		"POST /v1/boot/report HTTP/1.1\r\nHost: %s:%u\r\nContent-Type: application/json\r\n"
		"Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
		params_ipv4(params->server, host), params->report, length, object);
	int fd = util_connect(params->server, params->report, SEND_MS);
	if (fd < 0)
		return;
	if (n < (int)sizeof request && !util_write_all(fd, request, (size_t)n))
		while (read(fd, answer, sizeof answer) > 0) {
			/* the broker has it when it closes */
		}
	close(fd);
}

void report_stage(const struct boot *boot, const char *stage, uint64_t bytes, const char *error)
{
	char object[512];
	const char *mac = boot->mac[0] ? boot->mac : boot->params.bootif;
	int length = report_format(object, sizeof object, mac, stage, util_now_ms(), bytes, error);
	if (length < 0)
		return;
	mkdir(BOOT_RUN, 0755);
	report_keep(BOOT_STAGES_FILE, object);
	if (!boot->lease.address || !boot->params.server || !boot->params.report)
		return;
	/* Twice forked: nobody has to wait for it, and PID 1 buries it. */
	pid_t child = fork();
	if (child == 0) {
		if (fork() == 0)
			send_report(&boot->params, object, (size_t)length);
		_exit(0);
	}
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
	}
}

void report_reset(void)
{
	unlink(BOOT_STAGES_FILE);
}
