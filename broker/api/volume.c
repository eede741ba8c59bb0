/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Users' volumes, as the `carrel` command looks at them and has something done to them. */
#include "broker/api/routes.h"
#include "broker/daemon/volumes.h"
#include "broker/daemon/worker.h"

#include <string.h>

#define LOG_MAX (2 * 1024 * 1024)

/* A request that waits for a worker's answer. */
struct waiting {
	struct http_request *request; /* borrowed: it waits for its reply */
	json_t *row;                  /* owned; what is replied */
};

static json_t *row_of(struct broker *broker, const struct core_volume *volume)
{
	const struct core_desktop *desktop = core_desktop_get(broker->core, volume->desktop);
	const struct core_server *server =
		desktop ? core_server_get(broker->core, desktop->server) : NULL;
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(volume->snapshot_wall_ms / 1000);
	g_autofree char *snapshot = volume->snapshot_wall_ms
					    ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ")
					    : g_strdup("");
	json_t *row = json_pack("{s:I, s:s, s:I, s:s, s:I, s:I, s:s, s:s, s:I, s:I, s:s, s:b, s:b}",
		"id", (json_int_t)volume->id, "user", volume->user, "uid", (json_int_t)volume->uid,
		"state", core_volume_state_name(volume->state), "size_mib",
		(json_int_t)volume->size_mib, "desktop", (json_int_t)volume->desktop, "server",
		server ? server->name : "", "work", core_volume_work_name(volume->work),
		"work_number", (json_int_t)volume->work_number, "percent",
		(json_int_t)volumes_percent(broker->volumes, volume->id), "last_snapshot", snapshot,
		"changed", volume->changed, "snapshot_due", volume->due);

	json_object_set_new(row, "done",
		json_pack("{s:s, s:I, s:s, s:s}", "work", core_volume_work_name(volume->done),
			"number", (json_int_t)volume->done_number, "code", volume->done_code,
			"message", volume->done_text));
	return row;
}

static const struct core_volume *find_volume(struct call *call)
{
	g_autoptr(GError) error = NULL;
	const struct core_volume *volume = volumes_find(call->api->broker, call->param, &error);

	if (!volume)
		call_failed(call, error, "unknown-volume");
	return volume;
}

/* Replies with `row` and what the worker answers to `request` besides; takes both. */
static void ask(struct call *call, json_t *row, json_t *request, helper_answer_func func)
{
	struct worker *worker = volumes_worker(call->api->broker);
	struct waiting *waiting;

	if (!worker) {
		json_object_set_new(row, "problem",
			json_string("no virtualization server is up that could look at the pool; "
				    "\"carrel server list\" says why"));
		http_reply(call->request, 200, row);
		json_decref(request);
		return;
	}
	waiting = g_new0(struct waiting, 1);
	waiting->request = call->request;
	waiting->row = row;
	worker_call(worker, request, func, waiting);
}

/* What the worker said, but for the protocol's own members, or its complaint as "problem". */
static void add_answer(json_t *object, json_t *row, const json_t *answer)
{
	const char *key;
	json_t *value;

	if (!helper_ok(answer)) {
		json_object_set_new(row, "problem", json_string(helper_message(answer)));
		return;
	}
	json_object_foreach ((json_t *)answer, key, value)
		if (strcmp(key, "id") != 0 && strcmp(key, "ok") != 0)
			json_object_set(object, key, value);
}

static void on_pool(const json_t *answer, gpointer data)
{
	struct waiting *waiting = data;
	json_t *pool = json_object_get(waiting->row, "pool");

	add_answer(pool, waiting->row, answer);
	http_reply(waiting->request, 200, waiting->row);
}

void volume_list(struct call *call)
{
	struct broker *broker = call->api->broker;
	json_t *list = json_array();
	guint64 promised = 0;

	for (const struct core_volume *volume = core_volume_next(broker->core, 0); volume;
		volume = core_volume_next(broker->core, volume->id)) {
		json_array_append_new(list, row_of(broker, volume));
		promised += volume->size_mib;
	}
	ask(call,
		json_pack("{s:o, s:{s:I}, s:s}", "volumes", list, "pool", "promised_mib",
			(json_int_t)promised, "problem", ""),
		json_pack("{s:s}", "op", "pool-show"), on_pool);
}

static void on_shown(const json_t *answer, gpointer data)
{
	struct waiting *waiting = data;

	add_answer(waiting->row, waiting->row, answer);
	http_reply(waiting->request, 200, waiting->row);
}

void volume_show(struct call *call)
{
	const struct core_volume *volume = find_volume(call);

	if (!volume)
		return;
	json_t *row = row_of(call->api->broker, volume);
	g_autofree char *log = volumes_log_path(call->api->broker, volume->id);
	json_object_set_new(row, "log", json_boolean(g_file_test(log, G_FILE_TEST_IS_REGULAR)));
	json_object_set_new(row, "problem", json_string(""));
	if (volume->state == VOLUME_READY || volume->state == VOLUME_BROKEN)
		ask(call, row,
			json_pack("{s:s, s:I, s:I}", "op", "volume-show", "volume",
				(json_int_t)volume->id, "copy", (json_int_t)volume->copy),
			on_shown);
	else
		http_reply(call->request, 200, row);
}

void volume_work(struct call *call)
{
	const struct core_volume *volume = find_volume(call);

	if (volume)
		http_reply(call->request, 200, row_of(call->api->broker, volume));
}

