/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lane of users' volumes for what takes seconds: making a new one, looking at one and at the
 * pool, deleting a snapshot. storage.c has what takes longer; marks.h says what is whole.
 */
#include "broker/shared/log.h"
#include "broker/virt/domain_info.h"
#include "broker/virt/domain_xml.h"
#include "broker/virt/marks.h"
#include "broker/virt/mkfs.h"
#include "broker/virt/volume_names.h"
#include "broker/virt/volumes.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

gboolean pool_room(struct worker *worker, struct virt_conn *conn, uint64_t need, GError **error)
{
	const char *name = conf_string(worker->conf, CONF_VOLUME_POOL);
	const uint64_t keep = (uint64_t)conf_int(worker->conf, CONF_VOLUME_KEEP_FREE) << 20;
	struct virt_pool pool;

	if (!worker->storage->pool(conn, name, &pool, error))
		return FALSE;
	if (pool.available >= keep && pool.available - keep >= need)
		return TRUE;
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE,
		"pool %s has %" G_GUINT64_FORMAT " MiB free, %" G_GUINT64_FORMAT
		" MiB are needed and %" G_GUINT64_FORMAT
		" MiB are to stay free ([volume] keep_free_mib): delete snapshots (\"carrel volume "
		"drop\") or enlarge the storage",
		name, pool.available >> 20, need >> 20, keep >> 20);
	return FALSE;
}

/*
 * May what lies under this name be thrown away? Core asks only for volumes that were never
 * attached; here it is made sure of by what can be seen: no mark, no domain that has it, and a file
 * system that was never mounted.
 */
static gboolean may_replace(struct worker *worker, struct virt_conn *conn, const char *pool,
	const char *name, GError **error)
{
	char head[MKFS_HEAD];
	g_autoptr(GError) cause = NULL;
	struct virt_volume volume;
	gssize length;
	GPtrArray *list;

	if (!worker->driver->volume_get(conn, pool, name, &volume, &cause)) {
		if (g_error_matches(cause, VIRT_ERROR, VIRT_ERROR_NOT_FOUND))
			return TRUE;
		g_propagate_error(error, g_steal_pointer(&cause));
		return FALSE;
	}
	list = worker->driver->domain_list(conn, error);
	gboolean good = list != NULL;
	for (guint i = 0; list && good && i < list->len; i++) {
		const char *xml = list->pdata[i];
		struct domain_info *info = domain_info_parse(xml, strlen(xml), NULL);

		good = !info || !domain_info_has_path(info, volume.path);
		if (!good)
			g_set_error(error, VIRT_ERROR, VIRT_ERROR_BUSY,
				"volume %s is in use by %s and is not replaced", name, info->name);
		domain_info_free(info);
	}
	free(volume.path);
	if (list)
		g_ptr_array_unref(list);
	if (!good)
		return FALSE;
	length = worker->driver->volume_head(conn, pool, name, head, sizeof(head), error);
	if (length < 0)
		return FALSE;
	if (mkfs_was_used(head, (size_t)length)) {
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_EXISTS,
			"volume %s in pool %s holds a file system that was in use; it is not "
			"replaced: move it away if it is not needed",
			name, pool);
		return FALSE;
	}
	return TRUE;
}

/*
 * A whole volume is there already. That is no error when it is the very one that is asked for and
 * nobody has used it: the answer of an earlier request was lost. Otherwise EXISTS.
 */
static gboolean take_existing(struct worker *worker, struct virt_conn *conn, const char *pool,
	const char *name, const struct request *request, GError **error)
{
	char head[MKFS_HEAD];
	struct virt_volume volume;
	gssize length;

	if (!worker->driver->volume_get(conn, pool, name, &volume, error))
		return FALSE;
	free(volume.path);
	length = worker->driver->volume_head(conn, pool, name, head, sizeof(head), error);
	if (length < 0)
		return FALSE;
	if (volume.capacity == (uint64_t)request->size_mib << 20 &&
		mkfs_is_fresh(head, (size_t)length, name, request->uid))
		return TRUE;
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_EXISTS,
		"volume %s is in pool %s already, complete and in use or of another user or size; "
		"it is "
		"not overwritten: move it away if it is not needed",
		name, pool);
	return FALSE;
}

