/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/agent/agent_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CGROUP_ROOT "/sys/fs/cgroup"

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

bool agent_group_init(struct agent_group *group)
{
	char own[256] = "", path[sizeof(group->path) + 32];
	FILE *file = fopen("/proc/self/cgroup", "re");

	group->path[0] = '\0';
	group->events = -1;
	if (!file)
		return false;
	while (fgets(own, sizeof(own), file) && strncmp(own, "0::", 3) != 0)
		own[0] = '\0';
	fclose(file);
	own[strcspn(own, "\n")] = '\0';
	if (!own[0]) {
		errno = ENOSYS;
		return false;
	}
	snprintf(group->path, sizeof(group->path), CGROUP_ROOT "%s/session", own + 3);
	if (mkdir(group->path, 0755) && errno != EEXIST)
		return false;
	snprintf(path, sizeof(path), "%s/cgroup.events", group->path);
	group->events = open(path, O_RDONLY | O_CLOEXEC);
	return group->events >= 0;
}

void agent_group_clear(struct agent_group *group)
{
	if (group->events >= 0)
		close(group->events);
	group->events = -1;
	if (group->path[0])
		(void)rmdir(group->path);
	group->path[0] = '\0';
}

bool agent_group_populated(const struct agent_group *group)
{
	char text[256];
	ssize_t n = pread(group->events, text, sizeof(text) - 1, 0);

	if (n < 0)
		return false;
	text[n] = '\0';
	return strstr(text, "populated 1") != NULL;
}

void agent_group_signal(const struct agent_group *group, int sig)
{
	char path[sizeof(group->path) + 32];
	FILE *file;
	int pid;

	if (sig == SIGKILL) {
		snprintf(path, sizeof(path), "%s/cgroup.kill", group->path);
		(void)write_text(path, "1");
		return;
	}
	snprintf(path, sizeof(path), "%s/cgroup.procs", group->path);
	file = fopen(path, "re");
	while (file && fscanf(file, "%d", &pid) == 1)
		if (pid > 1)
			(void)kill(pid, sig);
	if (file)
		fclose(file);
}

void agent_proc_child_reset(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	(void)write_text("/proc/self/oom_score_adj", "0");
}

static void null_input(void)
{
	int fd = open("/dev/null", O_RDWR);

	if (fd > 0) {
		dup2(fd, STDIN_FILENO);
		close(fd);
	}
}

static void exec_session(const struct agent_group *group, const struct agent_user *user,
	const char *program, char *const environment[], bool (*prepare)(void *context),
	void *context)
{
	char path[sizeof(group->path) + 32];
	char *arguments[] = {(char *)(uintptr_t)program, NULL};

	agent_proc_child_reset();
	setsid();
	null_input();
	umask(022);
	snprintf(path, sizeof(path), "%s/cgroup.procs", group->path);
	/* outside its group nothing of a user's may run, nor with more than the user's own rights
	 */
	if (!write_text(path, "0") || !prepare(context) || setgroups(1, &user->gid) ||
		setresgid(user->gid, user->gid, user->gid) ||
		setresuid(user->uid, user->uid, user->uid) || chdir(user->home))
		_exit(126);
	execve(program, arguments, environment);
}

pid_t agent_proc_session(const struct agent_group *group, const struct agent_user *user,
	const char *program, char *const environment[], bool (*prepare)(void *context),
	void *context)
{
	pid_t pid = fork();

	if (pid == 0) {
		exec_session(group, user, program, environment, prepare, context);
		_exit(127);
	}
	return pid;
}

pid_t agent_proc_run(char *const arguments[], char *const environment[], int pass_fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		agent_proc_child_reset();
		null_input();
		if (pass_fd >= 0)
			(void)fcntl(pass_fd, F_SETFD, 0);
		execve(arguments[0], arguments, environment);
		_exit(127);
	}
	return pid;
}

pid_t agent_proc_job(int (*work)(void *context), void *context)
{
	pid_t pid = fork();

	if (pid == 0) {
		agent_proc_child_reset();
		_exit(work(context));
	}
	return pid;
}

void *agent_proc_shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}
