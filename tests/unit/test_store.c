/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <sqlite3.h>

struct fixture {
	char *folder, *path; /* owned */
	struct store *store; /* owned */
	struct core *core;   /* owned; what was loaded last */
	char uri[64];
};

static const struct core_config config = {.max_mib = 4096, .min_mib = 1024};

static int setup(void **state)
{
	struct fixture *f = g_new0(struct fixture, 1);

	f->folder = g_dir_make_tmp("carrel-store-XXXXXX", NULL);
	f->path = g_build_filename(f->folder, "carrel.db", NULL);
	f->store = store_open(f->path, NULL);
	assert_non_null(f->store);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	static const char *const ends[] = {"", "-wal", "-shm"};

	store_close(f->store);
	if (f->core)
		core_free(f->core);
	for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
		g_autofree char *path = g_strconcat(f->path, ends[i], NULL);

		g_unlink(path);
	}
	g_rmdir(f->folder);
	g_free(f->folder);
	g_free(f->path);
	g_free(f);
	return 0;
}

static void on_server(uint64_t id, const char *name, const char *uri, gpointer data)
{
	struct fixture *f = data;

	(void)id;
	assert_string_equal(name, "one");
	g_strlcpy(f->uri, uri, sizeof(f->uri));
}

/* Closes the file as a crash would leave it, opens it again and loads it. */
static void reload(struct fixture *f)
{
	g_autoptr(GError) error = NULL;

	store_close(f->store);
	f->store = store_open(f->path, &error);
	assert_null(error);
	if (f->core)
		core_free(f->core);
	f->core = core_new(&config);
	assert_true(store_load(f->store, f->core, on_server, f, &error));
}

static const struct core_server server = {
	.id = 3, .name = "one", .memory_mib = 9000, .draining = true};
static const struct core_desktop desktop = {.id = 41,
	.server = 3,
	.session = 9,
	.memory_mib = 2048,
	.state = DESKTOP_ACTIVE,
	.vnc_port = 5941,
	.vnc_host = "10.78.0.2",
	.image = "desktop-lite@20260301.1",
	.live = true};
static const struct core_volume volume = {.id = 7,
	.user = "김철수",
	.uid = 20001,
	.size_mib = 512,
	.state = VOLUME_READY,
	.desktop = 41,
	.attached = true,
	.copy = 2,
	.last_copy = 3,
	.changed = true,
	.due = true,
	.snapshot_wall_ms = 1700000000456,
	.work = VOLUME_WORK_GROW,
	.work_number = 11,
	.work_mib = 1024,
	.work_text = "daily",
	.done = VOLUME_WORK_CHECK,
	.done_number = 10,
	.done_code = "damaged",
	.done_text = "e2fsck says so"};
static const struct core_session session = {.id = 9,
	.user = "김철수",
	.full_name = "김철수 \"교수\"",
	.uid = 20001,
	.gid = 20001,
	.state = SESSION_CONNECTED,
	.desktop = 41,
	.volume = 7,
	.sequence = 5,
	.started_wall_ms = 1700000000123,
	.client = "10.77.0.101",
	.seat = "52:54:00:77:00:01",
	.forward_port = 5900,
	.next = 48,
	.move = MOVE_DETACH,
	.move_why = MOVE_WHY_DRAIN,
	.move_breaks = true};

static gboolean put_all(struct store *store, gpointer data, GError **error)
{
	const struct core_counters counters = {4, 50, 8, 10};

	(void)data;
	return store_put_server(store, 3, &server, "qemu+tls://one/system", error) &&
	       store_put_desktop(store, 41, &desktop, error) &&
	       store_put_volume(store, 7, &volume, error) &&
	       store_put_session(store, 9, &session, error) &&
	       store_put_counters(store, &counters, error);
}

