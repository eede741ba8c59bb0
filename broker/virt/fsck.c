/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/virt/fsck.h"
#include "broker/virt/virt.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>

#define CHILD_FD 3
/* e2fsck(8), EXIT CODE */
#define STATUS_REPAIRED 3 /* 1, and 2: the machine would have to be rebooted, were it mounted */
#define STATUS_LEFT 4
/* What is kept of one run: the beginning. */
#define LOG_MAX (1024 * 1024)

/* Its exit status; -1 when it did not run, or was killed. */
static int run(
	int fd, const char *const *options, GString *log, GCancellable *cancel, GError **error)
{
	g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
		G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE);
	g_autofree char *program = g_find_program_in_path("e2fsck");
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_autoptr(GError) cause = NULL;
	g_autofree char *said = NULL;

	g_ptr_array_add(argv, program ? program : (gpointer) "/usr/sbin/e2fsck");
	for (; *options; options++)
		g_ptr_array_add(argv, (gpointer)*options);
	g_ptr_array_add(argv, (gpointer) "/proc/self/fd/3");
	g_ptr_array_add(argv, NULL);
	g_subprocess_launcher_setenv(launcher, "LC_ALL", "C.UTF-8", TRUE);
	g_subprocess_launcher_take_fd(launcher, fcntl(fd, F_DUPFD_CLOEXEC, 0), CHILD_FD);
	g_autoptr(GSubprocess) child =
		g_subprocess_launcher_spawnv(launcher, (const char *const *)argv->pdata, &cause);
	g_autoptr(GBytes) bytes = NULL;
	if (child && g_subprocess_communicate(child, NULL, cancel, &bytes, NULL, &cause) &&
		g_subprocess_get_if_exited(child)) {
		gsize length;
		const char *data = g_bytes_get_data(bytes, &length);

		said = g_utf8_make_valid(data ? data : "", (gssize)MIN(length, LOG_MAX));
		g_string_append_printf(log, "%s%s", said, length > LOG_MAX ? "\n...\n" : "");
		return g_subprocess_get_exit_status(child);
	}
	if (child) {
		g_subprocess_force_exit(child);
		g_subprocess_wait(child, NULL, NULL);
	}
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE,
		"e2fsck could not check the file system: %s; is e2fsprogs installed on the boot "
		"server?",
		cause ? cause->message : "it was killed");
	return -1;
}

enum fsck_result fsck_run(int fd, gboolean repair, gboolean untouched, GString *log,
	GCancellable *cancel, GError **error)
{
	static const char *const journal[] = {"-y", "-E", "journal_only", NULL};
	const char *const check[] = {"-f", repair ? "-y" : "-n", NULL};
	int status = 0;

	if (!untouched)
		status = run(fd, journal, log, cancel, error);
	if (status < 0)
		return FSCK_ERROR;
	/* A journal that cannot be played back is found again by the check. */
	status = run(fd, check, log, cancel, error);
	if (status < 0)
		return FSCK_ERROR;
	if (status & ~(STATUS_REPAIRED | STATUS_LEFT)) {
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE,
			"e2fsck gave up with status %d; \"carrel volume show USER --log\" shows "
			"what it said",
			status);
		return FSCK_ERROR;
	}
	if (status & STATUS_LEFT)
		return FSCK_DAMAGED;
	return status ? FSCK_REPAIRED : FSCK_CLEAN;
}
