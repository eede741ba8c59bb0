/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/images.h"

#include "images/store/image.h"

char *images_current(const struct conf *conf, gboolean *live, GError **error)
{
	const char *name = conf_string(conf, CONF_DESKTOP_IMAGE);
	g_autofree char *key =
		g_build_filename(conf_string(conf, CONF_PATH_PKI), IMAGE_PUBLIC_KEY, NULL);
	g_autoptr(GError) cause = NULL;
	struct image *image =
		image_load(conf_string(conf, CONF_PATH_IMAGES), name, "current", key, &cause);
	char *id = NULL;

	if (!image)
		g_set_error(error, IMAGE_ERROR, cause->code,
			"no desktop image %s can be used (%s): build and publish it, or correct "
			"[desktop] image",
			name, cause->message);
	else if (image->kind != IMAGE_DESKTOP)
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
			"%s is an image of PCs, not of desktops: correct [desktop] image", name);
	else
		id = image_id(image);
	*live = id && image->live;
	image_free(image);
	return id;
}
