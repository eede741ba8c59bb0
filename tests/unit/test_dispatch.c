/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What carreld makes of core's actions about sizes and power, and of what an admin says of servers,
 * sessions and desktops. Core takes no step here: the events for it stay in the broker's queue, and
 * the test looks at them. The server's worker is a script.
 */
#include "broker/daemon/broker.h"
#include "broker/daemon/dispatch.h"
#include "broker/daemon/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <glib/gstdio.h>

#define WAIT_S 20
#define SERVER 3
#define DESKTOP 41
#define SESSION 9

struct fixture {
	char *folder, *conf; /* owned */
	struct broker *broker;
};

static void put_file(const struct fixture *f, const char *name, int mode, const char *text)
{
	g_autofree char *path = g_build_filename(f->folder, name, NULL);
	g_autofree char *folder = g_path_get_dirname(path);

	assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
	assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, mode, NULL));
}

/* `more` is a group of its own in carrel.conf. */
static void put_conf(const struct fixture *f, const char *more)
{
	g_autofree char *text = g_strdup_printf("[network]\nclient_address = 10.77.0.1/24\n"
						"[broker]\ncall_timeout = 1\n"
						"[paths]\nstate = %s/state\nrun = %s/run\n"
						"images = %s/images\n%s",
		f->folder, f->folder, f->folder, more);

	put_file(f, "carrel.conf", 0600, text);
}

/* Reaches the server at once, has no desktops, and answers about a desktop's size by its number. */
static const char worker_script[] =
	"#!/usr/bin/python3\n"
	"import json, os, select, socket, sys\n"
	"s = socket.socket(fileno=int(sys.argv[sys.argv.index('--fd') + 1]))\n"
	"def say(**message):\n"
	"    s.send(json.dumps(message).encode())\n"
	"say(event='server-up', memory_mib=9000, cpus=6, kvm=False)\n"
	"while data := s.recv(65536):\n"
	"    r = json.loads(data)\n"
	"    if r['op'] in ('desktop-list', 'image-ensure', 'image-list'):\n"
	"        say(id=r['id'], ok=True, desktops=[])\n"
	"    if r['op'] != 'desktop-resize':\n"
	"        continue\n"
	"    assert sorted(r) == ['desktop', 'id', 'memory_mib', 'ms', 'op'], r\n"
	"    if r['desktop'] == 1:\n"
	"        say(id=r['id'], ok=True, memory_mib=r['memory_mib'] - r['ms'])\n"
	"    if r['desktop'] == 2:\n"
	"        say(id=r['id'], ok=False, code='timeout', message='the guest kept it')\n"
	"    if r['desktop'] == 3:\n"
	"        os._exit(0)\n"
	"    if r['desktop'] == 4:\n"
	"        select.select([s], [], [], 1.5)\n"
	"        say(id=r['id'], ok=True, memory_mib=r['memory_mib'])\n";

static const struct core_server server_row = {.id = SERVER, .name = "one", .memory_mib = 9000};
static const struct core_desktop desktop_row = {.id = DESKTOP,
	.server = SERVER,
	.session = SESSION,
	.memory_mib = 2048,
	.state = DESKTOP_ACTIVE,
	.vnc_port = 5941,
	.vnc_host = "10.78.0.2",
	.image = "desktop-lite@20260301.1"};
static const struct core_volume volume_row = {.id = 7,
	.user = "alice",
	.uid = 20001,
	.size_mib = 512,
	.state = VOLUME_READY,
	.desktop = DESKTOP,
	.attached = true};
static const struct core_session session_row = {.id = SESSION,
	.user = "alice",
	.uid = 20001,
	.gid = 20001,
	.state = SESSION_DISCONNECTED,
	.desktop = DESKTOP,
	.volume = 7,
	.sequence = 1};

