/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What carrel-netd allows: the part of carrel.conf that bounds every forward. The caller of the
 * helper is checked too, but a broker that has gone wrong, or been taken over, must not be able to
 * lead a PC to anything but a desktop's VNC port.
 */
#ifndef CARREL_NETCONF_POLICY_H
#define CARREL_NETCONF_POLICY_H

#include "broker/shared/conf.h"

#include <net/if.h>

/* VNC ports on the virtualization servers: QEMU's displays :0 to :999. */
#define POLICY_SERVER_PORT_FIRST 5900
#define POLICY_SERVER_PORT_LAST 6899

/* Addresses and masks in host byte order. */
struct policy {
	char client_interface[IFNAMSIZ], server_interface[IFNAMSIZ];
	guint32 address, mask; /* the boot server's own, towards the clients */
	guint32 server_network, server_mask;
	guint16 port; /* first of CONF_FORWARD_PORTS */
};

/* Packets of `client` to `port` of the boot server go to server:server_port. */
struct forward {
	guint32 client, server;
	guint16 port, server_port;
};

/* FALSE, and `policy` is as before, when an interface or network could not be found out. */
gboolean policy_init(struct policy *policy, const struct conf *conf, GError **error);

/* May this client have forwards, and is this one of their ports? NULL, or what is wrong. */
const char *policy_check_key(const struct policy *policy, guint32 client, guint16 port);

/* NULL, or what is wrong with the forward as a whole; valid until the 8th next log_fmt. */
const char *policy_check(const struct policy *policy, const struct forward *forward);

#endif
