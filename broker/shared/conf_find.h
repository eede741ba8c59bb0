/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The values of [network] that are "auto": found out from the interfaces of this machine and from
 * each other. All of it but conf_links_read is pure. Each finder gives the value as it would stand
 * in the file, for the caller to free, or NULL and in `lacks` a sentence with the remedy (owned).
 */
#ifndef CARREL_CONF_FIND_H
#define CARREL_CONF_FIND_H

#include "broker/shared/conf.h"

/* The address of `interface`, its first, with the prefix. */
char *conf_find_client_address(const GArray *links, const char *interface, char **lacks);

/*
 * Of the boot server's network, /30 or wider, the part that DHCP gives away: of a /24 .100 to .250,
 * of others the like, without the server's own address.
 */
char *conf_find_client_range(guint32 address, guint32 mask);

/*
 * The interface towards the virtualization servers: one that has an address in `network`, where
 * `mask` is not 0; else that of the default route; else the only one beside `client`.
 */
char *conf_find_server_interface(
	const GArray *links, const char *client, guint32 network, guint32 mask, char **lacks);

/* The network that `interface` is in. */
char *conf_find_server_network(const GArray *links, const char *interface, char **lacks);

#endif
