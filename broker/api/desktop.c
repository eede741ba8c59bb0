/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sessions and desktops, as the `carrel` command looks at them, moves them and ends them. */
#include "broker/api/routes.h"
#include "broker/api/rows.h"
#include "broker/core/tier.h"

static gboolean read_id(const char *text, guint64 *id)
{
	return g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT64, id, NULL);
}

/* The session of the path, by its number or its user's name (no name is all digits); or NULL, the
 * answer is given. */
static const struct core_session *find_session(struct call *call)
{
	const struct core *core = call->api->broker->core;
	guint64 id;
	const struct core_session *session = read_id(call->param, &id)
						     ? core_session_get(core, id)
						     : core_session_by_user(core, call->param);

	if (session && session->state != SESSION_ENDED)
		return session;
	http_reply_error(call->request, 404, "unknown-session",
		"there is no session %s; \"carrel session list\" shows them", call->param);
	return NULL;
}

static const struct core_desktop *find_desktop(struct call *call)
{
	guint64 id;
	const struct core_desktop *desktop =
		read_id(call->param, &id) ? core_desktop_get(call->api->broker->core, id) : NULL;

	if (!desktop)
		http_reply_error(call->request, 404, "unknown-desktop",
			"there is no desktop %s; \"carrel desktop list\" shows them", call->param);
	return desktop;
}

/* Whose desktop it is, or whose hand-off leads to it. */
static const struct core_session *session_of(
	const struct core *core, const struct core_desktop *desktop)
{
	const struct core_session *session = core_session_get(core, desktop->session);

	if (session && session->state != SESSION_ENDED)
		return session;
	for (session = core_session_next(core, 0); session;
		session = core_session_next(core, session->id))
		if (session->move != MOVE_NONE && session->next == desktop->id)
			return session;
	return NULL;
}

/* --- looking --- */

void admin_sessions(struct call *call)
{
	struct broker *broker = call->api->broker;
	json_t *list = json_array();

	for (const struct core_session *session = core_session_next(broker->core, 0); session;
		session = core_session_next(broker->core, session->id))
		if (session->state != SESSION_ENDED)
			json_array_append_new(list, rows_session(broker, session));
	http_reply(call->request, 200, json_pack("{s:o}", "sessions", list));
}

void admin_desktops(struct call *call)
{
	struct broker *broker = call->api->broker;
	json_t *list = json_array();

	for (const struct core_desktop *desktop = core_desktop_next(broker->core, 0); desktop;
		desktop = core_desktop_next(broker->core, desktop->id))
		json_array_append_new(list, rows_desktop(broker, desktop));
	http_reply(call->request, 200, json_pack("{s:o}", "desktops", list));
}

void admin_desktop(struct call *call)
{
	struct broker *broker = call->api->broker;
	const struct core_desktop *desktop = find_desktop(call);

	if (!desktop)
		return;
	const struct core_session *session = session_of(broker->core, desktop);
	json_t *row = rows_desktop(broker, desktop);
	json_object_set_new(row, "standby", json_boolean(desktop->state == DESKTOP_STANDBY));
	json_object_set_new(row, "next_of",
		json_string(session && session->next == desktop->id ? session->user : ""));
	rows_move(broker, session, row);
	http_reply(call->request, 200, row);
}

/* --- ending --- */

void admin_session_end(struct call *call)
{
	const struct core_session *session = find_session(call);

	if (!session)
		return;
	guint64 id = session->id;
	broker_post(call->api->broker,
		&(struct core_event){.type = CORE_EV_SESSION_END, .session = id});
	http_reply(call->request, 202, json_pack("{s:I}", "session", (json_int_t)id));
}

void admin_desktop_destroy(struct call *call)
{
	struct broker *broker = call->api->broker;
	const struct core_desktop *desktop = find_desktop(call);
	g_autoptr(GError) error = NULL;

	if (!desktop)
		return;
	guint64 id = desktop->id;
	const struct core_session *session = session_of(broker->core, desktop);
	if (session && !json_is_true(json_object_get(call->body, "force"))) {
		http_reply_error(call->request, 409, "busy",
			session->desktop == id
				? "desktop %s has %s's session %" G_GUINT64_FORMAT
				  ", which ends with it; \"carrel desktop destroy %s --yes\" if "
				  "that is meant"
				: "%s is the desktop that %s's session %" G_GUINT64_FORMAT
				  " is being moved to; \"carrel desktop destroy %s --yes\" if "
				  "that is meant",
			call->param, session->user, session->id, call->param);
		return;
	}
	json_t *answer = json_pack("{s:I, s:s, s:I}", "desktop", (json_int_t)id, "user",
		session && session->desktop == id ? session->user : "", "session",
		(json_int_t)(session && session->desktop == id ? session->id : 0));
	if (broker_desktop_discard(broker, id, &error)) {
		http_reply(call->request, 202, answer);
	} else {
		json_decref(answer);
		call_failed(call, error, "unknown-desktop");
	}
}

/* --- moving --- */

/* FALSE, and the answer is given, when desktops have no such size. */
static gboolean size_is_good(struct call *call, gint64 mib)
{
	const struct core_config *config = &call->api->broker->config;
	g_autoptr(GString) sizes = g_string_new(NULL);
	struct tier_table tiers;

	tier_table_init(&tiers, config->max_mib, config->min_mib, config->overhead_mib);
	for (unsigned m = 0; m <= tiers.last; m++) {
		if (tier_size_mib(&tiers, m) == mib)
			return TRUE;
		g_string_append_printf(sizes, "%s%u", m ? ", " : "", tier_size_mib(&tiers, m));
	}
	http_reply_error(call->request, 400, "bad-request",
		"%" G_GINT64_FORMAT " MiB is no size of desktops; the sizes are %s", mib,
		sizes->str);
	return FALSE;
}

/* Body: "server" and "memory_mib", both may be missing. The answer has where it was. */
static void move(struct call *call, const struct core_session *session)
{
	struct broker *broker = call->api->broker;
	const char *server = json_string_value(json_object_get(call->body, "server"));
	const json_t *size = json_object_get(call->body, "memory_mib");
	g_autoptr(GError) error = NULL;

	if (size && !size_is_good(call, json_integer_value(size)))
		return;
	json_t *answer = rows_session(broker, session);
	if (broker_session_move(
		    broker, session->id, server, (guint32)json_integer_value(size), &error)) {
		http_reply(call->request, 202,
			json_pack("{s:O, s:O, s:O, s:O, s:O}", "session",
				json_object_get(answer, "id"), "user",
				json_object_get(answer, "user"), "desktop",
				json_object_get(answer, "desktop"), "server",
				json_object_get(answer, "server"), "memory_mib",
				json_object_get(answer, "memory_mib")));
	} else {
		call_failed(call, error, "unknown-server");
	}
	json_decref(answer);
}

void admin_session_move(struct call *call)
{
	const struct core_session *session = find_session(call);

	if (session)
		move(call, session);
}

/* Of a desktop, what moves is its session; also where only the size is another one. */
void admin_desktop_move(struct call *call)
{
	const struct core_desktop *desktop = find_desktop(call);

	if (!desktop)
		return;
	const struct core_session *session = session_of(call->api->broker->core, desktop);
	if (session && session->desktop == desktop->id)
		move(call, session);
	else
		http_reply_error(call->request, 409, "busy",
			"desktop %s has no session that could be moved; \"carrel desktop destroy "
			"%s\" makes room, and another one is booted where it is needed",
			call->param, call->param);
}