void volume_log(struct call *call)
{
	const struct core_volume *volume = find_volume(call);
	g_autofree char *text = NULL;
	gsize length;

	if (!volume)
		return;
	g_autofree char *path = volumes_log_path(call->api->broker, volume->id);
	if (!g_file_get_contents(path, &text, &length, NULL) || length > LOG_MAX) {
		http_reply_error(call->request, 404, "no-log",
			"%s's home has not been checked yet; \"carrel volume check %s\" does it",
			call->param, call->param);
		return;
	}
	g_autofree char *valid = g_utf8_make_valid(text, (gssize)length);
	http_reply(call->request, 200, json_pack("{s:s, s:s}", "user", call->param, "log", valid));
}

/* --- changes --- */

static void begin(struct call *call, enum core_volume_work work, guint32 mib, const char *text)
{
	struct broker *broker = call->api->broker;
	g_autoptr(GError) error = NULL;
	const struct core_volume *volume;

	if (!volumes_begin(broker, call->param, work, mib, text, &error)) {
		call_failed(call, error, "unknown-volume");
		return;
	}
	volume = core_volume_by_user(broker->core, call->param);
	http_reply(call->request, 202,
		json_pack("{s:s, s:I, s:s, s:I, s:s}", "user", call->param, "id",
			(json_int_t)(volume ? volume->id : 0), "work", core_volume_work_name(work),
			"work_number", (json_int_t)(volume ? volume->work_number : 0), "file",
			text));
}

void volume_snapshot(struct call *call)
{
	begin(call, VOLUME_WORK_SNAPSHOT, 0, "snap");
}

/* FALSE, and the answer is given, for what no snapshot is called. */
static gboolean snapshot_is_good(struct call *call, const char *name)
{
	if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789TZ-") == strlen(name))
		return TRUE;
	http_reply_error(call->request, 400, "bad-request",
		"\"%s\" is no snapshot's name; \"carrel volume show %s\" has them", name,
		call->param);
	return FALSE;
}

void volume_restore(struct call *call)
{
	const char *name = shape_text(call->body, "snapshot");

	if (snapshot_is_good(call, name))
		begin(call, VOLUME_WORK_RESTORE, 0, name);
}

void volume_check(struct call *call)
{
	gboolean repair = json_is_true(json_object_get(call->body, "repair"));

	begin(call, repair ? VOLUME_WORK_REPAIR : VOLUME_WORK_CHECK, 0, "");
}

void volume_grow(struct call *call)
{
	begin(call, VOLUME_WORK_GROW, (guint32)shape_int(call->body, "size_mib", 0), "");
}

void volume_export(struct call *call)
{
	const struct core_volume *volume = find_volume(call);
	const char *file = shape_text(call->body, "file");

	if (!volume)
		return;
	g_autoptr(GDateTime) now = g_date_time_new_now_utc();
	g_autofree char *time = g_date_time_format(now, "%Y%m%dT%H%M%SZ");
	g_autofree char *name =
		g_strdup_printf("volumes/home-%" G_GUINT64_FORMAT "-%s.img", volume->id, time);
	g_autofree char *path =
		*file ? g_strdup(file) : conf_path(call->api->broker->conf, CONF_PATH_STATE, name);
	if (g_path_is_absolute(path))
		begin(call, VOLUME_WORK_EXPORT, 0, path);
	else
		http_reply_error(call->request, 400, "bad-request",
			"\"%s\" is no absolute path of a file on the boot server", path);
}

void volume_import(struct call *call)
{
	const char *file = shape_text(call->body, "file");

	if (g_path_is_absolute(file))
		begin(call, VOLUME_WORK_IMPORT, 0, file);
	else
		http_reply_error(call->request, 400, "bad-request",
			"\"%s\" is no absolute path of a file on the boot server", file);
}

void volume_cancel(struct call *call)
{
	begin(call, VOLUME_WORK_CANCEL, 0, "");
}

void volume_delete(struct call *call)
{
	begin(call, VOLUME_WORK_DELETE, 0, "");
}

static void on_dropped(const json_t *answer, gpointer data)
{
	struct waiting *waiting = data;

	if (helper_ok(answer))
		http_reply(waiting->request, 200, json_object());
	else if (!strcmp(helper_code(answer), "not-found"))
		http_reply_error(waiting->request, 404, "unknown-snapshot",
			"there is no such snapshot; \"carrel volume show USER\" has their names");
	else
		http_reply_error(
			waiting->request, 503, helper_code(answer), "%s", helper_message(answer));
	json_decref(waiting->row);
}

void volume_drop(struct call *call)
{
	const struct core_volume *volume = find_volume(call);
	const char *name = shape_text(call->body, "snapshot");

	if (!volume || !snapshot_is_good(call, name))
		return;
	if (volume->work != VOLUME_WORK_NONE) {
		http_reply_error(call->request, 409, "busy",
			"something is being done to %s's home (%s); try again when it is over",
			call->param, core_volume_work_name(volume->work));
		return;
	}
	if (!volumes_worker(call->api->broker)) {
		http_reply_error(call->request, 503, "unavailable",
			"no virtualization server is up that could delete it; \"carrel server "
			"list\" says why");
		return;
	}
	ask(call, json_object(),
		json_pack("{s:s, s:I, s:s}", "op", "volume-drop", "volume", (json_int_t)volume->id,
			"snapshot", name),
		on_dropped);
}