static void test_rows_come_back(void **state)
{
	struct fixture *f = *state;

	assert_true(store_transaction(f->store, put_all, NULL, NULL));
	reload(f);
	assert_string_equal(f->uri, "qemu+tls://one/system");
	const struct core_server *s = core_server_get(f->core, 3);
	assert_non_null(s);
	assert_true(s->draining);
	assert_false(s->up);
	assert_int_equal(s->memory_mib, 9000);
	const struct core_desktop *d = core_desktop_get(f->core, 41);
	assert_non_null(d);
	assert_int_equal(d->vnc_port, 5941);
	assert_string_equal(d->vnc_host, "10.78.0.2");
	assert_string_equal(d->image, "desktop-lite@20260301.1");
	assert_true(d->live);
	const struct core_volume *v = core_volume_get(f->core, 7);
	assert_non_null(v);
	assert_true(v->attached);
	assert_int_equal(v->desktop, 41);
	assert_int_equal(v->size_mib, 512);
	assert_int_equal(v->copy, 2);
	assert_int_equal(v->last_copy, 3);
	assert_true(v->changed && v->due);
	assert_int_equal(v->snapshot_wall_ms, 1700000000456);
	assert_int_equal(v->work, VOLUME_WORK_GROW);
	assert_int_equal(v->work_number, 11);
	assert_int_equal(v->work_mib, 1024);
	assert_string_equal(v->work_text, "daily");
	assert_int_equal(v->done, VOLUME_WORK_CHECK);
	assert_int_equal(v->done_number, 10);
	assert_string_equal(v->done_code, "damaged");
	assert_string_equal(v->done_text, "e2fsck says so");
	const struct core_session *n = core_session_get(f->core, 9);
	assert_non_null(n);
	assert_string_equal(n->user, "김철수");
	assert_string_equal(n->full_name, "김철수 \"교수\"");
	assert_string_equal(n->client, "10.77.0.101");
	assert_int_equal(n->forward_port, 5900);
	assert_int_equal(n->started_wall_ms, 1700000000123);
	assert_int_equal(n->next, 48);
	assert_int_equal(n->move, MOVE_DETACH);
	assert_int_equal(n->move_why, MOVE_WHY_DRAIN);
	assert_true(n->move_breaks);
	assert_int_equal(core_counters(f->core).desktop, 50);
	assert_int_equal(core_counters(f->core).session, 10);
}

static gboolean put_and_fail(struct store *store, gpointer data, GError **error)
{
	(void)data;
	assert_true(put_all(store, NULL, error));
	g_set_error(error, STORE_ERROR, STORE_ERROR_SQL, "as if the disk were full");
	return FALSE;
}

static void test_a_transaction_is_all_or_nothing(void **state)
{
	struct fixture *f = *state;
	g_autoptr(GError) error = NULL;

	assert_false(store_transaction(f->store, put_and_fail, NULL, &error));
	assert_non_null(error);
	reload(f);
	assert_null(core_server_get(f->core, 3));
	assert_null(core_session_get(f->core, 9));
	assert_true(store_transaction(f->store, put_all, NULL, NULL));
}

static void test_what_is_gone_is_not_loaded(void **state)
{
	struct fixture *f = *state;
	struct core_desktop gone = desktop;
	struct core_session ended = session;

	assert_true(put_all(f->store, NULL, NULL));
	gone.state = DESKTOP_GONE;
	ended.state = SESSION_ENDED;
	assert_true(store_put_desktop(f->store, 41, &gone, NULL));
	assert_true(store_put_session(f->store, 9, &ended, NULL));
	assert_true(store_put_server(f->store, 3, NULL, NULL, NULL));
	reload(f);
	assert_null(core_desktop_get(f->core, 41));
	assert_null(core_session_get(f->core, 9));
	assert_null(core_server_get(f->core, 3));
	assert_non_null(core_volume_get(f->core, 7));
	assert_int_equal(core_counters(f->core).desktop, 50);
}

static void test_tokens(void **state)
{
	struct fixture *f = *state;
	struct store_token token = {
		.session = 9, .hash = "aa", .client = "10.77.0.101", .seat = "x"};
	struct store_token found;

	assert_true(put_all(f->store, NULL, NULL));
	assert_true(store_token_put(f->store, &token, NULL));
	assert_true(store_token_find(f->store, "aa", &found, NULL));
	assert_int_equal(found.session, 9);
	assert_string_equal(found.client, "10.77.0.101");
	/* Another viewer has the session now: the first one's token is void. */
	g_strlcpy(token.hash, "bb", sizeof(token.hash));
	assert_true(store_token_put(f->store, &token, NULL));
	assert_false(store_token_find(f->store, "aa", &found, NULL));
	assert_true(store_token_find(f->store, "bb", &found, NULL));
	/* A session that ends takes its token with it. */
	assert_true(store_put_session(f->store, 9, NULL, NULL));
	assert_false(store_token_find(f->store, "bb", &found, NULL));
}

