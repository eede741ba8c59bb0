/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lane of images: image-ensure, image-list, image-remove. marks.h says what makes one whole. */
#include "broker/virt/worker.h"
#include "broker/shared/log.h"
#include "broker/virt/delivery.h"
#include "broker/virt/marks.h"

#include <string.h>

struct image *worker_image(struct worker *worker, const char *image, GError **error)
{
	g_autofree char *name = NULL, *version = NULL;
	g_autofree char *key = conf_path(worker->conf, CONF_PATH_PKI, IMAGE_PUBLIC_KEY);
	g_autoptr(GError) cause = NULL;

	request_image_split(image, &name, &version);
	struct image *found =
		image_load(conf_string(worker->conf, CONF_PATH_IMAGES), name, version, key, &cause);
	if (found && found->kind != IMAGE_CLIENT)
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
	g_autoptr(GError) cause = NULL;
	/* What is where in a qcow2 file shifts with the first change: nothing is gained by the file
	 * of another version. */
	struct image *base =
		version->kind == IMAGE_GUEST ? NULL : delivery_base(worker, conn, version, &cause);
	good = cause == NULL;
	for (int i = 0; i < IMAGE_FILE_COUNT && good; i++)
		good = !version->files[i].name ||
		       delivery_send(worker, conn, version, base, (enum image_file_id)i, &cause);
	if (cause)
		g_propagate_error(error, g_steal_pointer(&cause));
	image_free(base);
	image_free(version);
	if (!good || !mark_make(worker, conn, pool, request->image, error))
		return FALSE;
	log_event(
		LOG_INFO, "image-uploaded", "server", worker->name, "image", request->image, NULL);
	return TRUE;
}

/* The version that a volume of the pool belongs to, "name@version", or NULL; the caller frees it.
 */
static char *version_of(const char *volume)
{
	g_autofree char *name = NULL, *version = NULL;
	const char *dot = strrchr(volume, '.');
	gboolean ours = dot && !strcmp(dot, MARK_SUFFIX);

	for (int i = 0; i < IMAGE_FILE_COUNT && dot; i++)
		ours |= !strcmp(dot + 1, image_file_key((enum image_file_id)i));
	if (!ours)
		return NULL;
	char *id = g_strndup(volume, (gsize)(dot - volume));
	if (request_image_split(id, &name, &version) && image_version_is_good(version))
		return id;
	g_free(id);
	return NULL;
}

/* Half-made ones too. */
static json_t *image_list(struct worker *worker, struct virt_conn *conn, GError **error)
{
	GPtrArray *names =
		worker->storage->list(conn, conf_string(worker->conf, CONF_IMAGE_POOL), error);
	json_t *images = json_object();

	if (!names)
		return NULL;
	for (guint i = 0; i < names->len; i++) {
		g_autofree char *id = version_of(names->pdata[i]);

		if (id)
			json_object_set_new(images, id, json_true());
	}
	g_ptr_array_unref(names);
	json_t *list = json_array();
	const char *id;
	const json_t *value;
	json_object_foreach (images, id, value)
		json_array_append_new(list, json_string(id));
	json_decref(images);
	return json_pack("{s:o}", "images", list);
}

/* The mark first, so that at no moment a part of it counts as whole. */
static gboolean image_remove(struct worker *worker, struct virt_conn *conn,
	const struct request *request, GError **error)
{
	const char *pool = conf_string(worker->conf, CONF_IMAGE_POOL);
	g_autofree char *mark = g_strconcat(request->image, MARK_SUFFIX, NULL);
	gboolean good = marks_delete(worker, conn, pool, mark, error);

	for (int i = 0; i < IMAGE_FILE_COUNT && good; i++) {
		g_autofree char *name = g_strconcat(
			request->image, ".", image_file_key((enum image_file_id)i), NULL);

		good = marks_delete(worker, conn, pool, name, error);
	}
	if (good)
		log_event(LOG_INFO, "image-removed", "server", worker->name, "image",
			request->image, NULL);
	return good;
}

gboolean images_handle(struct worker *worker, struct virt_conn *conn, struct request *request)
{
	g_autoptr(GError) error = NULL;
	json_t *answer = NULL;
	gboolean good;

	if (request->op == REQUEST_IMAGE_LIST) {
		answer = image_list(worker, conn, &error);
		good = answer != NULL;
	} else if (request->op == REQUEST_IMAGE_REMOVE) {
		good = image_remove(worker, conn, request, &error);
	} else {
		good = image_ensure(worker, conn, request, &error);
	}
	return worker_finish(worker, request, good, answer, error);
}

gpointer images_run(gpointer data)
{
	worker_lane_run(data, LANE_IMAGES, images_handle);
	return NULL;
}
