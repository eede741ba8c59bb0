/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel settings (sysctl) of the boot server's two interfaces. Forwarding is switched on for these
 * two and not for the machine, so that Carrel does not make a router of a host that was none.
 */
#ifndef CARREL_NETCONF_SETUP_H
#define CARREL_NETCONF_SETUP_H

#include "netconf/policy.h"

#define SETUP_ERROR (setup_error_quark())
GQuark setup_error_quark(void);

/*
 * Applies the settings; those that are right already are not written. `root` is the folder of the
 * settings, "/proc/sys/net" but for tests.
 */
gboolean setup_interfaces(const char *root, const struct policy *policy, GError **error);

#endif
