/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A request to carrel-netd: whatever is accepted as a forward lies within the policy. */
#include "broker/shared/msg.h"
#include "netconf/request.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct policy policy = {
	.client_interface = "eth1",
	.server_interface = "eth0",
	.address = 0x0a4d0001,
	.mask = 0xffffff00,
	.server_network = 0x0a4e0000,
	.server_mask = 0xffffff00,
	.port = 5900,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *json = msg_parse((const char *)data, size, NULL);
	struct request request;
	char *message = NULL;

	if (!json)
		return 0;
	const char *code = request_parse(&request, json, &policy, &message);
	if ((code == NULL) != (message == NULL))
		abort();
	if (!code && request.op == REQUEST_FORWARD_ADD &&
		(request.forward.client >> 8 != 0x0a4d00 || request.forward.client == 0x0a4d0001 ||
			request.forward.server >> 8 != 0x0a4e00 || request.forward.port < 5900 ||
			request.forward.port > 5907 || request.forward.server_port < 5900 ||
			request.forward.server_port > 6899))
		abort();
	g_free(message);
	json_decref(json);
	return 0;
}
