/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the `carrel` command asks. */
#include "broker/api/routes.h"
#include "broker/daemon/policies.h"
#include "broker/daemon/worker.h"
#include "broker/shared/log.h"

#include <string.h>

#define AUTHD_TIMEOUT_MS 30000
#define LEDGER_SHOWN 50

static json_t *number(guint64 value)
{
	return json_integer((json_int_t)value);
}

static unsigned desktops_on(const struct core *core, guint64 server)
{
	unsigned n = 0;

	for (const struct core_desktop *desktop = core_desktop_next(core, 0); desktop;
		desktop = core_desktop_next(core, desktop->id))
		n += desktop->server == server && desktop->state != DESKTOP_GONE;
	return n;
}

static const char *server_state(const struct core_server *server, const struct worker *worker)
{
	if (server->up)
		return "up";
	return worker && worker_state(worker) == WORKER_PREPARING ? "preparing" : "down";
}

static json_t *server_json(struct broker *broker, const struct core_server *server)
{
	const struct worker *worker = worker_get(broker, server->id);
	const char *uri = g_hash_table_lookup(broker->uris, server->name);

	return json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:s}", "name", server->name,
		"uri", uri ? uri : "", "state", server_state(server, worker), "draining",
		server->draining, "memory_mib", (json_int_t)server->memory_mib, "capacity_mib",
		(json_int_t)core_server_capacity_mib(broker->core, server->id), "used_mib",
		(json_int_t)core_server_used_mib(broker->core, server->id), "desktops",
		(json_int_t)desktops_on(broker->core, server->id), "message",
		worker ? worker_message(worker) : "");
}

static json_t *servers_json(struct broker *broker)
{
	json_t *list = json_array();

	for (const struct core_server *server = core_server_next(broker->core, 0); server;
		server = core_server_next(broker->core, server->id))
		json_array_append_new(list, server_json(broker, server));
	return list;
}

static json_t *warnings_json(struct broker *broker)
{
	json_t *list = json_array();

	if (broker->image_problem)
		json_array_append_new(list, json_string(broker->image_problem));
	if (!helper_is_up(broker->netd))
		json_array_append_new(list, json_string("carrel-netd cannot be reached: no desktop "
							"can be opened; start it"));
	if (!helper_is_up(broker->authd))
		json_array_append_new(list,
			json_string("carrel-authd cannot be reached: nobody can log in; start it"));
	if (!core_server_next(broker->core, 0))
		json_array_append_new(list, json_string("there is no virtualization server; "
							"\"carrel server add NAME URI\""));
	for (const struct core_server *server = core_server_next(broker->core, 0); server;
		server = core_server_next(broker->core, server->id)) {
		const struct worker *worker = worker_get(broker, server->id);

		if (worker && *worker_message(worker)) {
			g_autofree char *text = g_strdup_printf(
				"server %s: %s", server->name, worker_message(worker));
			g_autofree char *clean = g_utf8_make_valid(text, -1);

			json_array_append_new(list, json_string(clean));
		}
	}
	policies_warn(broker->policies, list);
	return list;
}

static json_t *seats_json(struct api *api)
{
	json_t *list = json_array();
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, api->boots);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		json_array_append(list, value);
	return list;
}

void admin_status(struct call *call)
{
	struct broker *broker = call->api->broker;
	struct core_tier_status tier;
	unsigned standby = 0;

	core_tier_status(broker->core, &tier);
	for (const struct core_desktop *desktop = core_desktop_next(broker->core, 0); desktop;
		desktop = core_desktop_next(broker->core, desktop->id))
		standby += desktop->state == DESKTOP_STANDBY;
	const struct core_server *next = core_server_get(broker->core, tier.next_server);
	json_t *status = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "version",
		CARREL_VERSION, "users", (json_int_t)tier.users, "capacity_users",
		(json_int_t)tier.capacity_users, "tier", (json_int_t)tier.tier, "tiers",
		(json_int_t)tier.tiers, "size_mib", (json_int_t)tier.size_mib, "threshold",
		(json_int_t)tier.threshold, "standby", (json_int_t)standby, "image",
		broker->config.image);
	json_object_set_new(status, "reserve_mib", number(tier.reserve_server_free_mib));
	json_object_set_new(status, "kept_seats", number(tier.kept_seats));
	json_object_set_new(status, "queued", number(tier.queued));
	json_object_set_new(status, "next",
		json_pack("{s:I, s:s, s:b}", "size_mib", (json_int_t)tier.next_size_mib, "server",
			next ? next->name : "", "waits", tier.next_waits));
	json_object_set_new(status, "servers", servers_json(broker));
	json_object_set_new(status, "warnings", warnings_json(broker));
	json_object_set_new(status, "seats", seats_json(call->api));
	http_reply(call->request, 200, status);
}

