/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes a version of an image of a whole disk that was installed elsewhere: Windows, or any other
 * system (docs/guests.md). The file is another's: guest_file.h judges it, and the one program that
 * reads its insides, qemu-img, is run as nobody where the caller is root, without a way to more
 * rights, with a bound of memory, and with no more than two open files: this one, and the new one.
 */
#ifndef CARREL_IMAGES_GUEST_H
#define CARREL_IMAGES_GUEST_H

#include <glib.h>

#include "images/store/disk.h"
#include "images/store/image.h"

struct guest_import {
	const char *images;      /* borrowed, as all here */
	const char *private_key; /* what the version is signed with */
	const char *file;        /* its ending says its format */
	const char *name;        /* of the image */
	gboolean uefi;
	enum image_agent agent;
	struct disk_progress progress;
};

/*
 * Puts the version NAME@TODAY.N below `images`, whole or not at all; the link "current" is left
 * alone. What it is called, which the caller frees; NULL with `error`.
 */
char *guest_import(const struct guest_import *options, GError **error);

#endif
