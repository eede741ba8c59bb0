/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * carrel-agent: what a desktop VM does for the broker.
 *
 *   standby --claim--> claiming --drawn--> active --release--> releasing (for good)
 *               |                                                  ^
 *               +--failed: standby if nothing of the user's came in, else --+
 *
 * One thread, one epoll loop; what may block (e2fsck, mount, umount) is a job in a child process,
 * at most one at a time. agent.c owns the loop and the sources, agent_claim.c the states.
 */
#ifndef CARREL_AGENT_H
#define CARREL_AGENT_H

#include "images/agent/agent_msg.h"
#include "images/agent/agent_port.h"
#include "images/agent/agent_proc.h"
#include "images/agent/agent_x.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum agent_state { AGENT_STANDBY, AGENT_CLAIMING, AGENT_ACTIVE, AGENT_RELEASING };

/* Where a claim or a release is; each step has its own event that ends it. */
enum agent_step {
	STEP_NONE,
	STEP_DISK,    /* a disk with the volume's serial appears */
	STEP_CHECK,   /* job */
	STEP_MOUNT,   /* job */
	STEP_X,       /* the X server is ready */
	STEP_DRAWN,   /* the window manager has drawn */
	STEP_PROGRAM, /* the first program's window is there, or the whole desktop */
	STEP_TERM,    /* the session's processes end by themselves */
	STEP_KILL,    /* they have been killed */
	STEP_UNMOUNT, /* job */
	STEP_DONE,    /* released */
};

enum agent_timer { TIMER_STEP, TIMER_STATUS, TIMER_X, TIMER_REHEARSAL, TIMER_COUNT };

/* A standby desktop's session without a user, once, so that the first one starts quickly. */
enum agent_rehearsal {
	REHEARSAL_NONE,
	REHEARSAL_DUE,     /* when nobody has come by then */
	REHEARSAL_RUNNING, /* until it is drawn */
	REHEARSAL_DRAWN,   /* some time more, for what the first window shows */
	REHEARSAL_ENDING,  /* its processes have been killed */
	REHEARSAL_OVER,
};

/* What a job says when it ends; in memory shared with it. */
struct agent_job_text {
	char text[384];
};

struct agent {
	int epoll, signals, uevents, timer;
	struct agent_port port;
	struct agent_x x;
	struct agent_group group;
	int64_t deadline[TIMER_COUNT]; /* ms, CLOCK_BOOTTIME; 0 when off */
	unsigned x_failures;
	bool rehearse; /* the image's word: key "rehearse" of its recipe */
	enum agent_rehearsal rehearsal;
	pid_t rehearsal_pid; /* -1 when it does not run */
	pid_t wait_pid;      /* of the waiting screen's program; -1 when it does not run */
	char image[128];

	enum agent_state state;
	enum agent_step step;
	struct agent_request claim; /* the claim in work or in force */
	bool claim_open;            /* not answered yet */
	int64_t release_id;         /* -1 when no release was asked for */
	bool release_answered;
	bool session_ended;
	bool mounted;    /* or perhaps: it has to be unmounted */
	int64_t started; /* of the claim, ms */
	char home[AGENT_NAME_MAX + 16];
	char device[64];
	char runtime_dir[64];
	char language[64];
	unsigned windows;           /* those that STEP_PROGRAM has seen */
	pid_t session_pid, job_pid; /* -1 when there is none */
	struct agent_job_text *job; /* shared with jobs */
	int64_t status_id;          /* of an unanswered status; -1 when there is none */
	struct keyboard keyboard;   /* what the seat has; empty: the image's own */
	int64_t keyboard_id;        /* of an unanswered keyboard; -1 when there is none */
	bool keyboard_due;          /* the X server has not been told */
	bool keyboard_refused;      /* it has no such layout, and has its own */
	pid_t keyboard_pid;         /* of the program that tells it; -1 when it does not run */
};

int64_t agent_now_ms(void);
void agent_timer_set(struct agent *agent, enum agent_timer timer, int64_t after_ms); /* 0: off */

/* Lines to the host. */
void agent_say_hello(struct agent *agent);
void agent_say_event(struct agent *agent, const char *event);
void agent_say_progress(struct agent *agent, const char *stage, int percent);
void agent_say_ok(struct agent *agent, int64_t id);
void agent_say_failure(struct agent *agent, int64_t id, const char *code, const char *message);
void agent_say_status(struct agent *agent, int64_t idle_ms); /* -1: not known */

/* Log lines, key=value; the journal keeps them as long as the VM lives. */
void agent_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* agent_keyboard.c: the layout of the seat at which the user sits. */
void agent_keyboard_request(struct agent *agent, const struct agent_request *request);
void agent_keyboard_x_ready(struct agent *agent);
void agent_keyboard_exited(struct agent *agent, int status);

/* agent_claim.c: what happened, told to the states. */
void agent_claim_request(struct agent *agent, const struct agent_request *request);
void agent_claim_release(struct agent *agent, int64_t id);
void agent_claim_disk_event(struct agent *agent);
void agent_claim_job_ended(struct agent *agent, int status);
void agent_claim_x_ready(struct agent *agent);
void agent_claim_x_failed(struct agent *agent, const char *reason);
void agent_claim_x_event(struct agent *agent);
void agent_claim_session_exited(struct agent *agent);
void agent_claim_group_event(struct agent *agent);
void agent_claim_timeout(struct agent *agent);
/* After a restart of the agent: is there a volume of a former life? */
void agent_claim_recover(struct agent *agent);

/*
 * agent_session.c: starts the session's program for the user, with the server's cookie in
 * `runtime_dir`. `prepare`, when not NULL, is called in the child, still as root, before that;
 * false ends the child. Returns the child's pid, or -1.
 */
pid_t agent_session_start(struct agent *agent, const struct agent_user *user,
	const char *runtime_dir, bool (*prepare)(struct agent *agent));

/*
 * agent_rehearsal.c. While it runs or ends, the X server is not a user's: after it there is a new
 * one. `agent_rehearsal_stop()` is a claim's: what has not begun is left out, what runs is killed.
 */
bool agent_rehearsal_is_on(const struct agent *agent);
void agent_rehearsal_x_ready(struct agent *agent);
void agent_rehearsal_x_event(struct agent *agent);
void agent_rehearsal_x_lost(struct agent *agent);
void agent_rehearsal_exited(struct agent *agent);
void agent_rehearsal_group_event(struct agent *agent);
void agent_rehearsal_timeout(struct agent *agent);
void agent_rehearsal_stop(struct agent *agent);

/* The waiting screen: `message` is "ready" or "ended". */
void agent_wait_screen(struct agent *agent, const char *message);

#endif
