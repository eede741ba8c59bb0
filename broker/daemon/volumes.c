/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/volumes.h"
#include "broker/daemon/daily.h"
#include "broker/daemon/worker.h"
#include "broker/shared/log.h"

#include <string.h>

#define CLOCK_S 30
/* When the clock of the daily snapshots struck last, in the store. */
#define KIND "volumes"
#define NAME "snapshots"

struct volumes {
	struct broker *broker; /* borrowed */
	GHashTable *percent;   /* volume id (owned) -> percent of its work */
	gint64 last;           /* wall time, s; 0 = it has never run */
	guint timer;
};

/* A question to a worker, as core asked it. */
struct question {
	struct broker *broker; /* borrowed */
	guint64 volume, server;
	guint32 number;
	char text[CORE_TEXT_MAX]; /* what is made, for the outcome */
};

static gint64 wall_now(void)
{
	return g_get_real_time() / G_USEC_PER_SEC;
}

struct volumes *volumes_new(struct broker *broker)
{
	struct volumes *volumes = g_new0(struct volumes, 1);
	json_t *list = store_policy_list(broker->store, KIND, NULL);

	volumes->broker = broker;
	volumes->percent = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	volumes->last = json_integer_value(json_object_get(json_array_get(list, 0), "last"));
	json_decref(list);
	return volumes;
}

void volumes_free(struct volumes *volumes)
{
	if (!volumes)
		return;
	if (volumes->timer)
		g_source_remove(volumes->timer);
	g_hash_table_destroy(volumes->percent);
	g_free(volumes);
}

/* --- the clock --- */

static void keep_last(struct volumes *volumes, gint64 now)
{
	json_t *entry = json_pack("{s:I}", "last", (json_int_t)now);
	g_autoptr(GError) error = NULL;

	volumes->last = now;
	if (!store_policy_put(volumes->broker->store, KIND, NAME, entry, &error))
		log_event(LOG_WARN, "snapshots-clock", "reason", error->message, NULL);
	json_decref(entry);
}

static gboolean on_clock(gpointer data)
{
	struct volumes *volumes = data;
	const struct conf *conf = volumes->broker->conf;
	gint64 now = wall_now();

	if (!volumes->last) {
		keep_last(volumes, now);
	} else if (daily_is_due(
			   (guint)conf_int(conf, CONF_VOLUME_SNAPSHOT_TIME), volumes->last, now)) {
		/* Said twice it does no harm; not at all it would. */
		if (conf_int(conf, CONF_VOLUME_SNAPSHOTS) > 0)
			broker_post(volumes->broker,
				&(struct core_event){.type = CORE_EV_VOLUME_SNAPSHOTS});
		keep_last(volumes, now);
	}
	return G_SOURCE_CONTINUE;
}

void volumes_start(struct volumes *volumes)
{
	volumes->timer = g_timeout_add_seconds(CLOCK_S, on_clock, volumes);
	on_clock(volumes);
}

/* --- work --- */

void volumes_progress(struct volumes *volumes, const json_t *event)
{
	guint64 id = (guint64)json_integer_value(json_object_get(event, "volume"));
	gint64 done = json_integer_value(json_object_get(event, "done"));
	gint64 total = json_integer_value(json_object_get(event, "total"));

	if (total > 0 && done >= 0)
		g_hash_table_insert(volumes->percent, g_memdup2(&id, sizeof(id)),
			GUINT_TO_POINTER(
				(guint)(100.0 * (double)MIN(done, total) / (double)total)));
}

unsigned volumes_percent(const struct volumes *volumes, guint64 volume)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(volumes->percent, &volume));
}

static guint32 number_of(const json_t *answer, const char *member, guint32 otherwise)
{
	const json_t *value = json_object_get(answer, member);

	return json_is_integer(value) ? (guint32)CLAMP(json_integer_value(value), 0, G_MAXUINT32)
				      : otherwise;
}

