/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two halves of the driver on libvirt share; nobody else includes this. */
#ifndef CARREL_VIRT_DRIVER_LIBVIRT_H
#define CARREL_VIRT_DRIVER_LIBVIRT_H

#include "broker/virt/virt.h"

#include <libvirt/libvirt.h>

/* Counted: its lane has one reference, and each callback that libvirt knows has one. */
struct virt_conn {
	virConnectPtr c; /* owned */
	struct virt_callbacks callbacks;
	gint closing;                 /* atomic: no callback is passed on any more */
	int lifecycle_id, removed_id; /* -1 = not registered */
};

/* Sets `error` from libvirt's last one, as "cannot WHAT NAME: ..."; conn NULL means that there is
 * no connection. FALSE. */
gboolean libvirt_fail(struct virt_conn *conn, GError **error, const char *what, const char *name);

/* driver_libvirt_storage.c: members of struct virt_driver. */
gboolean libvirt_volume_get(struct virt_conn *conn, const char *pool, const char *name,
	struct virt_volume *out, GError **error);
gboolean libvirt_volume_put(struct virt_conn *conn, const char *pool, const char *name,
	const struct virt_source *source, GError **error);
gssize libvirt_volume_head(struct virt_conn *conn, const char *pool, const char *name, void *buffer,
	size_t length, GError **error);
gboolean libvirt_volume_delete(
	struct virt_conn *conn, const char *pool, const char *name, GError **error);

#endif
