/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way of a version's file to a server: what the server lacks of it, and the proof that it is
 * there. */
#ifndef CARREL_VIRT_DELIVERY_H
#define CARREL_VIRT_DELIVERY_H

#include "broker/virt/worker.h"

/* A piece of a file, bytes. */
struct delivery_range {
	uint64_t offset, length;
};

/*
 * Where `new` (of `size` bytes) is other than `old`, by blocks of 4 KiB; ranges with little between
 * them are one. An owned array of struct delivery_range in their order, NULL with `error` when one
 * of the two cannot be read.
 */
GArray *delivery_differences(int old, int new, uint64_t size, GError **error);

/*
 * The newest other version of the image that is whole on the server and usable here, which the
 * caller frees; NULL without `error` when there is none, or it cannot be found out, with one when
 * the server is not reachable.
 */
struct image *delivery_base(
	struct worker *worker, struct virt_conn *conn, const struct image *version, GError **error);

/*
 * Makes the volume "NAME@VERSION.kernel" (.initrd, .root) of the pool of images to be the file that
 * the version's manifest names. What lies there under that name is nobody's yet. `base` may be
 * NULL. NO_IMAGE when the file here is not that one.
 */
gboolean delivery_send(struct worker *worker, struct virt_conn *conn, const struct image *version,
	const struct image *base, enum image_file_id id, GError **error);

#endif