static void on_seat(const struct store_seat *row, gpointer data)
{
	g_array_append_val((GArray *)data, *row);
}

static void test_seats(void **state)
{
	struct fixture *f = *state;
	struct store_seat seat = {.mac = "52:54:00:77:00:01",
		.name = "301호/1",
		.address = "10.77.0.101",
		.language = "ko",
		.channel = "testing",
		.kernel = "nomodeset acpi=off",
		.screen = "1920x1080@60",
		.keyboard = "de(nodeadkeys)",
		.approved = TRUE,
		.first_wall_ms = 1700000000123,
		.last_wall_ms = 1700000000456,
		.boots = 7};
	g_autoptr(GArray) seats = g_array_new(FALSE, FALSE, sizeof(struct store_seat));

	assert_true(store_put_seat(f->store, seat.mac, &seat, NULL));
	assert_true(store_put_seat(
		f->store, "aa", &(struct store_seat){.mac = "aa", .name = ""}, NULL));
	seat.boots++;
	assert_true(store_put_seat(f->store, seat.mac, &seat, NULL));
	assert_true(store_put_seat(f->store, "aa", NULL, NULL));
	reload(f);
	assert_true(store_load_seats(f->store, on_seat, seats, NULL));
	assert_int_equal(seats->len, 1);
	const struct store_seat *one = &g_array_index(seats, struct store_seat, 0);
	assert_string_equal(one->mac, seat.mac);
	assert_string_equal(one->name, "301호/1");
	assert_string_equal(one->address, "10.77.0.101");
	assert_string_equal(one->language, "ko");
	assert_string_equal(one->channel, "testing");
	assert_string_equal(one->kernel, "nomodeset acpi=off");
	assert_string_equal(one->screen, "1920x1080@60");
	assert_string_equal(one->keyboard, "de(nodeadkeys)");
	assert_true(one->approved);
	assert_int_equal(one->first_wall_ms, 1700000000123);
	assert_int_equal(one->last_wall_ms, 1700000000456);
	assert_int_equal(one->boots, 8);
}

/* In one transaction: one each would make the test slow for nothing. */
static gboolean add_entries(struct store *store, gpointer data, GError **error)
{
	(void)data;
	for (int i = 0; i < 1005; i++) {
		json_t *entry = json_pack("{s:i}", "n", i);

		assert_true(store_ledger_add(store, entry, error));
		json_decref(entry);
	}
	return TRUE;
}

static void test_ledger_keeps_the_newest(void **state)
{
	struct fixture *f = *state;
	json_t *list;

	assert_true(store_transaction(f->store, add_entries, NULL, NULL));
	list = store_ledger_list(f->store, 2, NULL);
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "n")), 1004);
	json_decref(list);
	list = store_ledger_list(f->store, 5000, NULL);
	assert_int_equal(json_array_size(list), 1000);
	json_decref(list);
}

