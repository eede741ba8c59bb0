/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/store/store.h"
#include "broker/shared/log.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define LEDGER_KEPT 1000

G_DEFINE_QUARK(carrel - store - error, store_error)

struct store {
	sqlite3 *db; /* owned */
	char *path;  /* owned */
};

/* Version 1. "until" of a session is the moment at which it ended; 0 while it lives. */
static const char first_schema[] =
	"CREATE TABLE server(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, uri TEXT NOT NULL,"
	" memory_mib INTEGER NOT NULL, draining INTEGER NOT NULL);"
	"CREATE TABLE desktop(id INTEGER PRIMARY KEY, server INTEGER NOT NULL, session INTEGER NOT "
	"NULL,"
	" memory_mib INTEGER NOT NULL, state INTEGER NOT NULL, vnc_port INTEGER NOT NULL,"
	" vnc_host TEXT NOT NULL, image TEXT NOT NULL);"
	"CREATE TABLE volume(id INTEGER PRIMARY KEY, user TEXT NOT NULL UNIQUE, uid INTEGER NOT "
	"NULL,"
	" size_mib INTEGER NOT NULL, state INTEGER NOT NULL, desktop INTEGER NOT NULL,"
	" attached INTEGER NOT NULL);"
	"CREATE TABLE session(id INTEGER PRIMARY KEY, user TEXT NOT NULL, full_name TEXT NOT NULL,"
	" uid INTEGER NOT NULL, gid INTEGER NOT NULL, state INTEGER NOT NULL, desktop INTEGER NOT "
	"NULL,"
	" volume INTEGER NOT NULL, sequence INTEGER NOT NULL, started_wall_ms INTEGER NOT NULL,"
	" client TEXT NOT NULL, seat TEXT NOT NULL, forward_port INTEGER NOT NULL,"
	" until INTEGER NOT NULL DEFAULT 0);"
	"CREATE INDEX session_until ON session(until);"
	"CREATE TABLE ledger(id INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL);"
	"CREATE TABLE token(session INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE,"
	" client TEXT NOT NULL, seat TEXT NOT NULL);"
	"CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;";

/* Version 2: hand-offs. */
static const char handoff_schema[] =
	"ALTER TABLE session ADD COLUMN next INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE session ADD COLUMN move INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE session ADD COLUMN move_why INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE session ADD COLUMN move_breaks INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE desktop ADD COLUMN live INTEGER NOT NULL DEFAULT 0;";

/* Version 3: copies and snapshots of volumes, and the work on them. */
static const char volume_schema[] =
	"ALTER TABLE volume ADD COLUMN copy INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE volume ADD COLUMN last_copy INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE volume ADD COLUMN changed INTEGER NOT NULL DEFAULT 1;"
	"ALTER TABLE volume ADD COLUMN due INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE volume ADD COLUMN snapshot_wall_ms INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE volume ADD COLUMN work INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE volume ADD COLUMN work_number INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE volume ADD COLUMN work_mib INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE volume ADD COLUMN work_text TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE volume ADD COLUMN done INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE volume ADD COLUMN done_code TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE volume ADD COLUMN done_text TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE volume ADD COLUMN done_number INTEGER NOT NULL DEFAULT 0;";

/* Version 4: seats. That no two have one name is seen to before they are written: seats may change
 * names among each other in one transaction. */
static const char seat_schema[] =
	"CREATE TABLE seat(mac TEXT PRIMARY KEY, name TEXT NOT NULL, address TEXT NOT NULL,"
	" approved INTEGER NOT NULL, first_wall_ms INTEGER NOT NULL,"
	" last_wall_ms INTEGER NOT NULL, boots INTEGER NOT NULL, language TEXT NOT NULL)"
	" WITHOUT ROWID;";

/* Version 5: what a seat boots, and shows. */
static const char seat_boot_schema[] =
	"ALTER TABLE seat ADD COLUMN channel TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE seat ADD COLUMN kernel TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE seat ADD COLUMN screen TEXT NOT NULL DEFAULT '';";

/* Version 6: a seat's keyboard. */
static const char seat_keyboard_schema[] =
	"ALTER TABLE seat ADD COLUMN keyboard TEXT NOT NULL DEFAULT '';";

