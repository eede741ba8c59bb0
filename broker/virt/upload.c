/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lane of images: image-ensure. marks.h says what makes one whole. */
#include "broker/virt/worker.h"
#include "broker/shared/log.h"
#include "broker/virt/delivery.h"
#include "broker/virt/marks.h"

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
		good = delivery_send(worker, conn, version, (enum image_file_id)i, error);
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
