/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bootserver/render.h"

#include <string.h>
#include <unistd.h>

#include "bootserver/error.h"
#include "bootserver/template.h"
#include "bootserver/tree.h"

#define GANESHA_PLUGINS "/usr/lib/x86_64-linux-gnu/ganesha"
#define NFS_PSEUDO "/client"
#define BIOS_MODE "vga=791"
#define MENU_TEMPLATE "pxelinux.cfg.in"
#define GRUB_TEMPLATE "grub.cfg.in"

static gboolean matches(const char *text, const char *pattern)
{
	return g_regex_match_simple(pattern, text, G_REGEX_DOLLAR_ENDONLY, 0);
}

static gboolean check_value(const struct conf *conf, enum conf_id id, const char *pattern,
	const char *allowed, GError **error)
{
	if (matches(conf_string(conf, id), pattern))
		return TRUE;
	g_set_error(error, BOOTCONF_ERROR, BOOTCONF_CONFIG,
		"[%s] %s = %s cannot be given to the daemons: allowed are %s", conf_table[id].group,
		conf_table[id].key, conf_string(conf, id), allowed);
	return FALSE;
}

gboolean render_check_site(const struct site *site, GError **error)
{
	static const char path[] = "^/[A-Za-z0-9/._+@-]*$";
	static const char path_words[] = "letters, digits and / . _ + @ -";
	const struct conf *conf = site->conf;
	return conf_found(conf, CONF_NETWORK_CLIENT_ADDRESS, error) &&
	       check_value(conf, CONF_NETWORK_CLIENT_INTERFACE, "^[A-Za-z0-9._-]{1,15}$",
		       "names of interfaces", error) &&
	       check_value(conf, CONF_BOOT_IMAGE, "^[a-z0-9][a-z0-9-]{0,31}$", "a-z, 0-9 and -",
		       error) &&
	       check_value(conf, CONF_BOOT_KERNEL_OPTIONS, "^[ -~]{0,500}$",
		       "one line of 500 printable ASCII characters", error) &&
	       (!render_has_shim(conf) ||
		       check_value(conf, CONF_BOOT_KERNEL_OPTIONS, "^[^'\"\\\\]*$",
			       "with [boot] uefi = shim no quotation marks and no backslash, which "
			       "GRUB would change",
			       error)) &&
	       check_value(conf, CONF_PATH_STATE, path, path_words, error) &&
	       check_value(conf, CONF_PATH_RUN, path, path_words, error);
}

gboolean render_has_shim(const struct conf *conf)
{
	return !strcmp(conf_string(conf, CONF_BOOT_UEFI), "shim");
}

gboolean render_is_proxy(const struct conf *conf)
{
	return !strcmp(conf_string(conf, CONF_NETWORK_DHCP), "proxy");
}

char *render_client_network(const struct conf *conf)
{
	guint32 address, mask;
	conf_cidr(conf, CONF_NETWORK_CLIENT_ADDRESS, &address, &mask);
	return conf_cidr_text(address & mask, mask);
}

char *render_ra_prefix(const struct conf *conf)
{
	guint32 address, mask;
	conf_cidr(conf, CONF_NETWORK_CLIENT_ADDRESS, &address, &mask);
	address &= mask;
	/* fd00::/8 are private prefixes; 40 further bits of our own choice (RFC 4193) */
	return g_strdup_printf("fd63:6172:%x:%x::", address >> 16, address & 0xffff);
}

/* The kernel's nfsd exports a folder under its own name, ganesha under the one we give. */
static char *nfs_path(const struct site *site)
{
	return site->nfs == NFS_KERNEL ? g_strconcat(site->boot, "/http/images", NULL)
				       : g_strdup(NFS_PSEUDO);
}

