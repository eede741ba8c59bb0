/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/fence.h"
#include "broker/core/core.h"
#include "broker/shared/log.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_KEPT 4096 /* bytes of the end of what the program prints */
#define PIPE_READS 16    /* of OUTPUT_KEPT each: what a pipe holds */
#define WORDS_MAX 120    /* bytes of its last line that are told */

struct fences {
	GHashTable *running; /* server -> struct fence, owned */
	unsigned limit_ms;
	fence_done_func done;
	gpointer data; /* borrowed */
};

struct fence {
	struct fences *fences; /* borrowed */
	guint64 server;        /* the key */
	char *name, *program;  /* owned */
	GPid pid;              /* leader of a process group of its own; 0 = it has ended */
	guint child_watch, timer, reader;
	int output;    /* owned; -1 = closed */
	GString *tail; /* owned: the end of its output */
};

/* A copy of at most `max` bytes of whole UTF-8 characters. */
static char *shortened(const char *text, size_t max)
{
	char *copy = g_utf8_make_valid(text, -1);

	if (strlen(copy) > max) {
		while (((unsigned char)copy[max] & 0xc0) == 0x80)
			max--;
		copy[max] = 0;
	}
	return copy;
}

static char *last_words(const struct fence *fence)
{
	g_autofree char *text = g_strchomp(g_strdup(fence->tail->str));
	const char *line = strrchr(text, '\n');

	return shortened(line ? line + 1 : text, WORDS_MAX);
}

static void output_close(struct fence *fence)
{
	if (fence->reader)
		g_source_remove(fence->reader);
	fence->reader = 0;
	if (fence->output >= 0)
		close(fence->output);
	fence->output = -1;
}

/* Nobody asks for what a killed program ends with; it is only reaped. */
static void on_exit_of_orphan(GPid pid, gint status, gpointer data)
{
	(void)status;
	(void)data;
	g_spawn_close_pid(pid);
}

static void fence_free(gpointer data)
{
	struct fence *fence = data;

	output_close(fence);
	if (fence->timer)
		g_source_remove(fence->timer);
	if (fence->child_watch)
		g_source_remove(fence->child_watch);
	if (fence->pid) {
		/* With all that it has started: half of a script must not go on by itself. */
		kill(-fence->pid, SIGKILL);
		g_child_watch_add(fence->pid, on_exit_of_orphan, NULL);
	}
	g_string_free(fence->tail, TRUE);
	g_free(fence->name);
	g_free(fence->program);
	g_free(fence);
}

/* Tells the result; `failure` is NULL for success. */
static void finish(struct fence *fence, const char *failure)
{
	struct fences *fences = fence->fences;
	g_autofree char *words = last_words(fence);
	g_autofree char *text = NULL;

	log_event(failure ? LOG_WARN : LOG_INFO, "fence-ended", "server", fence->name, "program",
		fence->program, "failure", failure, "last_words", *words ? words : NULL, NULL);
	if (failure) {
		g_autofree char *whole = g_strdup_printf(
			"%s %s%s%s", fence->program, failure, *words ? "; it said: " : "", words);

		text = shortened(whole, CORE_TEXT_MAX - 1);
	}
	g_hash_table_steal(fences->running, &fence->server);
	fences->done(fence->server, text, fences->data);
	fence_free(fence);
}

/* Takes over some output: 1 = some, 0 = none now, -1 = there will be none any more. */
static int output_take(struct fence *fence)
{
	char buffer[OUTPUT_KEPT];
	ssize_t got = read(fence->output, buffer, sizeof(buffer));

	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
	/* What would end a C string in its middle is of no use in a log line. */
	for (ssize_t i = 0; i < got; i++)
		if (!buffer[i])
			buffer[i] = ' ';
	g_string_append_len(fence->tail, buffer, got);
	if (fence->tail->len > OUTPUT_KEPT)
		g_string_erase(fence->tail, 0, (gssize)(fence->tail->len - OUTPUT_KEPT));
	return 1;
}

static gboolean on_output(gint fd, GIOCondition condition, gpointer data)
{
	struct fence *fence = data;

	(void)fd;
	(void)condition;
	if (output_take(fence) >= 0)
		return G_SOURCE_CONTINUE;
	fence->reader = 0;
	output_close(fence);
	return G_SOURCE_REMOVE;
}

