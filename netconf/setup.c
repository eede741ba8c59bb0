/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netconf/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

G_DEFINE_QUARK(carrel - setup - error, setup_error)

enum side { CLIENT = 1, SERVER = 2 };

/* The kernel's Documentation/networking/ip-sysctl.rst explains each. */
static const struct {
	int sides;
	const char *family;
	const char *name;
	const char *value;
	gboolean must; /* FALSE: a kernel without it (IPv6 off) is fine */
} settings[] = {
	{CLIENT | SERVER, "ipv4", "forwarding", "1", TRUE},
	/* a PC cannot send in the name of an address that lies elsewhere */
	{CLIENT, "ipv4", "rp_filter", "1", TRUE},
	/* neither obey nor send words about other routes */
	{CLIENT | SERVER, "ipv4", "accept_redirects", "0", TRUE},
	{CLIENT, "ipv4", "send_redirects", "0", TRUE},
	{CLIENT | SERVER, "ipv4", "accept_source_route", "0", TRUE},
	{CLIENT, "ipv6", "accept_ra", "0", FALSE},
	{CLIENT, "ipv6", "accept_redirects", "0", FALSE},
	{CLIENT, "ipv6", "forwarding", "0", FALSE},
};

static gboolean setting_write(const char *path, const char *value, gboolean must, GError **error)
{
	g_autofree char *now = NULL;
	gsize length;

	if (g_file_get_contents(path, &now, &length, NULL) && !strcmp(g_strstrip(now), value))
		return TRUE;
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && !must)
		return TRUE;
	gboolean done = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	if (!done)
		g_set_error(error, SETUP_ERROR, 0, "cannot write %s to %s: %s", value, path,
			g_strerror(errno));
	if (fd >= 0)
		close(fd);
	return done;
}

static gboolean interface_check(
	const char *root, const char *interface, const char *key, GError **error)
{
	g_autofree char *folder = g_build_filename(root, "ipv4/conf", interface, NULL);

	if (g_file_test(folder, G_FILE_TEST_IS_DIR))
		return TRUE;
	g_set_error(error, SETUP_ERROR, 0,
		"there is no interface %s: set [network] %s in carrel.conf, see `ip link`",
		interface, key);
	return FALSE;
}

gboolean setup_interfaces(const char *root, const struct policy *policy, GError **error)
{
	if (!interface_check(root, policy->client_interface, "client_interface", error) ||
		!interface_check(root, policy->server_interface, "server_interface", error))
		return FALSE;
	for (gsize i = 0; i < G_N_ELEMENTS(settings); i++) {
		for (int side = CLIENT; side <= SERVER; side <<= 1) {
			const char *interface = side == CLIENT ? policy->client_interface
							       : policy->server_interface;
			g_autofree char *path = g_build_filename(root, settings[i].family, "conf",
				interface, settings[i].name, NULL);

			if ((settings[i].sides & side) &&
				!setting_write(path, settings[i].value, settings[i].must, error))
				return FALSE;
		}
	}
	return TRUE;
}
