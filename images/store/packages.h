/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lock of a version: which packages it is made of, a line each, `SHA256 SIZE FILE ADDRESS`, and
 * FILE as apt names it, NAME_VERSION_ARCH.deb with % before what a file name may not hold.
 */
#ifndef CARREL_IMAGES_PACKAGES_H
#define CARREL_IMAGES_PACKAGES_H

#include <glib.h>

#include "images/store/versions.h"

struct package {
	char *name, *version, *arch, *sha256; /* owned */
	guint64 size;                         /* bytes of the .deb */
};

/* The packages (struct package) in the text of a lock, by name and architecture. NULL with
 * IMAGE_ERROR_BAD, which names the line. */
GPtrArray *packages_parse(const char *text, gsize length, GError **error);

/* Those of a version, whose lock must be what its manifest says. */
GPtrArray *packages_load(const struct version *version, GError **error);

struct package_change {
	const struct package *before, *after; /* borrowed; NULL: added, removed */
};

/* What differs, by name; both lists as packages_parse gives them. An array of struct
 * package_change, the caller's. */
GArray *packages_compare(const GPtrArray *before, const GPtrArray *after);

#endif