static void on_exited(GPid pid, gint status, gpointer data)
{
	struct fence *fence = data;

	g_spawn_close_pid(pid);
	fence->pid = 0;
	fence->child_watch = 0;
	/* What it has started may hold the pipe open for as long as it likes. */
	for (int i = 0; i < PIPE_READS && fence->output >= 0; i++)
		if (output_take(fence) <= 0)
			output_close(fence);
	if (WIFSIGNALED(status))
		finish(fence, log_fmt("was ended by signal %d", WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		finish(fence, log_fmt("ended with status %d", WEXITSTATUS(status)));
	else
		finish(fence, NULL);
}

static gboolean on_limit(gpointer data)
{
	struct fence *fence = data;

	fence->timer = 0;
	finish(fence, log_fmt("did not end within %u s and was killed",
			      (fence->fences->limit_ms + 999) / 1000));
	return G_SOURCE_REMOVE;
}

/* In the child, before the program: nothing but system calls here. */
static void child_setup(gpointer data)
{
	(void)data;
	setsid();
	signal(SIGPIPE, SIG_DFL);
}

static gboolean spawn(struct fence *fence, const char *const *argv, GError **error)
{
	/* Nothing of the broker's own: not its service manager's socket, for one. */
	static const char *const environment[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
		NULL};
	int ends[2];

	if (!g_unix_open_pipe(ends, FD_CLOEXEC, error))
		return FALSE;
	fence->output = ends[0];
	g_unix_set_fd_nonblocking(ends[0], TRUE, NULL);
	gboolean done = g_spawn_async_with_pipes_and_fds("/", argv, environment,
		G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDIN_FROM_DEV_NULL, child_setup, NULL, -1,
		ends[1], ends[1], NULL, NULL, 0, &fence->pid, NULL, NULL, NULL, error);
	close(ends[1]);
	return done;
}

void fence_begin(struct fences *fences, guint64 server, char *const *words, const char *name,
	const char *uri)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_autoptr(GError) error = NULL;
	struct fence *fence;

	if (g_hash_table_contains(fences->running, &server))
		return;
	for (size_t i = 0; words[i]; i++)
		g_ptr_array_add(argv, words[i]);
	g_ptr_array_add(argv, (gpointer) "off");
	g_ptr_array_add(argv, (gpointer)name);
	g_ptr_array_add(argv, (gpointer)uri);
	g_ptr_array_add(argv, NULL);
	fence = g_new0(struct fence, 1);
	fence->fences = fences;
	fence->server = server;
	fence->name = g_strdup(name);
	fence->program = g_strdup(words[0]);
	fence->output = -1;
	fence->tail = g_string_new(NULL);
	g_hash_table_insert(fences->running, &fence->server, fence);
	/* Its further words are not logged: a password may be among them. */
	log_event(LOG_WARN, "fence-begun", "server", name, "program", words[0], NULL);
	if (!spawn(fence, (const char *const *)argv->pdata, &error)) {
		fence->pid = 0;
		finish(fence, log_fmt("could not be started: %s", error->message));
		return;
	}
	fence->child_watch = g_child_watch_add(fence->pid, on_exited, fence);
	fence->reader =
		g_unix_fd_add(fence->output, G_IO_IN | G_IO_HUP | G_IO_ERR, on_output, fence);
	fence->timer = g_timeout_add(fences->limit_ms, on_limit, fence);
}

void fence_end(struct fences *fences, guint64 server, const char *why)
{
	struct fence *fence = g_hash_table_lookup(fences->running, &server);

	if (fence)
		finish(fence, log_fmt("was killed: %s", why));
}

struct fences *fences_new(unsigned limit_ms, fence_done_func done, gpointer data)
{
	struct fences *fences = g_new0(struct fences, 1);

	fences->running = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, fence_free);
	fences->limit_ms = limit_ms;
	fences->done = done;
	fences->data = data;
	return fences;
}

void fences_free(struct fences *fences)
{
	if (!fences)
		return;
	g_hash_table_destroy(fences->running);
	g_free(fences);
}