/* What leads to each version from the one before it: a new file takes the same way as an old one,
 * so that the columns are the same. */
static const char *const schemas[] = {first_schema, handoff_schema, volume_schema, seat_schema,
	seat_boot_schema, seat_keyboard_schema};
#define SCHEMA_VERSION ((int)G_N_ELEMENTS(schemas))

/* Made also in a file that is older than they are: what does not know them does not miss them. */
static const char later_schema[] =
	"CREATE TABLE IF NOT EXISTS boot(mac TEXT PRIMARY KEY, entry TEXT NOT NULL);"
	"CREATE TABLE IF NOT EXISTS policy(kind TEXT NOT NULL, name TEXT NOT NULL,"
	" entry TEXT NOT NULL, PRIMARY KEY(kind, name)) WITHOUT ROWID;";

static gboolean fail(struct store *store, enum store_error code, GError **error)
{
	g_set_error(error, STORE_ERROR, (gint)code, "the database %s: %s", store->path,
		sqlite3_errmsg(store->db));
	return FALSE;
}

static gboolean exec(struct store *store, const char *sql, GError **error)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ||
	       fail(store, STORE_ERROR_SQL, error);
}

/* Prepares `sql` and binds one argument for each letter of `types`: i = gint64, s = text. */
static sqlite3_stmt *bind(
	struct store *store, GError **error, const char *sql, const char *types, va_list ap)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK) {
		fail(store, STORE_ERROR_SQL, error);
		return NULL;
	}
	for (int i = 0; types[i]; i++) {
		if (types[i] == 'i')
			sqlite3_bind_int64(statement, i + 1, va_arg(ap, gint64));
		else
			sqlite3_bind_text(
				statement, i + 1, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
	}
	return statement;
}

static sqlite3_stmt *query(
	struct store *store, GError **error, const char *sql, const char *types, ...)
{
	va_list ap;

	va_start(ap, types);
	sqlite3_stmt *statement = bind(store, error, sql, types, ap);
	va_end(ap);
	return statement;
}

static gboolean run(struct store *store, GError **error, const char *sql, const char *types, ...)
{
	va_list ap;

	va_start(ap, types);
	sqlite3_stmt *statement = bind(store, error, sql, types, ap);
	va_end(ap);
	if (!statement)
		return FALSE;
	int result = sqlite3_step(statement);
	if (result != SQLITE_DONE)
		fail(store, STORE_ERROR_SQL, error);
	sqlite3_finalize(statement);
	return result == SQLITE_DONE;
}

/* The first column of the first row, or `otherwise`. */
static gint64 number(struct store *store, const char *sql, gint64 otherwise)
{
	sqlite3_stmt *statement = query(store, NULL, sql, "");
	gint64 value = otherwise;

	if (statement && sqlite3_step(statement) == SQLITE_ROW)
		value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return value;
}

/* From the version in `data` to this one. */
static gboolean upgrade(struct store *store, gpointer data, GError **error)
{
	gint64 version = *(const gint64 *)data;

	for (; version < SCHEMA_VERSION; version++)
		if (!exec(store, schemas[version], error))
			return FALSE;
	return exec(store, log_fmt("PRAGMA user_version = %d", SCHEMA_VERSION), error);
}

static gboolean prepare_file(struct store *store, GError **error)
{
	if (!exec(store,
		    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
		    error))
		return FALSE;
	gint64 version = number(store, "PRAGMA user_version", -1);
	if (version < 0)
		return fail(store, STORE_ERROR_SQL, error);
	if (version > SCHEMA_VERSION) {
		g_set_error(error, STORE_ERROR, STORE_ERROR_VERSION,
			"the database %s has version %" G_GINT64_FORMAT
			", this carreld knows up to %d: install the newer Carrel again, or move "
			"the "
			"file away",
			store->path, version, SCHEMA_VERSION);
		return FALSE;
	}
	return (version == SCHEMA_VERSION || store_transaction(store, upgrade, &version, error)) &&
	       exec(store, later_schema, error);
}

