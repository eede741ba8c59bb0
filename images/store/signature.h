/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signatures of manifests by the site's key: ed25519 (RFC 8032) of the file's exact bytes, written
 * as base64 and a newline. Keys are PEM files, made by carrel-pki.
 */
#ifndef CARREL_IMAGES_SIGNATURE_H
#define CARREL_IMAGES_SIGNATURE_H

#include <glib.h>

#define SIGNATURE_ERROR (signature_error_quark())
GQuark signature_error_quark(void);
enum signature_error {
	SIGNATURE_ERROR_KEY, /* the key cannot be read, or is of another kind */
	SIGNATURE_ERROR_BAD, /* not a signature, or not of these bytes by this key */
};

/* The caller frees it. NULL with SIGNATURE_ERROR_KEY. */
char *signature_make(const char *private_key, const void *data, gsize length, GError **error);

/* Is `signature` (a text; white space at its end is of no account) that of `data`? */
gboolean signature_check(const char *public_key, const void *data, gsize length,
	const char *signature, GError **error);

#endif
