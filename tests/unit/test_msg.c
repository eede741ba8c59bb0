/* SPDX-License-Identifier: GPL-2.0-or-later */
/* broker/shared/msg, serve and log: packets, the serving side, lines. */
#include "broker/shared/log.h"
#include "broker/shared/msg.h"
#include "broker/shared/serve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
}

static void test_round_trip(void **state)
{
	int fds[2];
	json_t *out = json_pack("{s:i, s:s}", "id", 7, "op", "문");

	(void)state;
	pair(fds);
	assert_true(msg_send(fds[0], out, NULL));
	assert_true(msg_send(fds[0], out, NULL));
	for (int i = 0; i < 2; i++) {
		json_t *in = msg_recv(fds[1], NULL);

		assert_true(json_equal(in, out));
		json_decref(in);
	}
	json_decref(out);
	close(fds[0]);
	close(fds[1]);
}

static void expect_error(int fd, enum msg_error code)
{
	g_autoptr(GError) error = NULL;

	assert_null(msg_recv(fd, &error));
	assert_non_null(error);
	assert_int_equal(error->domain, MSG_ERROR);
	assert_int_equal(error->code, code);
}

static void test_what_is_no_message(void **state)
{
	static const char *const wrong[] = {"[]", "7", "{", "{\"a\":1,\"a\":2}", "{\"a\":\"\xff\"}",
		"{}{}", "{\"a\":\"\\u0000\"}"};
	int fds[2];

	(void)state;
	pair(fds);
	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
		assert_true(send(fds[0], wrong[i], strlen(wrong[i]), 0) > 0);
		expect_error(fds[1], MSG_ERROR_FORMAT);
	}
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	expect_error(fds[1], MSG_ERROR_AGAIN);
	close(fds[0]);
	expect_error(fds[1], MSG_ERROR_CLOSED);
	close(fds[1]);
}

static void test_size(void **state)
{
	int fds[2], size = 4 * MSG_MAX;
	g_autofree char *big = g_malloc0(MSG_MAX + 1);
	g_autoptr(GError) error = NULL;

	(void)state;
	pair(fds);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	memset(big, ' ', MSG_MAX + 1);
	assert_true(send(fds[0], big, MSG_MAX + 1, 0) > 0);
	expect_error(fds[1], MSG_ERROR_SIZE);
	/* the largest that is allowed passes: {"a":"..."} has 8 bytes besides the text */
	memset(big, 'x', MSG_MAX);
	big[MSG_MAX - 8] = '\0';
	json_t *largest = json_pack("{s:s}", "a", big);
	assert_true(msg_send(fds[0], largest, &error));
	json_t *in = msg_recv(fds[1], &error);
	assert_true(json_equal(in, largest));
	json_object_set_new(largest, "b", json_true());
	assert_false(msg_send(fds[0], largest, &error));
	assert_true(g_error_matches(error, MSG_ERROR, MSG_ERROR_SIZE));
	json_decref(in);
	json_decref(largest);
	close(fds[0]);
	close(fds[1]);
}

static void test_send_to_the_gone(void **state)
{
	int fds[2];
	g_autoptr(GError) error = NULL;
	json_t *message = msg_ok(1);

	(void)state;
	pair(fds);
	close(fds[1]);
	assert_false(msg_send(fds[0], message, &error));
	assert_true(g_error_matches(error, MSG_ERROR, MSG_ERROR_CLOSED));
	json_decref(message);
	close(fds[0]);
}

static void test_answers(void **state)
{
	json_t *bad = msg_fail(3, "nft", "it %s: \xff", "broke");
	json_t *ok = msg_ok(4);

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(bad, "id")), 3);
	assert_true(json_is_false(json_object_get(bad, "ok")));
	assert_string_equal(json_string_value(json_object_get(bad, "code")), "nft");
	assert_string_equal(
		json_string_value(json_object_get(bad, "message")), "it broke: \xef\xbf\xbd");
	assert_true(json_is_true(json_object_get(ok, "ok")));
	json_decref(bad);
	json_decref(ok);
}