static json_t *session_json(struct broker *broker, const struct core_session *session)
{
	const struct core_desktop *desktop = core_desktop_get(broker->core, session->desktop);
	const struct core_server *server =
		desktop ? core_server_get(broker->core, desktop->server) : NULL;
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(session->started_wall_ms / 1000);
	g_autofree char *started = g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");

	return json_pack("{s:o, s:s, s:s, s:s, s:o, s:s, s:I, s:s, s:s, s:s}", "id",
		number(session->id), "user", session->user, "full_name", session->full_name,
		"state",
		core_session_queued(broker->core, session->id)
			? "queued"
			: core_session_state_name(session->state),
		"desktop", number(session->desktop), "server", server ? server->name : "",
		"memory_mib", (json_int_t)(desktop ? desktop->memory_mib : 0), "client",
		session->client, "seat", session->seat, "started", started);
}

void admin_sessions(struct call *call)
{
	struct broker *broker = call->api->broker;
	json_t *list = json_array();

	for (const struct core_session *session = core_session_next(broker->core, 0); session;
		session = core_session_next(broker->core, session->id))
		if (session->state != SESSION_ENDED)
			json_array_append_new(list, session_json(broker, session));
	http_reply(call->request, 200, json_pack("{s:o}", "sessions", list));
}

void admin_session_end(struct call *call)
{
	guint64 id;

	if (!g_ascii_string_to_unsigned(call->param, 10, 1, G_MAXINT64, &id, NULL) ||
		!core_session_get(call->api->broker->core, id)) {
		http_reply_error(call->request, 404, "unknown-session",
			"there is no session %s; \"carrel session list\" shows them", call->param);
		return;
	}
	broker_post(call->api->broker,
		&(struct core_event){.type = CORE_EV_SESSION_END, .session = id});
	http_reply(call->request, 202, json_pack("{s:o}", "session", number(id)));
}

/* --- users: carrel-authd knows them --- */

static unsigned status_of(const char *code)
{
	static const struct {
		const char *code;
		unsigned status;
	} table[] = {{"exists", 409}, {"not-own", 409}, {"unknown-user", 404}, {"bad-name", 400},
		{"weak-password", 400}, {"bad-request", 400}, {"denied", 403}};

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
		if (!strcmp(table[i].code, code))
			return table[i].status;
	return 503;
}

/* What is said to the admin is what carrel-authd said, without its numbering. */
static void on_authd(const json_t *answer, gpointer data)
{
	struct http_request *request = *(struct http_request **)data;

	if (helper_ok(answer)) {
		json_t *body = json_copy((json_t *)answer);

		json_object_del(body, "id");
		json_object_del(body, "ok");
		http_reply(request, 200, body);
	} else if (!strcmp(helper_code(answer), "unreachable")) {
		http_reply_error(request, 503, "unavailable",
			"carrel-authd cannot be reached; start it with \"systemctl start "
			"carrel-authd\"");
	} else {
		http_reply_error(request, status_of(helper_code(answer)), helper_code(answer), "%s",
			helper_message(answer));
	}
}

static void ask_authd(struct call *call, json_t *request)
{
	struct http_request **data = g_new(struct http_request *, 1);

	*data = call->request;
	helper_call(call->api->broker->authd, request, AUTHD_TIMEOUT_MS, on_authd, data);
}

void admin_users(struct call *call)
{
	ask_authd(call, json_pack("{s:s}", "op", "user-list"));
}

void admin_user_add(struct call *call)
{
	ask_authd(call, json_pack("{s:s, s:s, s:s, s:s}", "op", "user-add", "user",
				shape_text(call->body, "user"), "password",
				shape_text(call->body, "password"), "full_name",
				shape_text(call->body, "full_name")));
}

