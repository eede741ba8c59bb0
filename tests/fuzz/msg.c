/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A packet of a helper: an object comes back, or an error; what is sent again is the same. */
#include "broker/shared/msg.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GError *error = NULL;
	json_t *message = msg_parse((const char *)data, size, &error);

	if ((message == NULL) != (error != NULL))
		abort();
	if (message) {
		char *text = json_dumps(message, JSON_COMPACT);
		json_t *again = text ? msg_parse(text, strlen(text), NULL) : NULL;

		/* A number such as 1e999 is refused when read, so that what is read can be sent. */
		if (!json_equal(message, again))
			abort();
		json_decref(again);
		free(text);
	}
	json_decref(message);
	g_clear_error(&error);
	return 0;
}