char *render_cmdline(const struct site *site, const struct image *image, const char *kernel)
{
	const struct conf *conf = site->conf;
	guint32 address, mask;
	conf_cidr(conf, CONF_NETWORK_CLIENT_ADDRESS, &address, &mask);
	g_autofree char *path = nfs_path(site);
	g_autofree char *nfs = site->nfs == NFS_OFF
				       ? g_strdup("off")
				       : g_strdup_printf("%s:%s", conf_ipv4(address), path);
	g_autofree char *root = tree_root_name(image);
	g_autoptr(GString) line = g_string_new(NULL);
	g_string_printf(line,
		"carrel.server=%s carrel.http=%d carrel.report=%d carrel.broker=%d carrel.nfs=%s "
		"carrel.root=%s carrel.size=%" G_GUINT64_FORMAT
		" carrel.sha256=%s carrel.verity=%" G_GUINT64_FORMAT ":%s:%s",
		conf_ipv4(address), (int)conf_int(conf, CONF_BOOT_HTTP_PORT),
		(int)conf_int(conf, CONF_BROKER_REPORT_PORT), (int)conf_int(conf, CONF_BROKER_PORT),
		nfs, root, image->files[IMAGE_ROOT].size, image->files[IMAGE_ROOT].sha256,
		image->data_blocks, image->root_hash, image->salt);
	if (image->cmdline[0])
		g_string_append_printf(line, " %s", image->cmdline);
	if (conf_string(conf, CONF_BOOT_KERNEL_OPTIONS)[0])
		g_string_append_printf(line, " %s", conf_string(conf, CONF_BOOT_KERNEL_OPTIONS));
	if (*kernel)
		g_string_append_printf(line, " %s", kernel);
	return g_string_free(g_steal_pointer(&line), FALSE);
}

static void put(GHashTable *values, const char *key, char *value)
{
	g_hash_table_insert(values, g_strdup(key), value);
}

static void put_network(GHashTable *values, const struct conf *conf)
{
	guint32 address, mask, first, last;
	int port = (int)conf_int(conf, CONF_BOOT_HTTP_PORT);
	conf_cidr(conf, CONF_NETWORK_CLIENT_ADDRESS, &address, &mask);
	conf_range(conf, CONF_NETWORK_CLIENT_RANGE, &first, &last);
	put(values, "INTERFACE", g_strdup(conf_string(conf, CONF_NETWORK_CLIENT_INTERFACE)));
	put(values, "ADDRESS", g_strdup(conf_ipv4(address)));
	put(values, "NETWORK", g_strdup(conf_ipv4(address & mask)));
	put(values, "NETMASK", g_strdup(conf_ipv4(mask)));
	put(values, "FIRST", g_strdup(conf_ipv4(first)));
	put(values, "LAST", g_strdup(conf_ipv4(last)));
	put(values, "LEASE_MINUTES",
		g_strdup_printf("%d", (int)conf_int(conf, CONF_NETWORK_LEASE)));
	put(values, "HTTP_LISTEN", g_strdup_printf("%s:%d", conf_ipv4(address), port));
	put(values, "HTTP", g_strdup_printf("http://%s:%d", conf_ipv4(address), port));
	put(values, "RA_PREFIX", render_ra_prefix(conf));
	put(values, "CLIENT_NETWORK", render_client_network(conf));
}

/* Without a driver there is only the screen that PXELINUX sets: 1024x768. */
static const char *bios_mode(const char *kernel)
{
	g_auto(GStrv) words = g_strsplit(kernel, " ", -1);
	return g_strv_contains((const char *const *)words, "nomodeset") &&
			       !g_regex_match_simple("(^| )vga=", kernel, 0, 0)
		       ? BIOS_MODE " "
		       : "";
}

/* Each word by itself: GRUB would take ; and $ for its own, and quote what has blanks. */
static char *grub_words(const char *cmdline)
{
	g_auto(GStrv) words = g_strsplit(cmdline, " ", -1);
	g_autoptr(GString) line = g_string_new(NULL);
	for (char **word = words; *word; word++)
		if (**word)
			g_string_append_printf(line, "%s'%s'", line->len ? " " : "", *word);
	return g_string_free(g_steal_pointer(&line), FALSE);
}

static GHashTable *all_values(
	const struct site *site, const struct image *image, const char *kernel)
{
	GHashTable *values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	put_network(values, site->conf);
	put(values, "BOOT", g_strdup(site->boot));
	put(values, "EFI", g_strdup(TREE_EFI));
	put(values, "UEFI", g_strdup(render_has_shim(site->conf) ? TREE_SHIM : TREE_EFI));
	put(values, "VERSION", g_strdup(image->version));
	g_autofree char *cmdline = render_cmdline(site, image, kernel);
	put(values, "CMDLINE", g_strconcat(bios_mode(kernel), cmdline, NULL));
	put(values, "GRUB_CMDLINE", grub_words(cmdline));
	/* nginx knows the directive only as root; its workers are then somebody else */
	put(values, "NGINX_USER", g_strdup(geteuid() == 0 ? "user www-data;" : ""));
	put(values, "NGINX_RUN", g_strdup(conf_string(site->conf, CONF_PATH_RUN)));
	put(values, "NGINX_LOG", g_strconcat(site->boot, "/log/http.log", NULL));
	put(values, "NFS_PATH", nfs_path(site));
	put(values, "GANESHA_PLUGINS", g_strdup(GANESHA_PLUGINS));
	put(values, "EXPORT_OPTIONS", g_strdup(RENDER_EXPORT_OPTIONS));
	return values;
}