static gboolean volume_create(struct worker *worker, struct virt_conn *conn,
	const struct request *request, GError **error)
{
	const char *pool = conf_string(worker->conf, CONF_VOLUME_POOL);
	g_autofree char *name = volume_name(request->volume);
	const uint64_t size = (uint64_t)request->size_mib << 20;
	gboolean good;
	int fd;

	switch (mark_look(worker, conn, pool, name, error)) {
	case MARK_THERE:
		return take_existing(worker, conn, pool, name, request, error);
	case MARK_ERROR:
		return FALSE;
	case MARK_MISSING:
		break;
	}
	if (!may_replace(worker, conn, pool, name, error) ||
		!marks_delete(worker, conn, pool, name, error))
		return FALSE;
	if (!pool_room(worker, conn, 0, error))
		return FALSE;
	fd = mkfs_ext4(size, name, request->uid, request->uid, error);
	if (fd < 0)
		return FALSE;
	const struct virt_source source = {.fd = fd, .size = size, .sparse = true};
	good = worker->driver->volume_put(conn, pool, name, &source, error) &&
	       mark_make(worker, conn, pool, name, error);
	close(fd);
	if (good)
		log_event(LOG_INFO, "volume-created", "server", worker->name, "volume", name,
			"user", request->user, "size_mib", log_fmt("%u", request->size_mib), NULL);
	return good;
}

/* Looking */

static json_t *pool_show(struct worker *worker, struct virt_conn *conn, GError **error)
{
	const char *name = conf_string(worker->conf, CONF_VOLUME_POOL);
	struct virt_pool pool;

	if (!worker->storage->pool(conn, name, &pool, error))
		return NULL;
	return json_pack("{s:s, s:I, s:I}", "pool", name, "capacity", (json_int_t)pool.capacity,
		"available", (json_int_t)pool.available);
}

/* Those of the array that have their mark, newest first; `list` is sorted. */
static void add_snapshots(struct worker *worker, struct virt_conn *conn,
	const struct request *request, GPtrArray *list, json_t *snapshots)
{
	const char *pool = conf_string(worker->conf, CONF_VOLUME_POOL);

	for (guint i = list->len; i-- > 0;) {
		struct volume_part part = volume_part(list->pdata[i], request->volume);
		struct virt_volume volume;

		if (part.kind != VOLUME_PART_SNAPSHOT || part.mark ||
			!volume_list_whole(list, list->pdata[i]) ||
			!worker->driver->volume_get(conn, pool, list->pdata[i], &volume, NULL))
			continue;
		json_array_append_new(
			snapshots, json_pack("{s:s, s:I, s:I}", "name", part.snapshot, "size",
					   (json_int_t)volume.capacity, "allocation",
					   (json_int_t)volume.allocation));
		free(volume.path);
	}
}

static json_t *volume_show(struct worker *worker, struct virt_conn *conn,
	const struct request *request, GError **error)
{
	const char *pool = conf_string(worker->conf, CONF_VOLUME_POOL);
	g_autofree char *name = volume_copy_name(request->volume, request->copy);
	g_autoptr(GPtrArray) list = worker->storage->list(conn, pool, error);
	struct virt_volume volume;
	json_t *more;

	if (!list || !worker->driver->volume_get(conn, pool, name, &volume, error))
		return NULL;
	volume_list_sort(list);
	more = json_pack("{s:s, s:I, s:I, s:[]}", "name", name, "size", (json_int_t)volume.capacity,
		"allocation", (json_int_t)volume.allocation, "snapshots");
	free(volume.path);
	add_snapshots(worker, conn, request, list, json_object_get(more, "snapshots"));
	return more;
}

static gboolean volume_drop(struct worker *worker, struct virt_conn *conn,
	const struct request *request, GError **error)
{
	const char *pool = conf_string(worker->conf, CONF_VOLUME_POOL);
	g_autofree char *name = volume_snapshot_name(request->volume, request->snapshot);
	struct virt_volume volume;

	if (!worker->driver->volume_get(conn, pool, name, &volume, error))
		return FALSE;
	free(volume.path);
	return marks_delete_whole(worker, conn, pool, name, error);
}

gboolean volumes_handle(struct worker *worker, struct virt_conn *conn, struct request *request)
{
	g_autoptr(GError) error = NULL;
	json_t *more = NULL;
	gboolean good;

	switch (request->op) {
	case REQUEST_VOLUME_SHOW:
		more = volume_show(worker, conn, request, &error);
		good = more != NULL;
		break;
	case REQUEST_POOL_SHOW:
		more = pool_show(worker, conn, &error);
		good = more != NULL;
		break;
	case REQUEST_VOLUME_DROP:
		good = volume_drop(worker, conn, request, &error);
		break;
	default:
		good = volume_create(worker, conn, request, &error);
		break;
	}
	return worker_finish(worker, request, good, more, error);
}

gpointer volumes_run(gpointer data)
{
	worker_lane_run(data, LANE_VOLUMES, volumes_handle);
	return NULL;
}
