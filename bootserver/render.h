/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From carrel.conf and the published image to the text of each daemon's configuration. */
#ifndef CARREL_BOOTSERVER_RENDER_H
#define CARREL_BOOTSERVER_RENDER_H

#include "images/store/image.h"
#include "bootserver/nfs.h"
#include "bootserver/tree.h"
#include "broker/shared/conf.h"

struct site {
	const struct conf *conf; /* borrowed */
	const char *templates;   /* borrowed; folder of the *.in files */
	const char *boot;        /* borrowed; [paths] state + "/boot" */
	enum nfs_kind nfs;
};

#define RENDER_DNSMASQ "dnsmasq.conf"
#define RENDER_NGINX "nginx.conf"
#define RENDER_PXELINUX "tftp/pxelinux.cfg/default"
#define RENDER_GRUB "tftp/grub/grub.cfg"
#define RENDER_GANESHA "ganesha.conf"
#define RENDER_EXPORTS "exports"

/* Options of the kernel's export, also for exportfs. */
#define RENDER_EXPORT_OPTIONS "ro,all_squash,no_subtree_check,sec=sys"

/* Checks what the daemons' formats cannot carry (blanks in paths, odd interface names). */
gboolean render_check_site(const struct site *site, GError **error);

/* File name below the generation's folder (char *) to text (char *); both owned by the table. */
GHashTable *render_all(const struct site *site, const struct image *image, GError **error);

/*
 * nginx's configuration as it is rendered, but listening on a Unix socket in `scratch` and writing
 * there: so `nginx -t` needs neither the site's address nor the right to its port.
 */
char *render_nginx_check(
	const struct site *site, const struct image *image, const char *scratch, GError **error);

/* Do UEFI PCs start by shim and GRUB, when they start by PXE? */
gboolean render_has_shim(const struct conf *conf);

/* Does another DHCP server give the PCs their addresses? */
gboolean render_is_proxy(const struct conf *conf);

/* The kernel command line without BOOTIF, with `kernel` (options of a seat, or "") at its end; the
 * caller frees it. */
char *render_cmdline(const struct site *site, const struct image *image, const char *kernel);

/* The menus of PCs that boot `image` with such options; tree_menus_clear() frees them,
 * also when one could not be made. */
gboolean render_menus(const struct site *site, const struct image *image, const char *kernel,
	struct tree_menus *menus, GError **error);

/* The boot server's network towards the PCs: "10.77.0.0/24"; the caller frees it. */
char *render_client_network(const struct conf *conf);

/* A private IPv6 prefix for router advertisements, made of the IPv4 network: "fd63:..::". */
char *render_ra_prefix(const struct conf *conf);

#endif
