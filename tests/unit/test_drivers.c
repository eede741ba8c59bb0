/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pack of drivers from servers that have it, have something else, or are not there: real
 * sockets on loopback. How firmware is given to the kernel, with a folder in the place of /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zstd.h>

#include "client-initrd/drivers.h"
#include "client-initrd/firmware.h"
#include "client-initrd/report.h"
#include "client-initrd/sha256.h"
#include "client-initrd/util.h"

#define MODULE "modules/kernel/drivers/gpu/drm/i915/i915.ko"
#define BLOB "firmware/i915/kbl_dmc.bin"

static char folder[64], index_path[80];
static char module[300000], pack[400000];
static size_t module_packed, blob_packed;
static struct params params = {.root = "client-20260301.1.root"};
static struct drivers drivers;

/* A server that gives one connection after the other what `mode` says. */
enum mode { GOOD, FLIPPED, SHORT, WHOLE, MISSING, ALONE, NO_ANSWER, NO_HTTP };
static struct server {
	int listener, asked;
	enum mode mode;
	bool good_from_third;
	char last[256], body[256]; /* of the last request: its first line, what it carries */
	pthread_t thread;
} server;

static void sum_of(const char *data, size_t size, char text[65])
{
	struct sha256 sum;
	sha256_init(&sum);
	sha256_update(&sum, data, size);
	sha256_hex(&sum, text);
}

/* Of the broker, to who is about to start a driver. */
static const char *const answers[] = {[GOOD] = "HTTP/1.1 204 No Content\r\n\r\n",
	[ALONE] = "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}",
	[MISSING] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
	[NO_ANSWER] = "",
	[NO_HTTP] = "HTTP/1.1 409"};

static void serve_one(int client)
{
	char request[2048] = "", head[256];
	size_t used = 0;
	unsigned long first = 0, last = 0;
	while (!strstr(request, "\r\n\r\n")) {
		ssize_t n = read(client, request + used, sizeof request - 1 - used);
		if (n <= 0)
			return;
		used += (size_t)n;
		request[used] = '\0';
	}
	snprintf(server.body, sizeof server.body, "%s", strstr(request, "\r\n\r\n") + 4);
	snprintf(server.last, sizeof server.last, "%.*s", (int)strcspn(request, "\r"), request);
	if (!strncmp(request, "POST ", 5)) {
		const char *answer = answers[server.mode];
		util_write_all(client, answer, strlen(answer));
		return;
	}
	const char *range = strstr(request, "Range: bytes=");
	assert_non_null(range);
	assert_int_equal(sscanf(range, "Range: bytes=%lu-%lu\r\n", &first, &last), 2);
	enum mode mode = ++server.asked >= 3 && server.good_from_third ? GOOD : server.mode;
	size_t size = last - first + 1;
	if (mode == MISSING)
		snprintf(head, sizeof head, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	else if (mode == WHOLE)
		snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
	else
		snprintf(head, sizeof head,
			"HTTP/1.1 206 Partial Content\r\nContent-Length: %zu\r\n"
			"Content-Range: bytes %lu-%lu/%zu\r\n\r\n",
			size, first, last, module_packed + blob_packed);
	util_write_all(client, head, strlen(head));
	if (mode == MISSING)
		return;
	pack[first + size / 2] ^= mode == FLIPPED;
	util_write_all(client, pack + first, mode == SHORT ? size / 2 : size);
	pack[first + size / 2] ^= mode == FLIPPED;
}

static void *serve(void *unused)
{
	for (;;) {
		int client = accept(server.listener, NULL, NULL);
		if (client < 0)
			return unused;
		serve_one(client);
		close(client);
	}
}

static int start_server(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof address;
	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server.listener, (struct sockaddr *)&address, length) < 0 ||
		listen(server.listener, 8) < 0)
		return -1;
	getsockname(server.listener, (struct sockaddr *)&address, &length);
	params.server = INADDR_LOOPBACK;
	params.http = ntohs(address.sin_port);
	return pthread_create(&server.thread, NULL, serve, NULL);
}

