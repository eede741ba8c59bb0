/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of carreld, unpacked strictly: docs/protocols.md, section carrel-virtd. */
#ifndef CARREL_VIRT_REQUEST_H
#define CARREL_VIRT_REQUEST_H

#include <gio/gio.h>
#include <jansson.h>
#include <stdint.h>

enum request_op {
	REQUEST_PING,
	REQUEST_IMAGE_ENSURE,
	REQUEST_IMAGE_LIST,
	REQUEST_IMAGE_REMOVE,
	REQUEST_DESKTOP_START,
	REQUEST_DESKTOP_DESTROY,
	REQUEST_DESKTOP_RESIZE,
	REQUEST_DESKTOP_LIST,
	REQUEST_VOLUME_CREATE,
	REQUEST_VOLUME_ATTACH,
	REQUEST_VOLUME_DETACH,
	REQUEST_VOLUME_SHOW,
	REQUEST_VOLUME_DROP,
	REQUEST_POOL_SHOW,
	REQUEST_VOLUME_SNAPSHOT,
	REQUEST_VOLUME_RESTORE,
	REQUEST_VOLUME_CHECK,
	REQUEST_VOLUME_REPAIR,
	REQUEST_VOLUME_GROW,
	REQUEST_VOLUME_EXPORT,
	REQUEST_VOLUME_IMPORT,
	REQUEST_VOLUME_DELETE,
	REQUEST_VOLUME_SWEEP,
	REQUEST_VOLUME_CANCEL,
	REQUEST_TICKET_SET,
	REQUEST_TICKET_CLEAR,
	REQUEST_AGENT_SEND,
	REQUEST_COUNT
};

/* A QEMU VNC password is compared up to this many bytes: the protocol's DES key. */
#define REQUEST_PASSWORD_MAX 8
/* One line of the agent channel, bytes without the newline. */
#define REQUEST_LINE_MAX 16383

/* Members that an op does not have are zero or NULL. Strings are borrowed from `json`. */
struct request {
	json_t *json; /* owned */
	json_int_t id;
	enum request_op op;
	uint64_t desktop, volume;
	uint32_t memory_mib, vcpus, size_mib, uid, seconds, ms;
	uint32_t copy, to, keep;
	const char *image, *network, *user, *password;
	const char *snapshot, *path;
	json_t *message; /* borrowed from json */
	/* Of works on volumes that can be called off, under the worker's lock (storage_cancel.c).
	 */
	GCancellable *cancel; /* owned, or NULL; itself safe in any thread */
	gboolean begun, answered;
};

/*
 * Takes the reference to `json`. NULL with VIRT_ERROR_BAD_REQUEST when a member is missing, unknown
 * or out of range. Free with request_free.
 */
struct request *request_new(json_t *json, GError **error);
const char *request_name(enum request_op op); /* "volume-create"; borrowed */
void request_free(struct request *request);   /* NULL-safe; wipes nothing: json frees its strings */

/* "name@version": both of letters, digits, '.', '_', '-', not starting with '.' or '-'. Splits it
 * into owned strings. */
gboolean request_image_split(const char *image, char **name, char **version);

#endif
