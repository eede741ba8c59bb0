/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lanes of what takes long: images (image-ensure) and volumes (volume-create).
 *
 * libvirt cannot rename a volume, so that nothing can be uploaded under another name and then put
 * in its place. Instead an empty volume NAME.complete, the mark, is made last; whatever has no mark
 * is half-made: it is never used (control.c asks for the mark too) and may be replaced. What has
 * its mark is never overwritten by anything here.
 */
#include "broker/virt/worker.h"
#include "broker/shared/log.h"
#include "broker/virt/domain_info.h"
#include "broker/virt/domain_xml.h"
#include "broker/virt/mkfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRESS_US (G_USEC_PER_SEC / 2)

enum mark { MARK_ERROR = -1, MARK_MISSING, MARK_THERE };

static enum mark mark_look(struct worker *worker, struct virt_conn *conn, const char *pool,
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

static gboolean mark_make(struct worker *worker, struct virt_conn *conn, const char *pool,
	const char *name, GError **error)
{
	g_autofree char *mark = g_strconcat(name, MARK_SUFFIX, NULL);
	const struct virt_source nothing = {.fd = -1};

	return worker->driver->volume_put(conn, pool, mark, &nothing, error);
}

/* Deletes a half-made volume; one that is not there is no error. */
static gboolean delete_rest(struct worker *worker, struct virt_conn *conn, const char *pool,
	const char *name, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (worker->driver->volume_delete(conn, pool, name, &cause) ||
		g_error_matches(cause, VIRT_ERROR, VIRT_ERROR_NOT_FOUND))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&cause));
	return FALSE;
}

/* Images */

struct sending {
	struct worker *worker;
	const char *image, *file; /* borrowed */
	GChecksum *sum;           /* owned by send_file */
	uint64_t done, total;
	gint64 told; /* monotonic, us */
};

static void tell_progress(struct sending *sending)
{
	sending->told = g_get_monotonic_time();
	worker_event(sending->worker,
		json_pack("{s:s, s:s, s:s, s:I, s:I}", "event", "image-progress", "image",
			sending->image, "file", sending->file, "done", (json_int_t)sending->done,
			"total", (json_int_t)sending->total));
}

static bool on_sent(void *user, const void *data, size_t length, GError **error)
{
	struct sending *sending = user;

	(void)error;
	g_checksum_update(sending->sum, data, (gssize)length);
	sending->done += length;
	if (g_get_monotonic_time() - sending->told > PROGRESS_US)
		tell_progress(sending);
	return true;
}

static int open_source(const char *path, uint64_t size, const char *image, GError **error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size)
		return fd;
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_NO_IMAGE,
		"%s of image %s is not the file of its manifest: %s; build the image again", path,
		image, fd < 0 ? g_strerror(errno) : "the size differs");
	if (fd >= 0)
		close(fd);
	return -1;
}

struct image *worker_image(struct worker *worker, const char *image, GError **error)
{
	g_autofree char *name = NULL, *version = NULL;
	g_autofree char *key =
		g_build_filename(conf_string(worker->conf, CONF_PATH_PKI), IMAGE_PUBLIC_KEY, NULL);
	g_autoptr(GError) cause = NULL;

	request_image_split(image, &name, &version);
	struct image *found =
		image_load(conf_string(worker->conf, CONF_PATH_IMAGES), name, version, key, &cause);
	if (found && found->kind == IMAGE_DESKTOP)
		return found;
	image_free(found);
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_NO_IMAGE, "image %s: %s", image,
		cause ? cause->message : "it is not the image of a desktop");
	return NULL;
}

