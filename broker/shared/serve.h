/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The serving side of msg.h, common to the privileged helpers: accepts several clients, turns
 * strangers away by the user id that the kernel reports (SO_PEERCRED), and hands each well-formed
 * request to one function. Answers may come at once or later; an answer to a client that has left
 * is dropped. A client that does not read its answers is cut off, so that it cannot hold up others.
 * Runs in the default GMainContext.
 */
#ifndef CARREL_SERVE_H
#define CARREL_SERVE_H

#include <glib.h>
#include <jansson.h>
#include <sys/types.h>

/* More clients than this at one time are turned away. */
#define SERVE_CLIENTS_MAX 32

struct serve;

/* One request: it has an integer `id` and a string `op`. `request` is borrowed. */
typedef void (*serve_fn)(
	struct serve *serve, guint64 client, json_int_t id, const json_t *request, void *data);

/*
 * Serves `listen_fd` (taken over, also closed by serve_free). Served are root and `user`;
 * (uid_t)-1 means root alone. `data` is borrowed.
 */
struct serve *serve_new(int listen_fd, uid_t user, serve_fn fn, void *data);
void serve_free(struct serve *serve);

/* Changes whom new clients must be: for a helper whose configuration has been read again. */
void serve_set_user(struct serve *serve, uid_t user);

/* Sends an answer and takes its reference. NULL (out of memory) cuts the client off. */
void serve_reply(struct serve *serve, guint64 client, json_t *answer);

/* The descriptors of all clients, for a forked child that must not keep them open. */
void serve_close_all(struct serve *serve);

/*
 * The user that carreld runs as. Returns FALSE when the machine has no user of that name; then
 * uid and gid are -1, which serve_new and msg_listen take as "root alone".
 */
gboolean serve_user(const char *name, uid_t *uid, gid_t *gid);

#endif
