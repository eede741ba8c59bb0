/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/virt/marks.h"

#include <stdlib.h>

enum mark mark_look(struct worker *worker, struct virt_conn *conn, const char *pool,
	const char *name, GError **error)
{
	g_autofree char *mark = g_strconcat(name, MARK_SUFFIX, NULL);
	g_autoptr(GError) cause = NULL;
	struct virt_volume volume;

	if (worker->driver->volume_get(conn, pool, mark, &volume, &cause)) {
		free(volume.path);
		return MARK_THERE;
	}
	if (g_error_matches(cause, VIRT_ERROR, VIRT_ERROR_NOT_FOUND))
		return MARK_MISSING;
	g_propagate_error(error, g_steal_pointer(&cause));
	return MARK_ERROR;
}

gboolean mark_make(struct worker *worker, struct virt_conn *conn, const char *pool,
	const char *name, GError **error)
{
	g_autofree char *mark = g_strconcat(name, MARK_SUFFIX, NULL);
	const struct virt_source nothing = {.fd = -1};

	return worker->driver->volume_put(conn, pool, mark, &nothing, error);
}

gboolean marks_delete(struct worker *worker, struct virt_conn *conn, const char *pool,
	const char *name, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (worker->driver->volume_delete(conn, pool, name, &cause) ||
		g_error_matches(cause, VIRT_ERROR, VIRT_ERROR_NOT_FOUND))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&cause));
	return FALSE;
}

gboolean marks_delete_whole(struct worker *worker, struct virt_conn *conn, const char *pool,
	const char *name, GError **error)
{
	g_autofree char *mark = g_strconcat(name, MARK_SUFFIX, NULL);

	return marks_delete(worker, conn, pool, mark, error) &&
	       marks_delete(worker, conn, pool, name, error);
}