static gboolean send_file(struct worker *worker, struct virt_conn *conn, const char *image,
	const struct image *version, enum image_file_id id, GError **error)
{
	const char *pool = conf_string(worker->conf, CONF_IMAGE_POOL);
	const struct image_file *file = &version->files[id];
	g_autofree char *path = g_build_filename(version->folder, file->name, NULL);
	g_autofree char *name = g_strconcat(image, ".", image_file_key(id), NULL);
	struct sending sending = {
		.worker = worker, .image = image, .file = image_file_key(id), .total = file->size};
	int fd = open_source(path, file->size, image, error);

	if (fd < 0)
		return FALSE;
	const struct virt_source source = {
		.fd = fd, .size = sending.total, .sent = on_sent, .user = &sending};
	struct virt_volume volume;
	sending.sum = g_checksum_new(G_CHECKSUM_SHA256);
	tell_progress(&sending);
	gboolean good = delete_rest(worker, conn, pool, name, error) &&
			worker->driver->volume_put(conn, pool, name, &source, error) &&
			worker->driver->volume_get(conn, pool, name, &volume, error);
	close(fd);
	if (good) {
		uint64_t capacity = volume.capacity;

		free(volume.path);
		tell_progress(&sending);
		good = !strcmp(g_checksum_get_string(sending.sum), file->sha256) &&
		       capacity == sending.total;
		if (!good)
			g_set_error(error, VIRT_ERROR, VIRT_ERROR_NO_IMAGE,
				"%s does not have the hash or size of its manifest; build the "
				"image "
				"again",
				path);
	}
	g_checksum_free(sending.sum);
	return good;
}

static gboolean image_ensure(struct worker *worker, struct virt_conn *conn,
	const struct request *request, GError **error)
{
	const char *pool = conf_string(worker->conf, CONF_IMAGE_POOL);
	gboolean good = TRUE;

	switch (mark_look(worker, conn, pool, request->image, error)) {
	case MARK_THERE:
		return TRUE;
	case MARK_ERROR:
		return FALSE;
	case MARK_MISSING:
		break;
	}
	struct image *version = worker_image(worker, request->image, error);
	if (!version)
		return FALSE;
	for (int i = 0; i < IMAGE_FILE_COUNT && good; i++)
		good = send_file(
			worker, conn, request->image, version, (enum image_file_id)i, error);
	image_free(version);
	if (!good || !mark_make(worker, conn, pool, request->image, error))
		return FALSE;
	log_event(
		LOG_INFO, "image-uploaded", "server", worker->name, "image", request->image, NULL);
	return TRUE;
}

/* Volumes */

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
		!delete_rest(worker, conn, pool, name, error))
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

/* Lanes: a connection for each request, so that none is idle for hours */

static gboolean answer(
	struct worker *worker, struct request *request, gboolean good, const GError *error)
{
	if (good)
		worker_ok(worker, request, NULL);
	else
		worker_error(worker, request, error);
	request_free(request);
	return good || !g_error_matches(error, VIRT_ERROR, VIRT_ERROR_UNREACHABLE);
}

gboolean images_handle(struct worker *worker, struct virt_conn *conn, struct request *request)
{
	g_autoptr(GError) error = NULL;
	gboolean good = image_ensure(worker, conn, request, &error);

	return answer(worker, request, good, error);
}

gboolean volumes_handle(struct worker *worker, struct virt_conn *conn, struct request *request)
{
	g_autoptr(GError) error = NULL;
	gboolean good = volume_create(worker, conn, request, &error);

	return answer(worker, request, good, error);
}

static void lane_run(struct worker *worker, enum worker_lane lane,
	gboolean (*handle)(struct worker *, struct virt_conn *, struct request *))
{
	for (;;) {
		struct job *job = worker_next(worker, lane, -1);
		g_autoptr(GError) error = NULL;
		struct virt_conn *conn = worker_connect(worker, lane, NULL, &error);

		if (conn)
			handle(worker, conn, g_steal_pointer(&job->request));
		else
			worker_error(worker, job->request, error);
		worker->driver->close(conn);
		job_free(job);
	}
}

gpointer images_run(gpointer data)
{
	lane_run(data, LANE_IMAGES, images_handle);
	return NULL;
}

gpointer volumes_run(gpointer data)
{
	lane_run(data, LANE_VOLUMES, volumes_handle);
	return NULL;
}
