/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The states of a desktop. A claim goes disk -> check -> mount -> X -> drawn, a release term ->
 * kill
 * -> unmount; each step begins something and returns to the loop, and the event that ends it begins
 * the next one. A release that comes during a claim's job waits for the job, because a mount that
 * nobody watches would be lost data.
 */
#include "images/agent/agent.h"
#include "images/agent/agent_disk.h"
#include "images/agent/agent_user.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DISK_TIMEOUT_MS 20000
#define X_TIMEOUT_MS 60000
#define DRAWN_TIMEOUT_MS 90000
/* Since the last window that came: a window manager that is drawn and starts no program is a
 * session too, and so is a desktop whose user has taken its panel away. */
#define NO_PROGRAM_MS 5000
#define NO_DESKTOP_MS 30000
#define TERM_GRACE_MS 5000
#define KILL_TIMEOUT_MS 10000

#define CLAIM_FILE "/run/carrel/claim" /* two lines: the user, the device */

static void release_begin(struct agent *agent);

static struct agent_user claim_user(const struct agent *agent)
{
	return (struct agent_user){
		.name = agent->claim.user,
		.full_name = agent->claim.full_name,
		.home = agent->home,
		.uid = agent->claim.uid,
		.gid = agent->claim.gid,
	};
}

static void step_begin(struct agent *agent, enum agent_step step, int64_t timeout_ms)
{
	agent->step = step;
	agent_timer_set(agent, TIMER_STEP, timeout_ms);
}

static void job_begin(struct agent *agent, enum agent_step step, int (*work)(void *))
{
	agent->job->text[0] = '\0';
	step_begin(agent, step, 0); /* a file system's repair takes as long as it takes */
	agent->job_pid = agent_proc_job(work, agent);
	if (agent->job_pid < 0) {
		snprintf(agent->job->text, sizeof(agent->job->text),
			"no process could be started: %s", strerror(errno));
		agent_claim_job_ended(agent, W_EXITCODE(AGENT_DISK_FAILED, 0));
	}
}

/* The jobs; each runs in a child and returns an enum agent_disk_result. */

/* For an agent after this one: from here on the volume may be in use. */
static bool note_claim(const struct agent *agent)
{
	FILE *file = fopen(CLAIM_FILE, "we");
	bool ok;

	if (!file)
		return false;
	ok = fprintf(file, "%s\n%s\n", agent->claim.user, agent->device) > 0;
	return fclose(file) == 0 && ok;
}

static int work_check(void *context)
{
	struct agent *agent = context;

	if (!note_claim(agent)) {
		snprintf(agent->job->text, sizeof(agent->job->text),
			CLAIM_FILE " cannot be written: %s", strerror(errno));
		return AGENT_DISK_FAILED;
	}
	return (int)agent_disk_check(agent->device, agent->job->text, sizeof(agent->job->text));
}

static bool make_runtime_dir(const struct agent *agent)
{
	(void)mkdir("/run/user", 0755);
	(void)mkdir(agent->runtime_dir, 0700);
	return chown(agent->runtime_dir, agent->claim.uid, agent->claim.gid) == 0;
}

static int work_mount(void *context)
{
	struct agent *agent = context;
	struct agent_user user = claim_user(agent);
	char *text = agent->job->text;
	size_t size = sizeof(agent->job->text);
	enum agent_disk_result result;

	if (!agent_user_add("/etc", &user, text, size))
		return AGENT_DISK_FAILED;
	result = agent_disk_mount(agent->device, agent->home, text, size);
	if (result != AGENT_DISK_OK)
		return (int)result;
	/* Too small is no reason to keep somebody from his work. */
	if (!agent_disk_grow(agent->device, agent->home, text, size))
		agent_log("%s", text);
	text[0] = '\0';
	if (agent_user_home("/etc/skel", &user, text, size) && make_runtime_dir(agent))
		return AGENT_DISK_OK;
	if (!text[0])
		snprintf(text, size, "%s cannot be made: %s", agent->runtime_dir, strerror(errno));
	return umount(agent->home) ? AGENT_DISK_BUSY : AGENT_DISK_FAILED;
}

static int work_unmount(void *context)
{
	struct agent *agent = context;

	return (int)agent_disk_unmount(
		agent->device, agent->home, agent->job->text, sizeof(agent->job->text));
}

/* Claim */

static void claim_fail(struct agent *agent, const char *code, const char *message)
{
	agent_log("claim-failed id=%lld code=%s message=\"%s\"", (long long)agent->claim.id, code,
		message);
	if (agent->claim_open)
		agent_say_failure(agent, agent->claim.id, code, message);
	agent->claim_open = false;
	if (agent->mounted || agent->release_id >= 0) {
		release_begin(agent);
		return;
	}
	(void)unlink(CLAIM_FILE);
	agent->state = AGENT_STANDBY;
	agent->claim.user[0] = '\0';
	step_begin(agent, STEP_NONE, 0);
}

