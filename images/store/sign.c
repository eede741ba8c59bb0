/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * carrel-image-sign: the signature of a manifest on standard output, or the check of one. The
 * builders of images call it; carrel-image-sign(8) is the manual.
 */
#include <stdio.h>
#include <stdlib.h>

#include "images/store/signature.h"

static char *read_file(const char *path, gsize *length)
{
	g_autoptr(GError) error = NULL;
	char *text = NULL;

	if (!g_file_get_contents(path, &text, length, &error))
		fprintf(stderr, "carrel-image-sign: %s\n", error->message);
	return text;
}

static int sign(const char *key, const char *manifest)
{
	gsize length;
	g_autofree char *text = read_file(manifest, &length);
	g_autoptr(GError) error = NULL;
	g_autofree char *signature = text ? signature_make(key, text, length, &error) : NULL;

	if (error)
		fprintf(stderr, "carrel-image-sign: %s\n", error->message);
	return signature && fputs(signature, stdout) >= 0 && !fflush(stdout) ? EXIT_SUCCESS
									     : EXIT_FAILURE;
}

static int verify(const char *key, const char *manifest, const char *beside)
{
	gsize length, other;
	g_autofree char *text = read_file(manifest, &length);
	g_autofree char *signature = text ? read_file(beside, &other) : NULL;
	g_autoptr(GError) error = NULL;

	if (signature && signature_check(key, text, length, signature, &error))
		return EXIT_SUCCESS;
	if (error)
		fprintf(stderr, "carrel-image-sign: %s: %s\n", manifest, error->message);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	g_autofree char *key = NULL, *public_key = NULL;
	gboolean check = FALSE;
	const GOptionEntry entries[] = {
		{"key", 0, 0, G_OPTION_ARG_FILENAME, &key, "Sign with this private key", "FILE"},
		{"verify", 0, 0, G_OPTION_ARG_NONE, &check, "Check a signature", NULL},
		{"pub", 0, 0, G_OPTION_ARG_FILENAME, &public_key, "Check by this public key",
			"FILE"},
		{NULL}};
	GOptionContext *context =
		g_option_context_new("MANIFEST [SIGNATURE] - sign a manifest, or check it");
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(context, entries, NULL);
	gboolean good = g_option_context_parse(context, &argc, &argv, &error);
	g_option_context_free(context);
	if (good && !check && key && !public_key && argc == 2)
		return sign(key, argv[1]);
	if (good && check && public_key && !key && argc == 3)
		return verify(public_key, argv[1], argv[2]);
	fprintf(stderr, "carrel-image-sign: %s; see --help\n",
		error ? error->message
		      : "give --key FILE MANIFEST, or --verify --pub FILE MANIFEST SIGNATURE");
	return EXIT_FAILURE;
}
