/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the lanes of users' volumes share. */
#ifndef CARREL_VIRT_VOLUMES_H
#define CARREL_VIRT_VOLUMES_H

#include "broker/virt/worker.h"

/* Has the pool of the volumes room for `need` bytes beyond what is to stay free? FALSE with
 * VIRT_ERROR_STORAGE when it has not. */
gboolean pool_room(struct worker *worker, struct virt_conn *conn, uint64_t need, GError **error);

#endif