static int set_up_all(void **state)
{
	char module_sum[65], blob_sum[65], text[1024];
	static const char blob[] = "what the card runs";
	(void)state;
	for (size_t i = 0; i < sizeof module; i++)
		module[i] = (char)(i * i >> 7);
	module_packed = ZSTD_compress(pack, sizeof pack, module, sizeof module, 3);
	blob_packed = ZSTD_compress(
		pack + module_packed, sizeof pack - module_packed, blob, sizeof blob - 1, 3);
	sum_of(pack, module_packed, module_sum);
	sum_of(pack + module_packed, blob_packed, blob_sum);
	strcpy(folder, "/tmp/carrel-test-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(index_path, sizeof index_path, "%s/drivers", folder);
	int n = snprintf(text, sizeof text, "0 %zu %zu %s " MODULE "\n%zu %zu %zu %s " BLOB "\n",
		module_packed, sizeof module, module_sum, module_packed, blob_packed,
		sizeof blob - 1, blob_sum);
	if (util_write_file(index_path, text, (size_t)n))
		return -1;
	return start_server();
}

static int tear_down_all(void **state)
{
	(void)state;
	shutdown(server.listener, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	close(server.listener);
	unlink(index_path);
	return rmdir(folder);
}

static int set_up(void **state)
{
	(void)state;
	server.mode = GOOD;
	server.asked = 0;
	server.good_from_third = false;
	return drivers_open(&drivers, index_path, &params);
}

static int tear_down(void **state)
{
	(void)state;
	drivers_close(&drivers);
	return 0;
}

static int get(const char *path, char **content, size_t *size)
{
	*content = NULL;
	return drivers_get(&drivers, path, content, size);
}

static void test_pieces_are_fetched_alone(void **state)
{
	char *content;
	size_t size;
	(void)state;
	assert_int_equal(get(MODULE, &content, &size), 0);
	assert_int_equal(size, sizeof module);
	assert_memory_equal(content, module, size);
	free(content);
	assert_string_equal(server.last, "GET /images/client-20260301.1.drivers HTTP/1.1");
	assert_int_equal(get(BLOB, &content, &size), 0);
	assert_int_equal(size, strlen("what the card runs"));
	assert_memory_equal(content, "what the card runs", size);
	free(content);
	assert_int_equal(server.asked, 2);
	assert_int_equal(drivers.state->bytes, module_packed + blob_packed);
	assert_string_equal(drivers.state->problem, "");
}

static void test_what_is_not_in_the_pack(void **state)
{
	char *content;
	size_t size;
	(void)state;
	assert_int_equal(get("firmware/i915/none.bin", &content, &size), -ENOENT);
	assert_int_equal(get("firmware/../" MODULE, &content, &size), -ENOENT);
	assert_int_equal(server.asked, 0);
	assert_int_equal(drivers.state->failed_ms, 0);
}

/* A failure is said in words; for a while nothing else is asked for, but after drivers_retry(). */
static void fails(enum mode mode, int error, int asked, const char *problem)
{
	char *content;
	size_t size;
	server.mode = mode;
	assert_int_equal(get(MODULE, &content, &size), error);
	assert_null(content);
	assert_int_equal(server.asked, asked);
	assert_string_equal(drivers.state->problem, problem);
	assert_int_equal(drivers.state->bytes, 0);
	assert_true(drivers.state->failed_ms);
	server.mode = GOOD;
	assert_int_equal(get(BLOB, &content, &size), -EAGAIN);
	assert_int_equal(server.asked, asked);
	drivers_retry(&drivers);
	assert_string_equal(drivers.state->problem, "");
	assert_int_equal(get(BLOB, &content, &size), 0);
	free(content);
}

static void test_a_flipped_bit(void **state)
{
	(void)state;
	fails(FLIPPED, -EBADMSG, 1, "i915.ko: what the server has is not the published one");
}

static void test_a_server_that_breaks_off(void **state)
{
	(void)state;
	fails(SHORT, -ECONNRESET, 3, "i915.ko: Connection reset by peer");
}

static void test_a_server_without_the_pack(void **state)
{
	(void)state;
	fails(MISSING, -EPROTO, 1, "i915.ko: the server does not have it");
}

static void test_a_server_that_knows_no_ranges(void **state)
{
	(void)state;
	fails(WHOLE, -EPROTO, 1, "i915.ko: the server's answer is of no use");
}

static void test_a_weak_line_is_not_a_dead_one(void **state)
{
	char *content;
	size_t size;
	(void)state;
	server.mode = SHORT;
	server.good_from_third = true;
	assert_int_equal(get(MODULE, &content, &size), 0);
	assert_int_equal(server.asked, 3);
	assert_string_equal(drivers.state->problem, "");
	free(content);
}

static void test_no_server(void **state)
{
	struct params none = params;
	char *content;
	size_t size;
	(void)state;
	none.http = 1; /* tcpmux: nobody's */
	drivers.params = &none;
	assert_int_equal(get(MODULE, &content, &size), -ECONNREFUSED);
	assert_string_equal(drivers.state->problem, "i915.ko: Connection refused");
}

/* An index that was damaged is none at all. */
static void test_bad_indexes(void **state)
{
	static const char sum[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	static const char *const bad[] = {"x 5 5 %s a/b", "0 5 %s a/b", "0 0 5 %s a/b", "0 5 5 %s",
		"0 5 5 %s ", "0 5 5 %s a/b c", "0 5 5 0%s a/b", "-1 5 5 %s a/b",
		"0 999999999 5 %s a/b", "0 5 999999999 %s a/b", "0  5 5 %s a/b"};
	struct drivers other;
	char path[96], text[256];
	(void)state;
	snprintf(path, sizeof path, "%s/bad", folder);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int n = snprintf(text, sizeof text, "0 5 5 %s a/a\n", sum);
		n += snprintf(text + n, sizeof text - (size_t)n, bad[i], sum);
		assert_int_equal(util_write_file(path, text, (size_t)n), 0);
		assert_int_equal(drivers_open(&other, path, &params), -EPROTO);
		assert_int_equal(other.count, 0);
		drivers_close(&other);
	}
	unlink(path);
	assert_int_equal(drivers_open(&other, path, &params), -ENOENT);
	drivers_close(&other);
}

/* Only who is told to leaves a driver alone. */
static void test_a_driver_that_is_to_be_left_alone(void **state)
{
	static const struct {
		enum mode mode;
		enum report_answer answer;
	} cases[] = {{GOOD, REPORT_START}, {ALONE, REPORT_LEAVE_ALONE}, {MISSING, REPORT_START},
		{NO_ANSWER, REPORT_NO_ANSWER}, {NO_HTTP, REPORT_NO_ANSWER}};
	struct boot boot = {.mac = "52:54:00:77:00:01", .params = params};
	(void)state;
	boot.params.report = params.http;
	boot.lease.address = INADDR_LOOPBACK;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		server.mode = cases[i].mode;
		server.last[0] = '\0';
		assert_int_equal(report_driver(&boot, "radeon"), cases[i].answer);
		assert_string_equal(server.last, "POST /v1/boot/driver HTTP/1.1");
		assert_string_equal(
			server.body, "{\"mac\":\"52:54:00:77:00:01\",\"driver\":\"radeon\"}");
	}
	boot.params.report = 1; /* tcpmux: nobody's */
	assert_int_equal(report_driver(&boot, "radeon"), REPORT_NO_ANSWER);
	server.mode = ALONE;
	boot.params.report = params.http;
	boot.lease.address = 0; /* a PC without an address has nobody to ask */
	assert_int_equal(report_driver(&boot, "radeon"), REPORT_NO_ANSWER);
}

static const char *file_of(const char *name, char text[64])
{
	char path[96];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	util_read_file(path, text, 64);
	return text;
}

/* The kernel's files are there before, as here: what is written is what the kernel is told last. */
static void test_firmware_is_given(void **state)
{
	char path[96], text[64];
	static const char *const names[] = {"loading", "data"};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		assert_int_equal(util_write_file(path, "", 0), 0);
	}
	firmware_give(folder, "bytes\0bytes", 11);
	assert_string_equal(file_of("loading", text), "0");
	file_of("data", text);
	assert_memory_equal(text, "bytes\0bytes", 12);
	firmware_give(folder, NULL, 0);
	assert_string_equal(file_of("loading", text), "-1");
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pieces_are_fetched_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_not_in_the_pack, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_flipped_bit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_server_that_breaks_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_server_without_the_pack, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_server_that_knows_no_ranges, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_weak_line_is_not_a_dead_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_server, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_driver_that_is_to_be_left_alone, set_up, tear_down),
		cmocka_unit_test(test_bad_indexes),
		cmocka_unit_test(test_firmware_is_given),
	};
	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
