/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/helper.h"
#include "broker/shared/log.h"
#include "broker/shared/msg.h"

#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 5000

struct call {
	struct helper *helper; /* borrowed */
	json_int_t id;
	helper_answer_func func;
	gpointer data; /* owned */
	guint timer;   /* 0 = none */
};

struct helper {
	char *name;                   /* owned */
	char *path;                   /* owned; NULL: lives on one fd */
	const struct helper_ops *ops; /* borrowed */
	gpointer data;                /* borrowed */
	int fd;                       /* owned; -1 = not connected */
	guint watch_in, watch_out, retry, fail_idle;
	unsigned retry_ms;
	json_int_t last_id;
	gboolean complained; /* the log has said that it cannot be reached */
	GHashTable *calls;   /* id -> struct call, owned */
	GQueue out;          /* of json_t, owned: what the socket would not take */
	GQueue doomed;       /* of struct call, owned: made while there was no connection */
};

static void connect_now(struct helper *helper);
static void broken(struct helper *helper, const char *reason);

gboolean helper_ok(const json_t *answer)
{
	return json_is_true(json_object_get(answer, "ok"));
}

const char *helper_code(const json_t *answer)
{
	const char *code = json_string_value(json_object_get(answer, "code"));

	return code ? code : "internal";
}

const char *helper_message(const json_t *answer)
{
	const char *message = json_string_value(json_object_get(answer, "message"));

	return message ? message : "no message";
}

/* The end of a message that has been sent, or never will be: a password in it is wiped. */
static void message_free(json_t *message)
{
	const json_t *password = json_object_get(message, "password");

	if (json_is_string(password))
		explicit_bzero((char *)json_string_value(password), json_string_length(password));
	json_decref(message);
}

static void call_free(struct call *call)
{
	if (call->timer)
		g_source_remove(call->timer);
	g_free(call->data);
	g_free(call);
}

static void call_end(struct call *call, const json_t *answer)
{
	if (call->timer)
		g_source_remove(call->timer);
	call->timer = 0;
	call->func(answer, call->data);
	call_free(call);
}

static void call_fail(struct call *call, const char *code, const char *why)
{
	json_t *answer = msg_fail(call->id, code, "%s: %s", call->helper->name, why);

	call_end(call, answer);
	json_decref(answer);
}

static gboolean on_call_timeout(gpointer data)
{
	struct call *call = data;

	call->timer = 0;
	g_hash_table_steal(call->helper->calls, &call->id);
	call_fail(call, "timeout", "no answer in time");
	return G_SOURCE_REMOVE;
}

/* Calls that were waiting when the connection broke, or that were made while there was none. */
static gboolean on_fail_idle(gpointer data)
{
	struct helper *helper = data;
	GQueue doomed = helper->doomed;

	helper->fail_idle = 0;
	g_queue_init(&helper->doomed);
	for (struct call *call; (call = g_queue_pop_head(&doomed));)
		call_fail(call, "unreachable", "not connected");
	return G_SOURCE_REMOVE;
}

static void doom(struct helper *helper, struct call *call)
{
	if (call->timer)
		g_source_remove(call->timer);
	call->timer = 0;
	g_queue_push_tail(&helper->doomed, call);
	if (!helper->fail_idle)
		helper->fail_idle = g_idle_add_full(G_PRIORITY_DEFAULT, on_fail_idle, helper, NULL);
}

static void disconnect(struct helper *helper)
{
	if (helper->watch_in)
		g_source_remove(helper->watch_in);
	if (helper->watch_out)
		g_source_remove(helper->watch_out);
	helper->watch_in = helper->watch_out = 0;
	if (helper->fd >= 0)
		close(helper->fd);
	helper->fd = -1;
	for (json_t *message; (message = g_queue_pop_head(&helper->out));)
		message_free(message);
}

static gboolean on_retry(gpointer data)
{
	struct helper *helper = data;

	helper->retry = 0;
	connect_now(helper);
	return G_SOURCE_REMOVE;
}

static void retry_later(struct helper *helper)
{
	if (!helper->path || helper->retry)
		return;
	helper->retry = g_timeout_add(helper->retry_ms, on_retry, helper);
	helper->retry_ms = MIN(helper->retry_ms * 2, RETRY_MAX_MS);
}

static void broken(struct helper *helper, const char *reason)
{
	GHashTableIter iter;
	gpointer value;

	disconnect(helper);
	g_hash_table_iter_init(&iter, helper->calls);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		g_hash_table_iter_steal(&iter);
		doom(helper, value);
	}
	retry_later(helper);
	if (helper->ops->down)
		helper->ops->down(reason, helper->data);
}

static void received(struct helper *helper, const json_t *message)
{
	const json_t *id = json_object_get(message, "id");

	if (!id) {
		if (helper->ops->event && json_is_string(json_object_get(message, "event")))
			helper->ops->event(message, helper->data);
		return;
	}
	json_int_t key = json_integer_value(id);
	struct call *call = g_hash_table_lookup(helper->calls, &key);
	/* The answer to a call whose time was over is late: nobody waits for it. */
	if (!call)
		return;
	g_hash_table_steal(helper->calls, &key);
	call_end(call, message);
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
	struct helper *helper = data;
	g_autoptr(GError) error = NULL;
	json_t *message = msg_recv(fd, &error);

	(void)condition;
	if (message) {
		received(helper, message);
		json_decref(message);
		return G_SOURCE_CONTINUE;
	}
	if (g_error_matches(error, MSG_ERROR, MSG_ERROR_AGAIN))
		return G_SOURCE_CONTINUE;
	helper->watch_in = 0;
	log_event(LOG_WARN, "helper-lost", "helper", helper->name, "reason", error->message, NULL);
	broken(helper, error->message);
	return G_SOURCE_REMOVE;
}

