/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/store/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

G_DEFINE_QUARK(carrel - disk - error, disk_error)

static gboolean fail(GError **error, const char *verb, const char *path)
{
	g_set_error(error, DISK_ERROR, DISK_ERROR_FILE, "cannot %s %s: %s", verb, path,
		g_strerror(errno));
	return FALSE;
}

gboolean disk_step(
	const struct disk_progress *progress, guint64 done, guint64 total, GError **error)
{
	if (!progress || !progress->step || progress->step(done, total, progress->data))
		return TRUE;
	g_set_error(error, DISK_ERROR, DISK_ERROR_INTERRUPTED, "interrupted; nothing is changed");
	return FALSE;
}

int disk_lock(const char *folder, GError **error)
{
	g_autofree char *path = g_build_filename(folder, ".lock", NULL);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0) {
		fail(error, "open", path);
		return -1;
	}
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	fprintf(stderr, "carrel: waiting for another who changes the images (%s)\n", path);
	while (flock(fd, LOCK_EX) < 0) {
		if (errno == EINTR)
			continue;
		fail(error, "lock", path);
		close(fd);
		return -1;
	}
	return fd;
}

gboolean disk_remove(const char *path, GError **error)
{
	struct stat about;
	const char *entry;

	if (lstat(path, &about) < 0)
		return errno == ENOENT || fail(error, "remove", path);
	if (!S_ISDIR(about.st_mode))
		return !g_unlink(path) || errno == ENOENT || fail(error, "remove", path);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	if (!dir)
		return fail(error, "read", path);
	while ((entry = g_dir_read_name(dir))) {
		g_autofree char *below = g_build_filename(path, entry, NULL);

		if (!disk_remove(below, error))
			return FALSE;
	}
	return !g_rmdir(path) || errno == ENOENT || fail(error, "remove", path);
}

guint64 disk_measure(const char *path, gint64 *changed_s)
{
	struct stat about;
	const char *entry;
	guint64 bytes = 0;

	if (lstat(path, &about) < 0)
		return 0;
	*changed_s = MAX(*changed_s, (gint64)about.st_mtim.tv_sec);
	if (!S_ISDIR(about.st_mode))
		return (guint64)about.st_size;
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	while (dir && (entry = g_dir_read_name(dir))) {
		g_autofree char *below = g_build_filename(path, entry, NULL);

		bytes += disk_measure(below, changed_s);
	}
	return bytes;
}

gboolean disk_write(int fd, const void *data, gsize length, const char *what, GError **error)
{
	const char *at = data;

	while (length) {
		ssize_t n = write(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(error, "write", what);
		at += n;
		length -= (gsize)n;
	}
	return TRUE;
}

gboolean disk_sync_folder(const char *folder, GError **error)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	gboolean good = fd >= 0 && !fsync(fd);

	if (!good)
		fail(error, "write", folder);
	if (fd >= 0)
		close(fd);
	return good;
}

char *disk_program(const char *name, const char *package, GError **error)
{
	static const char *const folders[] = {"/usr/sbin", "/sbin"};
	char *found = g_find_program_in_path(name);

	for (gsize i = 0; !found && i < G_N_ELEMENTS(folders); i++) {
		g_autofree char *path = g_build_filename(folders[i], name, NULL);

		if (g_file_test(path, G_FILE_TEST_IS_EXECUTABLE))
			found = g_steal_pointer(&path);
	}
	if (!found)
		g_set_error(error, DISK_ERROR, DISK_ERROR_TOOL,
			"%s is not installed: apt-get install %s", name, package);
	return found;
}

gboolean disk_run(const char *const *argv, const char *package, GError **error)
{
	g_autofree char *program = disk_program(argv[0], package, error);
	g_autofree char *said = NULL;
	g_autoptr(GError) cause = NULL;
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	int status = 0;

	if (!program)
		return FALSE;
	g_ptr_array_add(words, program);
	for (guint i = 1; argv[i]; i++)
		g_ptr_array_add(words, (char *)argv[i]);
	g_ptr_array_add(words, NULL);
	if (g_spawn_sync(NULL, (char **)words->pdata, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL,
		    NULL, &said, &status, &cause) &&
		g_spawn_check_wait_status(status, &cause))
		return TRUE;
	if (said) {
		g_strchomp(said);
		char *last = strrchr(said, '\n');
		if (last)
			memmove(said, last + 1, strlen(last));
	}
	g_set_error(error, DISK_ERROR, DISK_ERROR_TOOL, "%s: %s", argv[0],
		said && *said ? said : cause->message);
	return FALSE;
}
