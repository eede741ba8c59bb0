/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/store/arrival.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "images/store/disk.h"

char *arrival_scratch(const char *images, const char *name, GError **error)
{
	g_autofree char *folder = g_build_filename(images, name, NULL);
	g_autofree char *scratch = g_build_filename(folder, ".new-import", NULL);

	if ((!g_mkdir(folder, 0755) || errno == EEXIST) && disk_remove(scratch, error) &&
		!g_mkdir(scratch, 0755))
		return g_steal_pointer(&scratch);
	if (error && !*error)
		g_set_error(error, DISK_ERROR, DISK_ERROR_FILE, "cannot make %s: %s", scratch,
			g_strerror(errno));
	return NULL;
}

static gboolean write_file(
	const char *folder, const char *name, const char *text, gsize length, GError **error)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);

	return g_file_set_contents_full(path, text, (gssize)length,
		G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0644, error);
}

gboolean arrival_appear(const char *scratch, const char *folder, const char *manifest, gsize length,
	const char *signature, GError **error)
{
	g_autofree char *parent = g_path_get_dirname(folder);
	int lock = disk_lock(parent, error);
	gboolean good = lock >= 0 &&
			write_file(scratch, "manifest.sig", signature, strlen(signature), error) &&
			write_file(scratch, "manifest.json", manifest, length, error) &&
			disk_sync_folder(scratch, error);

	if (good && g_rename(scratch, folder) < 0) {
		g_set_error(error, DISK_ERROR, DISK_ERROR_FILE, "cannot make %s: %s", folder,
			g_strerror(errno));
		good = FALSE;
	}
	good = good && disk_sync_folder(parent, error);
	if (lock >= 0)
		close(lock);
	return good;
}

void arrival_undo(const char *scratch)
{
	g_autofree char *home = g_path_get_dirname(scratch);

	disk_remove(scratch, NULL);
	/* It is not empty where the image was known before. */
	g_rmdir(home);
}