static char *fill_file(
	const struct site *site, const char *template, GHashTable *values, GError **error)
{
	g_autofree char *path = g_build_filename(site->templates, template, NULL);
	g_autofree char *text = NULL;
	GError *cause = NULL;
	if (!g_file_get_contents(path, &text, NULL, &cause)) {
		g_set_error(error, BOOTCONF_ERROR, BOOTCONF_FAILED,
			"%s; is Carrel installed whole? (--templates names another folder)",
			cause->message);
		g_error_free(cause);
		return NULL;
	}
	return template_fill(path, text, values, error);
}

enum when { ALWAYS, WITH_OWN_DHCP, WITH_PROXY_DHCP, WITH_SHIM, WITH_GANESHA, WITH_KERNEL_NFS };

static gboolean is_wanted(const struct site *site, enum when when)
{
	switch (when) {
	case ALWAYS:
		return TRUE;
	case WITH_OWN_DHCP:
		return !render_is_proxy(site->conf);
	case WITH_PROXY_DHCP:
		return render_is_proxy(site->conf);
	case WITH_SHIM:
		return render_has_shim(site->conf);
	case WITH_GANESHA:
		return site->nfs == NFS_GANESHA;
	case WITH_KERNEL_NFS:
		return site->nfs == NFS_KERNEL;
	}
	return FALSE;
}

/* Rows of one name are parts of one file, in this order. */
static const struct {
	const char *name, *template;
	enum when when;
} file_table[] = {
	{RENDER_DNSMASQ, "dnsmasq.conf.in", ALWAYS},
	{RENDER_DNSMASQ, "dnsmasq-own.conf.in", WITH_OWN_DHCP},
	{RENDER_DNSMASQ, "dnsmasq-proxy.conf.in", WITH_PROXY_DHCP},
	{RENDER_NGINX, "nginx.conf.in", ALWAYS},
	{RENDER_PXELINUX, MENU_TEMPLATE, ALWAYS},
	{RENDER_GRUB, GRUB_TEMPLATE, WITH_SHIM},
	{RENDER_GANESHA, "ganesha.conf.in", WITH_GANESHA},
	{RENDER_EXPORTS, "exports.in", WITH_KERNEL_NFS},
};

GHashTable *render_all(const struct site *site, const struct image *image, GError **error)
{
	g_autoptr(GHashTable) values = all_values(site, image, "");
	g_autoptr(GHashTable) files =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	for (gsize i = 0; i < G_N_ELEMENTS(file_table); i++) {
		if (!is_wanted(site, file_table[i].when))
			continue;
		g_autofree char *text = fill_file(site, file_table[i].template, values, error);
		if (!text)
			return NULL;
		const char *before = g_hash_table_lookup(files, file_table[i].name);
		g_hash_table_replace(files, g_strdup(file_table[i].name),
			g_strconcat(before ? before : "", text, NULL));
	}
	return g_steal_pointer(&files);
}

gboolean render_menus(const struct site *site, const struct image *image, const char *kernel,
	struct tree_menus *menus, GError **error)
{
	g_autoptr(GHashTable) values = all_values(site, image, kernel);
	gboolean shim = render_has_shim(site->conf);
	*menus = (struct tree_menus){.pxelinux = fill_file(site, MENU_TEMPLATE, values, error)};
	if (menus->pxelinux && shim)
		menus->grub = fill_file(site, GRUB_TEMPLATE, values, error);
	return menus->pxelinux && (menus->grub || !shim);
}

char *render_nginx_check(
	const struct site *site, const struct image *image, const char *scratch, GError **error)
{
	g_autoptr(GHashTable) values = all_values(site, image, "");
	put(values, "HTTP_LISTEN", g_strdup_printf("unix:%s/socket", scratch));
	put(values, "NGINX_RUN", g_strdup(scratch));
	put(values, "NGINX_LOG", g_strconcat(scratch, "/http.log", NULL));
	return fill_file(site, "nginx.conf.in", values, error);
}