void admin_user_passwd(struct call *call)
{
	ask_authd(call, json_pack("{s:s, s:s, s:s}", "op", "user-passwd", "user", call->param,
				"password", shape_text(call->body, "password")));
}

void admin_user_del(struct call *call)
{
	const struct core_session *session =
		core_session_by_user(call->api->broker->core, call->param);

	if (session && session->state != SESSION_ENDED) {
		http_reply_error(call->request, 409, "busy",
			"%s has session %" G_GUINT64_FORMAT
			"; \"carrel session end %" G_GUINT64_FORMAT "\" first",
			call->param, session->id, session->id);
		return;
	}
	ask_authd(call, json_pack("{s:s, s:s}", "op", "user-del", "user", call->param));
}

/* --- servers --- */

static void reply_broker_error(struct call *call, const GError *error)
{
	static const struct {
		unsigned status;
		const char *code;
	} table[] = {[BROKER_ERROR_INVALID] = {400, "bad-request"},
		[BROKER_ERROR_EXISTS] = {409, "exists"},
		[BROKER_ERROR_BUSY] = {409, "busy"},
		[BROKER_ERROR_UNKNOWN] = {404, "unknown-server"}};

	http_reply_error(call->request, table[error->code].status, table[error->code].code, "%s",
		error->message);
}

void admin_servers(struct call *call)
{
	http_reply(
		call->request, 200, json_pack("{s:o}", "servers", servers_json(call->api->broker)));
}

void admin_server_add(struct call *call)
{
	g_autoptr(GError) error = NULL;
	const char *name = shape_text(call->body, "name");

	if (broker_server_add(call->api->broker, name, shape_text(call->body, "uri"), &error))
		http_reply(call->request, 201, json_pack("{s:s}", "name", name));
	else
		reply_broker_error(call, error);
}

void admin_server_drain(struct call *call)
{
	g_autoptr(GError) error = NULL;
	gboolean drain = json_is_true(json_object_get(call->body, "drain"));

	if (broker_server_drain(call->api->broker, call->param, drain, &error))
		http_reply(call->request, 200, json_pack("{s:b}", "draining", drain));
	else
		reply_broker_error(call, error);
}

void admin_server_remove(struct call *call)
{
	g_autoptr(GError) error = NULL;

	if (broker_server_remove(call->api->broker, call->param, &error))
		http_reply(call->request, 200, json_object());
	else
		reply_broker_error(call, error);
}

void admin_desktops(struct call *call)
{
	struct broker *broker = call->api->broker;
	json_t *list = json_array();

	for (const struct core_desktop *desktop = core_desktop_next(broker->core, 0); desktop;
		desktop = core_desktop_next(broker->core, desktop->id)) {
		const struct core_server *server = core_server_get(broker->core, desktop->server);
		const struct core_session *session =
			core_session_get(broker->core, desktop->session);

		json_array_append_new(list,
			json_pack("{s:o, s:s, s:s, s:I, s:s, s:o, s:s, s:s, s:I}", "id",
				number(desktop->id), "server", server ? server->name : "", "state",
				core_desktop_state_name(desktop->state), "memory_mib",
				(json_int_t)desktop->memory_mib, "user",
				session ? session->user : "", "session", number(desktop->session),
				"image", desktop->image, "vnc_host", desktop->vnc_host, "vnc_port",
				(json_int_t)desktop->vnc_port));
	}
	http_reply(call->request, 200, json_pack("{s:o}", "desktops", list));
}

void admin_ledger(struct call *call)
{
	g_autoptr(GError) error = NULL;
	json_t *list = store_ledger_list(call->api->broker->store, LEDGER_SHOWN, &error);

	if (list)
		http_reply(call->request, 200, json_pack("{s:o}", "logins", list));
	else
		http_reply_error(call->request, 500, "internal", "%s", error->message);
}

void admin_reload(struct call *call)
{
	g_autoptr(GError) error = NULL;

	if (broker_reload(call->api->broker, &error))
		http_reply(call->request, 200, json_object());
	else
		http_reply_error(call->request, 400, "config", "%s", error->message);
}