static void on_worked(const json_t *answer, gpointer data)
{
	const struct question *question = data;
	const struct core_volume *volume =
		core_volume_get(question->broker->core, question->volume);
	struct core_event event = {.type = CORE_EV_VOLUME_WORKED,
		.volume = question->volume,
		.server = question->server,
		.number = question->number,
		.flag = helper_ok(answer)};

	g_hash_table_remove(question->broker->volumes->percent, &question->volume);
	if (event.flag) {
		event.copy = number_of(answer, "copy", volume ? volume->copy : 0);
		event.memory_mib = number_of(answer, "size_mib", 0);
		if (json_is_true(json_object_get(answer, "damaged")))
			g_strlcpy(event.code, "damaged", sizeof(event.code));
		g_strlcpy(event.text, question->text, sizeof(event.text));
	} else {
		g_strlcpy(event.code, helper_code(answer), sizeof(event.code));
		g_strlcpy(event.text, helper_message(answer), sizeof(event.text));
		log_event(LOG_WARN, "volume-work", "volume",
			log_fmt("v%" G_GUINT64_FORMAT, question->volume), "code", event.code,
			"reason", event.text, NULL);
	}
	broker_post(question->broker, &event);
}

static void warn_unless_ok(const char *event, const struct question *question, const json_t *answer)
{
	if (!helper_ok(answer))
		log_event(LOG_WARN, event, "volume",
			log_fmt("v%" G_GUINT64_FORMAT, question->volume), "reason",
			helper_message(answer), NULL);
}

static void on_cancelled(const json_t *answer, gpointer data)
{
	const struct question *question = data;

	/* The work goes on to its end, and its answer says so. */
	warn_unless_ok("volume-cancel", question, answer);
}

static void on_swept(const json_t *answer, gpointer data)
{
	const struct question *question = data;

	/* The next work on it sweeps too. */
	warn_unless_ok("volume-sweep", question, answer);
}

static char *snapshot_now(const char *kind)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_utc();
	g_autofree char *time = g_date_time_format(now, "%Y%m%dT%H%M%SZ");

	return g_strdup_printf("%s-%s", kind, time);
}

static json_t *request_of(const struct core_volume *volume, const struct conf *conf, char **text)
{
	json_t *request = json_pack(
		"{s:I, s:I}", "volume", (json_int_t)volume->id, "copy", (json_int_t)volume->copy);
	g_autofree char *op = g_strconcat("volume-", core_volume_work_name(volume->work), NULL);
	gboolean daily = !strcmp(volume->work_text, "daily");

	json_object_set_new(request, "op", json_string(op));
	switch (volume->work) {
	case VOLUME_WORK_SNAPSHOT:
		*text = snapshot_now(volume->work_text);
		json_object_set_new(request, "snapshot", json_string(*text));
		json_object_set_new(request, "keep",
			json_integer(daily ? conf_int(conf, CONF_VOLUME_SNAPSHOTS) : 0));
		break;
	case VOLUME_WORK_RESTORE:
		*text = g_strdup(volume->work_text);
		json_object_set_new(request, "snapshot", json_string(*text));
		break;
	case VOLUME_WORK_REPAIR:
		*text = snapshot_now("before");
		json_object_set_new(request, "snapshot", json_string(*text));
		break;
	case VOLUME_WORK_GROW:
		json_object_set_new(request, "size_mib", json_integer(volume->work_mib));
		break;
	case VOLUME_WORK_IMPORT:
		json_object_set_new(request, "size_mib", json_integer(volume->size_mib));
		json_object_set_new(request, "uid", json_integer(volume->uid));
		/* fall through */
	case VOLUME_WORK_EXPORT:
		*text = g_strdup(volume->work_text);
		json_object_set_new(request, "path", json_string(*text));
		break;
	case VOLUME_WORK_DELETE:
		json_object_del(request, "copy");
		break;
	default:
		break;
	}
	if (volume->work == VOLUME_WORK_RESTORE || volume->work == VOLUME_WORK_REPAIR ||
		volume->work == VOLUME_WORK_IMPORT)
		json_object_set_new(request, "to", json_integer(volume->last_copy));
	if (volume->work == VOLUME_WORK_CHECK || volume->work == VOLUME_WORK_REPAIR ||
		volume->work == VOLUME_WORK_IMPORT)
		json_object_set_new(request, "user", json_string(volume->user));
	return request;
}

