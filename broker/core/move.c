/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "broker/core/internal.h"

bool core_move_check(const struct core *core, uint64_t session, uint64_t server,
	uint32_t memory_mib, char *why, size_t size)
{
	(void)core;
	(void)session;
	(void)server;
	(void)memory_mib;
	snprintf(why, size, "not yet");
	return false;
}

uint32_t core_server_users(const struct core *core, uint64_t server)
{
	uint32_t users = 0;

	EACH(desktop, d, &core->desktops)
	{
		users += d->row.server == server && d->row.session != 0;
	}
	return users;
}
