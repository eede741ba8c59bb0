/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A boot server's two interfaces, for tests of what is found out from them. */
#ifndef CARREL_TEST_LINKS_H
#define CARREL_TEST_LINKS_H

#include "broker/shared/conf.h"

/* eth1 towards the PCs, 10.77.0.1/24; eth0 towards the servers, 10.78.0.1/24, with the default
 * route. */
static inline GArray *links_of_boot_server(void)
{
	static const struct conf_link links[] = {
		{"eth0", 0x0a4e0001, 0xffffff00, TRUE}, {"eth1", 0x0a4d0001, 0xffffff00, FALSE}};

	return g_array_append_vals(
		g_array_new(FALSE, FALSE, sizeof(links[0])), links, G_N_ELEMENTS(links));
}

#endif
