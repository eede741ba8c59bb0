/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of own users: any text gives users with sound fields, and the first damaged line. */
#include "broker/auth/name.h"
#include "broker/auth/users.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = g_strndup((const char *)data, size);
	struct users *users = users_parse(text);

	for (guint i = 0; i < users->list->len; i++) {
		const struct user *user = users->list->pdata[i];

		if (!*user->name || !user->uid || !name_full_valid(user->full_name) ||
			users_find(users, user->name) != user)
			abort();
	}
	users_free(users);
	g_free(text);
	return 0;
}
