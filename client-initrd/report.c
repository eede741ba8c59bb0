/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/report.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client-initrd/http.h"
#include "client-initrd/util.h"

#define SEND_MS 3000
#define ANSWER_S 10
#define KEEP_MAX 8192
#define HTTP_CONFLICT 409

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

/* The broker has it when it closes. The bytes of its answer, no more than HTTP_HEAD_MAX. */
static size_t send_object(
	const struct params *params, const char *path, const char *object, char *answer)
{
	char request[1024], host[16];
	size_t used = 0;
	int n = snprintf(request, sizeof request,
		"POST /v1/boot/%s HTTP/1.1\r\nHost: %s:%u\r\nContent-Type: application/json\r\n"
		"Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
		path, params_ipv4(params->server, host), params->report, strlen(object), object);
	int fd = util_connect(params->server, params->report, SEND_MS);
	if (fd < 0)
		return 0;
	bool sent = n < (int)sizeof request && !util_write_all(fd, request, (size_t)n);
	while (sent && used < HTTP_HEAD_MAX) {
		ssize_t length = read(fd, answer + used, HTTP_HEAD_MAX - used);
		if (length <= 0)
			break;
		used += (size_t)length;
	}
	close(fd);
	return used;
}

static const char *own_mac(const struct boot *boot)
{
	return boot->mac[0] ? boot->mac : boot->params.bootif;
}

static bool can_report(const struct boot *boot)
{
	return boot->lease.address && boot->params.server && boot->params.report;
}

void report_stage(const struct boot *boot, const char *stage, uint64_t bytes, const char *error)
{
	char object[512];
	char answer[HTTP_HEAD_MAX];
	if (report_format(
		    object, sizeof object, own_mac(boot), stage, util_now_ms(), bytes, error) < 0)
		return;
	mkdir(BOOT_RUN, 0755);
	report_keep(BOOT_STAGES_FILE, object);
	if (!can_report(boot))
		return;
	/* Twice forked: nobody has to wait for it, and PID 1 buries it. */
	pid_t child = fork();
	if (child == 0) {
		if (fork() == 0)
			send_object(&boot->params, "report", object, answer);
		_exit(0);
	}
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
	}
}

enum report_answer report_driver(const struct boot *boot, const char *driver)
{
	char object[256], answer[HTTP_HEAD_MAX];
	size_t used = 0;
	struct http_head head = {0};
	int status = 0;
	bool fits = util_append(object, sizeof object, &used, "{\"mac\":") &&
		    append_string(object, sizeof object, &used, own_mac(boot)) &&
		    util_append(object, sizeof object, &used, ",\"driver\":") &&
		    append_string(object, sizeof object, &used, driver) &&
		    util_append(object, sizeof object, &used, "}");
	if (!fits || !can_report(boot))
		return REPORT_NO_ANSWER;
	pid_t child = fork();
	if (child == 0) {
		alarm(ANSWER_S);
		if (!util_give_up_privilege())
			_exit(REPORT_NO_ANSWER);
		used = send_object(&boot->params, "driver", object, answer);
		if (http_parse_head(answer, used, &head) <= 0)
			_exit(REPORT_NO_ANSWER);
		_exit(head.status == HTTP_CONFLICT ? REPORT_LEAVE_ALONE : REPORT_START);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
	}
	return child > 0 && WIFEXITED(status) ? (enum report_answer)WEXITSTATUS(status)
					      : REPORT_NO_ANSWER;
}

void report_reset(void)
{
	unlink(BOOT_STAGES_FILE);
}
