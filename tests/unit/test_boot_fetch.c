/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The image by HTTP from servers that break off, lie or are not there: real sockets on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-initrd/fetch.h"
#include "client-initrd/util.h"

#define SIZE 300000

static char image[SIZE];

/* One answer of the server: its head (with %d for the offset asked for), and bytes of the body. */
struct answer {
	const char *head; /* NULL: the connection is closed without a word */
	int body;
};

struct server {
	int listener;
	const struct answer *answers;
	int count;
	long offsets[8]; /* what was asked for, -1 without Range */
	int asked;
	pthread_t thread;
};

static void serve_one(struct server *server, int client, const struct answer *answer)
{
	char request[2048] = "", head[512];
	size_t used = 0;
	while (!strstr(request, "\r\n\r\n")) {
		ssize_t n = read(client, request + used, sizeof request - 1 - used);
		if (n <= 0)
			return;
		used += (size_t)n;
		request[used] = '\0';
	}
	const char *range = strstr(request, "Range: bytes=");
	long offset = range ? strtol(range + 13, NULL, 10) : -1;
	server->offsets[server->asked++] = strstr(request, "GET /images/a.root ") ? offset : -2;
	if (!answer->head)
		return;
	long first = offset < 0 || !strstr(answer->head, " 206 ") ? 0 : offset;
	int n = snprintf(
		head, sizeof head, answer->head, SIZE - first, first, SIZE - 1L, (long)SIZE);
	util_write_all(client, head, (size_t)n);
	util_write_all(client, image + first, (size_t)answer->body);
}

static void *serve(void *data)
{
	struct server *server = data;
	for (int i = 0; i < server->count; i++) {
		int client = accept(server->listener, NULL, NULL);
		serve_one(server, client, &server->answers[i]);
		close(client);
	}
	return NULL;
}

/* Fetches from a server that gives `answers`, one a connection. */
static enum boot_code fetch_from(struct server *server, const struct answer *answers, int count,
	struct boot *boot, struct fetch *fetch)
{
	struct modules modules = {0};
	struct sockaddr_in me = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof me;
	char path[] = "/tmp/carrel-test-XXXXXX";
	struct sha256 sum;
	memset(boot, 0, sizeof *boot);
	memset(server, 0, sizeof *server);
	server->listener = socket(AF_INET, SOCK_STREAM, 0);
	server->answers = answers;
	server->count = count;
	assert_int_equal(bind(server->listener, (struct sockaddr *)&me, sizeof me), 0);
	assert_int_equal(listen(server->listener, 8), 0);
	getsockname(server->listener, (struct sockaddr *)&me, &length);
	boot->params.server = INADDR_LOOPBACK;
	boot->params.http = ntohs(me.sin_port);
	boot->params.size = SIZE;
	strcpy(boot->params.root, "a.root");
	sha256_init(&sum);
	sha256_update(&sum, image, SIZE);
	sha256_hex(&sum, boot->params.sha256);
	close(mkstemp(path));
	pthread_create(&server->thread, NULL, serve, server);
	enum boot_code code = fetch_image(fetch, boot, &modules, path);
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->listener);
	unlink(path);
	return code;
}

#define WHOLE "HTTP/1.1 200 OK\r\nContent-Length: %1$ld\r\n\r\n"
#define PART                                                                                       \
	"HTTP/1.1 206 Partial Content\r\nContent-Length: %1$ld\r\n"                                \
	"Content-Range: bytes %2$ld-%3$ld/%4$ld\r\n\r\n"

static void test_whole(void **state)
{
	static const struct answer answers[] = {{WHOLE, SIZE}};
	struct server server;
	struct boot boot;
	struct fetch fetch;
	(void)state;
	assert_int_equal(fetch_from(&server, answers, 1, &boot, &fetch), BOOT_OK);
	assert_int_equal(fetch.done, SIZE);
	assert_int_equal(server.offsets[0], -1);
	assert_int_equal(fetch_verify(&fetch, &boot), BOOT_OK);
}

static void test_resumes(void **state)
{
	static const struct answer answers[] = {
		{WHOLE, 100000}, {NULL, 0}, {PART, 50000}, {PART, SIZE - 150000}};
	static const long offsets[] = {-1, 100000, 100000, 150000};
	struct server server;
	struct boot boot;
	struct fetch fetch;
	(void)state;
	assert_int_equal(fetch_from(&server, answers, 4, &boot, &fetch), BOOT_OK);
	assert_memory_equal(server.offsets, offsets, sizeof offsets);
	assert_int_equal(fetch_verify(&fetch, &boot), BOOT_OK);
}

/* A server that ignores Range would send the start again: that must not be taken for the rest. */
static void test_no_range(void **state)
{
	static const struct answer answers[] = {{WHOLE, 1000}, {WHOLE, SIZE}};
	struct server server;
	struct boot boot;
	struct fetch fetch;
	(void)state;
	assert_int_equal(fetch_from(&server, answers, 2, &boot, &fetch), BOOT_NO_IMAGE);
	assert_int_equal(server.offsets[1], 1000);
	assert_int_equal(fetch.done, 1000);
	assert_non_null(strstr(boot.detail, "not the range asked for"));
}

static void test_refused(void **state)
{
	static const struct answer missing[] = {
		{"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 0}};
	static const struct answer other[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n", 77}};
	struct server server;
	struct boot boot;
	struct fetch fetch;
	(void)state;
	assert_int_equal(fetch_from(&server, missing, 1, &boot, &fetch), BOOT_NO_IMAGE);
	assert_string_equal(boot.detail, "NFS: off; HTTP: status 404");
	assert_int_equal(fetch_from(&server, other, 1, &boot, &fetch), BOOT_WRONG_IMAGE);
	assert_string_equal(boot.detail, "HTTP has 77 bytes, 300000 are published");
}

static void test_other_bytes(void **state)
{
	static const struct answer answers[] = {{WHOLE, SIZE}};
	struct server server;
	struct boot boot;
	struct fetch fetch;
	(void)state;
	assert_int_equal(fetch_from(&server, answers, 1, &boot, &fetch), BOOT_OK);
	boot.params.sha256[0] = boot.params.sha256[0] == '0' ? '1' : '0';
	assert_int_equal(fetch_verify(&fetch, &boot), BOOT_WRONG_IMAGE);
	assert_non_null(strstr(boot.detail, "by HTTP"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole),
		cmocka_unit_test(test_resumes), cmocka_unit_test(test_no_range),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_other_bytes)};
	for (size_t i = 0; i < SIZE; i++)
		image[i] = (char)(i * 2654435761u >> 13);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
