/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/virt/worker.h"
#include "broker/shared/log.h"
#include "broker/shared/msg.h"
#include "broker/virt/uri.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKOFF_FIRST_MS 500
#define BACKOFF_MAX_MS 10000

G_DEFINE_QUARK(carrel - virt - error, virt_error)

const char *virt_error_code(const GError *error)
{
	static const char *const codes[VIRT_ERROR_COUNT] = {"unreachable", "no-image", "no-memory",
		"exists", "not-found", "busy", "timeout", "storage", "libvirt", "bad-request",
		"not-supported", "cancelled"};

	if (error->domain != VIRT_ERROR || error->code < 0 || error->code >= VIRT_ERROR_COUNT)
		return "libvirt";
	return codes[error->code];
}

struct worker *worker_new(const struct virt_driver *driver,
	const struct virt_storage_driver *storage, const struct virt_memory_driver *memory,
	const struct virt_channel_driver *channels, struct conf *conf, const char *name,
	const char *uri, int fd)
{
	struct worker *worker = g_new0(struct worker, 1);
	g_autofree char *pki = conf_path(conf, CONF_PATH_PKI, "libvirt");

	worker->driver = driver;
	worker->storage = storage;
	worker->memory = memory;
	worker->channels = channels;
	worker->conf = conf;
	worker->name = g_strdup(name);
	worker->uri = uri_complete(uri, pki);
	worker->fd = fd;
	g_mutex_init(&worker->lock);
	g_cond_init(&worker->trial_over);
	worker->resizes = g_ptr_array_new();
	worker->storing = g_ptr_array_new();
	for (int i = 0; i < LANE_COUNT; i++)
		worker->queues[i] = g_async_queue_new_full((GDestroyNotify)job_free);
	return worker;
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	for (int i = 0; i < LANE_COUNT; i++)
		g_async_queue_unref(worker->queues[i]);
	g_ptr_array_unref(worker->resizes);
	g_ptr_array_unref(worker->storing);
	g_free(worker->down_reason);
	g_free(worker->trial_name);
	g_free(worker->trial_reason);
	g_mutex_clear(&worker->lock);
	g_cond_clear(&worker->trial_over);
	g_free(worker->name);
	g_free(worker->uri);
	conf_free(worker->conf);
	if (worker->fd >= 0)
		close(worker->fd);
	g_free(worker);
}

void worker_post(struct worker *worker, enum worker_lane lane, struct job job)
{
	struct job *copy = g_new(struct job, 1);

	*copy = job;
	g_async_queue_push(worker->queues[lane], copy);
}

struct job *worker_next(struct worker *worker, enum worker_lane lane, gint64 deadline)
{
	gint64 left;

	if (deadline < 0)
		return g_async_queue_pop(worker->queues[lane]);
	left = deadline - g_get_monotonic_time();
	return left > 0 ? g_async_queue_timeout_pop(worker->queues[lane], (guint64)left)
			: g_async_queue_try_pop(worker->queues[lane]);
}

void job_free(struct job *job)
{
	if (!job)
		return;
	request_free(job->request);
	g_free(job->name);
	g_free(job->text);
	g_clear_error(&job->error);
	g_free(job);
}

/* A packet is one atomic send, so lanes need no lock to answer. Steals `json`. */
static void emit(struct worker *worker, json_t *json)
{
	g_autoptr(GError) error = NULL;

	if (!msg_send(worker->fd, json, &error) &&
		!g_error_matches(error, MSG_ERROR, MSG_ERROR_CLOSED))
		log_event(LOG_ERROR, "send-failed", "server", worker->name, "message",
			error->message, NULL);
	json_decref(json);
}

void worker_ok(struct worker *worker, const struct request *request, json_t *more)
{
	json_t *json = msg_ok(request->id);

	if (more)
		json_object_update(json, more);
	json_decref(more);
	emit(worker, json);
}

void worker_error(struct worker *worker, const struct request *request, const GError *error)
{
	emit(worker, msg_fail(request->id, virt_error_code(error), "%s", error->message));
}

gboolean worker_finish(struct worker *worker, struct request *request, gboolean good, json_t *more,
	const GError *error)
{
	if (!storage_cancel_leave(worker, request))
		json_decref(more);
	else if (good)
		worker_ok(worker, request, more);
	else
		worker_error(worker, request, error);
	request_free(request);
	return good || !g_error_matches(error, VIRT_ERROR, VIRT_ERROR_UNREACHABLE);
}

void worker_lane_run(struct worker *worker, enum worker_lane lane,
	gboolean (*handle)(struct worker *, struct virt_conn *, struct request *))
{
	for (;;) {
		struct job *job = worker_next(worker, lane, -1);
		g_autoptr(GError) error = NULL;
		struct virt_conn *conn = worker_connect(worker, lane, NULL, &error);

		if (conn)
			handle(worker, conn, g_steal_pointer(&job->request));
		else
			worker_finish(worker, g_steal_pointer(&job->request), FALSE, NULL, error);
		worker->driver->close(conn);
		job_free(job);
	}
}

void worker_event(struct worker *worker, json_t *event)
{
	emit(worker, event);
}

struct virt_conn *worker_connect(struct worker *worker, enum worker_lane lane,
	const struct virt_callbacks *callbacks, GError **error)
{
	struct virt_conn *conn;

	g_mutex_lock(&worker->lock);
	worker->connecting_since[lane] = g_get_monotonic_time();
	g_mutex_unlock(&worker->lock);
	conn = worker->driver->open(worker->uri, callbacks, error);
	g_mutex_lock(&worker->lock);
	worker->connecting_since[lane] = 0;
	g_mutex_unlock(&worker->lock);
	return conn;
}

