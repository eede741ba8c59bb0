/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One virtualization server's worker process, carrel-virtd: started, watched, replaced.
 *
 * A worker does one control call at a time, in order; sending images, making volumes and resizing
 * desktops are more such lines beside it, as is work on volumes. When the first call of a line is
 * not answered within [broker] call_timeout (images and work on volumes: within that time since
 * their last progress; resizes: beyond the time that they are given) the process is killed, its
 * calls fail with "unreachable", core is told SERVER_DOWN, and a new one is started after 0.5 s at
 * first, at most 30 s.
 */
#ifndef CARREL_WORKER_H
#define CARREL_WORKER_H

#include "broker/daemon/broker.h"

enum worker_state {
	WORKER_DOWN,      /* no process, or it has not reached the server */
	WORKER_PREPARING, /* reached; image and list of desktops are under way */
	WORKER_UP,        /* core knows that the server is up */
};

struct worker *worker_new(struct broker *broker, guint64 server, const char *name, const char *uri);
/* Ends the process; pending calls are dropped without an answer. */
void worker_free(struct worker *worker);

/* A call in the line; `data` is freed with g_free after the answer. See helper_call. */
void worker_call(struct worker *worker, json_t *request, helper_answer_func func, gpointer data);
/* A call beside the line (agent-send): never watched, never waits for control calls. */
void worker_call_aside(
	struct worker *worker, json_t *request, helper_answer_func func, gpointer data);

const guint64 *worker_id_key(const struct worker *worker);
guint64 worker_server(const struct worker *worker);
const char *worker_name(const struct worker *worker);
struct broker *worker_broker(const struct worker *worker);
enum worker_state worker_state(const struct worker *worker);
/* Why it is not up, or "". */
const char *worker_message(const struct worker *worker);
/* Rises whenever the server goes down or comes up: an answer of an older round is void. */
unsigned worker_round(const struct worker *worker);
void worker_problem(struct worker *worker, const char *message);
/* Preparing is over: core is told that the server is up. */
void worker_prepared(struct worker *worker);

struct worker *worker_get(struct broker *broker, guint64 server);

#endif
