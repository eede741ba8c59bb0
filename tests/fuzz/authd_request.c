/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A request to carrel-authd, and a user name from it: what is canonical stays what it is. */
#include "broker/auth/name.h"
#include "broker/auth/request.h"
#include "broker/shared/msg.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_name(const char *text, gboolean fold)
{
	const char *why = NULL;
	char *name = name_canonical(text, fold, &why);

	if ((name == NULL) != (why != NULL))
		abort();
	if (name) {
		char *again = name_canonical(name, fold, &why);

		if (!again || strcmp(again, name) != 0 || strpbrk(name, ":/ \n") ||
			strlen(name) > NAME_BYTES_MAX)
			abort();
		g_free(again);
	}
	g_free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *json = msg_parse((const char *)data, size, NULL);
	struct request request;
	char *message = NULL;

	if (!json)
		return 0;
	if (request_parse(&request, json, &message)) {
		if (request.op != REQUEST_USER_LIST && !request.user)
			abort();
		if (request.user) {
			try_name(request.user, TRUE);
			try_name(request.user, FALSE);
		}
		if (request.full_name)
			name_full_valid(request.full_name);
	} else if (!message) {
		abort();
	}
	g_free(message);
	json_decref(json);
	return 0;
}