static struct question *question_new(struct broker *broker, const struct core_action *action)
{
	struct question *question = g_new0(struct question, 1);

	question->broker = broker;
	question->volume = action->volume;
	question->server = action->server;
	question->number = action->number;
	return question;
}

void volumes_work(struct broker *broker, const struct core_action *action)
{
	const struct core_volume *volume = core_volume_get(broker->core, action->volume);
	struct worker *worker = worker_get(broker, action->server);
	g_autofree char *text = NULL;

	if (!volume || volume->work == VOLUME_WORK_NONE)
		return;
	if (!worker) {
		struct core_event event = {.type = CORE_EV_VOLUME_WORKED,
			.volume = action->volume,
			.number = action->number,
			.code = "unreachable"};

		broker_post(broker, &event);
		return;
	}
	struct question *question = question_new(broker, action);
	json_t *request = request_of(volume, broker->conf, &text);
	g_strlcpy(question->text, text ? text : "", sizeof(question->text));
	worker_call(worker, request, on_worked, question);
}

/* Without a worker there is nobody who works. */
void volumes_cancel(struct broker *broker, const struct core_action *action)
{
	struct worker *worker = worker_get(broker, action->server);

	if (worker)
		worker_call(worker,
			json_pack("{s:s, s:I}", "op", "volume-cancel", "volume",
				(json_int_t)action->volume),
			on_cancelled, question_new(broker, action));
}

void volumes_sweep(struct broker *broker, const struct core_action *action)
{
	const struct core_volume *volume = core_volume_get(broker->core, action->volume);
	struct worker *worker = worker_get(broker, action->server);

	if (volume && worker)
		worker_call(worker,
			json_pack("{s:s, s:I, s:I}", "op", "volume-sweep", "volume",
				(json_int_t)volume->id, "copy", (json_int_t)volume->copy),
			on_swept, question_new(broker, action));
}

const struct core_volume *volumes_find(
	const struct broker *broker, const char *user, GError **error)
{
	const struct core_volume *volume = core_volume_by_user(broker->core, user);

	if (!volume)
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_UNKNOWN,
			"%s has no home; the first login makes it, \"carrel volume list\" shows "
			"those that are there",
			user);
	return volume;
}

gboolean volumes_begin(struct broker *broker, const char *user, enum core_volume_work work,
	guint32 mib, const char *text, GError **error)
{
	const struct core_volume *volume = volumes_find(broker, user, error);
	struct core_event event = {.type = CORE_EV_VOLUME_WORK, .work = work, .memory_mib = mib};
	char why[CORE_TEXT_MAX] = "";

	if (!volume)
		return FALSE;
	if (strlen(text) >= sizeof(event.text)) {
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_INVALID,
			"the name is too long: at most %zu bytes", sizeof(event.text) - 1);
		return FALSE;
	}
	if (!core_volume_work_check(broker->core, volume->id, work, mib, why, sizeof(why))) {
		g_set_error_literal(error, BROKER_ERROR, BROKER_ERROR_BUSY, why);
		return FALSE;
	}
	if (work != VOLUME_WORK_CANCEL && !volumes_worker(broker)) {
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_BUSY,
			"no virtualization server is up that could do it; \"carrel server list\" "
			"says why");
		return FALSE;
	}
	event.volume = volume->id;
	g_strlcpy(event.text, text, sizeof(event.text));
	broker_post(broker, &event);
	return TRUE;
}

struct worker *volumes_worker(struct broker *broker)
{
	for (const struct core_server *server = core_server_next(broker->core, 0); server;
		server = core_server_next(broker->core, server->id)) {
		struct worker *worker = server->up ? worker_get(broker, server->id) : NULL;

		if (worker)
			return worker;
	}
	return NULL;
}

char *volumes_log_path(const struct broker *broker, guint64 volume)
{
	g_autofree char *name = g_strdup_printf("volumes/%" G_GUINT64_FORMAT ".log", volume);

	return conf_path(broker->conf, CONF_PATH_STATE, name);
}
