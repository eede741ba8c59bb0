/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The small typed messages between carreld and its helpers (carrel-netd, carrel-authd,
 * carrel-virtd): one JSON object a packet on a Unix SOCK_SEQPACKET socket, so that the kernel keeps
 * the boundaries and there is no framing to get wrong.
 *
 *   request  {"id": 7, "op": "forward-add", ...}
 *   answer   {"id": 7, "ok": true, ...} or {"id": 7, "ok": false, "code": "...", "message": "..."}
 *   event    {"event": "domain", ...}
 *
 * docs/protocols.md lists the ops of each helper.
 */
#ifndef CARREL_MSG_H
#define CARREL_MSG_H

#include <glib.h>
#include <jansson.h>
#include <sys/types.h>

/* Largest packet in bytes; a larger one is refused by both sides. */
#define MSG_MAX 65536

#define MSG_ERROR (msg_error_quark())
GQuark msg_error_quark(void);
enum msg_error {
	MSG_ERROR_SYSTEM,
	MSG_ERROR_CLOSED,
	MSG_ERROR_AGAIN,
	MSG_ERROR_FORMAT,
	MSG_ERROR_SIZE
};

/* Connects to a helper's socket. Returns the fd (owned by the caller, close-on-exec) or -1. */
int msg_connect(const char *path, GError **error);

/*
 * Listens on `path`: the socket file of an ended process is removed (one that is served, or a file
 * of another kind, is an error), the new one gets `mode` and, when it is not -1, the group `gid`.
 * When systemd handed over a socket (LISTEN_FDS) that one is used. Returns the fd or -1.
 */
int msg_listen(const char *path, mode_t mode, gid_t gid, GError **error);

/* Sends one message. Does not take the reference. MSG_ERROR_AGAIN on a full non-blocking socket. */
gboolean msg_send(int fd, const json_t *message, GError **error);

/*
 * Receives one message; returns a new reference, or NULL: MSG_ERROR_CLOSED at the end of the
 * stream, MSG_ERROR_AGAIN on an empty non-blocking socket, MSG_ERROR_FORMAT for what is not a JSON
 * object.
 */
json_t *msg_recv(int fd, GError **error);

/* What msg_recv does with the bytes of a packet; MSG_ERROR_FORMAT for what is not a JSON object. */
json_t *msg_parse(const char *text, gsize length, GError **error);

/* Answers as above. Both return new references, NULL when out of memory. */
json_t *msg_ok(json_int_t id);
json_t *msg_fail(json_int_t id, const char *code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The user id of the process at the other end, or (uid_t)-1. */
uid_t msg_peer_uid(int fd);

#endif