gint64 worker_connecting_ms(struct worker *worker)
{
	gint64 now = g_get_monotonic_time();
	gint64 ms = 0;

	g_mutex_lock(&worker->lock);
	for (int lane = 0; lane < LANE_COUNT; lane++)
		if (worker->connecting_since[lane])
			ms = MAX(ms, 1 + (now - worker->connecting_since[lane]) / 1000);
	g_mutex_unlock(&worker->lock);
	return ms;
}

void worker_lane_up(struct worker *worker, enum worker_lane lane)
{
	bool tell;
	struct virt_host host;

	g_mutex_lock(&worker->lock);
	worker->up[lane] = true;
	tell = worker->up[LANE_CONTROL] && worker->up[LANE_WATCH] && !worker->announced;
	host = worker->host;
	if (tell) {
		worker->announced = true;
		g_clear_pointer(&worker->down_reason, g_free);
		/* Told under the lock, so that up and down arrive in their order. */
		worker_event(worker, json_pack("{s:s, s:I, s:I, s:b}", "event", "server-up",
					     "memory_mib", (json_int_t)host.memory_mib, "cpus",
					     (json_int_t)host.cpus, "kvm", (int)host.kvm));
	}
	g_mutex_unlock(&worker->lock);
	if (tell) {
		log_event(LOG_INFO, "server-up", "server", worker->name, "memory_mib",
			log_fmt("%u", host.memory_mib), "cpus", log_fmt("%u", host.cpus), "kvm",
			host.kvm ? "yes" : "no", NULL);
		worker_post(worker, LANE_WATCH, (struct job){.kind = JOB_UP});
	}
}

void worker_lane_down(struct worker *worker, enum worker_lane lane, const char *reason)
{
	g_autofree char *clean = g_utf8_make_valid(reason, -1);
	bool tell;

	g_mutex_lock(&worker->lock);
	worker->up[lane] = false;
	/* Two connections to one server fail for one reason in two wordings: control's counts. */
	tell = worker->announced || ((lane == LANE_CONTROL || worker->up[LANE_CONTROL]) &&
					    g_strcmp0(worker->down_reason, clean) != 0);
	if (tell) {
		worker->announced = false;
		g_free(worker->down_reason);
		worker->down_reason = g_strdup(clean);
		worker_event(
			worker, json_pack("{s:s, s:s}", "event", "server-down", "message", clean));
	}
	g_mutex_unlock(&worker->lock);
	if (tell)
		log_event(LOG_WARN, "server-down", "server", worker->name, "reason", clean, NULL);
}

bool worker_is_up(struct worker *worker)
{
	bool up;

	g_mutex_lock(&worker->lock);
	up = worker->announced;
	g_mutex_unlock(&worker->lock);
	return up;
}

gint64 worker_backoff_ms(unsigned attempt)
{
	return attempt > 8 ? BACKOFF_MAX_MS : MIN(BACKOFF_MAX_MS, BACKOFF_FIRST_MS << attempt);
}

static void refuse_unreachable(struct worker *worker, const struct request *request)
{
	g_autoptr(GError) error = NULL;

	g_mutex_lock(&worker->lock);
	g_set_error(&error, VIRT_ERROR, VIRT_ERROR_UNREACHABLE, "server %s is not reachable: %s",
		worker->name, worker->down_reason ? worker->down_reason : "connecting");
	g_mutex_unlock(&worker->lock);
	worker_error(worker, request, error);
}

static enum worker_lane lane_of(enum request_op op)
{
	switch (op) {
	case REQUEST_IMAGE_ENSURE:
	case REQUEST_IMAGE_LIST:
	case REQUEST_IMAGE_REMOVE:
		return LANE_IMAGES;
	case REQUEST_VOLUME_CREATE:
	case REQUEST_VOLUME_SHOW:
	case REQUEST_VOLUME_DROP:
	case REQUEST_POOL_SHOW:
		return LANE_VOLUMES;
	case REQUEST_VOLUME_SNAPSHOT:
	case REQUEST_VOLUME_RESTORE:
	case REQUEST_VOLUME_CHECK:
	case REQUEST_VOLUME_REPAIR:
	case REQUEST_VOLUME_GROW:
	case REQUEST_VOLUME_EXPORT:
	case REQUEST_VOLUME_IMPORT:
	case REQUEST_VOLUME_DELETE:
	case REQUEST_VOLUME_SWEEP:
		return LANE_STORAGE;
	case REQUEST_DESKTOP_RESIZE:
		return LANE_SIZES;
	case REQUEST_AGENT_SEND:
		return LANE_WATCH;
	default:
		return LANE_CONTROL;
	}
}

void worker_request(struct worker *worker, json_t *json)
{
	json_int_t id = json_integer_value(json_object_get(json, "id"));
	g_autoptr(GError) error = NULL;
	struct request *request = request_new(json, &error);

	if (!request) {
		struct request nameless = {.id = id};

		worker_error(worker, &nameless, error);
		return;
	}
	if (!worker_is_up(worker)) {
		/* A worker that is waiting for its server is well. */
		if (request->op == REQUEST_PING)
			worker_ok(worker, request, NULL);
		else
			refuse_unreachable(worker, request);
		request_free(request);
		return;
	}
	if (request->op == REQUEST_VOLUME_CANCEL) {
		storage_cancel(worker, request->volume);
		worker_finish(worker, request, TRUE, NULL, NULL);
		return;
	}
	storage_cancel_admit(worker, request);
	worker_post(worker, lane_of(request->op),
		(struct job){.kind = JOB_REQUEST, .request = request});
}
