/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The queue, groups and reservations, as the `carrel` command asks for them. */
#include "broker/api/routes.h"
#include "broker/daemon/policies.h"
#include "broker/daemon/seats.h"

void policy_queue(struct call *call)
{
	const struct core *core = call->api->broker->core;
	struct core_queue_entry entry;
	json_t *list = json_array();

	for (guint32 at = 1; core_queue_get(core, at, &entry); at++) {
		const struct core_session *session = core_session_get(core, entry.session);
		g_autoptr(GDateTime) time =
			g_date_time_new_from_unix_utc(session->started_wall_ms / 1000);
		g_autofree char *since = g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");

		json_array_append_new(
			list, json_pack("{s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:o}", "position",
				      (json_int_t)entry.position, "session",
				      (json_int_t)entry.session, "user", session->user, "full_name",
				      session->full_name, "seat", session->seat, "place",
				      seats_place(call->api->broker->seats, session->seat), "since",
				      since, "minutes",
				      entry.minutes ? json_integer(entry.minutes) : json_null()));
	}
	http_reply(call->request, 200, json_pack("{s:o}", "queue", list));
}

void policy_groups(struct call *call)
{
	http_reply(call->request, 200,
		json_pack("{s:o}", "groups", policies_groups(call->api->broker->policies)));
}

void policy_group_add(struct call *call)
{
	g_autoptr(GError) error = NULL;
	json_t *group = policies_group_add(call->api->broker->policies,
		shape_text(call->body, "name"), json_object_get(call->body, "members"),
		shape_int(call->body, "min_mib", -1), shape_int(call->body, "max_mib", -1), &error);

	if (group)
		http_reply(call->request, 200, group);
	else
		call_failed(call, error, "unknown-group");
}

void policy_group_remove(struct call *call)
{
	g_autoptr(GError) error = NULL;

	if (policies_group_remove(call->api->broker->policies, call->param,
		    json_object_get(call->body, "members"), &error))
		http_reply(call->request, 200, json_object());
	else
		call_failed(call, error, "unknown-group");
}

void policy_reservations(struct call *call)
{
	http_reply(call->request, 200,
		json_pack("{s:o}", "reservations",
			policies_reservations(call->api->broker->policies)));
}

void policy_reservation_add(struct call *call)
{
	g_autoptr(GError) error = NULL;
	json_t *reservation =
		policies_reservation_add(call->api->broker->policies, call->body, &error);

	if (reservation)
		http_reply(call->request, 201, reservation);
	else
		call_failed(call, error, "unknown-group");
}

void policy_reservation_remove(struct call *call)
{
	g_autoptr(GError) error = NULL;
	guint64 id;

	if (!g_ascii_string_to_unsigned(call->param, 10, 1, G_MAXINT64, &id, &error)) {
		http_reply_error(call->request, 404, "unknown-reservation",
			"there is no reservation %s; \"carrel reservation list\" shows them",
			call->param);
		return;
	}
	if (policies_reservation_remove(call->api->broker->policies, id, &error))
		http_reply(call->request, 200, json_object());
	else
		call_failed(call, error, "unknown-reservation");
}