static void claim_find_disk(struct agent *agent)
{
	if (!agent_disk_find(
		    "/sys/block", agent->claim.volume, agent->device, sizeof(agent->device)))
		return;
	agent_say_progress(agent, "check", 20);
	job_begin(agent, STEP_CHECK, work_check);
}

void agent_claim_request(struct agent *agent, const struct agent_request *request)
{
	if (agent->state != AGENT_STANDBY) {
		agent_say_failure(agent, request->id, "state",
			"the desktop is claimed already, or was: a desktop serves one session");
		return;
	}
	agent_rehearsal_stop(agent);
	agent->claim = *request;
	agent->claim_open = true;
	agent->state = AGENT_CLAIMING;
	agent->started = agent_now_ms();
	snprintf(agent->home, sizeof(agent->home), "/home/%s", request->user);
	snprintf(agent->runtime_dir, sizeof(agent->runtime_dir), "/run/user/%u", request->uid);
	agent_log("claim id=%lld uid=%u volume=%s", (long long)request->id, request->uid,
		request->volume);
	agent_say_progress(agent, "disk", 10);
	step_begin(agent, STEP_DISK, DISK_TIMEOUT_MS);
	claim_find_disk(agent);
}

void agent_claim_disk_event(struct agent *agent)
{
	if (agent->step == STEP_DISK)
		claim_find_disk(agent);
}

static void claim_start_session(struct agent *agent)
{
	struct agent_user user = claim_user(agent);

	agent_x_expect_session(&agent->x);
	agent->windows = 0;
	step_begin(agent, STEP_DRAWN, DRAWN_TIMEOUT_MS);
	agent->session_pid = agent_session_start(agent, &user, agent->runtime_dir, NULL);
	if (agent->session_pid < 0)
		claim_fail(agent, "session", "the session's program cannot be started");
}

static bool x_is_free(const struct agent *agent)
{
	return agent->x.connection && !agent->x.stopping && !agent_rehearsal_is_on(agent);
}

static void claim_job_ended(struct agent *agent, enum agent_disk_result result)
{
	agent->mounted =
		result == AGENT_DISK_BUSY || (agent->step == STEP_MOUNT && result == AGENT_DISK_OK);
	if (agent->release_id >= 0) {
		claim_fail(agent, "state", "the desktop was released while it was claimed");
		return;
	}
	if (result != AGENT_DISK_OK) {
		claim_fail(agent, result == AGENT_DISK_DAMAGED ? "volume-damaged" : "volume-mount",
			agent->job->text);
		return;
	}
	if (agent->step == STEP_CHECK) {
		agent_say_progress(agent, "mount", 40);
		job_begin(agent, STEP_MOUNT, work_mount);
		return;
	}
	agent_say_progress(agent, "session", 60);
	step_begin(agent, STEP_X, X_TIMEOUT_MS);
	if (x_is_free(agent))
		claim_start_session(agent);
}

void agent_claim_x_ready(struct agent *agent)
{
	if (agent->step == STEP_X && x_is_free(agent))
		claim_start_session(agent);
	else if (agent->state == AGENT_STANDBY)
		agent_wait_screen(agent, "ready");
}

void agent_claim_x_failed(struct agent *agent, const char *reason)
{
	char text[256];

	snprintf(text, sizeof(text), "the X server does not start in this desktop: %s", reason);
	if (agent->step == STEP_X)
		claim_fail(agent, "session", text);
}

static void claim_done(struct agent *agent)
{
	step_begin(agent, STEP_NONE, 0);
	agent->state = AGENT_ACTIVE;
	agent->claim_open = false;
	agent_log("claimed id=%lld ms=%lld", (long long)agent->claim.id,
		(long long)(agent_now_ms() - agent->started));
	agent_say_ok(agent, agent->claim.id);
}

void agent_claim_x_event(struct agent *agent)
{
	bool waits = agent->step == STEP_DRAWN || agent->step == STEP_PROGRAM;

	if (waits && agent->x.mapped != agent->windows) {
		agent->windows = agent->x.mapped;
		step_begin(agent, STEP_PROGRAM, agent->x.desktop ? NO_DESKTOP_MS : NO_PROGRAM_MS);
	}
	if (waits && agent->x.drawn)
		claim_done(agent);
}

void agent_claim_session_exited(struct agent *agent)
{
	agent->session_pid = -1;
	if (agent->step == STEP_DRAWN || agent->step == STEP_PROGRAM) {
		claim_fail(agent, "session", "the session ended before it was drawn");
	} else if (agent->state == AGENT_ACTIVE) {
		agent->session_ended = true;
		agent_log("session-ended");
		agent_say_event(agent, "session-ended");
		agent_group_signal(&agent->group, SIGTERM); /* a logout ends what is left, too */
		agent_wait_screen(agent, "ended");
	}
}