static void put_rows(const struct fixture *f)
{
	g_autofree char *path = g_build_filename(f->folder, "state", "carrel.db", NULL);
	g_autofree char *folder = g_path_get_dirname(path);

	assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
	struct store *store = store_open(path, NULL);
	assert_non_null(store);
	assert_true(store_put_server(store, SERVER, &server_row, "qemu+tls://one/system", NULL));
	assert_true(store_put_desktop(store, DESKTOP, &desktop_row, NULL));
	assert_true(store_put_volume(store, 7, &volume_row, NULL));
	assert_true(store_put_session(store, SESSION, &session_row, NULL));
	store_close(store);
}

static int setup(void **state)
{
	struct fixture *f = g_new0(struct fixture, 1);

	f->folder = g_dir_make_tmp("carrel-dispatch-XXXXXX", NULL);
	f->conf = g_build_filename(f->folder, "carrel.conf", NULL);
	put_conf(f, "");
	put_rows(f);
	*state = f;
	return 0;
}

static void remove_all(const char *path)
{
	GDir *dir = g_file_test(path, G_FILE_TEST_IS_DIR) ? g_dir_open(path, 0, NULL) : NULL;

	for (const char *name; dir && (name = g_dir_read_name(dir));) {
		g_autofree char *inner = g_build_filename(path, name, NULL);

		remove_all(inner);
	}
	if (dir)
		g_dir_close(dir);
	g_remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	broker_free(f->broker);
	remove_all(f->folder);
	g_free(f->folder);
	g_free(f->conf);
	g_free(f);
	return 0;
}

static void make(struct fixture *f)
{
	g_autoptr(GError) error = NULL;

	f->broker = broker_new(f->conf, &error);
	assert_null(error);
	core_load_done(f->broker->core, broker_now_ms(), &f->broker->actions);
	f->broker->stepping = TRUE;
}

/* Begins the server's worker, which is that script. */
static void begin_worker(struct fixture *f, const char *text)
{
	put_file(f, "worker", 0700, text);
	g_free(f->broker->worker_program);
	f->broker->worker_program = g_build_filename(f->folder, "worker", NULL);
	struct worker *worker = worker_new(f->broker, SERVER, "one", "qemu+tls://one/system");
	g_hash_table_insert(f->broker->workers, (gpointer)worker_id_key(worker), worker);
}

static gboolean on_too_late(gpointer data)
{
	*(gboolean *)data = TRUE;
	return G_SOURCE_CONTINUE;
}

/* The next event of that type, taken from the queue with all before it. */
static struct core_event next_event(struct fixture *f, enum core_event_type type)
{
	gboolean late = FALSE, found = FALSE;
	guint timer = g_timeout_add_seconds(WAIT_S, on_too_late, &late);
	struct core_event event = {0};

	while (!found && !late) {
		struct core_event *first = g_queue_pop_head(&f->broker->events);

		if (first) {
			event = *first;
			found = event.type == type;
			g_free(first);
		} else {
			g_main_context_iteration(NULL, TRUE);
		}
	}
	g_source_remove(timer);
	if (!found)
		fail_msg("no %s in %d s", core_event_name(type), WAIT_S);
	return event;
}

static void act(struct fixture *f, struct core_action action)
{
	const struct core_actions actions = {.items = &action, .count = 1, .capacity = 1};

	action.server = SERVER;
	dispatch(f->broker, &actions);
}

static void resize(struct fixture *f, guint64 desktop, guint32 ms)
{
	act(f, (struct core_action){.type = CORE_ACT_DESKTOP_RESIZE,
		       .desktop = desktop,
		       .memory_mib = 1024,
		       .ms = ms});
}

static void test_a_server_tells_its_processors(void **state)
{
	struct fixture *f = *state;

	make(f);
	begin_worker(f, worker_script);
	struct core_event event = next_event(f, CORE_EV_SERVER_UP);
	assert_int_equal(event.server, SERVER);
	assert_int_equal(event.memory_mib, 9000);
	assert_int_equal(event.cpus, 6);
}