/* SQL done beside the store, which is closed by it. */
static void exec(struct fixture *f, const char *sql)
{
	sqlite3 *db;

	store_close(f->store);
	f->store = NULL;
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void test_a_newer_file_is_refused(void **state)
{
	struct fixture *f = *state;
	g_autoptr(GError) error = NULL;

	exec(f, "PRAGMA user_version = 7");
	assert_null(store_open(f->path, &error));
	assert_int_equal(error->code, STORE_ERROR_VERSION);
	assert_non_null(strstr(error->message, "version 7,"));
	assert_non_null(strstr(error->message, "knows up to 6"));
}

/* A file as the first version of Carrel left it: a user at work, a standby desktop, history. */
static const char old_file[] =
	"CREATE TABLE server(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, uri TEXT NOT NULL,"
	" memory_mib INTEGER NOT NULL, draining INTEGER NOT NULL);"
	"CREATE TABLE desktop(id INTEGER PRIMARY KEY, server INTEGER NOT NULL, session INTEGER NOT "
	"NULL, memory_mib INTEGER NOT NULL, state INTEGER NOT NULL, vnc_port INTEGER NOT NULL,"
	" vnc_host TEXT NOT NULL, image TEXT NOT NULL);"
	"CREATE TABLE volume(id INTEGER PRIMARY KEY, user TEXT NOT NULL UNIQUE, uid INTEGER NOT "
	"NULL, size_mib INTEGER NOT NULL, state INTEGER NOT NULL, desktop INTEGER NOT NULL,"
	" attached INTEGER NOT NULL);"
	"CREATE TABLE session(id INTEGER PRIMARY KEY, user TEXT NOT NULL, full_name TEXT NOT NULL,"
	" uid INTEGER NOT NULL, gid INTEGER NOT NULL, state INTEGER NOT NULL, desktop INTEGER NOT "
	"NULL, volume INTEGER NOT NULL, sequence INTEGER NOT NULL, started_wall_ms INTEGER NOT "
	"NULL, client TEXT NOT NULL, seat TEXT NOT NULL, forward_port INTEGER NOT NULL,"
	" until INTEGER NOT NULL DEFAULT 0);"
	"CREATE INDEX session_until ON session(until);"
	"CREATE TABLE ledger(id INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL);"
	"CREATE TABLE token(session INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE,"
	" client TEXT NOT NULL, seat TEXT NOT NULL);"
	"CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT INTO server VALUES(3, 'one', 'qemu+tls://one/system', 9000, 0);"
	"INSERT INTO desktop VALUES(41, 3, 9, 2048, 3, 5941, '10.78.0.2', 'lite@20260301.1');"
	"INSERT INTO volume VALUES(7, 'alice', 20001, 512, 2, 41, 1);"
	"INSERT INTO session VALUES(8, 'bob', 'Bob', 20002, 20002, 7, 40, 6, 4, 1, '', '', 0, 99);"
	"INSERT INTO session VALUES(9, 'alice', 'Alice', 20001, 20001, 4, 41, 7, 5, 1700, "
	"'10.77.0.101', '52:54:00:77:00:01', 5900, 0);"
	"INSERT INTO token VALUES(9, 'aa', '10.77.0.101', 'x');"
	"INSERT INTO counter VALUES('desktop', 50);"
	"PRAGMA user_version = 1;";

static void old_file_make(struct fixture *f)
{
	store_close(f->store);
	f->store = NULL;
	g_unlink(f->path);
	exec(f, old_file);
}

static char *columns(struct fixture *f, const char *table)
{
	g_autofree char *sql = g_strdup_printf(
		"SELECT group_concat(name || type || \"notnull\" || coalesce(dflt_value, '')) "
		"FROM pragma_table_info('%s')",
		table);
	sqlite3_stmt *row;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(row), SQLITE_ROW);
	char *text = g_strdup((const char *)sqlite3_column_text(row, 0));
	sqlite3_finalize(row);
	sqlite3_close(db);
	return text;
}

static void test_an_old_file_is_brought_up(void **state)
{
	struct fixture *f = *state;
	g_autofree char *new_session = columns(f, "session"), *new_desktop = columns(f, "desktop");
	struct store_token token;

	old_file_make(f);
	reload(f);
	const struct core_session *n = core_session_get(f->core, 9);
	assert_non_null(n);
	assert_string_equal(n->user, "alice");
	assert_int_equal(n->forward_port, 5900);
	assert_int_equal(n->next, 0);
	assert_int_equal(n->move, MOVE_NONE);
	assert_int_equal(n->move_why, MOVE_WHY_NONE);
	assert_false(n->move_breaks);
	assert_null(core_session_get(f->core, 8));
	assert_string_equal(core_desktop_get(f->core, 41)->image, "lite@20260301.1");
	assert_false(core_desktop_get(f->core, 41)->live);
	assert_int_equal(core_volume_get(f->core, 7)->desktop, 41);
	assert_int_equal(core_volume_get(f->core, 7)->copy, 0);
	assert_int_equal(core_volume_get(f->core, 7)->work, VOLUME_WORK_NONE);
	assert_true(core_volume_get(f->core, 7)->changed); /* it was never copied */
	assert_true(store_token_find(f->store, "aa", &token, NULL));
	/* It is like a new one from here on: what is written in it comes back. */
	assert_true(put_all(f->store, NULL, NULL));
	reload(f);
	assert_int_equal(core_session_get(f->core, 9)->move, MOVE_DETACH);
	assert_true(core_desktop_get(f->core, 41)->live);
	g_autofree char *session_columns = columns(f, "session");
	g_autofree char *desktop_columns = columns(f, "desktop");
	assert_string_equal(session_columns, new_session);
	assert_string_equal(desktop_columns, new_desktop);
}

