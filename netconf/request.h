/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * carrel-netd's requests (docs/protocols.md), unpacked strictly: a member that is not known, is
 * missing or has the wrong type makes the request a bad one. No side effects.
 */
#ifndef CARREL_NETCONF_REQUEST_H
#define CARREL_NETCONF_REQUEST_H

#include "netconf/policy.h"

#include <jansson.h>

enum request_op { REQUEST_SETUP, REQUEST_FORWARD_ADD, REQUEST_FORWARD_DEL, REQUEST_FORWARD_LIST };

struct request {
	enum request_op op;
	struct forward forward; /* add: all of it; del: client and port */
	json_int_t offset;      /* list: how many to skip */
};

/*
 * Returns NULL, or the code of a refusal ("bad-request" or "not-allowed") and in *message its
 * sentence, which the caller frees.
 */
const char *request_parse(
	struct request *request, const json_t *json, const struct policy *policy, char **message);

#endif
