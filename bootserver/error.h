/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The errors of carrel-bootconf; their codes are its exit statuses. */
#ifndef CARREL_BOOTSERVER_ERROR_H
#define CARREL_BOOTSERVER_ERROR_H

#include <glib.h>

enum bootconf_error {
	BOOTCONF_FAILED = 1, /* something of this machine: a folder, a program, a check */
	BOOTCONF_USAGE = 2,
	BOOTCONF_CONFIG = 3, /* carrel.conf */
	BOOTCONF_IMAGE = 4   /* the published image is missing or not what its manifest says */
};

#define BOOTCONF_ERROR (bootconf_error_quark())
GQuark bootconf_error_quark(void);

/* Sets BOOTCONF_FAILED, "path: what"; FALSE. */
gboolean bootconf_failed(GError **error, const char *path, const char *what);

#endif
