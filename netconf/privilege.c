/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netconf/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <sys/prctl.h>

G_DEFINE_QUARK(carrel - privilege - error, privilege_error)

gboolean privilege_drop(GError **error)
{
	capng_select_t sets = CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT;

	capng_get_caps_process();
	if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN)) {
		g_set_error(error, PRIVILEGE_ERROR, 0,
			"CAP_NET_ADMIN is missing: start carrel-netd as root, or with that "
			"capability "
			"from its unit");
		return FALSE;
	}
	/* The bounding set can be lowered with CAP_SETPCAP only; the unit has done it otherwise. */
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		sets |= CAPNG_SELECT_BOUNDS;
	capng_clear(CAPNG_SELECT_ALL);
	capng_update(
		CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, CAP_NET_ADMIN);
	if (capng_apply(sets) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		g_set_error(error, PRIVILEGE_ERROR, 0, "cannot give up privileges: %s",
			g_strerror(errno));
		return FALSE;
	}
	capng_get_caps_process();
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++) {
		if (cap == CAP_NET_ADMIN || !capng_have_capability(CAPNG_PERMITTED, cap))
			continue;
		g_set_error(error, PRIVILEGE_ERROR, 0, "capability %s was not given up",
			capng_capability_to_name(cap));
		return FALSE;
	}
	return TRUE;
}
