/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/worker.h"
#include "broker/daemon/agent.h"
#include "broker/daemon/channels.h"
#include "broker/daemon/fence.h"
#include "broker/daemon/reconcile.h"
#include "broker/daemon/volumes.h"
#include "broker/shared/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RESPAWN_MIN_MS 500
#define RESPAWN_MAX_MS 30000
#define WORKER_FD 3

/* carrel-virtd does each of these in order, one call at a time (of resizes a few at once), and them
 * beside each other. */
enum line_kind { LINE_CONTROL, LINE_IMAGES, LINE_VOLUMES, LINE_STORAGE, LINE_RESIZES, LINE_COUNT };

struct line {
	struct worker *worker; /* borrowed */
	GQueue calls;          /* of struct line_call, borrowed from the calls under way */
	guint watchdog;        /* for the first of them; 0 = none waits */
};

struct worker {
	struct broker *broker; /* borrowed */
	guint64 server;
	char *name, *uri; /* owned */
	GPid pid;         /* 0 = no process */
	guint child_watch, respawn;
	unsigned respawn_ms;
	struct helper *link; /* owned; NULL before the first start */
	struct line lines[LINE_COUNT];
	enum worker_state state;
	unsigned round;
	guint32 memory_mib, cpus;
	char *message; /* owned */
};

struct line_call {
	struct line *line; /* borrowed */
	unsigned own_ms;   /* that its work may take by itself, beside [broker] call_timeout */
	helper_answer_func func;
	gpointer data; /* owned */
};

static void spawn(struct worker *worker);

static void end_process(struct worker *worker)
{
	if (worker->pid)
		kill(worker->pid, SIGKILL);
}

static void go_down(struct worker *worker, const char *reason)
{
	gboolean was_up = worker->state == WORKER_UP;
	struct core_event event = {.type = CORE_EV_SERVER_DOWN, .server = worker->server};

	/* `reason` may be the message that is replaced here. */
	g_strlcpy(event.text, reason, sizeof(event.text));
	worker->state = WORKER_DOWN;
	worker->round++;
	worker_problem(worker, event.text);
	channels_server_gone(worker->broker->channels, worker->server);
	/* Core asks for work on a volume elsewhere now: nothing of it may go on here. */
	if (!g_queue_is_empty(&worker->lines[LINE_STORAGE].calls))
		end_process(worker);
	if (was_up)
		broker_post(worker->broker, &event);
}

static gboolean on_watchdog(gpointer data)
{
	struct line *line = data;
	struct worker *worker = line->worker;

	line->watchdog = 0;
	log_event(LOG_ERROR, "worker-hung", "server", worker->name, "call_timeout_s",
		log_fmt("%d", (int)conf_int(worker->broker->conf, CONF_BROKER_CALL_TIMEOUT)),
		"action", "its worker is replaced", NULL);
	worker_problem(worker, "a call to the server did not end in time");
	/* The end of the process breaks the connection, and all else follows from that. */
	end_process(worker);
	return G_SOURCE_REMOVE;
}

static void watchdog_arm(struct line *line)
{
	if (line->watchdog)
		g_source_remove(line->watchdog);
	line->watchdog = 0;
	const struct line_call *first = g_queue_peek_head(&line->calls);
	if (first) {
		guint seconds =
			(guint)conf_int(line->worker->broker->conf, CONF_BROKER_CALL_TIMEOUT);

		line->watchdog = g_timeout_add(seconds * 1000 + first->own_ms, on_watchdog, line);
	}
}

static void on_line_answer(const json_t *answer, gpointer data)
{
	struct line_call *call = data;
	struct line *line = call->line;
	gboolean first = g_queue_peek_head(&line->calls) == call;

	g_queue_remove(&line->calls, call);
	if (first)
		watchdog_arm(line);
	call->func(answer, call->data);
	g_free(call->data);
}

static guint32 number_of(const json_t *message, const char *key)
{
	return (guint32)CLAMP(json_integer_value(json_object_get(message, key)), 0, G_MAXUINT32);
}

static struct line *line_of(struct worker *worker, const json_t *request)
{
	static const char *const control[] = {"volume-attach", "volume-detach", NULL};
	static const char *const quick[] = {
		"volume-create", "volume-show", "volume-drop", "pool-show", NULL};
	const char *op = json_string_value(json_object_get(request, "op"));

