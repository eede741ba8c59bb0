/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a desktop of a whole disk writes (docs/guests.md): a qcow2 file above the image's one,
 * beside it in the pool of images, made by libvirt before the VM is started and deleted when it is
 * gone; and the variables of its UEFI, which libvirt makes where the domain's XML says. What a
 * crash has left is swept. Their names have the server's in them: a pool may be common to several.
 */
#ifndef CARREL_VIRT_OVERLAYS_H
#define CARREL_VIRT_OVERLAYS_H

#include "broker/virt/worker.h"

/*
 * A new overlay of `size` bytes, as the guest sees them, above the volume `base`. Its path on the
 * server, which the caller frees, and where the variables of UEFI may lie; NULL with `error`.
 */
char *overlay_make(struct worker *worker, struct virt_conn *conn, uint64_t desktop,
	const char *base, uint64_t size, char **nvram, GError **error);

/* Both go. The VM is certainly off. What cannot be deleted is logged, and the next sweep's. */
void overlay_drop(struct worker *worker, struct virt_conn *conn, uint64_t desktop);

/*
 * Deletes those of VMs that this server does not have. Only for the lane that starts VMs: an
 * overlay is there before its VM is.
 */
void overlays_sweep(struct worker *worker, struct virt_conn *conn);

#endif
