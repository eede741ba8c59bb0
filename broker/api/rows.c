/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/api/rows.h"
#include "broker/daemon/seats.h"
#include "broker/daemon/worker.h"

static const char *server_name(const struct broker *broker, guint64 id)
{
	const struct core_server *server = core_server_get(broker->core, id);

	return server ? server->name : "";
}

/* --- servers --- */

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
	if (worker && worker_state(worker) == WORKER_PREPARING)
		return "preparing";
	return server->lost ? "lost" : "down";
}

static json_t *server_row(struct broker *broker, const struct core_server *server)
{
	const struct worker *worker = worker_get(broker, server->id);
	const char *uri = g_hash_table_lookup(broker->uris, server->name);

	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "name",
		server->name, "uri", uri ? uri : "", "state", server_state(server, worker),
		"draining", server->draining, "lost", server->lost, "memory_mib",
		(json_int_t)server->memory_mib, "cpus", (json_int_t)server->cpus, "capacity_mib",
		(json_int_t)core_server_capacity_mib(broker->core, server->id), "used_mib",
		(json_int_t)core_server_used_mib(broker->core, server->id), "desktops",
		(json_int_t)desktops_on(broker->core, server->id), "users",
		(json_int_t)core_server_users(broker->core, server->id), "message",
		worker ? worker_message(worker) : "");
}

json_t *rows_servers(struct broker *broker)
{
	json_t *list = json_array();

	for (const struct core_server *server = core_server_next(broker->core, 0); server;
		server = core_server_next(broker->core, server->id))
		json_array_append_new(list, server_row(broker, server));
	return list;
}

/* --- sessions and desktops --- */

void rows_move(struct broker *broker, const struct core_session *session, json_t *object)
{
	gboolean moving = session && session->move != MOVE_NONE;
	const struct core_desktop *next =
		moving ? core_desktop_get(broker->core, session->next) : NULL;
	json_t *move = json_pack("{s:s, s:s, s:I, s:s, s:I}", "move",
		moving ? core_move_name(session->move) : "", "move_why",
		moving ? core_move_why_name(session->move_why) : "", "next",
		(json_int_t)(next ? next->id : 0), "next_server",
		next ? server_name(broker, next->server) : "", "next_memory_mib",
		(json_int_t)(next ? next->memory_mib : 0));

	json_object_update(object, move);
	json_decref(move);
}

/* Why somebody on a server that is being drained is still there; "" = nothing is in his way. */
static void move_problem(struct broker *broker, const struct core_session *session,
	const struct core_desktop *desktop, json_t *object)
{
	const struct core_server *server =
		desktop ? core_server_get(broker->core, desktop->server) : NULL;
	char why[CORE_TEXT_MAX] = "";

	if (server && server->draining && session->move == MOVE_NONE)
		core_move_check(broker->core, session->id, 0, 0, why, sizeof(why));
	json_object_set_new(object, "move_problem", json_string(why));
}

json_t *rows_session(struct broker *broker, const struct core_session *session)
{
	const struct core_desktop *desktop = core_desktop_get(broker->core, session->desktop);
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(session->started_wall_ms / 1000);
	g_autofree char *started = g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");
	json_t *row = json_pack("{s:I, s:s, s:s, s:s, s:I, s:s, s:I, s:s, s:s, s:s, s:s}", "id",
		(json_int_t)session->id, "user", session->user, "full_name", session->full_name,
		"state",
		core_session_queued(broker->core, session->id)
			? "queued"
			: core_session_state_name(session->state),
		"desktop", (json_int_t)session->desktop, "server",
		desktop ? server_name(broker, desktop->server) : "", "memory_mib",
		(json_int_t)(desktop ? desktop->memory_mib : 0), "client", session->client, "seat",
		session->seat, "place", seats_place(broker->seats, session->seat), "started",
		started);

	rows_move(broker, session, row);
	move_problem(broker, session, desktop, row);
	return row;
}

json_t *rows_desktop(struct broker *broker, const struct core_desktop *desktop)
{
	const struct core_session *session = core_session_get(broker->core, desktop->session);

	return json_pack("{s:I, s:s, s:s, s:I, s:s, s:I, s:s, s:b, s:s, s:I}", "id",
		(json_int_t)desktop->id, "server", server_name(broker, desktop->server), "state",
		core_desktop_state_name(desktop->state), "memory_mib",
		(json_int_t)desktop->memory_mib, "user", session ? session->user : "", "session",
		(json_int_t)desktop->session, "image", desktop->image, "live", desktop->live,
		"vnc_host", desktop->vnc_host, "vnc_port", (json_int_t)desktop->vnc_port);
}