	if (!op)
		return &worker->lines[LINE_CONTROL];
	if (g_str_has_prefix(op, "image-"))
		return &worker->lines[LINE_IMAGES];
	if (g_strv_contains(quick, op))
		return &worker->lines[LINE_VOLUMES];
	if (g_str_has_prefix(op, "volume-") && !g_strv_contains(control, op))
		return &worker->lines[LINE_STORAGE];
	if (!strcmp(op, "desktop-resize"))
		return &worker->lines[LINE_RESIZES];
	return &worker->lines[LINE_CONTROL];
}

void worker_call(struct worker *worker, json_t *request, helper_answer_func func, gpointer data)
{
	struct line_call *call = g_new0(struct line_call, 1);

	call->line = line_of(worker, request);
	call->own_ms = number_of(request, "ms");
	call->func = func;
	call->data = data;
	g_queue_push_tail(&call->line->calls, call);
	if (g_queue_get_length(&call->line->calls) == 1)
		watchdog_arm(call->line);
	helper_call(worker->link, request, 0, on_line_answer, call);
}

void worker_call_aside(
	struct worker *worker, json_t *request, helper_answer_func func, gpointer data)
{
	unsigned ms = (unsigned)conf_int(worker->broker->conf, CONF_BROKER_CALL_TIMEOUT) * 1000;

	helper_call(worker->link, request, ms, func, data);
}

static void on_server_up(struct worker *worker, const json_t *event)
{
	worker->memory_mib = number_of(event, "memory_mib");
	worker->cpus = number_of(event, "cpus");
	worker->round++;
	worker->state = WORKER_PREPARING;
	worker_problem(worker, "");
	worker->respawn_ms = RESPAWN_MIN_MS;
	log_event(LOG_INFO, "server-reached", "server", worker->name, "memory_mib",
		log_fmt("%u", worker->memory_mib), "cpus", log_fmt("%u", worker->cpus), NULL);
	/* Who is there again keeps his power. */
	fence_end(worker->broker->fences, worker->server, "the server is connected again");
	reconcile_server(worker);
}

static void on_domain(struct worker *worker, const json_t *event)
{
	const char *state = json_string_value(json_object_get(event, "state"));
	const char *reason = json_string_value(json_object_get(event, "reason"));
	struct core_event gone = {.type = CORE_EV_DESKTOP_GONE,
		.server = worker->server,
		.desktop = (guint64)json_integer_value(json_object_get(event, "desktop"))};

	if (!state || strcmp(state, "gone") != 0)
		return;
	g_strlcpy(gone.text, reason ? reason : "", sizeof(gone.text));
	broker_post(worker->broker, &gone);
}

static void on_event(const json_t *event, gpointer data)
{
	struct worker *worker = data;
	const char *name = json_string_value(json_object_get(event, "event"));
	guint64 desktop = (guint64)json_integer_value(json_object_get(event, "desktop"));

	if (!strcmp(name, "server-up")) {
		on_server_up(worker, event);
	} else if (!strcmp(name, "server-down")) {
		const char *text = json_string_value(json_object_get(event, "message"));

		log_event(LOG_WARN, "server-away", "server", worker->name, "reason", text, NULL);
		go_down(worker, text ? text : "the connection is lost");
	} else if (!strcmp(name, "image-progress")) {
		watchdog_arm(&worker->lines[LINE_IMAGES]);
		channels_progress(worker->broker->channels, worker->server, event);
	} else if (!strcmp(name, "volume-progress")) {
		watchdog_arm(&worker->lines[LINE_STORAGE]);
		volumes_progress(worker->broker->volumes, event);
	} else if (!strcmp(name, "domain")) {
		on_domain(worker, event);
	} else if (!strcmp(name, "agent")) {
		agent_received(worker->broker->agents, desktop, json_object_get(event, "message"));
	} else if (!strcmp(name, "agent-down")) {
		log_event(LOG_INFO, "agent-down", "desktop",
			log_fmt("d%" G_GUINT64_FORMAT, desktop), NULL);
	}
}

static gboolean on_respawn(gpointer data)
{
	struct worker *worker = data;

	worker->respawn = 0;
	spawn(worker);
	return G_SOURCE_REMOVE;
}

static void respawn_later(struct worker *worker)
{
	if (!worker->respawn)
		worker->respawn = g_timeout_add(worker->respawn_ms, on_respawn, worker);
	worker->respawn_ms = MIN(worker->respawn_ms * 2, RESPAWN_MAX_MS);
}

static void on_down(const char *reason, gpointer data)
{
	struct worker *worker = data;

	(void)reason;
	go_down(worker, *worker->message ? worker->message : "its worker ended");
	end_process(worker);
}