static void test_resizes(void **state)
{
	struct fixture *f = *state;

	make(f);
	begin_worker(f, worker_script);
	next_event(f, CORE_EV_SERVER_UP);
	resize(f, 1, 24);
	struct core_event event = next_event(f, CORE_EV_DESKTOP_RESIZED);
	assert_int_equal(event.desktop, 1);
	assert_int_equal(event.server, SERVER);
	assert_int_equal(event.memory_mib, 1000); /* as the worker says, which has seen it */
	resize(f, 2, 24);
	event = next_event(f, CORE_EV_DESKTOP_RESIZE_FAILED);
	assert_int_equal(event.desktop, 2);
	assert_string_equal(event.code, "timeout");
	assert_string_equal(event.text, "the guest kept it");
	resize(f, 3, 24);
	next_event(f, CORE_EV_SERVER_DOWN);
	event = next_event(f, CORE_EV_DESKTOP_RESIZE_FAILED);
	assert_int_equal(event.desktop, 3);
	assert_string_equal(event.code, "unreachable");
}

/* [broker] call_timeout is 1 s here; a shrinking that may take longer is waited for. */
static void test_a_resize_has_its_own_time(void **state)
{
	struct fixture *f = *state;

	make(f);
	begin_worker(f, worker_script);
	next_event(f, CORE_EV_SERVER_UP);
	resize(f, 4, 10000);
	assert_int_equal(next_event(f, CORE_EV_DESKTOP_RESIZED).desktop, 4);
}

static void test_a_resize_without_a_worker(void **state)
{
	struct fixture *f = *state;

	make(f);
	resize(f, 1, 24);
	assert_string_equal(next_event(f, CORE_EV_DESKTOP_RESIZE_FAILED).code, "unreachable");
}

static void use_fence(struct fixture *f, const char *text)
{
	g_autofree char *group = g_strdup_printf("[server]\nfence = %s/fence\n", f->folder);

	put_file(f, "fence", 0700, text);
	put_conf(f, group);
}

static void test_fencing(void **state)
{
	struct fixture *f = *state;

	use_fence(f, "#!/bin/sh\n[ \"$*\" = 'off one qemu+tls://one/system' ] && exit 0\n"
		     "echo \"what is $*\"; exit 4\n");
	make(f);
	assert_true(f->broker->config.fence);
	act(f, (struct core_action){.type = CORE_ACT_FENCE});
	assert_int_equal(next_event(f, CORE_EV_SERVER_FENCED).server, SERVER);
	use_fence(f, "#!/bin/sh\necho the outlet is not known; exit 4\n");
	act(f, (struct core_action){.type = CORE_ACT_FENCE});
	struct core_event event = next_event(f, CORE_EV_FENCE_FAILED);
	assert_int_equal(event.server, SERVER);
	assert_non_null(strstr(event.text, "status 4; it said: the outlet is not known"));
}

static void test_no_fence(void **state)
{
	struct fixture *f = *state;

	make(f);
	assert_false(f->broker->config.fence);
	act(f, (struct core_action){.type = CORE_ACT_FENCE});
	assert_non_null(strstr(next_event(f, CORE_EV_FENCE_FAILED).text, "[server] fence"));
}

/* A server that answers keeps its power, also one that comes back while it is to be taken. */
static void test_who_is_there_is_not_fenced(void **state)
{
	struct fixture *f = *state;

	use_fence(f, "#!/bin/sh\nexec sleep 600\n");
	make(f);
	act(f, (struct core_action){.type = CORE_ACT_FENCE});
	begin_worker(f, worker_script);
	struct core_event event = next_event(f, CORE_EV_FENCE_FAILED);
	assert_int_equal(event.server, SERVER);
	assert_non_null(strstr(event.text, "connected again"));
	next_event(f, CORE_EV_SERVER_UP);
	act(f, (struct core_action){.type = CORE_ACT_FENCE});
	assert_non_null(strstr(next_event(f, CORE_EV_FENCE_FAILED).text, "connected again"));
}

