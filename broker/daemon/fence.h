/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program that switches a lost server's power off ([server] fence): run, watched, ended. What
 * it is given and what is expected of it stands in docs/protocols.md, "The fence program".
 */
#ifndef CARREL_FENCE_H
#define CARREL_FENCE_H

#include <glib.h>

struct fences;

/*
 * The one result of each fence_begin that began something. `failure` (borrowed) is NULL when the
 * program says that the server is certainly without power; else it says in one line of at most
 * CORE_TEXT_MAX - 1 bytes what went wrong. May come from within fence_begin and fence_end.
 */
typedef void (*fence_done_func)(guint64 server, const char *failure, gpointer data);

/* A program that runs for longer than `limit_ms` is killed and has failed. `data` is borrowed. */
struct fences *fences_new(unsigned limit_ms, fence_done_func done, gpointer data);
/* Ends what runs, without results. NULL is allowed. */
void fences_free(struct fences *fences);

/*
 * Runs `words` (ended by NULL, the first an absolute path; borrowed) with "off", `name` and `uri`
 * behind them. While one for that server runs nothing is begun: its result is the answer.
 */
void fence_begin(struct fences *fences, guint64 server, char *const *words, const char *name,
	const char *uri);

/* Ends the one for that server, if it runs: it has failed because of `why`. */
void fence_end(struct fences *fences, guint64 server, const char *why);

#endif
