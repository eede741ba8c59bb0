/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bootserver/check.h"

#include <string.h>

#include "bootserver/commands.h"
#include "bootserver/error.h"
#include "bootserver/tree.h"

gboolean check_run(const char *const *argv, GError **error)
{
	g_autofree char *out = NULL, *err = NULL;
	int status;
	GError *cause = NULL;
	if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err,
		    &status, &cause)) {
		g_set_error(
			error, BOOTCONF_ERROR, BOOTCONF_FAILED, "%s: %s", argv[0], cause->message);
		g_error_free(cause);
		return FALSE;
	}
	if (g_spawn_check_wait_status(status, NULL))
		return TRUE;
	g_set_error(error, BOOTCONF_ERROR, BOOTCONF_FAILED, "%s refuses what was rendered: %s%s",
		argv[0], g_strstrip(out), g_strstrip(err));
	return FALSE;
}

static gboolean check_dnsmasq(const char *folder, GError **error)
{
	g_autofree char *option = g_strdup_printf("--conf-file=%s/" RENDER_DNSMASQ, folder);
	const char *const argv[] = {COMMANDS_DNSMASQ, "--test", option, NULL};
	return check_run(argv, error);
}

static gboolean check_nginx(const struct site *site, const struct image *image, GError **error)
{
	g_autofree char *scratch = g_dir_make_tmp("carrel-bootconf-XXXXXX", NULL);
	if (!scratch) {
		g_set_error(error, BOOTCONF_ERROR, BOOTCONF_FAILED,
			"no temporary folder can be made in %s", g_get_tmp_dir());
		return FALSE;
	}
	g_autofree char *text = render_nginx_check(site, image, scratch, error);
	g_autofree char *path = g_build_filename(scratch, "nginx.conf", NULL);
	gboolean good = text && g_file_set_contents(path, text, -1, error);
	if (good) {
		const char *const argv[] = {
			COMMANDS_NGINX, "-q", "-t", "-e", "stderr", "-c", path, NULL};
		good = check_run(argv, error);
	}
	tree_remove(scratch);
	return good;
}

gboolean check_generation(
	const struct site *site, const struct image *image, const char *folder, GError **error)
{
	static const char *const programs[] = {"lpxelinux.0", "ldlinux.c32"};
	for (gsize i = 0; i < G_N_ELEMENTS(programs); i++) {
		g_autofree char *path = g_build_filename(folder, "tftp", programs[i], NULL);
		g_autofree char *bytes = NULL;
		gsize length = 0;
		if (!g_file_get_contents(path, &bytes, &length, NULL) || length < 4096) {
			g_set_error(error, BOOTCONF_ERROR, BOOTCONF_FAILED,
				"%s is not PXELINUX's: install the packages pxelinux and "
				"syslinux-common again",
				path);
			return FALSE;
		}
	}
	return check_dnsmasq(folder, error) && check_nginx(site, image, error);
}