/* Seats were there before their keyboards. */
static void test_an_old_file_has_its_seats(void **state)
{
	struct fixture *f = *state;
	g_autofree char *before = columns(f, "seat");
	g_autoptr(GArray) seats = g_array_new(FALSE, FALSE, sizeof(struct store_seat));

	exec(f, "ALTER TABLE seat DROP COLUMN keyboard;"
		"INSERT INTO seat VALUES('52:54:00:77:00:01', 'lab/1', '', 1, 5, 6, 7, 'ko', "
		"'testing', 'nomodeset', '1920x1080');"
		"PRAGMA user_version = 5;");
	reload(f);
	assert_true(store_load_seats(f->store, on_seat, seats, NULL));
	assert_int_equal(seats->len, 1);
	const struct store_seat *one = &g_array_index(seats, struct store_seat, 0);
	assert_string_equal(one->name, "lab/1");
	assert_string_equal(one->screen, "1920x1080");
	assert_string_equal(one->keyboard, "");
	g_autofree char *after = columns(f, "seat");
	assert_string_equal(after, before);
}

/* What fails half-way leaves the old file as it was, for the old Carrel and for another try. */
static void test_an_old_file_is_brought_up_as_a_whole(void **state)
{
	struct fixture *f = *state;
	g_autoptr(GError) error = NULL;

	old_file_make(f);
	g_autofree char *before = columns(f, "session");
	exec(f, "ALTER TABLE desktop ADD COLUMN live TEXT");
	assert_null(store_open(f->path, &error));
	assert_non_null(strstr(error->message, f->path));
	g_autofree char *after = columns(f, "session");
	assert_string_equal(after, before);
	exec(f, "ALTER TABLE desktop DROP COLUMN live");
	reload(f);
	assert_non_null(core_session_get(f->core, 9));
}

static void test_what_is_no_database_is_refused(void **state)
{
	struct fixture *f = *state;
	g_autoptr(GError) error = NULL;
	g_autofree char *other = g_build_filename(f->folder, "text", NULL);
	g_autofree char *text = g_strnfill(4096, 'x');
	g_autofree char *after = NULL;

	assert_true(g_file_set_contents(other, text, -1, NULL));
	assert_null(store_open(other, &error));
	assert_non_null(strstr(error->message, other));
	assert_true(g_file_get_contents(other, &after, NULL, NULL));
	assert_string_equal(after, text);
	g_unlink(other);
}

static void test_the_file_is_private(void **state)
{
	struct fixture *f = *state;
	GStatBuf info;

	assert_int_equal(g_stat(f->path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
}

static void test_policy_rows(void **state)
{
	struct fixture *f = *state;
	json_t *room = json_pack("{s:s, s:i}", "name", "방301", "min_mib", 1024);
	json_t *other = json_pack("{s:s}", "name", "a");

	assert_true(store_policy_put(f->store, "group", "방301", room, NULL));
	assert_true(store_policy_put(f->store, "group", "a", room, NULL));
	assert_true(store_policy_put(f->store, "group", "a", other, NULL));
	assert_true(store_policy_put(f->store, "reservation", "1", other, NULL));
	store_close(f->store);
	f->store = store_open(f->path, NULL);
	json_t *list = store_policy_list(f->store, "group", NULL);
	assert_int_equal(json_array_size(list), 2);
	assert_true(json_equal(json_array_get(list, 0), other));
	assert_true(json_equal(json_array_get(list, 1), room));
	json_decref(list);
	assert_true(store_policy_put(f->store, "group", "a", NULL, NULL));
	list = store_policy_list(f->store, "group", NULL);
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	json_decref(room);
	json_decref(other);
}

/* A file that is older than groups gets their table when it is opened. */
static void test_policy_table_is_added(void **state)
{
	struct fixture *f = *state;

	exec(f, "DROP TABLE policy");
	f->store = store_open(f->path, NULL);
	assert_non_null(f->store);
	json_t *list = store_policy_list(f->store, "group", NULL);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_transaction_is_all_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_gone_is_not_loaded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seats, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_old_file_has_its_seats, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ledger_keeps_the_newest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_newer_file_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_old_file_is_brought_up, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_an_old_file_is_brought_up_as_a_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_what_is_no_database_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_file_is_private, setup, teardown),
		cmocka_unit_test_setup_teardown(test_policy_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_policy_table_is_added, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