struct store *store_open(const char *path, GError **error)
{
	struct store *store = g_new0(struct store, 1);
	/* SQLite gives the log files the mode of the database itself. */
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	store->path = g_strdup(path);
	if (sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		fail(store, STORE_ERROR_OPEN, error);
	else if (sqlite3_busy_timeout(store->db, 2000), prepare_file(store, error))
		return store;
	store_close(store);
	return NULL;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	sqlite3_close(store->db);
	g_free(store->path);
	g_free(store);
}

gboolean store_transaction(struct store *store, store_work_func work, gpointer data, GError **error)
{
	if (!exec(store, "BEGIN IMMEDIATE", error))
		return FALSE;
	if (work(store, data, error) && exec(store, "COMMIT", error))
		return TRUE;
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return FALSE;
}

static void text(sqlite3_stmt *row, int column, char *out, size_t size)
{
	const char *value = (const char *)sqlite3_column_text(row, column);

	g_strlcpy(out, value ? value : "", size);
}

static guint64 id_of(sqlite3_stmt *row, int column)
{
	return (guint64)sqlite3_column_int64(row, column);
}

static guint32 u32(sqlite3_stmt *row, int column)
{
	return (guint32)sqlite3_column_int64(row, column);
}

struct loading {
	struct core *core;
	store_server_func server;
	gpointer data;
};

static void load_server(sqlite3_stmt *row, struct loading *loading)
{
	struct core_server server = {.id = id_of(row, 0),
		.memory_mib = u32(row, 3),
		.draining = sqlite3_column_int(row, 4) != 0};

	text(row, 1, server.name, sizeof(server.name));
	core_load_server(loading->core, &server);
	loading->server(
		server.id, server.name, (const char *)sqlite3_column_text(row, 2), loading->data);
}

static void load_desktop(sqlite3_stmt *row, struct loading *loading)
{
	struct core_desktop desktop = {.id = id_of(row, 0),
		.server = id_of(row, 1),
		.session = id_of(row, 2),
		.memory_mib = u32(row, 3),
		.state = (enum core_desktop_state)sqlite3_column_int(row, 4),
		.vnc_port = (guint16)sqlite3_column_int(row, 5),
		.live = sqlite3_column_int(row, 8) != 0};

	text(row, 6, desktop.vnc_host, sizeof(desktop.vnc_host));
	text(row, 7, desktop.image, sizeof(desktop.image));
	core_load_desktop(loading->core, &desktop);
}

static void load_volume(sqlite3_stmt *row, struct loading *loading)
{
	struct core_volume volume = {.id = id_of(row, 0),
		.uid = u32(row, 2),
		.size_mib = u32(row, 3),
		.state = (enum core_volume_state)sqlite3_column_int(row, 4),
		.desktop = id_of(row, 5),
		.attached = sqlite3_column_int(row, 6) != 0,
		.copy = u32(row, 7),
		.last_copy = u32(row, 8),
		.changed = sqlite3_column_int(row, 9) != 0,
		.due = sqlite3_column_int(row, 10) != 0,
		.snapshot_wall_ms = sqlite3_column_int64(row, 11),
		.work = (enum core_volume_work)sqlite3_column_int(row, 12),
		.work_number = u32(row, 13),
		.work_mib = u32(row, 14),
		.done = (enum core_volume_work)sqlite3_column_int(row, 16),
		.done_number = u32(row, 19)};

	text(row, 1, volume.user, sizeof(volume.user));
	text(row, 15, volume.work_text, sizeof(volume.work_text));
	text(row, 17, volume.done_code, sizeof(volume.done_code));
	text(row, 18, volume.done_text, sizeof(volume.done_text));
	core_load_volume(loading->core, &volume);
}

static void load_session(sqlite3_stmt *row, struct loading *loading)
{
	struct core_session session = {.id = id_of(row, 0),
		.uid = u32(row, 3),
		.gid = u32(row, 4),
		.state = (enum core_session_state)sqlite3_column_int(row, 5),
		.desktop = id_of(row, 6),
		.volume = id_of(row, 7),
		.sequence = id_of(row, 8),
		.started_wall_ms = sqlite3_column_int64(row, 9),
		.forward_port = (guint16)sqlite3_column_int(row, 12),
		.next = id_of(row, 13),
		.move = (enum core_move)sqlite3_column_int(row, 14),
		.move_why = (enum core_move_why)sqlite3_column_int(row, 15),
		.move_breaks = sqlite3_column_int(row, 16) != 0};

	text(row, 1, session.user, sizeof(session.user));
	text(row, 2, session.full_name, sizeof(session.full_name));
	text(row, 10, session.client, sizeof(session.client));
	text(row, 11, session.seat, sizeof(session.seat));
	core_load_session(loading->core, &session);
}

static const char *const counter_names[] = {"server", "desktop", "volume", "session"};

static gboolean load_counters(struct store *store, struct core *core, GError **error)
{
	struct core_counters counters = {0};
	uint64_t *const values[] = {
		&counters.server, &counters.desktop, &counters.volume, &counters.session};

	for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
		sqlite3_stmt *row = query(store, error, "SELECT value FROM counter WHERE name = ?",
			"s", counter_names[i]);
		int result = row ? sqlite3_step(row) : SQLITE_ERROR;

		if (result == SQLITE_ROW)
			*values[i] = id_of(row, 0);
		sqlite3_finalize(row);
		if (result != SQLITE_ROW && result != SQLITE_DONE)
			return fail(store, STORE_ERROR_SQL, error);
	}
	core_load_counters(core, &counters);
	return TRUE;
}

