/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes: the user's session lives in a control group of its own, so that all of it, whatever it
 * forked, daemonized or ran as root, can be told to end and be killed with certainty (cgroup v2).
 */
#ifndef CARREL_AGENT_PROC_H
#define CARREL_AGENT_PROC_H

#include "images/agent/agent_user.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* Where the session's group is, made below the group that this process is in. */
struct agent_group {
	char path[512]; /* "" when there is none */
	int events;     /* cgroup.events, polled with EPOLLPRI; -1 when there is none */
};

/* Makes the group "session". False with errno: no cgroup v2, or not allowed. */
bool agent_group_init(struct agent_group *group);
void agent_group_clear(struct agent_group *group);

/* Is there any process in it? Reading re-arms the poll on `events`. */
bool agent_group_populated(const struct agent_group *group);

/* Sends `sig` to every process in it; SIGKILL goes to all at once and cannot be outrun. */
void agent_group_signal(const struct agent_group *group, int sig);

/*
 * Starts `program` as the user, in the group, in the home directory, with exactly the environment
 * `environment` (owned by the caller) and default signals. `prepare(context)` is called before
 * that, in the child, in the group and still as root; false ends it. Returns its pid, or -1.
 */
pid_t agent_proc_session(const struct agent_group *group, const struct agent_user *user,
	const char *program, char *const environment[], bool (*prepare)(void *context),
	void *context);

/*
 * Starts a program as root. `pass_fd` is left open for it unless it is -1. Returns its pid, or -1.
 */
pid_t agent_proc_run(char *const arguments[], char *const environment[], int pass_fd);

/*
 * Runs `work` in a child process: for what may block. `text` is shared with the child and must come
 * from agent_proc_shared(). The child's exit status is what `work` returns.
 */
pid_t agent_proc_job(int (*work)(void *context), void *context);

/* Memory that children share with their parent; never freed. NULL when there is none. */
void *agent_proc_shared(size_t size);

/* In a child: no blocked signals, no special place in the out-of-memory order. */
void agent_proc_child_reset(void);

#endif
