/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/ledger.h"
#include "broker/shared/log.h"

#include <string.h>

struct entry {
	guint64 login; /* the key; 0 in a hand-off */
	char user[CORE_NAME_MAX], seat[CORE_MAC_MAX];
	guint64 session;
	gint64 last_ms, wall_ms;
	enum core_session_state state; /* as last seen; ENDED = no session yet */
	json_t *stages;                /* owned */
};

struct handoff {
	struct entry entry; /* the key is its session */
	enum core_move move;
	enum core_move_why why;
	guint64 from; /* desktop */
	guint32 from_mib;
	gboolean ready; /* the viewer has its ticket for the new desktop */
	gboolean whole; /* its beginning was seen: it began after the daemon */
};

struct ledger {
	struct store *store;  /* borrowed */
	GHashTable *entries;  /* login -> struct entry, owned */
	GHashTable *handoffs; /* session -> struct handoff, owned */
	gint64 now_ms;        /* of the step under way */
	gboolean looked;      /* for hand-offs that an earlier daemon has begun */
};

static void entry_free(gpointer data)
{
	struct entry *entry = data;

	json_decref(entry->stages);
	g_free(entry);
}

static void handoff_free(gpointer data)
{
	struct handoff *handoff = data;

	json_decref(handoff->entry.stages);
	g_free(handoff);
}

struct ledger *ledger_new(struct store *store)
{
	struct ledger *ledger = g_new0(struct ledger, 1);

	ledger->store = store;
	ledger->entries = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, entry_free);
	ledger->handoffs = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, handoff_free);
	return ledger;
}

void ledger_free(struct ledger *ledger)
{
	if (!ledger)
		return;
	g_hash_table_destroy(ledger->entries);
	g_hash_table_destroy(ledger->handoffs);
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

/* `handoff` is taken over; NULL for a login. */
static void keep(struct ledger *ledger, const struct entry *entry, json_t *handoff)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(entry->wall_ms / 1000);
	g_autofree char *wall = g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");
	json_t *json = json_pack("{s:s, s:s, s:I, s:s, s:O, s:o*}", "user", entry->user, "seat",
		entry->seat, "session", (json_int_t)entry->session, "wall", wall, "stages",
		entry->stages, "handoff", handoff);

	if (!store_ledger_add(ledger->store, json, &error))
		log_event(LOG_ERROR, "ledger", "reason", error->message, NULL);
	json_decref(json);
}

static void finish(struct ledger *ledger, struct entry *entry)
{
	keep(ledger, entry, NULL);
	g_hash_table_remove(ledger->entries, &entry->login);
}

/* --- hand-offs --- */

static struct handoff *handoff_new(
	struct ledger *ledger, const struct core *core, const struct core_session *session)
{
	struct handoff *handoff = g_new0(struct handoff, 1);
	const struct core_desktop *desktop = core_desktop_get(core, session->desktop);

	g_strlcpy(handoff->entry.user, session->user, sizeof(handoff->entry.user));
	g_strlcpy(handoff->entry.seat, session->seat, sizeof(handoff->entry.seat));
	handoff->entry.session = session->id;
	handoff->entry.last_ms = ledger->now_ms;
	handoff->entry.wall_ms = g_get_real_time() / 1000;
	handoff->entry.stages = json_array();
	handoff->from = session->desktop;
	handoff->from_mib = desktop ? desktop->memory_mib : 0;
	g_hash_table_insert(ledger->handoffs, &handoff->entry.session, handoff);
	return handoff;
}

/* Those that are under way when the daemon starts: nobody knows any more how long they have been.
 */
static void look_for_old(struct ledger *ledger, const struct core *core)
{
	for (const struct core_session *session = core_session_next(core, 0); session;
		session = core_session_next(core, session->id))
		if (session->move != MOVE_NONE)
			handoff_new(ledger, core, session)->move = session->move;
	ledger->looked = TRUE;
}