gboolean store_load(struct store *store, struct core *core, store_server_func server, gpointer data,
	GError **error)
{
	static const struct {
		const char *sql;
		void (*load)(sqlite3_stmt *row, struct loading *loading);
	} tables[] = {
		{"SELECT id, name, uri, memory_mib, draining FROM server ORDER BY id", load_server},
		{"SELECT id, server, session, memory_mib, state, vnc_port, vnc_host, image,"
		 " live FROM desktop ORDER BY id",
			load_desktop},
		{"SELECT id, user, uid, size_mib, state, desktop, attached, copy, last_copy,"
		 " changed, due, snapshot_wall_ms, work, work_number, work_mib, work_text, done,"
		 " done_code, done_text, done_number FROM volume ORDER BY id",
			load_volume},
		{"SELECT id, user, full_name, uid, gid, state, desktop, volume, sequence,"
		 " started_wall_ms, client, seat, forward_port, next, move, move_why,"
		 " move_breaks FROM session WHERE until = 0 ORDER BY id",
			load_session},
	};
	struct loading loading = {core, server, data};

	for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) {
		sqlite3_stmt *row = query(store, error, tables[i].sql, "");
		int result = SQLITE_ERROR;

		if (!row)
			return FALSE;
		while ((result = sqlite3_step(row)) == SQLITE_ROW)
			tables[i].load(row, &loading);
		sqlite3_finalize(row);
		if (result != SQLITE_DONE)
			return fail(store, STORE_ERROR_SQL, error);
	}
	return load_counters(store, core, error);
}

gboolean store_put_counters(
	struct store *store, const struct core_counters *counters, GError **error)
{
	const uint64_t values[] = {
		counters->server, counters->desktop, counters->volume, counters->session};

	for (size_t i = 0; i < G_N_ELEMENTS(values); i++)
		if (!run(store, error, "INSERT OR REPLACE INTO counter VALUES(?, ?)", "si",
			    counter_names[i], (gint64)values[i]))
			return FALSE;
	return TRUE;
}

gboolean store_put_server(struct store *store, uint64_t id, const struct core_server *row,
	const char *uri, GError **error)
{
	if (!row)
		return run(store, error, "DELETE FROM server WHERE id = ?", "i", (gint64)id);
	return run(store, error, "INSERT OR REPLACE INTO server VALUES(?, ?, ?, ?, ?)", "issii",
		(gint64)id, row->name, uri, (gint64)row->memory_mib, (gint64)row->draining);
}

gboolean store_put_desktop(
	struct store *store, uint64_t id, const struct core_desktop *row, GError **error)
{
	if (!row || row->state == DESKTOP_GONE)
		return run(store, error, "DELETE FROM desktop WHERE id = ?", "i", (gint64)id);
	return run(store, error, "INSERT OR REPLACE INTO desktop VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
		"iiiiiissi", (gint64)id, (gint64)row->server, (gint64)row->session,
		(gint64)row->memory_mib, (gint64)row->state, (gint64)row->vnc_port, row->vnc_host,
		row->image, (gint64)row->live);
}

