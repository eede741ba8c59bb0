/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fence program, played by shell scripts: what it is given, and what its end means. */
#include "broker/daemon/fence.h"
#include "broker/core/core.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <glib/gstdio.h>

#define WAIT_S 20 /* for what comes at once */
#define LONG_MS 600000

struct fixture {
	char *folder, *script, *fifo; /* owned */
	struct fences *fences;        /* owned; of the test */
	unsigned results;
	guint64 server;
	char *failure; /* owned; of the last result */
};

static void on_done(guint64 server, const char *failure, gpointer data)
{
	struct fixture *f = data;

	f->results++;
	f->server = server;
	g_free(f->failure);
	f->failure = g_strdup(failure);
}

static int setup(void **state)
{
	struct fixture *f = g_new0(struct fixture, 1);

	f->folder = g_dir_make_tmp("carrel-fence-XXXXXX", NULL);
	f->script = g_build_filename(f->folder, "fence", NULL);
	f->fifo = g_build_filename(f->folder, "fifo", NULL);
	assert_int_equal(mkfifo(f->fifo, 0600), 0);
	f->fences = fences_new(LONG_MS, on_done, f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	g_autofree char *out = g_build_filename(f->folder, "out", NULL);

	fences_free(f->fences);
	g_unlink(f->script);
	g_unlink(f->fifo);
	g_unlink(out);
	g_rmdir(f->folder);
	g_free(f->folder);
	g_free(f->script);
	g_free(f->fifo);
	g_free(f->failure);
	g_free(f);
	return 0;
}

/* The script's `body` runs with $D as the test's folder. */
static void script(struct fixture *f, const char *body)
{
	g_autofree char *text = g_strdup_printf("#!/bin/sh\nD='%s'\n%s\n", f->folder, body);

	assert_true(g_file_set_contents_full(
		f->script, text, -1, G_FILE_SET_CONTENTS_NONE, 0700, NULL));
}

static void begin(struct fixture *f)
{
	char *words[] = {f->script, (char *)"a b", NULL};

	fence_begin(f->fences, 7, words, "one", "qemu+tls://one/system");
}

static gboolean on_too_late(gpointer data)
{
	*(gboolean *)data = TRUE;
	return G_SOURCE_CONTINUE;
}

static void wait_results(struct fixture *f, unsigned n)
{
	gboolean late = FALSE;
	guint timer = g_timeout_add_seconds(WAIT_S, on_too_late, &late);

	while (f->results < n && !late)
		g_main_context_iteration(NULL, TRUE);
	g_source_remove(timer);
	assert_int_equal(f->results, n);
}

static void assert_failure(const struct fixture *f, const char *words)
{
	assert_non_null(f->failure);
	if (!strstr(f->failure, words))
		fail_msg("no \"%s\" in: %s", words, f->failure);
	assert_true(strlen(f->failure) < CORE_TEXT_MAX);
	assert_true(g_utf8_validate(f->failure, -1, NULL));
}

static char *output(const struct fixture *f)
{
	g_autofree char *path = g_build_filename(f->folder, "out", NULL);
	char *text = NULL;

	assert_true(g_file_get_contents(path, &text, NULL, NULL));
	return text;
}

static void test_what_it_is_given(void **state)
{
	struct fixture *f = *state;

	g_setenv("NOTIFY_SOCKET", "/run/systemd/notify", TRUE);
	script(f, "{ for w; do echo \"<$w>\"; done; read -r line || echo no input; pwd; env; } "
		  ">\"$D/out\"");
	begin(f);
	wait_results(f, 1);
	g_unsetenv("NOTIFY_SOCKET");
	assert_int_equal(f->server, 7);
	assert_null(f->failure);
	g_autofree char *text = output(f);
	assert_true(g_str_has_prefix(
		text, "<a b>\n<off>\n<one>\n<qemu+tls://one/system>\nno input\n/\n"));
	assert_non_null(strstr(text, "PATH=/usr/local/sbin:"));
	assert_null(strstr(text, "NOTIFY_SOCKET"));
	assert_null(strstr(text, "HOME="));
}

static void test_a_failure_tells_the_last_words(void **state)
{
	struct fixture *f = *state;

	script(f, "echo first; echo 'no such outlet' >&2; echo; exit 3");
	begin(f);
	wait_results(f, 1);
	assert_failure(f, "/fence ended with status 3; it said: no such outlet");
	assert_null(strstr(f->failure, "first"));
	assert_null(strstr(f->failure, "a b"));
	script(f, "kill -9 $$");
	begin(f);
	wait_results(f, 2);
	assert_failure(f, "/fence was ended by signal 9");
}

static void test_much_output(void **state)
{
	struct fixture *f = *state;

	script(f, "yes | head -c 300000; echo the end; exit 1");
	begin(f);
	wait_results(f, 1);
	assert_failure(f, "it said: the end");
	/* No character is cut in two, and no byte of another encoding gets through. */
	script(f, "printf x; i=0; while [ $i -lt 90 ]; do printf '가'; i=$((i + 1)); done; exit 1");
	begin(f);
	wait_results(f, 2);
	assert_failure(f, "가가가");
	assert_null(strstr(f->failure, "\xef\xbf\xbd"));
	script(f, "printf 'bad \\377 byte \\000 and zero'; exit 1");
	begin(f);
	wait_results(f, 3);
	assert_failure(f, " and zero");
}

static void test_what_cannot_be_started(void **state)
{
	struct fixture *f = *state;

	begin(f);
	assert_int_equal(f->results, 1);
	assert_failure(f, "/fence could not be started");
}

static void test_one_at_a_time_for_a_server(void **state)
{
	struct fixture *f = *state;
	char *words[] = {f->script, NULL};

	script(f, "echo run >>\"$D/out\"");
	begin(f);
	begin(f);
	wait_results(f, 1);
	g_autofree char *once = output(f);
	assert_string_equal(once, "run\n");
	/* Another try, and another server beside it. */
	begin(f);
	fence_begin(f->fences, 8, words, "two", "qemu+tls://two/system");
	wait_results(f, 3);
	g_autofree char *more = output(f);
	assert_string_equal(more, "run\nrun\nrun\n");
}

static void test_a_program_that_hangs_is_killed(void **state)
{
	struct fixture *f = *state;

	fences_free(f->fences);
	f->fences = fences_new(50, on_done, f);
	script(f, "exec sleep 600");
	begin(f);
	wait_results(f, 1);
	assert_failure(f, "did not end within 1 s and was killed");
}

/* Begins a script that hangs in a program of its own; returns once both run, with an end of the
 * pipe that is at its end when both are gone. */
static int begin_hanging(struct fixture *f)
{
	int fd = open(f->fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	char byte;

	assert_true(fd >= 0);
	script(f, "sh -c 'printf x; exec sleep 600' >\"$D/fifo\"");
	begin(f);
	assert_int_equal(poll(&ready, 1, WAIT_S * 1000), 1);
	assert_int_equal(read(fd, &byte, 1), 1);
	return fd;
}

static void assert_nobody_is_left(int fd)
{
	struct pollfd over = {.fd = fd, .events = POLLIN};
	char byte;

	assert_int_equal(poll(&over, 1, WAIT_S * 1000), 1);
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
}

static void test_it_is_ended_with_all_that_it_started(void **state)
{
	struct fixture *f = *state;
	int fd = begin_hanging(f);

	fence_end(f->fences, 9, "nothing runs for that server");
	assert_int_equal(f->results, 0);
	fence_end(f->fences, 7, "the server is connected again");
	assert_int_equal(f->results, 1);
	assert_failure(f, "was killed: the server is connected again");
	assert_nobody_is_left(fd);
}

static void test_the_end_of_the_broker_ends_it(void **state)
{
	struct fixture *f = *state;
	int fd = begin_hanging(f);

	fences_free(f->fences);
	f->fences = NULL;
	assert_nobody_is_left(fd);
	assert_int_equal(f->results, 0);
}

/* What it leaves behind may keep its output open; the program's own end counts. */
static void test_a_child_left_behind_delays_nothing(void **state)
{
	struct fixture *f = *state;

	script(f, "(read -r line <\"$D/fifo\") &\nexit 0");
	begin(f);
	wait_results(f, 1);
	assert_null(f->failure);
	int fd = open(f->fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(write(fd, "\n", 1), 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_it_is_given, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_failure_tells_the_last_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_much_output, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_started, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_at_a_time_for_a_server, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_program_that_hangs_is_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_it_is_ended_with_all_that_it_started, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_end_of_the_broker_ends_it, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_child_left_behind_delays_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
