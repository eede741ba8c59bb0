/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A request as it comes over the socket. */
#include "broker/virt/request.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	struct request *request;

	if (!json_is_object(json)) {
		json_decref(json);
		return 0;
	}
	request = request_new(json, NULL);
	if (request && request->op >= REQUEST_COUNT)
		abort();
	request_free(request);
	return 0;
}
