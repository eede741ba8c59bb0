/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The manifest of a desktop image version: docs/protocols.md, section "Images on disk". */
#ifndef CARREL_VIRT_MANIFEST_H
#define CARREL_VIRT_MANIFEST_H

#include <glib.h>
#include <stdint.h>

enum manifest_file { MANIFEST_KERNEL, MANIFEST_INITRD, MANIFEST_ROOT, MANIFEST_FILES };

struct manifest {
	struct {
		char *file;    /* owned; a plain name in the version's folder */
		uint64_t size; /* bytes */
		char *sha256;  /* owned; 64 hex digits */
	} files[MANIFEST_FILES];
	char *cmdline; /* owned; complete, with carrel.verity= and carrel.image= */
	gboolean live; /* "handoff": "live": its desktops can be shrunk while they run */
};

/* "kernel", "initrd", "root": the key in the manifest and the ending of the volume's name. */
const char *manifest_file_name(enum manifest_file file);

/* Reads `folder`/manifest.json. NULL with VIRT_ERROR_NO_IMAGE. `image` is "name@version" and must
 * be what the manifest says. */
struct manifest *manifest_load(const char *folder, const char *image, GError **error);

/* The same from memory; used by the tests and by fuzzing. */
struct manifest *manifest_parse(const char *text, size_t length, const char *image, GError **error);

void manifest_free(struct manifest *manifest); /* NULL-safe */

#endif
