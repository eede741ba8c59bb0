/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bootserver/commands.h"

static void add(GString *out, const char *name, const char *const *argv)
{
	g_string_append_printf(out, "%s\t", name);
	for (int i = 0; argv[i]; i++) {
		g_autofree char *word =
			g_regex_match_simple("^[A-Za-z0-9/._:=,+@-]+$", argv[i], 0, 0)
				? g_strdup(argv[i])
				: g_shell_quote(argv[i]);
		g_string_append_printf(out, "%s%s", i ? " " : "", word);
	}
	g_string_append_c(out, '\n');
}

static void add_nfs(GString *out, const struct site *site)
{
	g_autofree char *conf = g_build_filename(site->boot, "current", RENDER_GANESHA, NULL);
	g_autofree char *pid = conf_path(site->conf, CONF_PATH_RUN, "ganesha.pid");
	g_autofree char *network = render_client_network(site->conf);
	g_autofree char *export = g_strdup_printf("%s:%s/http/images", network, site->boot);
	const char *const ganesha[] = {"/usr/bin/ganesha.nfsd", "-F", "-f", conf, "-L", "STDERR",
		"-p", pid, "-N", "NIV_WARN", NULL};
	const char *const kernel[] = {
		"/usr/sbin/exportfs", "-o", RENDER_EXPORT_OPTIONS, export, NULL};
	if (site->nfs == NFS_GANESHA)
		add(out, "nfs", ganesha);
	else if (site->nfs == NFS_KERNEL)
		add(out, "setup-nfs", kernel);
}

char *commands_text(const struct site *site)
{
	GString *out = g_string_new(NULL);
	g_autofree char *prefix = render_ra_prefix(site->conf);
	g_autofree char *address = g_strdup_printf("%s1/64", prefix);
	g_autofree char *dnsmasq_conf =
		g_strdup_printf("--conf-file=%s/current/" RENDER_DNSMASQ, site->boot);
	g_autofree char *nginx_conf = g_build_filename(site->boot, "current", RENDER_NGINX, NULL);
	const char *const ra[] = {"/usr/sbin/ip", "-6", "address", "replace", address, "dev",
		conf_string(site->conf, CONF_NETWORK_CLIENT_INTERFACE), "nodad", NULL};
	const char *const dnsmasq[] = {
		COMMANDS_DNSMASQ, "--keep-in-foreground", dnsmasq_conf, NULL};
	const char *const nginx[] = {COMMANDS_NGINX, "-e", "stderr", "-c", nginx_conf, NULL};
	if (!render_is_proxy(site->conf))
		add(out, "setup-ipv6", ra);
	add_nfs(out, site);
	add(out, "dnsmasq", dnsmasq);
	add(out, "nginx", nginx);
	return g_string_free(out, FALSE);
}