static void test_listen(void **state)
{
	g_autofree char *folder = g_dir_make_tmp("carrel-msg-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(folder, "x.sock", NULL);
	g_autofree char *longer = g_strnfill(200, 'x');
	g_autoptr(GError) error = NULL;
	struct stat status;

	(void)state;
	int fd = msg_listen(path, 0660, (gid_t)-1, NULL);
	assert_true(fd >= 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0660);
	int client = msg_connect(path, NULL);
	assert_true(client >= 0);
	assert_int_equal(msg_peer_uid(client), getuid());
	/* a socket that somebody serves is left alone */
	assert_int_equal(msg_listen(path, 0660, (gid_t)-1, &error), -1);
	assert_non_null(strstr(error->message, "another process serves"));
	g_clear_error(&error);
	close(client);
	close(fd);
	/* one that was left behind is replaced */
	fd = msg_listen(path, 0600, (gid_t)-1, NULL);
	assert_true(fd >= 0);
	close(fd);
	g_unlink(path);
	/* what is no socket stays */
	assert_true(g_file_set_contents(path, "precious", -1, NULL));
	assert_int_equal(msg_listen(path, 0600, (gid_t)-1, &error), -1);
	assert_non_null(strstr(error->message, "not a socket"));
	assert_true(g_file_test(path, G_FILE_TEST_IS_REGULAR));
	g_clear_error(&error);
	assert_int_equal(msg_connect(longer, &error), -1);
	assert_true(g_error_matches(error, MSG_ERROR, MSG_ERROR_SIZE));
	g_unlink(path);
	g_rmdir(folder);
}

/* The serving side, with clients in the same process. */
struct served {
	guint64 client[8];
	json_int_t id[8];
	int count;
};

static void keep_request(
	struct serve *serve, guint64 client, json_int_t id, const json_t *request, void *data)
{
	struct served *served = data;

	(void)serve;
	assert_non_null(json_object_get(request, "op"));
	served->client[served->count] = client;
	served->id[served->count++] = id;
}

static void spin(void)
{
	while (g_main_context_iteration(NULL, FALSE))
		;
}

static json_t *receive_now(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return msg_recv(fd, NULL);
}

static void test_serve(void **state)
{
	g_autofree char *folder = g_dir_make_tmp("carrel-serve-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(folder, "x.sock", NULL);
	struct served served = {.count = 0};
	int fd = msg_listen(path, 0600, (gid_t)-1, NULL);
	struct serve *serve = serve_new(fd, getuid(), keep_request, &served);
	int a = msg_connect(path, NULL), b = msg_connect(path, NULL);
	json_t *request = json_pack("{s:i, s:s}", "id", 5, "op", "x");

	(void)state;
	spin();
	assert_true(msg_send(a, request, NULL));
	json_object_set_new(request, "id", json_integer(6));
	assert_true(msg_send(b, request, NULL));
	spin();
	assert_int_equal(served.count, 2);
	/* answers in another order find their clients */
	serve_reply(serve, served.client[1], msg_ok(served.id[1]));
	serve_reply(serve, served.client[0], msg_ok(served.id[0]));
	json_t *answer = receive_now(a);
	assert_int_equal(json_integer_value(json_object_get(answer, "id")), 5);
	json_decref(answer);
	answer = receive_now(b);
	assert_int_equal(json_integer_value(json_object_get(answer, "id")), 6);
	json_decref(answer);
	/* what is no request is answered here, and the connection stays */
	json_object_del(request, "id");
	assert_true(msg_send(a, request, NULL));
	assert_true(send(a, "[", 1, 0) == 1);
	spin();
	for (int i = 0; i < 2; i++) {
		answer = receive_now(a);
		assert_string_equal(
			json_string_value(json_object_get(answer, "code")), "bad-request");
		json_decref(answer);
	}
	assert_int_equal(served.count, 2);
	/* an answer for one who has left is dropped */
	close(b);
	spin();
	serve_reply(serve, served.client[1], msg_ok(1));
	json_decref(request);
	serve_free(serve);
	serve_free(NULL);
	assert_null(msg_recv(a, NULL));
	close(a);
	g_unlink(path);
	g_rmdir(folder);
}

static void test_one_who_does_not_read(void **state)
{
	g_autofree char *folder = g_dir_make_tmp("carrel-serve-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(folder, "x.sock", NULL);
	struct served served = {.count = 0};
	int fd = msg_listen(path, 0600, (gid_t)-1, NULL);
	struct serve *serve = serve_new(fd, getuid(), keep_request, &served);
	int client = msg_connect(path, NULL), count = 0;
	json_t *request = json_pack("{s:i, s:s}", "id", 5, "op", "x"), *answer;

	(void)state;
	log_init("test", LOG_ERROR);
	assert_true(msg_send(client, request, NULL));
	spin();
	assert_int_equal(served.count, 1);
	for (int i = 0; i < 100000; i++)
		serve_reply(serve, served.client[0], msg_ok(i));
	spin();
	while ((answer = receive_now(client))) {
		json_decref(answer);
		count++;
	}
	assert_in_range(count, 1, 99999);
	json_decref(request);
	close(client);
	serve_free(serve);
	g_unlink(path);
	g_rmdir(folder);
}

/* What log_event writes to standard error. */
static char *log_line(const char *value)
{
	int pipes[2], saved = dup(STDERR_FILENO);
	char buffer[4096];

	assert_int_equal(pipe(pipes), 0);
	dup2(pipes[1], STDERR_FILENO);
	log_init("test", LOG_INFO);
	log_event(LOG_INFO, "event", "key", value, NULL);
	log_event(LOG_DEBUG, "unseen", NULL);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipes[1]);
	ssize_t n = read(pipes[0], buffer, sizeof(buffer) - 1);
	close(pipes[0]);
	assert_true(n > 0);
	buffer[n] = '\0';
	return g_strdup(buffer);
}

static void expect_line(const char *value, const char *expected)
{
	g_autofree char *line = log_line(value);
	g_autofree char *whole = g_strdup_printf("test info event key=%s\n", expected);

	assert_string_equal(line, whole);
}

static void test_log(void **state)
{
	(void)state;
	expect_line("plain", "plain");
	expect_line("홍길동", "홍길동");
	expect_line(NULL, "-");
	expect_line("", "\"\"");
	expect_line("two words", "\"two words\"");
	expect_line("a=b\"c\\", "\"a=b\\\"c\\\\\"");
	expect_line("line\ntest info forged", "\"line\\x0atest info forged\"");
	expect_line("\x1b[2J\a", "\"\\x1b[2J\\x07\"");
	expect_line("\x7f", "\"\\x7f\"");
	expect_line("\xc2\x9b"
		    "31m",
		"\"\\u009b31m\"");
	/* too long: cut, and still one line */
	g_autofree char *longer = g_strnfill(5000, 'x');
	g_autofree char *line = log_line(longer);
	assert_int_equal(strlen(line), 2047);
	assert_int_equal(line[2046], '\n');
}

static void test_log_fmt(void **state)
{
	const char *first = log_fmt("%d", 1);

	(void)state;
	for (int i = 2; i <= 8; i++)
		log_fmt("%d", i);
	assert_string_equal(first, "1");
	assert_string_equal(log_fmt("%s-%u", "a", 9u), "a-9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_what_is_no_message),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_send_to_the_gone),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_serve),
		cmocka_unit_test(test_one_who_does_not_read),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_log_fmt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
