/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The check of a volume's file system, by e2fsck, on a file of the boot server: the virtualization
 * servers run no software of ours.
 */
#ifndef CARREL_VIRT_FSCK_H
#define CARREL_VIRT_FSCK_H

#include <gio/gio.h>

enum fsck_result {
	FSCK_ERROR = -1, /* it could not be run, or says that it could not do its work */
	FSCK_CLEAN,
	FSCK_DAMAGED,  /* and nothing was done about it, or not all */
	FSCK_REPAIRED, /* all is well now */
};

/*
 * Plays the journal back, as a mount would (not with `untouched`), then checks everything; with
 * `repair` every question is answered with yes. What e2fsck said is added to `log`. `fd` is
 * borrowed, open for writing unless `untouched`. `cancel`, which may be NULL, kills it.
 */
enum fsck_result fsck_run(int fd, gboolean repair, gboolean untouched, GString *log,
	GCancellable *cancel, GError **error);

#endif
