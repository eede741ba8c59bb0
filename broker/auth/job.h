/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests, each answered in a child process of its own: what blocks there holds up nobody, what
 * crashes there takes nothing along, and what hangs is killed with its process group. Some run at
 * a time, others wait in order. Runs in the default GMainContext.
 */
#ifndef CARREL_AUTH_JOB_H
#define CARREL_AUTH_JOB_H

#include <glib.h>
#include <jansson.h>

#define JOBS_RUNNING_MAX 8
#define JOBS_WAITING_MAX 256

/* In the child: the answer to a request (a new reference). */
typedef json_t *(*job_work)(const json_t *request, void *data);
/* In the parent: takes the answer; NULL when the child crashed or ran out of time. */
typedef void (*job_done)(guint64 client, json_int_t id, json_t *answer, void *data);
/* In the child, before its work: closes what is the parent's. */
typedef void (*job_enter)(void *data);

struct jobs;

/* `timeout_ms` bounds each child's life. `data` is borrowed. */
struct jobs *jobs_new(
	unsigned timeout_ms, job_enter enter, job_work work, job_done done, void *data);
void jobs_free(struct jobs *jobs); /* kills what runs; no job_done is called */

/* Takes a reference of `request`. FALSE: too many wait already. */
gboolean jobs_add(struct jobs *jobs, guint64 client, json_int_t id, json_t *request);

#endif
