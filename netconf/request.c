/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netconf/request.h"

#include <arpa/inet.h>
#include <string.h>

struct fields {
	const char *client, *server; /* borrowed from the request */
	json_int_t port, server_port;
};

static gboolean address_set(guint32 *address, const char *text)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1)
		return FALSE;
	*address = ntohl(in.s_addr);
	return TRUE;
}

static gboolean port_set(guint16 *port, json_int_t number)
{
	if (number < 1 || number > 65535)
		return FALSE;
	*port = (guint16)number;
	return TRUE;
}

/* json_unpack only borrows, but its first argument is not const. */
static json_t *unconst(const json_t *json)
{
	union {
		const json_t *in;
		json_t *out;
	} cast = {.in = json};

	return cast.out;
}

static gboolean unpack_op(
	struct request *request, const json_t *json, const char *op, json_error_t *problem)
{
	json_t *in = unconst(json);
	struct fields fields = {NULL, NULL, 0, 1};
	json_int_t id;
	const char *name;
	int failed;

	if (!strcmp(op, "setup")) {
		request->op = REQUEST_SETUP;
		return !json_unpack_ex(
			in, problem, JSON_STRICT, "{s:I, s:s}", "id", &id, "op", &name);
	}
	if (!strcmp(op, "forward-list")) {
		request->op = REQUEST_FORWARD_LIST;
		failed = json_unpack_ex(in, problem, JSON_STRICT, "{s:I, s:s, s?I}", "id", &id,
			"op", &name, "offset", &request->offset);
		return !failed && request->offset >= 0;
	}
	if (!strcmp(op, "forward-del")) {
		request->op = REQUEST_FORWARD_DEL;
		failed = json_unpack_ex(in, problem, JSON_STRICT, "{s:I, s:s, s:s, s:I}", "id", &id,
			"op", &name, "client", &fields.client, "port", &fields.port);
	} else if (!strcmp(op, "forward-add")) {
		request->op = REQUEST_FORWARD_ADD;
		failed = json_unpack_ex(in, problem, JSON_STRICT, "{s:I, s:s, s:s, s:I, s:s, s:I}",
			"id", &id, "op", &name, "client", &fields.client, "port", &fields.port,
			"server", &fields.server, "server_port", &fields.server_port);
	} else {
		g_strlcpy(problem->text, "unknown op", sizeof(problem->text));
		return FALSE;
	}
	return !failed && address_set(&request->forward.client, fields.client) &&
	       port_set(&request->forward.port, fields.port) &&
	       (!fields.server || address_set(&request->forward.server, fields.server)) &&
	       port_set(&request->forward.server_port, fields.server_port);
}

const char *request_parse(
	struct request *request, const json_t *json, const struct policy *policy, char **message)
{
	json_error_t problem = {.text = ""};
	const char *op = json_string_value(json_object_get(json, "op"));
	const char *wrong = NULL;

	*request = (struct request){0};
	*message = NULL;
	if (!op || !unpack_op(request, json, op, &problem)) {
		*message = g_strdup_printf("%s: %s", op ? op : "no op",
			problem.text[0] ? problem.text
					: "an address is IPv4 text, a port 1 to 65535, "
					  "an offset not negative");
		return "bad-request";
	}
	/* A deletion is not bounded by the policy of today: it can only close what is open. */
	if (request->op == REQUEST_FORWARD_ADD)
		wrong = policy_check(policy, &request->forward);
	if (!wrong)
		return NULL;
	*message = g_strdup(wrong);
	return "not-allowed";
}
