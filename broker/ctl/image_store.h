/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the image commands have in common that work on the boot server's own disk. */
#ifndef CARREL_CTL_IMAGE_STORE_H
#define CARREL_CTL_IMAGE_STORE_H

#include <glib.h>
#include <jansson.h>

#include "broker/ctl/command.h"
#include "images/store/disk.h"
#include "images/store/versions.h"

struct image_store {
	/* owned paths, of carrel.conf; `ca` is the certificate that goes into the PCs' image */
	char *images, *public_key, *private_key, *ca;
};

/* FALSE when carrel.conf cannot be read: that has been said. */
gboolean image_store_open(struct image_store *store, const struct context *context);
void image_store_clear(struct image_store *store);

/* The version that an argument names; NULL: said why. */
struct version *image_store_find(const struct image_store *store, const char *id);
/* The same, of a version that this site has signed and that can be read. */
struct version *image_store_find_good(const struct image_store *store, const char *id);

/* What carreld says of images, a new reference; NULL with `error` when it cannot be asked. */
json_t *image_store_ask(const struct context *context, GError **error);

/* "135.3 MB"; the caller frees it. */
char *image_store_size(guint64 bytes);

/* Bytes as they are when they are UTF-8 text, else with \ooo; the caller frees it. */
char *image_store_text(const char *bytes);

/*
 * Shows on standard error how far something is, when that is a terminal, and ends it at SIGINT and
 * SIGTERM. `what` is borrowed. image_store_progress_end wipes the line.
 */
struct disk_progress image_store_progress(const char *what);
void image_store_progress_end(void);

#endif
