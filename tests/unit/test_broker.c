/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The broker's small parts: tickets, ledger, login limit, shapes, routes, images. */
#include "broker/api/limit.h"
#include "broker/api/routes.h"
#include "broker/daemon/ledger.h"
#include "broker/daemon/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <glib/gstdio.h>

static void test_tickets_use_every_letter_and_differ(void **state)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	unsigned counts[256] = {0};
	unsigned letters = 0;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		char ticket[TICKET_LENGTH + 1];

		ticket_make(ticket);
		assert_int_equal(strlen(ticket), TICKET_LENGTH);
		for (const char *p = ticket; *p; p++) {
			assert_true(g_ascii_isalnum(*p));
			counts[(unsigned char)*p]++;
		}
		assert_true(g_hash_table_add(seen, g_strdup(ticket)));
	}
	/* 16000 letters of 62: 258 each is expected; 8 standard deviations are 128. */
	for (int c = 0; c < 256; c++)
		if (counts[c]) {
			letters++;
			assert_in_range(counts[c], 130, 386);
		}
	assert_int_equal(letters, 62);
}

static void test_a_ticket_is_taken_once(void **state)
{
	g_autoptr(GHashTable) table = ticket_table_new();
	char *ticket;

	(void)state;
	ticket_table_put(table, 5, "abcdefgh");
	ticket_table_put(table, 5, "ijklmnop");
	assert_null(ticket_table_take(table, 6));
	ticket = ticket_table_take(table, 5);
	assert_string_equal(ticket, "ijklmnop");
	secret_free(ticket);
	assert_null(ticket_table_take(table, 5));
}

