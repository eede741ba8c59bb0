/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/store/signature.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <limits.h>
#include <string.h>

#define SIGNATURE_BYTES 64

G_DEFINE_QUARK(carrel - signature - error, signature_error)

static gboolean fail_key(GError **error, const char *path, const char *what)
{
	g_set_error(error, SIGNATURE_ERROR, SIGNATURE_ERROR_KEY,
		"the key %s: %s; carrel-pki init makes one", path, what);
	return FALSE;
}

/* The caller frees data->data, whose secret must be wiped. */
static gboolean key_read(const char *path, gnutls_datum_t *data, GError **error)
{
	g_autoptr(GError) cause = NULL;
	char *text;
	gsize length;

	if (!g_file_get_contents(path, &text, &length, &cause))
		return fail_key(error, path, cause->message);
	data->data = (unsigned char *)text;
	data->size = (unsigned)MIN(length, UINT_MAX);
	return TRUE;
}

static void key_wipe(gnutls_datum_t *data)
{
	gnutls_memset(data->data, 0, data->size);
	g_free(data->data);
}

static gnutls_privkey_t private_key_load(const char *path, GError **error)
{
	gnutls_privkey_t key = NULL;
	gnutls_datum_t data;

	if (!key_read(path, &data, error))
		return NULL;
	int result = gnutls_privkey_init(&key);
	if (result >= 0)
		result = gnutls_privkey_import_x509_raw(key, &data, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (result < 0)
		fail_key(error, path, gnutls_strerror(result));
	else if (gnutls_privkey_get_pk_algorithm(key, NULL) != GNUTLS_PK_EDDSA_ED25519)
		result = -1, fail_key(error, path, "is not an ed25519 key");
	key_wipe(&data);
	if (result >= 0)
		return key;
	gnutls_privkey_deinit(key);
	return NULL;
}

char *signature_make(const char *private_key, const void *data, gsize length, GError **error)
{
	gnutls_privkey_t key = private_key_load(private_key, error);
	const gnutls_datum_t text = {(unsigned char *)data, (unsigned)length};
	gnutls_datum_t signature = {NULL, 0};
	char *result = NULL;

	if (!key)
		return NULL;
	int code = gnutls_privkey_sign_data2(key, GNUTLS_SIGN_EDDSA_ED25519, 0, &text, &signature);
	if (code < 0) {
		fail_key(error, private_key, gnutls_strerror(code));
	} else {
		g_autofree char *base64 = g_base64_encode(signature.data, signature.size);

		result = g_strconcat(base64, "\n", NULL);
	}
	gnutls_free(signature.data);
	gnutls_privkey_deinit(key);
	return result;
}

static gnutls_pubkey_t public_key_load(const char *path, GError **error)
{
	gnutls_pubkey_t key = NULL;
	gnutls_datum_t data;

	if (!key_read(path, &data, error))
		return NULL;
	int result = gnutls_pubkey_init(&key);
	if (result >= 0)
		result = gnutls_pubkey_import(key, &data, GNUTLS_X509_FMT_PEM);
	if (result < 0)
		fail_key(error, path, gnutls_strerror(result));
	else if (gnutls_pubkey_get_pk_algorithm(key, NULL) != GNUTLS_PK_EDDSA_ED25519)
		result = -1, fail_key(error, path, "is not an ed25519 key");
	key_wipe(&data);
	if (result >= 0)
		return key;
	gnutls_pubkey_deinit(key);
	return NULL;
}

gboolean signature_check(const char *public_key, const void *data, gsize length,
	const char *signature, GError **error)
{
	g_autofree char *text = g_strchomp(g_strdup(signature));
	const gnutls_datum_t signed_text = {(unsigned char *)data, (unsigned)length};
	gsize bytes = 0;
	g_autofree guchar *raw = g_base64_decode(text, &bytes);
	g_autofree char *again = g_base64_encode(raw, bytes);

	/* g_base64_decode leaves out what it does not know. */
	if (bytes != SIGNATURE_BYTES || strcmp(again, text) != 0) {
		g_set_error(error, SIGNATURE_ERROR, SIGNATURE_ERROR_BAD,
			"the signature is not %d bytes in base64", SIGNATURE_BYTES);
		return FALSE;
	}
	gnutls_pubkey_t key = public_key_load(public_key, error);
	if (!key)
		return FALSE;
	const gnutls_datum_t datum = {raw, (unsigned)bytes};
	int code =
		gnutls_pubkey_verify_data2(key, GNUTLS_SIGN_EDDSA_ED25519, 0, &signed_text, &datum);
	gnutls_pubkey_deinit(key);
	if (code >= 0)
		return TRUE;
	g_set_error(error, SIGNATURE_ERROR, SIGNATURE_ERROR_BAD,
		"the signature is of other bytes, or by another key");
	return FALSE;
}
