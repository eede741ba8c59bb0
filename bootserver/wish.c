/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bootserver/wish.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bootserver/error.h"

#define CURRENT "current"

static void free_image(gpointer image)
{
	image_free(image);
}

/* A version of the PCs' image, "current": the published one. */
static struct image *load(const struct conf *conf, const char *version, GError **error)
{
	g_autofree char *key = conf_path(conf, CONF_PATH_PKI, IMAGE_PUBLIC_KEY);
	const char *name = conf_string(conf, CONF_BOOT_IMAGE);
	g_autoptr(GError) cause = NULL;
	struct image *image =
		image_load(conf_string(conf, CONF_PATH_IMAGES), name, version, key, &cause);

	if (image && image->kind == IMAGE_CLIENT)
		return image;
	if (g_error_matches(cause, IMAGE_ERROR, IMAGE_ERROR_MISSING) && !strcmp(version, CURRENT))
		g_set_error(error, BOOTCONF_ERROR, BOOTCONF_IMAGE,
			"no image `%s` is published: %s; build one with carrel image build client",
			name, cause->message);
	else if (!image)
		g_propagate_error(error, g_steal_pointer(&cause));
	else
		g_set_error(error, BOOTCONF_ERROR, BOOTCONF_IMAGE,
			"%s is the image of a desktop, not of PCs; correct [boot] image", name);
	image_free(image);
	return NULL;
}

/*
 * Another user's file, in a folder of several users: a link is not followed, nothing is waited for,
 * and what is cut off meanwhile is only short. NULL with `errno`; ENOENT: there is none.
 */
static GString *read_foreign(const char *path)
{
	struct stat about;
	char part[65536];
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	g_autoptr(GString) text = g_string_new(NULL);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &about) == 0 && !S_ISREG(about.st_mode))
		errno = EINVAL;
	else
		while (text->len <= BOOTPLAN_BYTES_MAX && (n = read(fd, part, sizeof part)) > 0)
			g_string_append_len(text, part, n);
	int problem = errno;
	close(fd);
	errno = problem;
	return n < 0 ? NULL : g_steal_pointer(&text);
}

/*
 * carreld's plan; NULL without an error: there is none, or it is of another image, because [boot]
 * image was changed and carreld has not read that yet.
 */
static struct bootplan *read_plan(struct wish *wish, const struct conf *conf, GError **error)
{
	g_autofree char *path = conf_path(conf, CONF_PATH_STATE, BOOTPLAN_FILE);
	g_autoptr(GString) text = read_foreign(path);
	g_autoptr(GError) cause = NULL;

	if (!text) {
		if (errno != ENOENT)
			bootconf_failed(error, path, g_strerror(errno));
		return NULL;
	}
	wish->sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, (gssize)text->len);
	struct bootplan *plan = bootplan_parse(text->str, text->len, &cause);
	if (!plan)
		g_set_error(error, BOOTCONF_ERROR, BOOTCONF_FAILED,
			"%s: %s; carreld writes it anew when it starts", path, cause->message);
	else if (strcmp(plan->image, conf_string(conf, CONF_BOOT_IMAGE)) != 0)
		g_clear_pointer(&plan, bootplan_free);
	return plan;
}

gboolean wish_load(struct wish *wish, const struct conf *conf, GError **error)
{
	GError *cause = NULL;

	*wish = (struct wish){.images = g_ptr_array_new_with_free_func(free_image)};
	wish->plan = read_plan(wish, conf, &cause);
	if (cause) {
		g_propagate_error(error, cause);
		return FALSE;
	}
	const char *first = wish->plan ? wish->plan->versions->pdata[0] : CURRENT;
	struct image *image = load(conf, first, error);
	if (!image)
		return FALSE;
	wish->words = g_strdup_printf("image %s@%s, %s", image->name, image->version,
		wish->plan ? "the stable one of carreld (carrel image status)"
			   : "the published one; carreld has said nothing of PCs yet");
	if (!wish->plan)
		wish->plan = bootplan_new(image->name, image->version);
	g_ptr_array_add(wish->images, image);
	for (guint i = 1; i < wish->plan->versions->len; i++) {
		image = load(conf, wish->plan->versions->pdata[i], error);
		if (!image)
			return FALSE;
		g_ptr_array_add(wish->images, image);
	}
	wish->variants = bootplan_variants(wish->plan);
	return TRUE;
}

void wish_clear(struct wish *wish)
{
	bootplan_free(wish->plan);
	g_ptr_array_unref(wish->images);
	if (wish->variants)
		g_array_unref(wish->variants);
	g_free(wish->sum);
	g_free(wish->words);
	*wish = (struct wish){0};
}

const struct image *wish_image(const struct wish *wish)
{
	return wish->images->pdata[0];
}

gboolean wish_check(const struct wish *wish, GError **error)
{
	for (guint i = 0; i < wish->images->len; i++)
		if (!image_check(wish->images->pdata[i], error))
			return FALSE;
	return TRUE;
}
