/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A version as one file, to carry it to another boot server: a tar archive whose first two members
 * are manifest.json and manifest.sig, so that the reader knows whom the rest is from, and what it
 * has to be, before it reads it. The same version gives the same bytes.
 */
#ifndef CARREL_IMAGES_TRANSFER_H
#define CARREL_IMAGES_TRANSFER_H

#include <glib.h>

#include "images/store/disk.h"
#include "images/store/versions.h"

/* Writes a usable version to `fd`; each file is checked on the way. */
gboolean transfer_export(const struct version *version, int fd,
	const struct disk_progress *progress, GError **error);

struct transfer_import {
	const char *images;      /* borrowed, as all here */
	const char *public_key;  /* whose signature is wanted */
	const char *private_key; /* what it is signed with afterwards; NULL: its signature stays */
	struct disk_progress progress;
};

/*
 * Reads an archive from `fd` and puts the version below `images`, whole or not at all; the link
 * "current" is left alone. What it is called, which the caller frees; NULL with `error`. `*known`
 * says that the very same version was there already.
 */
char *transfer_import(
	const struct transfer_import *options, int fd, gboolean *known, GError **error);

#endif
