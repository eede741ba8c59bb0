/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * carreld's end of a connection to a helper (carrel-netd, carrel-authd) or to a worker
 * (carrel-virtd): numbers requests, matches answers, hands on events, connects again. Never blocks.
 * All calls happen in the main loop.
 */
#ifndef CARREL_HELPER_H
#define CARREL_HELPER_H

#include <glib.h>
#include <jansson.h>

struct helper;

/*
 * The answer of one call: exactly one for each helper_call, never from within helper_call itself,
 * none after helper_free. `answer` is borrowed; when the connection breaks or the time is over it
 * is a failed one with code "unreachable" or "timeout".
 */
typedef void (*helper_answer_func)(const json_t *answer, gpointer data);

struct helper_ops {
	void (*up)(gpointer data);                         /* connected */
	void (*down)(const char *reason, gpointer data);   /* the connection broke */
	void (*event)(const json_t *event, gpointer data); /* borrowed */
};

/*
 * A helper that listens at `path`: connects at once and again whenever the connection breaks, after
 * 0.2 s at first, at most 5 s. `name` is for the log. `ops` is borrowed, its members may be NULL.
 */
struct helper *helper_new_path(
	const char *name, const char *path, const struct helper_ops *ops, gpointer data);

/* A helper at the other end of `fd` (taken over); no second connection is tried. */
struct helper *helper_new_fd(const char *name, int fd, const struct helper_ops *ops, gpointer data);

void helper_free(struct helper *helper);
gboolean helper_is_up(const struct helper *helper);

/*
 * Sends `request` (an object without "id"; the reference is taken over). `data` is freed with
 * g_free after the answer. timeout_ms 0 means no limit.
 */
void helper_call(struct helper *helper, json_t *request, unsigned timeout_ms,
	helper_answer_func func, gpointer data);

/* Reading an answer: both are safe on any JSON. The texts are borrowed, never NULL. */
gboolean helper_ok(const json_t *answer);
const char *helper_code(const json_t *answer);
const char *helper_message(const json_t *answer);

#endif
