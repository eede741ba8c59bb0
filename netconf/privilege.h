/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Giving up what carrel-netd does not need. */
#ifndef CARREL_NETCONF_PRIVILEGE_H
#define CARREL_NETCONF_PRIVILEGE_H

#include <glib.h>

#define PRIVILEGE_ERROR (privilege_error_quark())
GQuark privilege_error_quark(void);

/*
 * Keeps CAP_NET_ADMIN and nothing else in the effective, permitted and bounding sets, nothing in
 * the inheritable and ambient ones, and sets no_new_privs. The user id stays: started as root the
 * process keeps what owning root's files gives, and no more. Checks the result.
 */
gboolean privilege_drop(GError **error);

#endif
