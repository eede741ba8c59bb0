/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carrel boot key: the Secure Boot key is made and shown by carrel-pki, as all keys of the site. */
#include "broker/ctl/command.h"
#include "broker/shared/conf.h"

#include <stdio.h>

/* Becomes carrel-pki; returns only when that cannot be run. */
static int become_pki(const struct context *context, const char *verb)
{
	g_autoptr(GError) error = NULL;
	struct conf *conf = conf_load(context->conf_path, &error);
	g_autofree char *pki = NULL;

	if (!conf) {
		fprintf(stderr, "%s\n", error->message);
		return EXIT_FAILED;
	}
	pki = g_strdup(conf_string(conf, CONF_PATH_PKI));
	conf_free(conf);
	const char *argv[] = {NULL, "--dir", pki, verb, NULL, NULL, NULL};
	int count = 4;
	if (context->force)
		argv[count++] = "--force";
	if (context->json)
		argv[count++] = "--json";
	return command_become("carrel-pki", argv);
}

int command_boot_key_make(const struct context *context)
{
	return become_pki(context, "boot-key");
}

int command_boot_key_show(const struct context *context)
{
	return become_pki(context, "show-boot-key");
}
