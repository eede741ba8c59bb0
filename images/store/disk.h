/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the keepers of images do on disk: locks, trees that go away, programs that are run. */
#ifndef CARREL_IMAGES_DISK_H
#define CARREL_IMAGES_DISK_H

#include <glib.h>

#define DISK_ERROR (disk_error_quark())
GQuark disk_error_quark(void);
enum disk_error { DISK_ERROR_FILE, DISK_ERROR_TOOL, DISK_ERROR_INTERRUPTED };

/*
 * How far something long is, in bytes; `total` 0 is unknown. A member of NULL is no step at all.
 * The step says FALSE to have the work ended: it then fails with DISK_ERROR_INTERRUPTED, and what
 * was half-made is gone.
 */
struct disk_progress {
	gboolean (*step)(guint64 done, guint64 total, void *data);
	void *data; /* borrowed */
};
gboolean disk_step(
	const struct disk_progress *progress, guint64 done, guint64 total, GError **error);

/*
 * Takes the lock `folder`/.lock, for which everybody has to wait who adds or removes versions
 * there; says on standard error that it waits. The descriptor, which ends the lock when it is
 * closed; -1 with `error`.
 */
int disk_lock(const char *folder, GError **error);

/* Removes a folder with all that is in it, or a file; links are not followed. */
gboolean disk_remove(const char *path, GError **error);

/* Bytes of all files below `path`, and the time of the latest change there, in s since 1970. */
guint64 disk_measure(const char *path, gint64 *changed_s);

/* Writes all of it; `what` names the file in an error. */
gboolean disk_write(int fd, const void *data, gsize length, const char *what, GError **error);

/* Makes what a folder lists survive a power cut. */
gboolean disk_sync_folder(const char *folder, GError **error);

/*
 * Runs a program of the Debian package `package` and waits for it; its output is dropped. FALSE
 * with what it said last when it fails.
 */
gboolean disk_run(const char *const *argv, const char *package, GError **error);

/* The path of a program, also where only root's PATH leads; NULL with the package's name. */
char *disk_program(const char *name, const char *package, GError **error);

#endif
