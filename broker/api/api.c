/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/api/api.h"
#include "broker/api/limit.h"
#include "broker/api/viewer.h"
#include "broker/shared/log.h"

#include <string.h>

#define KEEPALIVE_S 15
#define IDLE_S 30
#define ADMIN_BODY_MAX (1 << 20) /* a list of all seats fits into it */

static void call_body_free(gpointer data)
{
	json_decref(data);
}

void call_failed(struct call *call, const GError *error, const char *unknown)
{
	static const struct {
		unsigned status;
		const char *code;
	} table[] = {[BROKER_ERROR_INVALID] = {400, "bad-request"},
		[BROKER_ERROR_EXISTS] = {409, "exists"},
		[BROKER_ERROR_BUSY] = {409, "busy"}};

	if (error->domain != BROKER_ERROR)
		http_reply_error(call->request, 500, "internal", "%s", error->message);
	else if (error->code == BROKER_ERROR_UNKNOWN)
		http_reply_error(call->request, 404, unknown, "%s", error->message);
	else
		http_reply_error(call->request, table[error->code].status, table[error->code].code,
			"%s", error->message);
}

/* The route is found, the body fits it, the token is somebody's: then the handler is called. */
static void handle(struct api *api, enum door door, struct http_request *request)
{
	g_autofree char *param = NULL, *problem = NULL;
	gboolean allowed;
	gsize length;
	const char *text = http_body(request, &length);
	const struct route *route =
		route_find(door, http_method(request), http_path(request), &param, &allowed);
	struct call call = {.api = api, .request = request, .param = param};

	if (!route) {
		http_reply_error(request, allowed ? 405 : 404, "bad-request",
			allowed ? "this path has no such method" : "there is no such path here");
		return;
	}
	if (route->token) {
		call.viewer = viewer_find(api, http_bearer(request), http_client(request));
		if (!call.viewer) {
			http_reply_error(request, 401, "denied",
				"the login is over or not known; log in again");
			return;
		}
	}
	call.body = shape_parse(route->shape, text, length, &problem);
	if (!call.body) {
		http_reply_error(request, 400, "bad-request", "%s", problem);
		return;
	}
	route->handle(&call);
	shape_wipe(route->shape, call.body);
	call_body_free(call.body);
}

static void on_client(struct http_request *request, gpointer data)
{
	handle(data, DOOR_CLIENT, request);
}

static void on_report(struct http_request *request, gpointer data)
{
	handle(data, DOOR_REPORT, request);
}

static void on_admin(struct http_request *request, gpointer data)
{
	handle(data, DOOR_ADMIN, request);
}

static gboolean on_keepalive(gpointer data)
{
	viewer_keepalive(data);
	return G_SOURCE_CONTINUE;
}

static gboolean listen_all(struct api *api, GError **error)
{
	const struct conf *conf = api->broker->conf;
	g_autofree char *certificate_path = conf_path(conf, CONF_PATH_PKI, "server.crt");
	g_autofree char *key_path = conf_path(conf, CONF_PATH_PKI, "server.key");
	g_autofree char *certificate = NULL, *key = NULL;
	g_autofree char *socket = conf_path(conf, CONF_PATH_RUN, "api.sock");
	g_autofree char *address = NULL;
	gboolean ok = FALSE;
	guint32 ip, mask;

	conf_cidr(conf, CONF_NETWORK_CLIENT_ADDRESS, &ip, &mask);
	address = g_strdup(conf_ipv4(ip));
	struct http_options options[] = {
		[DOOR_CLIENT] = {.address = address,
			.port = (guint16)conf_int(conf, CONF_BROKER_PORT),
			.connections = 900,
			.per_ip = 16,
			.handler = on_client},
		[DOOR_REPORT] = {.address = address,
			.port = (guint16)conf_int(conf, CONF_BROKER_REPORT_PORT),
			.connections = 100,
			.per_ip = 4,
			.handler = on_report},
		[DOOR_ADMIN] = {.socket_path = socket,
			.connections = 32,
			.body_max = ADMIN_BODY_MAX,
			.handler = on_admin},
	};
	if (!g_file_get_contents(certificate_path, &certificate, NULL, error) ||
		!g_file_get_contents(key_path, &key, NULL, error)) {
		g_prefix_error(error, "the boot server's certificate is needed: ");
		goto out;
	}
	options[DOOR_CLIENT].certificate = certificate;
	options[DOOR_CLIENT].key = key;
	for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
		options[i].timeout_s = IDLE_S;
		options[i].data = api;
		api->servers[i] = http_server_new(&options[i], error);
		if (!api->servers[i])
			goto out;
	}
	ok = TRUE;
out:
	if (key)
		explicit_bzero(key, strlen(key));
	return ok;
}

struct api *api_new(struct broker *broker, GError **error)
{
	struct api *api = g_new0(struct api, 1);

	api->broker = broker;
	api->limit = limit_new();
	api->viewers = viewer_table_new();
	if (listen_all(api, error)) {
		api->keepalive = g_timeout_add_seconds(KEEPALIVE_S, on_keepalive, api);
		return api;
	}
	api_free(api);
	return NULL;
}

void api_free(struct api *api)
{
	if (!api)
		return;
	if (api->keepalive)
		g_source_remove(api->keepalive);
	for (size_t i = 0; i < G_N_ELEMENTS(api->servers); i++)
		http_server_free(api->servers[i]);
	g_hash_table_destroy(api->viewers);
	limit_free(api->limit);
	g_free(api);
}