/* Release */

static void release_done(struct agent *agent, const char *code, const char *message)
{
	step_begin(agent, code ? STEP_NONE : STEP_DONE, 0);
	agent_log("release code=%s message=\"%s\"", code ? code : "ok", message);
	if (agent->release_id < 0)
		return;
	if (code)
		agent_say_failure(agent, agent->release_id, code, message);
	else
		agent_say_ok(agent, agent->release_id);
	agent->release_id = -1;
}

static void release_unmount(struct agent *agent)
{
	if (agent->mounted)
		job_begin(agent, STEP_UNMOUNT, work_unmount);
	else
		release_done(agent, NULL, "there was no volume");
}

static void release_kill(struct agent *agent)
{
	agent_group_signal(&agent->group, SIGKILL);
	step_begin(agent, STEP_KILL, KILL_TIMEOUT_MS);
	agent_claim_group_event(agent);
}

static void release_begin(struct agent *agent)
{
	agent->state = AGENT_RELEASING;
	step_begin(agent, STEP_TERM, TERM_GRACE_MS);
	agent_group_signal(&agent->group, SIGTERM);
	/* a stopped process gets its signal when it goes on */
	agent_group_signal(&agent->group, SIGCONT);
	agent_claim_group_event(agent);
}

void agent_claim_release(struct agent *agent, int64_t id)
{
	agent->release_id = id;
	if (agent->step == STEP_DONE) {
		release_done(agent, NULL, "released before");
		return;
	}
	if (agent->state == AGENT_CLAIMING) {
		if (agent->step != STEP_CHECK && agent->step != STEP_MOUNT)
			claim_fail(agent, "state", "the desktop was released while it was claimed");
		return; /* else when the job has ended */
	}
	if (agent->state == AGENT_RELEASING && agent->step != STEP_NONE)
		return; /* under way */
	release_begin(agent);
}

void agent_claim_group_event(struct agent *agent)
{
	/* Read each time: cgroup.events stays ready until it is. */
	bool populated = agent_group_populated(&agent->group);

	if ((agent->step == STEP_TERM || agent->step == STEP_KILL) && !populated)
		release_unmount(agent);
}

static void release_job_ended(struct agent *agent, enum agent_disk_result result)
{
	if (result != AGENT_DISK_OK) {
		release_done(agent, "volume-busy", agent->job->text);
		return;
	}
	/* CLAIM_FILE stays: an agent after this one must not say "standby" */
	agent->mounted = false;
	release_done(agent, NULL, "the volume is unmounted");
}

/* Events of both */

void agent_claim_job_ended(struct agent *agent, int status)
{
	/* one that was killed may have mounted the volume before, or left an e2fsck behind: as long
	 * as nobody has looked it counts as mounted */
	enum agent_disk_result result =
		WIFEXITED(status) ? (enum agent_disk_result)WEXITSTATUS(status) : AGENT_DISK_BUSY;

	agent->job_pid = -1;
	if (!WIFEXITED(status))
		snprintf(agent->job->text, sizeof(agent->job->text), "a helper process was killed");
	if (agent->step == STEP_UNMOUNT)
		release_job_ended(agent, result);
	else
		claim_job_ended(agent, result);
}

void agent_claim_timeout(struct agent *agent)
{
	switch (agent->step) {
	case STEP_DISK:
		claim_fail(agent, "volume-missing",
			"no disk with the volume's serial has come into the desktop");
		break;
	case STEP_X:
		claim_fail(agent, "session", "the X server was not ready in time");
		break;
	case STEP_DRAWN:
		claim_fail(agent, "session", "the session was not drawn in time");
		break;
	case STEP_PROGRAM:
		claim_done(agent);
		break;
	case STEP_TERM:
		release_kill(agent);
		break;
	case STEP_KILL:
		release_done(agent, "volume-busy", "programs of the session cannot be ended");
		break;
	default:
		break;
	}
}

void agent_claim_recover(struct agent *agent)
{
	FILE *file = fopen(CLAIM_FILE, "re");
	char user[AGENT_NAME_MAX + 1] = "", device[sizeof(agent->device)] = "";

	if (!file)
		return;
	if (fgets(user, sizeof(user), file) && fgets(device, sizeof(device), file)) {
		user[strcspn(user, "\n")] = '\0';
		device[strcspn(device, "\n")] = '\0';
		snprintf(agent->claim.user, sizeof(agent->claim.user), "%.*s", AGENT_NAME_MAX - 1,
			user);
		snprintf(agent->home, sizeof(agent->home), "/home/%s", agent->claim.user);
		snprintf(agent->device, sizeof(agent->device), "%s", device);
		agent_log("restarted user-was=%s", user);
	}
	fclose(file);
	agent->mounted = true;
	agent->session_ended = true;
	/* nobody can use the session any more: what it left ends now, asked for or not */
	release_begin(agent);
}
