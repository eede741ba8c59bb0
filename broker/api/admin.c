/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the `carrel` command asks. */
#include "broker/api/routes.h"
#include "broker/api/rows.h"
#include "broker/daemon/bootwatch.h"
#include "broker/daemon/channels.h"
#include "broker/daemon/clientimage.h"
#include "broker/daemon/policies.h"
#include "broker/daemon/seats.h"
#include "broker/daemon/worker.h"
#include "broker/shared/log.h"

#include <string.h>

#define AUTHD_TIMEOUT_MS 30000
#define LEDGER_SHOWN 50

/* What only a person can know. */
static void warn_lost(struct broker *broker, const struct core_server *server, json_t *list)
{
	guint32 users = core_server_users(broker->core, server->id);

	if (server->lost && users)
		json_array_append_new(list,
			json_sprintf(
				"server %s is lost, with the desktops of %u users; when it is "
				"switched off, \"carrel server lost %s --yes\" lets them go on "
				"elsewhere",
				server->name, users, server->name));
}

static json_t *warnings_json(struct broker *broker)
{
	json_t *list = json_array();

	const struct core_channels *channels = core_channels(broker->core);

	if (channels_problem(broker->channels))
		json_array_append_new(list, json_string(channels_problem(broker->channels)));
	if (channels->returned[0])
		json_array_append_new(
			list, json_sprintf("the image %s was taken back, %s is stable: %s",
				      channels->returned, channels->stable.id, channels->reason));
	g_autofree char *clients = clientimage_warning(broker->clientimage);
	if (clients)
		json_array_append_new(list, json_string(clients));
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
		warn_lost(broker, server, list);
	}
	for (const struct core_volume *volume = core_volume_next(broker->core, 0); volume;
		volume = core_volume_next(broker->core, volume->id))
		if (volume->state == VOLUME_BROKEN)
			json_array_append_new(list,
				json_sprintf("%s's home is damaged and is not opened; \"carrel "
					     "volume check %s --repair\" mends it",
					volume->user, volume->user));
	if (seats_waiting(broker->seats))
		json_array_append_new(list,
			json_sprintf("PCs that wait for approval: %u; \"carrel seat list\" shows "
				     "them as held, \"carrel seat approve\" lets them in",
				seats_waiting(broker->seats)));
	policies_warn(broker->policies, list);
	return list;
}

/* What the next login would do. */
static json_t *next_json(struct broker *broker, const struct core_tier_status *tier)
{
	const struct core_server *server = core_server_get(broker->core, tier->next_server);
	const struct core_session *first = core_session_get(broker->core, tier->next_handoff);
	const struct core_server *to = core_server_get(broker->core, tier->next_handoff_server);

	return json_pack("{s:I, s:s, s:b, s:s, s:s, s:I}", "size_mib",
		(json_int_t)tier->next_size_mib, "server", server ? server->name : "", "waits",
		tier->next_waits, "handoff", first ? first->user : "", "handoff_server",
		to ? to->name : "", "handoff_size_mib",
		(json_int_t)(first ? tier->next_handoff_size_mib : 0));
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
	json_t *status = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "version",
		CARREL_VERSION, "users", (json_int_t)tier.users, "capacity_users",
		(json_int_t)tier.capacity_users, "tier", (json_int_t)tier.tier, "tiers",
		(json_int_t)tier.tiers, "size_mib", (json_int_t)tier.size_mib, "threshold",
		(json_int_t)tier.threshold, "standby", (json_int_t)standby, "image",
		core_channels(broker->core)->stable.id);
	json_object_set_new(status, "reserve_mib", json_integer(tier.reserve_server_free_mib));
	json_object_set_new(status, "kept_seats", json_integer(tier.kept_seats));
	json_object_set_new(status, "queued", json_integer(tier.queued));
	json_object_set_new(status, "moving", json_integer(tier.moving));
	json_object_set_new(status, "next", next_json(broker, &tier));
	json_object_set_new(status, "servers", rows_servers(broker));
	json_object_set_new(status, "warnings", warnings_json(broker));
	json_object_set_new(status, "boots", bootwatch_troubles(broker->boots));
	http_reply(call->request, 200, status);
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

void admin_servers(struct call *call)
{
	http_reply(
		call->request, 200, json_pack("{s:o}", "servers", rows_servers(call->api->broker)));
}

void admin_server_add(struct call *call)
{
	g_autoptr(GError) error = NULL;
	const char *name = shape_text(call->body, "name");

	if (broker_server_add(call->api->broker, name, shape_text(call->body, "uri"), &error))
		http_reply(call->request, 201, json_pack("{s:s}", "name", name));
	else
		call_failed(call, error, "unknown-server");
}

void admin_server_drain(struct call *call)
{
	g_autoptr(GError) error = NULL;
	gboolean drain = json_is_true(json_object_get(call->body, "drain"));

	if (broker_server_drain(call->api->broker, call->param, drain, &error))
		http_reply(call->request, 200, json_pack("{s:b}", "draining", drain));
	else
		call_failed(call, error, "unknown-server");
}

void admin_server_lost(struct call *call)
{
	g_autoptr(GError) error = NULL;

	if (broker_server_lost(call->api->broker, call->param, &error))
		http_reply(call->request, 202, json_pack("{s:s}", "server", call->param));
	else
		call_failed(call, error, "unknown-server");
}

void admin_server_remove(struct call *call)
{
	g_autoptr(GError) error = NULL;

	if (broker_server_remove(call->api->broker, call->param, &error))
		http_reply(call->request, 200, json_object());
	else
		call_failed(call, error, "unknown-server");
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
