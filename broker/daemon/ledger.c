/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/ledger.h"
#include "broker/shared/log.h"

#include <string.h>

struct entry {
	guint64 login; /* the key */
	char user[CORE_NAME_MAX], seat[CORE_MAC_MAX];
	guint64 session;
	gint64 last_ms, wall_ms;
	enum core_session_state state; /* as last seen; ENDED = no session yet */
	json_t *stages;                /* owned */
};

struct ledger {
	struct store *store; /* borrowed */
	GHashTable *entries; /* login -> struct entry, owned */
	gint64 now_ms;       /* of the step under way */
};

static void entry_free(gpointer data)
{
	struct entry *entry = data;

	json_decref(entry->stages);
	g_free(entry);
}

struct ledger *ledger_new(struct store *store)
{
	struct ledger *ledger = g_new0(struct ledger, 1);

	ledger->store = store;
	ledger->entries = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, entry_free);
	return ledger;
}

void ledger_free(struct ledger *ledger)
{
	if (!ledger)
		return;
	g_hash_table_destroy(ledger->entries);
	g_free(ledger);
}

/* `stage` ends now; it began when the one before it ended. */
static void mark(struct ledger *ledger, struct entry *entry, const char *stage)
{
	json_array_append_new(
		entry->stages, json_pack("{s:s, s:I}", "stage", stage, "ms",
				       (json_int_t)MAX(ledger->now_ms - entry->last_ms, 0)));
	entry->last_ms = ledger->now_ms;
}

void ledger_begin(struct ledger *ledger, guint64 login, const char *user, const char *seat,
	const json_t *boot, gint64 now_ms)
{
	struct entry *entry = g_new0(struct entry, 1);
	size_t i;
	const json_t *item;
	json_int_t before = 0;

	entry->login = login;
	g_strlcpy(entry->user, user, sizeof(entry->user));
	g_strlcpy(entry->seat, seat, sizeof(entry->seat));
	entry->last_ms = now_ms;
	entry->wall_ms = g_get_real_time() / 1000;
	entry->state = SESSION_ENDED;
	entry->stages = json_array();
	json_array_foreach (boot, i, item) {
		const char *stage = json_string_value(json_object_get(item, "stage"));
		json_int_t ms = json_integer_value(json_object_get(item, "ms"));

		/* The PC counts from its kernel's start; the ledger says how long each stage took.
		 */
		if (stage)
			json_array_append_new(entry->stages,
				json_pack("{s:s, s:I}", "stage", stage, "ms", MAX(ms - before, 0)));
		before = MAX(ms, before);
	}
	g_hash_table_replace(ledger->entries, &entry->login, entry);
}

static const struct core_session *session_of(const struct core *core, guint64 login)
{
	const struct core_session *session = core_session_next(core, 0);

	while (session && session->login != login)
		session = core_session_next(core, session->id);
	return session;
}

static void finish(struct ledger *ledger, struct entry *entry)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(entry->wall_ms / 1000);
	g_autofree char *wall = g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");
	json_t *json = json_pack("{s:s, s:s, s:I, s:s, s:O}", "user", entry->user, "seat",
		entry->seat, "session", (json_int_t)entry->session, "wall", wall, "stages",
		entry->stages);

	if (!store_ledger_add(ledger->store, json, &error))
		log_event(LOG_ERROR, "ledger", "reason", error->message, NULL);
	json_decref(json);
	g_hash_table_remove(ledger->entries, &entry->login);
}

void ledger_event(struct ledger *ledger, const struct core *core, const struct core_event *event)
{
	struct entry *entry = g_hash_table_lookup(ledger->entries, &event->login);

	(void)core;
	ledger->now_ms = event->now_ms;
	if (!entry)
		return;
	if (event->type == CORE_EV_AUTHENTICATED) {
		mark(ledger, entry, "authenticate");
		g_strlcpy(entry->user, event->user, sizeof(entry->user));
	} else if (event->type == CORE_EV_FIRST_FRAME) {
		mark(ledger, entry, "first-frame");
		finish(ledger, entry);
	} else if (event->type == CORE_EV_LOGIN) {
		mark(ledger, entry, "login");
	}
}

static void follow(struct ledger *ledger, const struct core *core, struct entry *entry,
	const struct core_event *event)
{
	const struct core_session *session = session_of(core, entry->login);

	if (!session)
		return;
	entry->session = session->id;
	if (session->state != entry->state) {
		gboolean placed = entry->state == SESSION_ENDED || entry->state == SESSION_PLACING;

		if (placed && session->state != SESSION_PLACING)
			mark(ledger, entry, "place");
		/* A standby desktop is there at once: 0 ms. */
		if (session->state == SESSION_CLAIMING)
			mark(ledger, entry, "desktop");
		entry->state = session->state;
	}
	if (!event->desktop || event->desktop != session->desktop)
		return;
	if (event->type == CORE_EV_VOLUME_ATTACHED)
		mark(ledger, entry, "volume");
	else if (event->type == CORE_EV_CLAIMED)
		mark(ledger, entry, "claim");
}

void ledger_stepped(struct ledger *ledger, const struct core *core, const struct core_event *event)
{
	GHashTableIter iter;
	gpointer entry;

	g_hash_table_iter_init(&iter, ledger->entries);
	while (g_hash_table_iter_next(&iter, NULL, &entry))
		follow(ledger, core, entry, event);
}

void ledger_ready(struct ledger *ledger, guint64 login)
{
	struct entry *entry = g_hash_table_lookup(ledger->entries, &login);

	if (entry)
		mark(ledger, entry, "ticket");
}

void ledger_drop(struct ledger *ledger, guint64 login)
{
	g_hash_table_remove(ledger->entries, &login);
}
