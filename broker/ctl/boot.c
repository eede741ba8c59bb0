/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carrel boot key: the Secure Boot key is made and shown by carrel-pki, as all keys of the site. */
#include "broker/ctl/command.h"
#include "broker/shared/conf.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* Becomes carrel-pki; returns only when that cannot be run. */
static int become_pki(const struct context *context, const char *verb)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *program = command_program("carrel-pki");
	struct conf *conf = conf_load(context->conf_path, &error);
	g_autofree char *pki = NULL;

	if (!conf) {
		fprintf(stderr, "%s\n", error->message);
		return EXIT_FAILED;
	}
	pki = g_strdup(conf_string(conf, CONF_PATH_PKI));
	conf_free(conf);
	if (!program) {
		fprintf(stderr, "carrel: there is no carrel-pki in " CARREL_PREFIX
				"/sbin nor in PATH: install Carrel on this machine\n");
		return EXIT_FAILED;
	}
	const char *argv[] = {program, "--dir", pki, verb, NULL, NULL, NULL};
	int count = 4;
	if (context->force)
		argv[count++] = "--force";
	if (context->json)
		argv[count++] = "--json";
	execv(program, (char **)argv);
	fprintf(stderr, "carrel: cannot run %s: %s\n", program, g_strerror(errno));
	return EXIT_FAILED;
}

int command_boot_key_make(const struct context *context)
{
	return become_pki(context, "boot-key");
}

int command_boot_key_show(const struct context *context)
{
	return become_pki(context, "show-boot-key");
}
