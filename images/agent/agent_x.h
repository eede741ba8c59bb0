/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The X server of this desktop, seen from the agent: its start (before anybody has logged in), its
 * cookie, whether a session is drawn on it, and how long nobody has touched it.
 *
 * After agent_x_start() poll `ready_fd`; when agent_x_connect() has succeeded poll `fd` instead and
 * call agent_x_events(). Nothing here waits for the server once it is connected.
 */
#ifndef CARREL_AGENT_X_H
#define CARREL_AGENT_X_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <xcb/xcb.h>

#define AGENT_X_DISPLAY ":0"
#define AGENT_X_COOKIE_SIZE 16
#define AGENT_X_CLIENTS_MAX 32 /* windows of a list that are looked at */

struct agent_x {
	pid_t pid;          /* of Xorg; -1 when it does not run */
	int ready_fd;       /* Xorg's -displayfd; -1 when not starting */
	char authority[96]; /* the agent's file with the cookie */
	unsigned char cookie[AGENT_X_COOKIE_SIZE];

	xcb_connection_t *connection; /* owned; NULL until connected */
	int fd;
	bool stopping;                /* it has been told to end */
	char layout[64], variant[64]; /* those with which it has started; "": not known */
	xcb_window_t root;
	xcb_atom_t wm_check, client_list, type, type_desktop, type_dock;
	unsigned mapped; /* windows that were mapped since wm_running: its panel is the first */
	bool wm_running; /* a window manager has said so by _NET_SUPPORTING_WM_CHECK */
	bool background; /* and manages a window of _NET_WM_WINDOW_TYPE_DESKTOP */
	bool panel;      /* and one of _NET_WM_WINDOW_TYPE_DOCK */
	bool drawn;      /* and manages a program's window, so it has drawn all it drew before; of a
			    session that is a desktop, background and panel */
	bool desktop;    /* the session is one; kept by agent_x_clear() */
	bool clients_asked;
	unsigned clients_sequence;
	unsigned types_asked; /* of the windows of the last list */
	unsigned types_sequence[AGENT_X_CLIENTS_MAX];
	bool idle_asked;
	unsigned idle_sequence;
};

void agent_x_init(struct agent_x *x, const char *authority);

/* Makes a new cookie and starts Xorg. False when it cannot be started. */
bool agent_x_start(struct agent_x *x);

/* The last error that the server has logged, to say why it has ended. */
void agent_x_reason(char *text, size_t size);

/* Connects to a server that has said that it is ready. */
bool agent_x_connect(struct agent_x *x);

/* Tells the server to end; its process is the caller's to wait for. */
void agent_x_stop(struct agent_x *x);

/* Forgets connection and server (which has ended, or is told to end). */
void agent_x_clear(struct agent_x *x);

/* Writes a file with the cookie that belongs to a user and that only the user reads. */
bool agent_x_write_authority(const struct agent_x *x, const char *path, uid_t uid, gid_t gid);

/* What has come from the server. False when the connection is broken. */
bool agent_x_events(struct agent_x *x);

/* Counts windows anew for `drawn`: call it before a session is started. */
void agent_x_expect_session(struct agent_x *x);

/* Asks how long there was no input; the answer comes with agent_x_idle_answer(). */
bool agent_x_idle_ask(struct agent_x *x);

/* True when the answer is there: `idle_ms`, or -1 when the server could not say. */
bool agent_x_idle_answer(struct agent_x *x, int64_t *idle_ms);

#endif