static void on_exit_of_child(GPid pid, gint status, gpointer data)
{
	struct worker *worker = data;
	g_autoptr(GError) error = NULL;

	g_spawn_check_wait_status(status, &error);
	log_event(LOG_WARN, "worker-ended", "server", worker->name, "status",
		error ? error->message : "0", NULL);
	g_spawn_close_pid(pid);
	worker->pid = 0;
	worker->child_watch = 0;
	if (worker->state != WORKER_DOWN || !*worker->message)
		go_down(worker, *worker->message ? worker->message : "its worker ended");
	respawn_later(worker);
}

/* A removed server's worker is only reaped. */
static void on_exit_of_orphan(GPid pid, gint status, gpointer data)
{
	(void)status;
	(void)data;
	g_spawn_close_pid(pid);
}

static void spawn(struct worker *worker)
{
	static const struct helper_ops ops = {.down = on_down, .event = on_event};
	const char *argv[] = {worker->broker->worker_program, "--fd", "3", "--name", worker->name,
		"--uri", worker->uri, "--config", worker->broker->conf_path, NULL};
	int pair[2];
	const int target = WORKER_FD;
	g_autoptr(GError) error = NULL;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		worker_problem(worker, log_fmt("socketpair: %s", g_strerror(errno)));
		respawn_later(worker);
		return;
	}
	helper_free(worker->link);
	worker->link = helper_new_fd(worker->name, pair[0], &ops, worker);
	if (g_spawn_async_with_pipes_and_fds(NULL, argv, NULL,
		    G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDIN_FROM_DEV_NULL, NULL, NULL, -1, -1, -1,
		    &pair[1], &target, 1, &worker->pid, NULL, NULL, NULL, &error)) {
		worker->child_watch = g_child_watch_add(worker->pid, on_exit_of_child, worker);
	} else {
		log_event(LOG_ERROR, "worker-start", "server", worker->name, "reason",
			error->message, NULL);
		worker_problem(worker, error->message);
		worker->pid = 0;
		respawn_later(worker);
	}
	close(pair[1]);
}

struct worker *worker_new(struct broker *broker, guint64 server, const char *name, const char *uri)
{
	struct worker *worker = g_new0(struct worker, 1);

	worker->broker = broker;
	worker->server = server;
	worker->name = g_strdup(name);
	worker->uri = g_strdup(uri);
	worker->message = g_strdup("");
	worker->respawn_ms = RESPAWN_MIN_MS;
	for (int i = 0; i < LINE_COUNT; i++) {
		worker->lines[i].worker = worker;
		g_queue_init(&worker->lines[i].calls);
	}
	spawn(worker);
	return worker;
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	if (worker->child_watch)
		g_source_remove(worker->child_watch);
	if (worker->pid) {
		end_process(worker);
		g_child_watch_add(worker->pid, on_exit_of_orphan, NULL);
	}
	if (worker->respawn)
		g_source_remove(worker->respawn);
	for (int i = 0; i < LINE_COUNT; i++) {
		if (worker->lines[i].watchdog)
			g_source_remove(worker->lines[i].watchdog);
		for (struct line_call *call; (call = g_queue_pop_head(&worker->lines[i].calls));)
			g_free(call->data); /* the call itself goes with the connection */
	}
	helper_free(worker->link);
	g_free(worker->name);
	g_free(worker->uri);
	g_free(worker->message);
	g_free(worker);
}

const guint64 *worker_id_key(const struct worker *worker)
{
	return &worker->server;
}

guint64 worker_server(const struct worker *worker)
{
	return worker->server;
}

const char *worker_name(const struct worker *worker)
{
	return worker->name;
}

struct broker *worker_broker(const struct worker *worker)
{
	return worker->broker;
}

enum worker_state worker_state(const struct worker *worker)
{
	return worker->state;
}

const char *worker_message(const struct worker *worker)
{
	return worker->message;
}

unsigned worker_round(const struct worker *worker)
{
	return worker->round;
}

void worker_problem(struct worker *worker, const char *message)
{
	char *copy = g_strdup(message);

	g_free(worker->message);
	worker->message = copy;
}

void worker_prepared(struct worker *worker)
{
	worker->state = WORKER_UP;
	worker_problem(worker, "");
	log_event(LOG_INFO, "server-up", "server", worker->name, NULL);
	broker_post(worker->broker, &(struct core_event){.type = CORE_EV_SERVER_UP,
					    .server = worker->server,
					    .memory_mib = worker->memory_mib,
					    .cpus = worker->cpus});
}

struct worker *worker_get(struct broker *broker, guint64 server)
{
	return g_hash_table_lookup(broker->workers, &server);
}