static void test_tokens(void **state)
{
	char a[TOKEN_LENGTH + 1], b[TOKEN_LENGTH + 1], hash[65];

	(void)state;
	token_make(a);
	token_make(b);
	assert_int_equal(strlen(a), TOKEN_LENGTH);
	assert_false(token_equal(a, b));
	assert_true(token_equal(a, a));
	assert_false(token_equal(a, "short"));
	token_hash("abc", hash);
	assert_string_equal(
		hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_failures_grow_the_wait(void **state)
{
	struct limit *limit = limit_new();
	static const unsigned expected[] = {0, 0, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
	gint64 now = 5000000;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
		assert_int_equal(limit_delay_ms(limit, "10.77.0.9", "alice", now), expected[i]);
		limit_failed(limit, "10.77.0.9", "alice", now);
	}
	/* Another PC is not punished; another name at the same PC is, after so many. */
	assert_int_equal(limit_delay_ms(limit, "10.77.0.8", "alice", now), 0);
	assert_true(limit_delay_ms(limit, "10.77.0.9", "bob", now) > 0);
	assert_int_equal(limit_delay_ms(limit, "10.77.0.9", "alice", now + 10 * 60 * 1000 + 1), 0);
	limit_free(limit);
}

static void test_a_success_forgets_the_name(void **state)
{
	struct limit *limit = limit_new();

	(void)state;
	for (int i = 0; i < 4; i++)
		limit_failed(limit, "a", "alice", 1000);
	assert_int_equal(limit_delay_ms(limit, "a", "alice", 1000), 4000);
	limit_passed(limit, "a", "alice");
	assert_int_equal(limit_delay_ms(limit, "a", "alice", 1000), 0);
	limit_free(limit);
}

static const struct shape_field shape[] = {
	{"name", SHAPE_TEXT, 5, 0},
	{"note", SHAPE_TEXT, 5, SHAPE_OPTIONAL | SHAPE_EMPTY},
	{"secret", SHAPE_TEXT, 20, SHAPE_OPTIONAL | SHAPE_SECRET},
	{"n", SHAPE_INT, 9, SHAPE_OPTIONAL},
	{"yes", SHAPE_BOOL, 0, SHAPE_OPTIONAL},
	{"list", SHAPE_ARRAY, 2, SHAPE_OPTIONAL},
	{0},
};

static void test_shapes(void **state)
{
	static const struct {
		const char *text, *problem; /* NULL: it fits */
	} cases[] = {
		{"{\"name\":\"alice\"}", NULL},
		{"{\"name\":\"a\",\"note\":\"\",\"n\":9,\"yes\":true,\"list\":[1,2]}", NULL},
		{"", "\"name\" is missing"},
		{"{}", "\"name\" is missing"},
		{"{\"name\":\"\"}", "\"name\" must be"},
		{"{\"name\":\"alicex\"}", "1 to 5 bytes"},
		{"{\"name\":\"a\\nb\"}", "control characters"},
		{"{\"name\":null}", "\"name\" must be"},
		{"{\"name\":\"a\",\"n\":10}", "0 to 9"},
		{"{\"name\":\"a\",\"n\":-1}", "0 to 9"},
		{"{\"name\":\"a\",\"n\":1.5}", "whole number"},
		{"{\"name\":\"a\",\"yes\":1}", "true or false"},
		{"{\"name\":\"a\",\"list\":[1,2,3]}", "at most 2"},
		{"{\"name\":\"a\",\"name\":\"b\"}", "not JSON"},
		{"{\"name\":\"a\",\"other\":1}", "not known"},
		{"[1]", "not a JSON object"},
		{"{\"name\":\"\xff\"}", "not JSON"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *problem = NULL;
		json_t *body = shape_parse(shape, cases[i].text, strlen(cases[i].text), &problem);

		if (cases[i].problem) {
			assert_null(body);
			assert_non_null(problem);
			if (!strstr(problem, cases[i].problem))
				fail_msg("%s: %s", cases[i].text, problem);
		} else {
			assert_null(problem);
			assert_non_null(body);
		}
		json_decref(body);
	}
}

static void test_secrets_are_wiped(void **state)
{
	g_autofree char *problem = NULL;
	static const char text[] = "{\"name\":\"a\",\"secret\":\"hush\"}";
	json_t *body = shape_parse(shape, text, strlen(text), &problem);

	(void)state;
	shape_wipe(shape, body);
	assert_memory_equal(json_string_value(json_object_get(body, "secret")), "\0\0\0\0", 4);
	assert_string_equal(shape_text(body, "name"), "a");
	json_decref(body);
}

static void test_routes(void **state)
{
	static const struct {
		enum door door;
		const char *method, *path, *found, *param;
		gboolean allowed;
	} cases[] = {
		{DOOR_ADMIN, "GET", "/v1/status", "/v1/status", NULL, FALSE},
		{DOOR_CLIENT, "GET", "/v1/status", NULL, NULL, FALSE},
		{DOOR_REPORT, "POST", "/v1/client/login", NULL, NULL, FALSE},
		{DOOR_ADMIN, "POST", "/v1/boot/report", NULL, NULL, FALSE},
		{DOOR_ADMIN, "PUT", "/v1/users/김/password", "/v1/users/*/password", "김", FALSE},
		{DOOR_ADMIN, "DELETE", "/v1/users/a", "/v1/users/*", "a", FALSE},
		{DOOR_ADMIN, "DELETE", "/v1/users/", NULL, NULL, FALSE},
		{DOOR_ADMIN, "DELETE", "/v1/users/a/b", NULL, NULL, FALSE},
		{DOOR_ADMIN, "DELETE", "/v1/users/\xff", NULL, NULL, FALSE},
		{DOOR_ADMIN, "PATCH", "/v1/users/a", NULL, NULL, TRUE},
		{DOOR_ADMIN, "GET", "/v1/desktops/7", "/v1/desktops/*", "7", FALSE},
		{DOOR_ADMIN, "POST", "/v1/desktops/7/move", "/v1/desktops/*/move", "7", FALSE},
		{DOOR_ADMIN, "POST", "/v1/desktops/7/resize", "/v1/desktops/*/resize", "7", FALSE},
		{DOOR_ADMIN, "POST", "/v1/desktops/7", NULL, NULL, TRUE},
		{DOOR_ADMIN, "POST", "/v1/sessions/김/move", "/v1/sessions/*/move", "김", FALSE},
		{DOOR_ADMIN, "POST", "/v1/sessions//move", NULL, NULL, FALSE},
		{DOOR_ADMIN, "POST", "/v1/servers/a/lost", "/v1/servers/*/lost", "a", FALSE},
		{DOOR_CLIENT, "POST", "/v1/client/move-now", "/v1/client/move-now", NULL, FALSE},
		{DOOR_CLIENT, "GET", "/v1/client/login", NULL, NULL, TRUE},
		{DOOR_CLIENT, "GET", "", NULL, NULL, FALSE},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *param = NULL;
		gboolean allowed;
		const struct route *route =
			route_find(cases[i].door, cases[i].method, cases[i].path, &param, &allowed);

		if (cases[i].found) {
			assert_non_null(route);
			assert_string_equal(route->path, cases[i].found);
		} else {
			assert_null(route);
			assert_int_equal(allowed, cases[i].allowed);
		}
		if (cases[i].param)
			assert_string_equal(param, cases[i].param);
		else
			assert_null(param);
	}
}

static void test_which_routes_ask_for_a_token(void **state)
{
	(void)state;
	/* Whatever a viewer may ask after its login asks for its token; nothing else does. */
	for (size_t i = 0; i < routes_count; i++) {
		gboolean open = !strcmp(routes[i].path, "/v1/client/hello") ||
				!strcmp(routes[i].path, "/v1/client/login");

		assert_int_equal(routes[i].token, routes[i].door == DOOR_CLIENT && !open);
	}
}

/* Their page has "GET /v1/desktops/ID", with ID or NAME for the "*". */
static void test_routes_are_written_down(void **state)
{
	static const char *const words[] = {"ID", "NAME"};
	g_autofree char *page = NULL;

	(void)state;
	assert_true(g_file_get_contents("docs/protocols.md", &page, NULL, NULL));
	for (size_t i = 0; i < routes_count; i++) {
		g_auto(GStrv) parts = g_strsplit(routes[i].path, "*", 2);
		gboolean found = FALSE;

		for (size_t w = 0; w < G_N_ELEMENTS(words); w++) {
			g_autofree char *path = g_strjoinv(words[w], parts);
			/* What follows is no longer path. */
			g_autofree char *pattern =
				g_strdup_printf("`%s %s[` ]", routes[i].method, path);

			found |= g_regex_match_simple(pattern, page, 0, 0);
		}
		if (!found)
			fail_msg("docs/protocols.md lacks %s %s", routes[i].method, routes[i].path);
	}
}

/* A login whose every stage takes 10 ms, driven through core itself. */
static void test_ledger_measures_each_stage(void **state)
{
	g_autofree char *folder = g_dir_make_tmp("carrel-ledger-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(folder, "db", NULL);
	struct store *store = store_open(path, NULL);
	const struct core_config config = {.max_mib = 1024,
		.min_mib = 1024,
		.boot_timeout_ms = 60000,
		.claim_timeout_ms = 60000,
		.ticket_ms = 30000,
		.forward_port = 5900,
		.volume_size_mib = 64};
	const struct core_channels channels = {.stable = {.id = "lite@20260301.1"}};
	struct core *core = core_new(&config);
	struct core_actions actions = {0};
	struct ledger *ledger = ledger_new(store);
	json_t *boot = json_pack("[{s:s, s:i}, {s:s, s:i}, {s:s, s:i}]", "stage", "kernel", "ms",
		900, "stage", "network", "ms", 2100, "stage", "root", "ms", 2100);
	const struct core_event events[] = {
		{.type = CORE_EV_SERVER_ADDED, .text = "one"},
		{.type = CORE_EV_SERVER_UP, .server = 1, .memory_mib = 4096},
		{.type = CORE_EV_LOGIN, .login = 1, .user = "a", .client = "10.77.0.9"},
		{.type = CORE_EV_AUTHENTICATED, .login = 1, .user = "a", .uid = 7, .gid = 7},
		{.type = CORE_EV_VOLUME_CREATED, .volume = 1},
		{.type = CORE_EV_DESKTOP_STARTED,
			.desktop = 1,
			.vnc_port = 5901,
			.vnc_host = "10.78.0.2"},
		{.type = CORE_EV_AGENT_HELLO, .desktop = 1},
		{.type = CORE_EV_VOLUME_ATTACHED, .volume = 1, .desktop = 1},
		{.type = CORE_EV_CLAIMED, .desktop = 1},
		{.type = CORE_EV_TICKET_SET, .session = 1, .desktop = 1, .number = 1},
		{.type = CORE_EV_FORWARD_ADDED, .session = 1, .number = 1},
		{.type = CORE_EV_FIRST_FRAME, .login = 1},
	};
	static const struct {
		const char *stage;
		int ms;
	} expected[] = {{"kernel", 900}, {"network", 1200}, {"root", 0}, {"login", 10},
		{"authenticate", 10}, {"place", 0}, {"desktop", 30}, {"volume", 10}, {"claim", 10},
		{"ticket", 20}, {"first-frame", 10}};

	(void)state;
	core_load_channels(core, &channels);
	core_load_done(core, 1000, &actions);
	for (size_t i = 0; i < G_N_ELEMENTS(events); i++) {
		struct core_event event = events[i];

		event.now_ms = 1000 + (gint64)i * 10;
		if (event.type == CORE_EV_LOGIN)
			ledger_begin(ledger, 1, "a", "52:54:00:77:00:01", boot, event.now_ms - 10);
		ledger_event(ledger, core, &event);
		core_step(core, &event, &actions);
		for (size_t k = 0; k < actions.count; k++)
			if (actions.items[k].type == CORE_ACT_TELL_READY)
				ledger_ready(
					ledger, actions.items[k].login, actions.items[k].session);
		ledger_stepped(ledger, core, &event);
	}
	json_t *list = store_ledger_list(store, 10, NULL);
	assert_int_equal(json_array_size(list), 1);
	const json_t *stages = json_object_get(json_array_get(list, 0), "stages");
	assert_int_equal(json_array_size(stages), G_N_ELEMENTS(expected));
	for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
		const json_t *stage = json_array_get(stages, i);

		assert_string_equal(
			json_string_value(json_object_get(stage, "stage")), expected[i].stage);
		assert_int_equal(json_integer_value(json_object_get(stage, "ms")), expected[i].ms);
	}
	json_decref(list);
	json_decref(boot);
	ledger_free(ledger);
	core_actions_clear(&actions);
	core_free(core);
	store_close(store);
	g_unlink(path);
	g_rmdir(folder);
}

/* What the ledger sees of a hand-off: a session's rows, step after step, 10 ms each. */
struct move_step {
	enum core_move move;
	guint64 desktop; /* the session's; 41 has 2048 MiB, 42 has 1024 */
	enum core_event_type event;
	gboolean ready;    /* the viewer is given its ticket in this step */
	guint32 shrunk_to; /* MiB of desktop 41, when not 2048 */
};

static struct core *core_at(const struct core_config *config, const struct move_step *step)
{
	struct core *core = core_new(config);
	const struct core_desktop from = {.id = 41,
		.server = 1,
		.state = DESKTOP_ACTIVE,
		.memory_mib = step->shrunk_to ? step->shrunk_to : 2048};
	const struct core_desktop to = {
		.id = 42, .server = 1, .state = DESKTOP_STANDBY, .memory_mib = 1024};
	const struct core_session session = {.id = 9,
		.user = "alice",
		.seat = "52:54:00:77:00:01",
		.state = step->event == CORE_EV_SESSION_END ? SESSION_ENDED
			 : step->move == MOVE_NONE          ? SESSION_CONNECTED
							    : SESSION_MOVING,
		.desktop = step->desktop,
		.move = step->move,
		.move_why = step->move == MOVE_NONE ? MOVE_WHY_NONE : MOVE_WHY_ROOM};

	core_load_desktop(core, &from);
	core_load_desktop(core, &to);
	core_load_session(core, &session);
	return core;
}

/* The entries that come of it, newest first. */
static json_t *ledger_of(const struct move_step *steps, size_t count)
{
	g_autofree char *folder = g_dir_make_tmp("carrel-ledger-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(folder, "db", NULL);
	const struct core_config config = {.max_mib = 2048, .min_mib = 1024};
	struct store *store = store_open(path, NULL);
	struct ledger *ledger = ledger_new(store);
	struct core *before = core_at(&config, &steps[0]);

	for (size_t i = 1; i < count; i++) {
		struct core *after = core_at(&config, &steps[i]);
		const struct core_event event = {
			.type = steps[i].event, .now_ms = 1000 + (gint64)i * 10};

		ledger_event(ledger, before, &event);
		if (steps[i].ready)
			ledger_ready(ledger, 5, 9);
		ledger_stepped(ledger, after, &event);
		core_free(before);
		before = after;
	}
	json_t *list = store_ledger_list(store, 10, NULL);
	core_free(before);
	ledger_free(ledger);
	store_close(store);
	g_unlink(path);
	g_rmdir(folder);
	return list;
}

/* "name:ms name:ms ..." */
static char *stages_text(const json_t *entry)
{
	GString *text = g_string_new(NULL);
	size_t i;
	const json_t *stage;

	json_array_foreach (json_object_get(entry, "stages"), i, stage)
		g_string_append_printf(text, "%s%s:%" JSON_INTEGER_FORMAT, i ? " " : "",
			json_string_value(json_object_get(stage, "stage")),
			json_integer_value(json_object_get(stage, "ms")));
	return g_string_free(text, FALSE);
}

static void assert_handoff(
	const struct move_step *steps, size_t count, const char *stages, guint64 to)
{
	json_t *list = ledger_of(steps, count);
	const json_t *entry = json_array_get(list, 0);
	json_t *expected = json_pack("{s:i, s:I, s:i, s:i, s:s}", "from", 41, "to", (json_int_t)to,
		"from_mib", 2048, "size_mib", 1024, "why", "room");

	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(json_string_value(json_object_get(entry, "user")), "alice");
	assert_string_equal(json_string_value(json_object_get(entry, "seat")), "52:54:00:77:00:01");
	assert_int_equal(json_integer_value(json_object_get(entry, "session")), 9);
	g_autofree char *text = stages_text(entry);
	assert_string_equal(text, stages);
	assert_true(json_equal(json_object_get(entry, "handoff"), expected));
	json_decref(expected);
	json_decref(list);
}

static void assert_nothing_kept(const struct move_step *steps, size_t count)
{
	json_t *list = ledger_of(steps, count);

	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
}

static void test_ledger_measures_a_handoff(void **state)
{
	static const struct move_step steps[] = {
		{.move = MOVE_NONE, .desktop = 41},
		{.move = MOVE_ANNOUNCE, .desktop = 41, .event = CORE_EV_AUTHENTICATED},
		{.move = MOVE_ANNOUNCE, .desktop = 41, .event = CORE_EV_AGENT_HELLO},
		{.move = MOVE_QUIESCE, .desktop = 41, .event = CORE_EV_TICK},
		{.move = MOVE_DETACH, .desktop = 41, .event = CORE_EV_RELEASED},
		{.move = MOVE_CLAIM, .desktop = 42, .event = CORE_EV_VOLUME_DETACHED},
		{.move = MOVE_CLAIM, .desktop = 42, .event = CORE_EV_VOLUME_ATTACHED},
		{.move = MOVE_SWITCH, .desktop = 42, .event = CORE_EV_CLAIMED},
		{.move = MOVE_SWITCH, .desktop = 42, .event = CORE_EV_FORWARD_ADDED, .ready = TRUE},
		{.move = MOVE_SWITCH, .desktop = 42, .event = CORE_EV_TICKET_SET, .ready = TRUE},
		{.move = MOVE_NONE, .desktop = 42, .event = CORE_EV_FIRST_FRAME},
	};

	(void)state;
	assert_handoff(steps, G_N_ELEMENTS(steps),
		"announce:20 prepare:0 quiesce:10 detach:10 claim:20 ticket:10 first-frame:20", 42);
}

/* Tried in place first; the desktop has still to boot; nobody looks at it in the end. */
static void test_ledger_measures_another_handoff(void **state)
{
	static const struct move_step steps[] = {
		{.move = MOVE_NONE, .desktop = 41},
		{.move = MOVE_SHRINK, .desktop = 41, .event = CORE_EV_AUTHENTICATED},
		{.move = MOVE_ANNOUNCE, .desktop = 41, .event = CORE_EV_DESKTOP_RESIZE_FAILED},
		{.move = MOVE_PREPARE, .desktop = 41, .event = CORE_EV_MOVE_NOW},
		{.move = MOVE_QUIESCE, .desktop = 41, .event = CORE_EV_AGENT_HELLO},
		{.move = MOVE_DETACH, .desktop = 41, .event = CORE_EV_RELEASED},
		{.move = MOVE_CLAIM, .desktop = 42, .event = CORE_EV_VOLUME_DETACHED},
		{.move = MOVE_SWITCH, .desktop = 42, .event = CORE_EV_CLAIMED},
		{.move = MOVE_NONE, .desktop = 42, .event = CORE_EV_VIEWER_GONE},
	};

	(void)state;
	assert_handoff(steps, G_N_ELEMENTS(steps),
		"shrink:10 announce:10 prepare:10 quiesce:10 detach:10 claim:10 switch:10", 42);
}

static void test_ledger_measures_a_shrinking(void **state)
{
	static const struct move_step steps[] = {
		{.move = MOVE_NONE, .desktop = 41},
		{.move = MOVE_SHRINK, .desktop = 41, .event = CORE_EV_AUTHENTICATED},
		{.move = MOVE_NONE,
			.desktop = 41,
			.event = CORE_EV_DESKTOP_RESIZED,
			.shrunk_to = 1024},
	};

	(void)state;
	assert_handoff(steps, G_N_ELEMENTS(steps), "shrink:10", 41);
}

static void test_ledger_keeps_no_half_handoff(void **state)
{
	static const struct move_step undone[] = {
		{.move = MOVE_NONE, .desktop = 41},
		{.move = MOVE_ANNOUNCE, .desktop = 41, .event = CORE_EV_AUTHENTICATED},
		{.move = MOVE_NONE, .desktop = 41, .event = CORE_EV_DESKTOP_START_FAILED},
	};
	static const struct move_step ended[] = {
		{.move = MOVE_NONE, .desktop = 41},
		{.move = MOVE_QUIESCE, .desktop = 41, .event = CORE_EV_AUTHENTICATED},
		{.move = MOVE_NONE, .desktop = 42, .event = CORE_EV_SESSION_END},
	};
	static const struct move_step begun_before[] = {
		{.move = MOVE_DETACH, .desktop = 41},
		{.move = MOVE_CLAIM, .desktop = 42, .event = CORE_EV_VOLUME_DETACHED},
		{.move = MOVE_NONE, .desktop = 42, .event = CORE_EV_CLAIMED},
	};

	(void)state;
	assert_nothing_kept(undone, G_N_ELEMENTS(undone));
	assert_nothing_kept(ended, G_N_ELEMENTS(ended));
	assert_nothing_kept(begun_before, G_N_ELEMENTS(begun_before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tickets_use_every_letter_and_differ),
		cmocka_unit_test(test_a_ticket_is_taken_once),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_failures_grow_the_wait),
		cmocka_unit_test(test_a_success_forgets_the_name),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_secrets_are_wiped),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_routes_are_written_down),
		cmocka_unit_test(test_which_routes_ask_for_a_token),
		cmocka_unit_test(test_ledger_measures_each_stage),
		cmocka_unit_test(test_ledger_measures_a_handoff),
		cmocka_unit_test(test_ledger_measures_another_handoff),
		cmocka_unit_test(test_ledger_measures_a_shrinking),
		cmocka_unit_test(test_ledger_keeps_no_half_handoff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