static void handoff_advance(struct ledger *ledger, struct handoff *handoff, enum core_move to)
{
	if (handoff->move != MOVE_NONE)
		mark(ledger, &handoff->entry, core_move_name(handoff->move));
	/* What was done in the same step took no time: 0 ms. */
	for (unsigned move = MAX(handoff->move, MOVE_SHRINK) + 1; move < to; move++)
		mark(ledger, &handoff->entry, core_move_name((enum core_move)move));
	handoff->move = to;
}

/* It is over: kept when the user has got another desktop by it, or his own a smaller size. */
static void handoff_end(struct ledger *ledger, struct handoff *handoff, const struct core *core,
	const struct core_session *session, const struct core_event *event)
{
	const struct core_desktop *to = core_desktop_get(core, session->desktop);
	gboolean moved = to && to->id != handoff->from;
	gboolean shrunk = to && handoff->move == MOVE_SHRINK && to->memory_mib < handoff->from_mib;

	if (!handoff->whole || (!moved && !shrunk))
		return;
	if (handoff->move == MOVE_SWITCH && event->type == CORE_EV_FIRST_FRAME)
		mark(ledger, &handoff->entry, "first-frame");
	else
		mark(ledger, &handoff->entry, core_move_name(handoff->move));
	keep(ledger, &handoff->entry,
		json_pack("{s:I, s:I, s:I, s:I, s:s}", "from", (json_int_t)handoff->from, "to",
			(json_int_t)to->id, "from_mib", (json_int_t)handoff->from_mib, "size_mib",
			(json_int_t)to->memory_mib, "why", core_move_why_name(handoff->why)));
}

/* TRUE while it goes on. */
static gboolean handoff_follow(struct ledger *ledger, struct handoff *handoff,
	const struct core *core, const struct core_event *event)
{
	const struct core_session *session = core_session_get(core, handoff->entry.session);

	if (!session || session->state == SESSION_ENDED)
		return FALSE;
	if (session->move == MOVE_NONE) {
		handoff_end(ledger, handoff, core, session, event);
		return FALSE;
	}
	handoff->why = session->move_why;
	if (session->move != handoff->move)
		handoff_advance(ledger, handoff, session->move);
	return TRUE;
}

static void follow_handoffs(
	struct ledger *ledger, const struct core *core, const struct core_event *event)
{
	GHashTableIter iter;
	gpointer handoff;

	for (const struct core_session *session = core_session_next(core, 0); session;
		session = core_session_next(core, session->id))
		if (session->move != MOVE_NONE &&
			!g_hash_table_contains(ledger->handoffs, &session->id))
			handoff_new(ledger, core, session)->whole = TRUE;
	g_hash_table_iter_init(&iter, ledger->handoffs);
	while (g_hash_table_iter_next(&iter, NULL, &handoff))
		if (!handoff_follow(ledger, handoff, core, event))
			g_hash_table_iter_remove(&iter);
}

/* --- logins --- */

void ledger_event(struct ledger *ledger, const struct core *core, const struct core_event *event)
{
	struct entry *entry = g_hash_table_lookup(ledger->entries, &event->login);

	ledger->now_ms = event->now_ms;
	if (!ledger->looked)
		look_for_old(ledger, core);
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
	/* What a hand-off does is in the hand-off's own entry. */
	if (!event->desktop || event->desktop != session->desktop || session->move != MOVE_NONE)
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
	follow_handoffs(ledger, core, event);
}

void ledger_ready(struct ledger *ledger, guint64 login, guint64 session)
{
	struct handoff *handoff = g_hash_table_lookup(ledger->handoffs, &session);
	struct entry *entry = g_hash_table_lookup(ledger->entries, &login);

	if (!handoff) {
		if (entry)
			mark(ledger, entry, "ticket");
	} else if (handoff->move == MOVE_SWITCH && !handoff->ready) {
		/* A viewer may ask for another ticket; the first one's time is told. */
		mark(ledger, &handoff->entry, "ticket");
		handoff->ready = TRUE;
	}
}

void ledger_drop(struct ledger *ledger, guint64 login)
{
	g_hash_table_remove(ledger->entries, &login);
}