gboolean store_put_volume(
	struct store *store, uint64_t id, const struct core_volume *row, GError **error)
{
	if (!row)
		return run(store, error, "DELETE FROM volume WHERE id = ?", "i", (gint64)id);
	return run(store, error,
		"INSERT OR REPLACE INTO volume VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
		"?, ?, ?, ?, ?)",
		"isiiiiiiiiiiiiisissi", (gint64)id, row->user, (gint64)row->uid,
		(gint64)row->size_mib, (gint64)row->state, (gint64)row->desktop,
		(gint64)row->attached, (gint64)row->copy, (gint64)row->last_copy,
		(gint64)row->changed, (gint64)row->due, (gint64)row->snapshot_wall_ms,
		(gint64)row->work, (gint64)row->work_number, (gint64)row->work_mib, row->work_text,
		(gint64)row->done, row->done_code, row->done_text, (gint64)row->done_number);
}

static gboolean session_end(struct store *store, uint64_t id, GError **error)
{
	return run(store, error,
		       "UPDATE session SET state = ?, until = ? WHERE id = ? AND until = 0", "iii",
		       (gint64)SESSION_ENDED, (gint64)(g_get_real_time() / 1000), (gint64)id) &&
	       run(store, error, "DELETE FROM token WHERE session = ?", "i", (gint64)id);
}

gboolean store_put_session(
	struct store *store, uint64_t id, const struct core_session *row, GError **error)
{
	if (!row)
		return session_end(store, id, error);
	if (!run(store, error,
		    "INSERT OR REPLACE INTO session VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
		    "0, ?, ?, ?, ?)",
		    "issiiiiiiissiiiii", (gint64)id, row->user, row->full_name, (gint64)row->uid,
		    (gint64)row->gid, (gint64)row->state, (gint64)row->desktop, (gint64)row->volume,
		    (gint64)row->sequence, (gint64)row->started_wall_ms, row->client, row->seat,
		    (gint64)row->forward_port, (gint64)row->next, (gint64)row->move,
		    (gint64)row->move_why, (gint64)row->move_breaks))
		return FALSE;
	return row->state != SESSION_ENDED || session_end(store, id, error);
}

gboolean store_put_seat(
	struct store *store, const char *mac, const struct store_seat *row, GError **error)
{
	if (!row)
		return run(store, error, "DELETE FROM seat WHERE mac = ?", "s", mac);
	return run(store, error,
		"INSERT OR REPLACE INTO seat VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		"sssiiiisssss", mac, row->name, row->address, (gint64)row->approved,
		row->first_wall_ms, row->last_wall_ms, (gint64)row->boots, row->language,
		row->channel, row->kernel, row->screen, row->keyboard);
}

gboolean store_load_seats(struct store *store, store_seat_func seat, gpointer data, GError **error)
{
	sqlite3_stmt *row = query(store, error,
		"SELECT mac, name, address, approved, first_wall_ms, last_wall_ms, boots,"
		" language, channel, kernel, screen, keyboard FROM seat",
		"");
	int result = SQLITE_ERROR;

	if (!row)
		return FALSE;
	while ((result = sqlite3_step(row)) == SQLITE_ROW) {
		struct store_seat one = {.approved = sqlite3_column_int(row, 3) != 0,
			.first_wall_ms = sqlite3_column_int64(row, 4),
			.last_wall_ms = sqlite3_column_int64(row, 5),
			.boots = id_of(row, 6)};

		text(row, 0, one.mac, sizeof(one.mac));
		text(row, 1, one.name, sizeof(one.name));
		text(row, 2, one.address, sizeof(one.address));
		text(row, 7, one.language, sizeof(one.language));
		text(row, 8, one.channel, sizeof(one.channel));
		text(row, 9, one.kernel, sizeof(one.kernel));
		text(row, 10, one.screen, sizeof(one.screen));
		text(row, 11, one.keyboard, sizeof(one.keyboard));
		seat(&one, data);
	}
	sqlite3_finalize(row);
	return result == SQLITE_DONE || fail(store, STORE_ERROR_SQL, error);
}

gboolean store_ledger_add(struct store *store, const json_t *entry, GError **error)
{
	g_autofree char *json = json_dumps(entry, JSON_COMPACT);

	return run(store, error, "INSERT INTO ledger(entry) VALUES(?)", "s", json) &&
	       run(store, error, "DELETE FROM ledger WHERE id <= (SELECT max(id) FROM ledger) - ?",
		       "i", (gint64)LEDGER_KEPT);
}

