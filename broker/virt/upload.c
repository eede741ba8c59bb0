/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lane of images: image-ensure. marks.h says what makes one whole. */
#include "broker/virt/worker.h"
#include "broker/shared/log.h"
#include "broker/virt/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRESS_US (G_USEC_PER_SEC / 2)

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
	gboolean good = marks_delete(worker, conn, pool, name, error) &&
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

gboolean images_handle(struct worker *worker, struct virt_conn *conn, struct request *request)
{
	g_autoptr(GError) error = NULL;
	gboolean good = image_ensure(worker, conn, request, &error);

	return worker_finish(worker, request, good, NULL, error);
}

gpointer images_run(gpointer data)
{
	worker_lane_run(data, LANE_IMAGES, images_handle);
	return NULL;
}