static void assert_refused(const GError *error, enum broker_error code, const char *words)
{
	assert_non_null(error);
	assert_int_equal(error->domain, BROKER_ERROR);
	assert_int_equal(error->code, code);
	if (!strstr(error->message, words))
		fail_msg("no \"%s\" in: %s", words, error->message);
}

static void test_a_server_is_said_to_be_lost(void **state)
{
	struct fixture *f = *state;
	g_autoptr(GError) unknown = NULL, busy = NULL;

	make(f);
	assert_false(broker_server_lost(f->broker, "nine", &unknown));
	assert_refused(unknown, BROKER_ERROR_UNKNOWN, "carrel server list");
	assert_true(broker_server_lost(f->broker, "one", NULL));
	assert_int_equal(next_event(f, CORE_EV_SERVER_FENCED).server, SERVER);
	begin_worker(f, worker_script);
	next_event(f, CORE_EV_SERVER_UP);
	assert_false(broker_server_lost(f->broker, "one", &busy));
	assert_refused(busy, BROKER_ERROR_BUSY, "its power is on");
	assert_true(g_queue_is_empty(&f->broker->events));
}

static void test_orders_about_what_is_not_there(void **state)
{
	struct fixture *f = *state;
	g_autoptr(GError) session = NULL, server = NULL, down = NULL, desktop = NULL;

	make(f);
	assert_false(broker_session_move(f->broker, 77, NULL, 0, &session));
	assert_refused(session, BROKER_ERROR_UNKNOWN, "no session 77");
	assert_false(broker_session_move(f->broker, SESSION, "nine", 0, &server));
	assert_refused(server, BROKER_ERROR_UNKNOWN, "no server nine");
	/* Its server is down: core says no, and its words are the admin's. */
	assert_false(broker_session_move(f->broker, SESSION, "one", 1024, &down));
	assert_refused(down, BROKER_ERROR_BUSY, "");
	assert_true(strlen(down->message) > 0);
	assert_false(broker_desktop_discard(f->broker, 77, &desktop));
	assert_refused(desktop, BROKER_ERROR_UNKNOWN, "carrel desktop list");
	assert_true(g_queue_is_empty(&f->broker->events));
}

static void test_a_desktop_is_discarded(void **state)
{
	struct fixture *f = *state;

	make(f);
	assert_true(broker_desktop_discard(f->broker, DESKTOP, NULL));
	assert_int_equal(next_event(f, CORE_EV_DESKTOP_DISCARD).desktop, DESKTOP);
}

static void test_configuration(void **state)
{
	struct fixture *f = *state;

	make(f);
	assert_int_equal(f->broker->config.handoff_grace_ms, 30000);
	assert_int_equal(f->broker->config.shrink_ms, 20000);
	assert_int_equal(f->broker->config.lost_ms, 60000);
	assert_int_equal(f->broker->config.boots, 0);
	assert_true(f->broker->config.boot_reserve);
	put_conf(f, "[session]\nhandoff_grace = 0\n[server]\nlost_after = 86400\n"
		    "[desktop]\nshrink_timeout = 600\nboots = 7\nboot_reserve = no\n");
	assert_true(broker_reload(f->broker, NULL));
	assert_int_equal(f->broker->config.handoff_grace_ms, 0);
	assert_int_equal(f->broker->config.shrink_ms, 600000);
	assert_int_equal(f->broker->config.lost_ms, 86400000);
	assert_int_equal(f->broker->config.boots, 7);
	assert_false(f->broker->config.boot_reserve);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_server_tells_its_processors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_resize_has_its_own_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_resize_without_a_worker, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fencing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_fence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_is_there_is_not_fenced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_server_is_said_to_be_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_orders_about_what_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_desktop_is_discarded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_configuration, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
