/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rehearsal: the session is started once in a standby desktop, for nobody. What it reads of the
 * verified image is in the page cache afterwards, so that a user's session, after a hand-off above
 * all, has no disk to wait for and nothing to verify and to decompress.
 *
 * Nothing of it stays but that: its home and all places where everybody may write are file systems
 * in memory in a mount namespace of its own, its processes are killed with their control group, and
 * the X server that it has used is replaced.
 */
#include "images/agent/agent.h"
#include "images/agent/agent_user.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DELAY_MS 5000     /* a desktop that was booted for somebody is claimed before that */
#define TIMEOUT_MS 120000 /* a session that does not come about is not waited for */
#define SETTLE_MS 3000    /* the first program's window is there, its contents are not yet */
#define HOME "/home/rehearsal"
#define RUNTIME_DIR "/run/user/65534"

/* Debian's user without any right. */
static const struct agent_user nobody = {
	.name = "nobody",
	.full_name = "nobody",
	.home = HOME,
	.uid = 65534,
	.gid = 65534,
};

static bool has_session(const struct agent *agent)
{
	return agent->rehearsal == REHEARSAL_RUNNING || agent->rehearsal == REHEARSAL_DRAWN;
}

bool agent_rehearsal_is_on(const struct agent *agent)
{
	return has_session(agent) || agent->rehearsal == REHEARSAL_ENDING;
}

/* The program that a claim runs before the session. */
static void read_e2fsck(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)!freopen("/dev/null", "w", stderr);
		execl("/sbin/e2fsck", "e2fsck", "-V", (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
}

/* In the child, as root. */
static bool make_world(struct agent *agent)
{
	static const struct {
		const char *path, *options;
	} places[] = {
		{"/tmp", "mode=1777,size=32m"},
		{"/var/tmp", "mode=1777,size=32m"},
		{"/dev/shm", "mode=1777,size=32m"},
		{"/home", "mode=755,size=32m"},
		{"/run/user", "mode=755,size=32m"},
	};
	char text[256];

	(void)agent;
	(void)mkdir("/run/user", 0755);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return false;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (mount("tmpfs", places[i].path, "tmpfs", MS_NOSUID | MS_NODEV,
			    places[i].options))
			return false;
	read_e2fsck();
	return mkdir(HOME, 0700) == 0 && chown(HOME, nobody.uid, nobody.gid) == 0 &&
	       agent_user_home("/etc/skel", &nobody, text, sizeof(text)) &&
	       mkdir(RUNTIME_DIR, 0700) == 0 && chown(RUNTIME_DIR, nobody.uid, nobody.gid) == 0;
}

static void begin(struct agent *agent)
{
	agent_log("rehearsal begin");
	agent->rehearsal = REHEARSAL_RUNNING;
	agent_timer_set(agent, TIMER_REHEARSAL, TIMEOUT_MS);
	agent_x_expect_session(&agent->x);
	agent->rehearsal_pid = agent_session_start(agent, &nobody, RUNTIME_DIR, make_world);
	if (agent->rehearsal_pid < 0)
		agent->rehearsal = REHEARSAL_OVER;
}

static void end(struct agent *agent)
{
	agent_log("rehearsal end drawn=%d", agent->x.drawn);
	agent->rehearsal = REHEARSAL_ENDING;
	agent_timer_set(agent, TIMER_REHEARSAL, 0);
	agent_group_signal(&agent->group, SIGKILL);
	agent_rehearsal_group_event(agent);
}

void agent_rehearsal_x_ready(struct agent *agent)
{
	if (!agent->rehearse || agent->state != AGENT_STANDBY || agent->rehearsal != REHEARSAL_NONE)
		return;
	agent->rehearsal = REHEARSAL_DUE;
	agent_timer_set(agent, TIMER_REHEARSAL, DELAY_MS);
}

void agent_rehearsal_x_event(struct agent *agent)
{
	if (agent->rehearsal != REHEARSAL_RUNNING || !agent->x.drawn)
		return;
	agent->rehearsal = REHEARSAL_DRAWN;
	agent_timer_set(agent, TIMER_REHEARSAL, SETTLE_MS);
}

void agent_rehearsal_x_lost(struct agent *agent)
{
	if (has_session(agent))
		end(agent);
}

void agent_rehearsal_exited(struct agent *agent)
{
	agent->rehearsal_pid = -1;
	if (has_session(agent))
		end(agent);
}

void agent_rehearsal_group_event(struct agent *agent)
{
	if (agent->rehearsal != REHEARSAL_ENDING || agent_group_populated(&agent->group))
		return;
	agent->rehearsal = REHEARSAL_OVER;
	agent_x_stop(&agent->x);
}

void agent_rehearsal_timeout(struct agent *agent)
{
	if (has_session(agent))
		end(agent);
	else if (agent->rehearsal == REHEARSAL_DUE && agent->x.connection)
		begin(agent);
}

void agent_rehearsal_stop(struct agent *agent)
{
	if (has_session(agent)) {
		end(agent);
	} else if (agent->rehearsal != REHEARSAL_ENDING) {
		agent->rehearsal = REHEARSAL_OVER;
		agent_timer_set(agent, TIMER_REHEARSAL, 0);
	}
}
