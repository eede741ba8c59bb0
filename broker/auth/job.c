/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/auth/job.h"
#include "broker/shared/log.h"
#include "broker/shared/msg.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct job {
	struct jobs *jobs; /* borrowed */
	guint64 client;
	json_int_t id;
	json_t *request; /* owned, until the child has it */
	pid_t pid;       /* 0 = waits */
	int fd;          /* our end of the child's socket, -1 = none */
	guint readable, timeout;
};

struct jobs {
	GQueue waiting, running; /* owned: struct job */
	unsigned timeout_ms;
	job_enter enter;
	job_work work;
	job_done done;
	void *data; /* borrowed */
};

/* The child watch's reaping is all that is wanted. */
static void reaped(GPid pid, gint status, gpointer data)
{
	(void)status;
	(void)data;
	g_spawn_close_pid(pid);
}

/* Kills the child with what it started (it leads a process group). One that is stuck in the kernel
 * is reaped when it is free again: nobody waits for it here. */
static void job_free(struct job *job)
{
	if (job->readable)
		g_source_remove(job->readable);
	if (job->timeout)
		g_source_remove(job->timeout);
	if (job->fd >= 0)
		close(job->fd);
	if (job->pid > 0) {
		kill(-job->pid, SIGKILL);
		kill(job->pid, SIGKILL);
		g_child_watch_add(job->pid, reaped, NULL);
	}
	json_decref(job->request);
	g_free(job);
}

static void next(struct jobs *jobs);

static void job_end(struct job *job, json_t *answer)
{
	struct jobs *jobs = job->jobs;
	guint64 client = job->client;
	json_int_t id = job->id;

	g_queue_remove(&jobs->running, job);
	job_free(job);
	jobs->done(client, id, answer, jobs->data);
	next(jobs);
}

static gboolean job_readable(gint fd, GIOCondition condition, gpointer pointer)
{
	struct job *job = pointer;
	g_autoptr(GError) error = NULL;
	json_t *answer = msg_recv(fd, &error);

	(void)condition;
	if (!answer)
		log_event(LOG_ERROR, "child-lost", "pid", log_fmt("%d", (int)job->pid), "error",
			error->message, NULL);
	job->readable = 0;
	job_end(job, answer);
	return G_SOURCE_REMOVE;
}

static gboolean job_timeout(gpointer pointer)
{
	struct job *job = pointer;

	log_event(LOG_ERROR, "child-timeout", "pid", log_fmt("%d", (int)job->pid), NULL);
	job->timeout = 0;
	job_end(job, NULL);
	return G_SOURCE_REMOVE;
}

/* The child: never returns. */
static void child_run(struct job *job, int fd, pid_t parent)
{
	static const int handled[] = {SIGTERM, SIGINT, SIGCHLD, SIGPIPE, SIGHUP};
	json_t *answer;

	setpgid(0, 0);
	for (gsize i = 0; i < G_N_ELEMENTS(handled); i++)
		signal(handled[i], SIG_DFL);
	/* A child must not outlive its parent, which may have ended already. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	job->jobs->enter(job->jobs->data);
	answer = job->jobs->work(job->request, job->jobs->data);
	_exit(answer && msg_send(fd, answer, NULL) ? 0 : 1);
}

static gboolean job_start(struct job *job)
{
	pid_t parent = getpid();
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return FALSE;
	job->pid = fork();
	if (job->pid == 0)
		child_run(job, pair[1], parent);
	close(pair[1]);
	if (job->pid < 0) {
		close(pair[0]);
		job->pid = 0;
		return FALSE;
	}
	setpgid(job->pid, job->pid); /* here too: whoever is first */
	job->fd = pair[0];
	json_decref(job->request); /* with the password in it */
	job->request = NULL;
	job->readable = g_unix_fd_add(job->fd, G_IO_IN, job_readable, job);
	job->timeout = g_timeout_add(job->jobs->timeout_ms, job_timeout, job);
	return TRUE;
}

static void next(struct jobs *jobs)
{
	while (jobs->running.length < JOBS_RUNNING_MAX && jobs->waiting.length) {
		struct job *job = g_queue_pop_head(&jobs->waiting);

		if (job_start(job)) {
			g_queue_push_tail(&jobs->running, job);
			continue;
		}
		log_event(LOG_ERROR, "fork-failed", "error", g_strerror(errno), NULL);
		jobs->done(job->client, job->id, NULL, jobs->data);
		job_free(job);
	}
}

struct jobs *jobs_new(
	unsigned timeout_ms, job_enter enter, job_work work, job_done done, void *data)
{
	struct jobs *jobs = g_new0(struct jobs, 1);

	g_queue_init(&jobs->waiting);
	g_queue_init(&jobs->running);
	jobs->timeout_ms = timeout_ms;
	jobs->enter = enter;
	jobs->work = work;
	jobs->done = done;
	jobs->data = data;
	return jobs;
}

void jobs_free(struct jobs *jobs)
{
	if (!jobs)
		return;
	g_queue_clear_full(&jobs->running, (GDestroyNotify)job_free);
	g_queue_clear_full(&jobs->waiting, (GDestroyNotify)job_free);
	g_free(jobs);
}

gboolean jobs_add(struct jobs *jobs, guint64 client, json_int_t id, json_t *request)
{
	struct job *job;

	if (jobs->waiting.length >= JOBS_WAITING_MAX)
		return FALSE;
	job = g_new0(struct job, 1);
	job->jobs = jobs;
	job->client = client;
	job->id = id;
	job->request = json_incref(request);
	job->fd = -1;
	g_queue_push_tail(&jobs->waiting, job);
	next(jobs);
	return TRUE;
}