json_t *store_ledger_list(struct store *store, unsigned limit, GError **error)
{
	sqlite3_stmt *row = query(store, error, "SELECT entry FROM ledger ORDER BY id DESC LIMIT ?",
		"i", (gint64)limit);
	json_t *list = json_array();

	if (!row) {
		json_decref(list);
		return NULL;
	}
	while (sqlite3_step(row) == SQLITE_ROW) {
		json_t *entry = json_loads((const char *)sqlite3_column_text(row, 0), 0, NULL);

		if (entry)
			json_array_append_new(list, entry);
	}
	sqlite3_finalize(row);
	return list;
}

gboolean store_token_put(struct store *store, const struct store_token *token, GError **error)
{
	if (!token->hash[0])
		return run(store, error, "DELETE FROM token WHERE session = ?", "i",
			(gint64)token->session);
	return run(store, error, "INSERT OR REPLACE INTO token VALUES(?, ?, ?, ?)", "isss",
		(gint64)token->session, token->hash, token->client, token->seat);
}

gboolean store_token_find(
	struct store *store, const char *hash, struct store_token *token, GError **error)
{
	sqlite3_stmt *row = query(store, error,
		"SELECT session, hash, client, seat FROM token WHERE hash = ?", "s", hash);
	gboolean found = row && sqlite3_step(row) == SQLITE_ROW;

	if (found) {
		token->session = id_of(row, 0);
		text(row, 1, token->hash, sizeof(token->hash));
		text(row, 2, token->client, sizeof(token->client));
		text(row, 3, token->seat, sizeof(token->seat));
	}
	sqlite3_finalize(row);
	return found;
}

gboolean store_boot_put(struct store *store, const char *mac, const json_t *boot, GError **error)
{
	if (!boot)
		return run(store, error, "DELETE FROM boot WHERE mac = ?", "s", mac);
	char *json = json_dumps(boot, JSON_COMPACT);
	gboolean done =
		run(store, error, "INSERT OR REPLACE INTO boot VALUES(?, ?)", "ss", mac, json);
	free(json);
	return done;
}

json_t *store_boot_list(struct store *store, GError **error)
{
	sqlite3_stmt *row = query(store, error, "SELECT mac, entry FROM boot ORDER BY rowid", "");
	json_t *list = row ? json_object() : NULL;
	int result = SQLITE_DONE;

	while (row && (result = sqlite3_step(row)) == SQLITE_ROW) {
		json_t *boot = json_loads((const char *)sqlite3_column_text(row, 1), 0, NULL);

		if (boot)
			json_object_set_new(list, (const char *)sqlite3_column_text(row, 0), boot);
	}
	sqlite3_finalize(row);
	if (result == SQLITE_DONE)
		return list;
	fail(store, STORE_ERROR_SQL, error);
	json_decref(list);
	return NULL;
}

gboolean store_policy_put(struct store *store, const char *kind, const char *name,
	const json_t *entry, GError **error)
{
	if (!entry)
		return run(store, error, "DELETE FROM policy WHERE kind = ? AND name = ?", "ss",
			kind, name);
	char *json = json_dumps(entry, JSON_COMPACT);
	gboolean done = run(store, error, "INSERT OR REPLACE INTO policy VALUES(?, ?, ?)", "sss",
		kind, name, json);
	free(json);
	return done;
}

json_t *store_policy_list(struct store *store, const char *kind, GError **error)
{
	sqlite3_stmt *row = query(
		store, error, "SELECT entry FROM policy WHERE kind = ? ORDER BY name", "s", kind);
	json_t *list = row ? json_array() : NULL;
	int result = SQLITE_DONE;

	while (row && (result = sqlite3_step(row)) == SQLITE_ROW) {
		json_t *entry = json_loads((const char *)sqlite3_column_text(row, 0), 0, NULL);

		if (entry)
			json_array_append_new(list, entry);
	}
	sqlite3_finalize(row);
	if (result == SQLITE_DONE)
		return list;
	fail(store, STORE_ERROR_SQL, error);
	json_decref(list);
	return NULL;
}