static gboolean on_writable(gint fd, GIOCondition condition, gpointer data)
{
	struct helper *helper = data;

	(void)condition;
	while (!g_queue_is_empty(&helper->out)) {
		g_autoptr(GError) error = NULL;

		if (!msg_send(fd, g_queue_peek_head(&helper->out), &error)) {
			if (g_error_matches(error, MSG_ERROR, MSG_ERROR_AGAIN))
				return G_SOURCE_CONTINUE;
			/* The reading side finds out why and tells everybody. */
			break;
		}
		message_free(g_queue_pop_head(&helper->out));
	}
	helper->watch_out = 0;
	return G_SOURCE_REMOVE;
}

/* Takes over the message's reference. */
static void send_or_queue(struct helper *helper, json_t *message)
{
	g_autoptr(GError) error = NULL;

	if (g_queue_is_empty(&helper->out) && msg_send(helper->fd, message, &error)) {
		message_free(message);
		return;
	}
	if (error && !g_error_matches(error, MSG_ERROR, MSG_ERROR_AGAIN)) {
		log_event(LOG_WARN, "helper-send", "helper", helper->name, "reason", error->message,
			NULL);
		message_free(message);
		return; /* a broken socket is seen by on_readable, which ends the call */
	}
	g_queue_push_tail(&helper->out, message);
	if (!helper->watch_out)
		helper->watch_out = g_unix_fd_add(helper->fd, G_IO_OUT, on_writable, helper);
}

static void connected(struct helper *helper, int fd)
{
	g_unix_set_fd_nonblocking(fd, TRUE, NULL);
	helper->fd = fd;
	helper->watch_in = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, helper);
	helper->retry_ms = RETRY_MIN_MS;
	helper->complained = FALSE;
	if (helper->ops->up)
		helper->ops->up(helper->data);
}

static void connect_now(struct helper *helper)
{
	g_autoptr(GError) error = NULL;
	int fd = msg_connect(helper->path, &error);

	if (fd >= 0) {
		log_event(LOG_INFO, "helper-up", "helper", helper->name, NULL);
		connected(helper, fd);
		return;
	}
	if (!helper->complained)
		log_event(LOG_WARN, "helper-unreachable", "helper", helper->name, "reason",
			error->message, "remedy", log_fmt("start %s", helper->name), NULL);
	helper->complained = TRUE;
	retry_later(helper);
}

static void call_free_func(gpointer data)
{
	call_free(data);
}

static struct helper *helper_new(
	const char *name, const char *path, const struct helper_ops *ops, gpointer data)
{
	struct helper *helper = g_new0(struct helper, 1);

	helper->name = g_strdup(name);
	helper->path = g_strdup(path);
	helper->ops = ops;
	helper->data = data;
	helper->fd = -1;
	helper->retry_ms = RETRY_MIN_MS;
	helper->calls = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, call_free_func);
	return helper;
}

struct helper *helper_new_path(
	const char *name, const char *path, const struct helper_ops *ops, gpointer data)
{
	struct helper *helper = helper_new(name, path, ops, data);

	/* From the loop, so that `up` never comes before the caller has the pointer. */
	helper->retry = g_idle_add(on_retry, helper);
	return helper;
}

struct helper *helper_new_fd(const char *name, int fd, const struct helper_ops *ops, gpointer data)
{
	struct helper *helper = helper_new(name, NULL, ops, data);

	g_unix_set_fd_nonblocking(fd, TRUE, NULL);
	helper->fd = fd;
	helper->watch_in = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, helper);
	return helper;
}

void helper_free(struct helper *helper)
{
	if (!helper)
		return;
	disconnect(helper);
	if (helper->retry)
		g_source_remove(helper->retry);
	if (helper->fail_idle)
		g_source_remove(helper->fail_idle);
	for (struct call *call; (call = g_queue_pop_head(&helper->doomed));)
		call_free(call);
	g_hash_table_destroy(helper->calls);
	g_free(helper->name);
	g_free(helper->path);
	g_free(helper);
}

gboolean helper_is_up(const struct helper *helper)
{
	return helper && helper->fd >= 0;
}

void helper_call(struct helper *helper, json_t *request, unsigned timeout_ms,
	helper_answer_func func, gpointer data)
{
	struct call *call = g_new0(struct call, 1);

	call->helper = helper;
	call->id = ++helper->last_id;
	call->func = func;
	call->data = data;
	if (helper->fd < 0) {
		doom(helper, call);
		message_free(request);
	} else {
		json_object_set_new(request, "id", json_integer(call->id));
		g_hash_table_insert(helper->calls, &call->id, call);
		if (timeout_ms)
			call->timer = g_timeout_add(timeout_ms, on_call_timeout, call);
		send_or_queue(helper, request);
	}
}
