/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The watch lane. On the events connection it tells carreld which desktops come and go, and answers
 * detaches when the hypervisor says that the disk is out; on the agents connection it keeps a
 * channel to the agent of each running desktop.
 *
 * Two connections, because opening a channel can cost the connection it is opened on. libvirtd
 * reads a new channel before it has answered the call that opens it. When the VM's process ends in
 * that moment its error is sent first; libvirt's client (9.0: virNetClientCallDispatchStream) takes
 * it for the call's answer, because both have the same number, and when the answer comes as well it
 * finds "no call waiting for reply" and closes the connection. A loss of the events connection is a
 * loss of the server to carreld; the agents connection is made again at once and nobody is told
 * but those whose message was not written.
 *
 * The event thread only posts jobs here; all state below is this lane's alone. A channel is armed
 * for one event at a time, so that a guest that talks without end cannot fill the queue.
 */
#include "broker/virt/worker.h"
#include "broker/shared/log.h"
#include "broker/virt/domain_info.h"
#include "broker/virt/domain_xml.h"
#include "broker/virt/guest_agent.h"
#include "broker/virt/lines.h"
#include "broker/virt/overlays.h"

#include <stdlib.h>
#include <string.h>

/* A guest answers within a second or two; one that is paused or has not booted never does. */
#define DETACH_MS 20000
/* What may wait for a guest that does not read. */
#define OUTGOING_MAX (4 * LINES_MAX)
#define READS_A_TURN 8
/* Lines that a guest may say in a second; what is more waits, in the guest in the end. */
#define LINES_A_SECOND 200

/* An agent-send that is answered once `end` bytes of its channel are written. */
struct pending {
	struct request *request; /* owned */
	uint64_t end;
};

struct channel {
	struct watch *watch; /* borrowed */
	uint64_t desktop;
	bool overlay;              /* to be dropped when the desktop is gone */
	struct guest_agent *agent; /* owned; NULL: our own program listens there */
	uintptr_t number;
	struct virt_channel *handle; /* owned; NULL = not open, to be opened at retry_at */
	gint64 retry_at;             /* monotonic, us */
	unsigned attempt;
	gint64 second;    /* monotonic, us: when the second began in which `said` counts */
	unsigned said;    /* lines in it */
	gint64 resume_at; /* monotonic, us: not armed until then; 0 = armed */
	struct lines in;
	GByteArray *out;  /* owned; not yet written */
	uint64_t written; /* bytes since it was opened */
	GQueue pending;   /* of owned struct pending */
};

struct detach {
	struct request *request; /* owned */
	char *name, *alias;      /* owned */
	gint64 deadline;         /* monotonic, us */
};

struct watch {
	struct worker *worker;    /* borrowed */
	struct virt_conn *conn;   /* owned: events; NULL = not connected */
	struct virt_conn *agents; /* owned: the channels; NULL when conn is */
	gint64 retry_at;
	unsigned attempt;
	bool ready;           /* the server is up: channels are opened */
	uint64_t leaving;     /* the desktop that control destroys just now; 0 = none */
	GHashTable *channels; /* desktop -> owned struct channel */
	GPtrArray *detaches;  /* of owned struct detach */
	uintptr_t next_number;
};

/* Channels take their owner from here: the event thread knows only a number. */
static struct worker *watched;

static gint64 now_us(void)
{
	return g_get_monotonic_time();
}

/* From the event thread. */

static void on_closed(void *user, const char *reason)
{
	worker_post(user, LANE_WATCH, (struct job){.kind = JOB_CLOSED, .text = g_strdup(reason)});
}

static void on_agents_closed(void *user, const char *reason)
{
	worker_post(user, LANE_WATCH,
		(struct job){.kind = JOB_AGENTS_CLOSED, .text = g_strdup(reason)});
}

static void on_domain(void *user, const char *name, bool running, const char *reason)
{
	if (domain_id(name))
		worker_post(user, LANE_WATCH,
			(struct job){.kind = JOB_DOMAIN,
				.name = g_strdup(name),
				.text = g_strdup(reason),
				.flag = running});
}

static void on_removed(void *user, const char *name, const char *alias)
{
	worker_post(user, LANE_WATCH,
		(struct job){.kind = JOB_REMOVED, .name = g_strdup(name), .text = g_strdup(alias)});
}

static void on_ready(uintptr_t number, int what)
{
	worker_post(watched, LANE_WATCH,
		(struct job){.kind = JOB_CHANNEL, .number = number, .what = what});
}

/* Channels */

static void pending_fail(struct channel *channel, const char *reason)
{
	struct pending *pending;

	while ((pending = g_queue_pop_head(&channel->pending))) {
		g_autoptr(GError) error = g_error_new(VIRT_ERROR, VIRT_ERROR_NOT_FOUND,
			"the agent of desktop %" G_GUINT64_FORMAT " did not get the message: %s",
			channel->desktop, reason);

		worker_error(channel->watch->worker, pending->request, error);
		request_free(pending->request);
		g_free(pending);
	}
}

static void channel_free(gpointer data)
{
	struct channel *channel = data;

	pending_fail(channel, "its channel was closed");
	channel->watch->worker->channels->close(channel->handle);
	guest_agent_free(channel->agent);
	g_byte_array_unref(channel->out);
	g_free(channel);
}

/* Opened again at retry_at, which is now for who does not set it. */
static void channel_shut(struct channel *channel, const char *reason)
{
	struct worker *worker = channel->watch->worker;

	worker->channels->close(channel->handle);
	channel->handle = NULL;
	channel->retry_at = now_us();
	pending_fail(channel, reason);
	worker_event(worker, json_pack("{s:s, s:I}", "event", "agent-down", "desktop",
				     (json_int_t)channel->desktop));
	log_event(LOG_INFO, "agent-channel-lost", "server", worker->name, "desktop",
		log_fmt("d%" G_GUINT64_FORMAT, channel->desktop), "reason", reason, NULL);
}

static void channel_break(struct channel *channel, const char *reason)
{
	channel_shut(channel, reason);
	channel->retry_at += worker_backoff_ms(channel->attempt++) * 1000;
}

static void tell(struct channel *channel, json_t *message)
{
	worker_event(
		channel->watch->worker, json_pack("{s:s, s:I, s:o}", "event", "agent", "desktop",
						(json_int_t)channel->desktop, "message", message));
}

static void on_line(void *user, const char *text, size_t length)
{
	struct channel *channel = user;
	struct worker *worker = channel->watch->worker;

	channel->said++;
	if (channel->agent) {
		channel->attempt = 0;
		guest_agent_line(channel->agent, text, length, now_us());
		return;
	}
	json_t *message = lines_object(text, length);
	if (!message) {
		log_event(LOG_WARN, "agent-line-refused", "server", worker->name, "desktop",
			log_fmt("d%" G_GUINT64_FORMAT, channel->desktop), "bytes",
			log_fmt("%zu", length), NULL);
		return;
	}
	channel->attempt = 0;
	tell(channel, message);
}

/* FALSE: it is broken. */
static gboolean channel_read(struct channel *channel)
{
	char buffer[4096];

	for (int i = 0; i < READS_A_TURN; i++) {
		unsigned dropped = channel->in.dropped;
		gssize n = channel->watch->worker->channels->read(
			channel->handle, buffer, sizeof(buffer));

		if (n == -2)
			return TRUE;
		if (n <= 0)
			return FALSE;
		lines_feed(&channel->in, buffer, (size_t)n, on_line, channel);
		if (channel->in.dropped == dropped)
			continue;
		log_event(LOG_WARN, "agent-line-too-long", "desktop",
			log_fmt("d%" G_GUINT64_FORMAT, channel->desktop), NULL);
		if (channel->agent)
			guest_agent_too_long(channel->agent, now_us());
	}
	return TRUE;
}

static gboolean channel_write(struct channel *channel)
{
	struct worker *worker = channel->watch->worker;
	struct pending *pending;

	while (channel->out->len) {
		gssize n = worker->channels->write(
			channel->handle, channel->out->data, channel->out->len);

		if (n == -2)
			break;
		if (n <= 0)
			return FALSE;
		g_byte_array_remove_range(channel->out, 0, (guint)n);
		channel->written += (uint64_t)n;
	}
	while ((pending = g_queue_peek_head(&channel->pending)) &&
		pending->end <= channel->written) {
		worker_ok(worker, pending->request, NULL);
		request_free(pending->request);
		g_free(g_queue_pop_head(&channel->pending));
	}
	return TRUE;
}

static gboolean channel_too_loud(struct channel *channel)
{
	if (now_us() - channel->second >= G_USEC_PER_SEC) {
		channel->second = now_us();
		channel->said = 0;
	}
	return channel->said > LINES_A_SECOND;
}

static void channel_turn(struct channel *channel, int what)
{
	gboolean good = TRUE;

	channel->resume_at = 0;
	if (what & (VIRT_CAN_READ | VIRT_BROKEN))
		good = channel_read(channel);
	if (good)
		good = channel_write(channel);
	if (!good || (what & VIRT_BROKEN))
		channel_break(channel, "the channel broke");
	else if (channel_too_loud(channel))
		channel->resume_at = channel->second + G_USEC_PER_SEC;
	else
		channel->watch->worker->channels->arm(channel->handle, channel->out->len > 0);
}

static void channel_queue(struct channel *channel, const char *text)
{
	g_byte_array_append(channel->out, (const guint8 *)text, (guint)strlen(text));
}

static void channel_open(struct channel *channel)
{
	struct watch *watch = channel->watch;
	struct worker *worker = watch->worker;
	g_autofree char *name = domain_name(channel->desktop);
	g_autoptr(GError) error = NULL;

	channel->number = ++watch->next_number;
	channel->handle =
		worker->channels->open(watch->agents, name, on_ready, channel->number, &error);
	if (!channel->handle) {
		log_event(LOG_WARN, "agent-channel", "server", worker->name, "desktop",
			log_fmt("d%" G_GUINT64_FORMAT, channel->desktop), "message", error->message,
			NULL);
		channel->retry_at = now_us() + worker_backoff_ms(channel->attempt++) * 1000;
		return;
	}
	lines_init(&channel->in);
	g_byte_array_set_size(channel->out, 0);
	channel->written = 0;
	/* The empty line ends what an earlier connection may have left half-said. */
	if (channel->agent)
		guest_agent_open(channel->agent, now_us());
	else
		channel_queue(channel, "\n{\"op\":\"hello\"}\n");
	channel_turn(channel, 0);
}

/* QEMU's guest agent: its translator speaks by these. */

static void agent_sends(void *user, const char *line)
{
	channel_queue(user, line);
}

static void agent_says(void *user, json_t *message)
{
	tell(user, message);
}

/* Writes what the translator wants to say. A guest that is too loud is not read for that. */
static void channel_push(struct channel *channel)
{
	if (!channel_write(channel))
		channel_break(channel, "the channel broke");
	else if (!channel->resume_at)
		channel->watch->worker->channels->arm(channel->handle, channel->out->len > 0);
}

/* To be opened at its retry_at. The channel of a VM that is being destroyed is not: it could only
 * break again, and libvirtd tries for 3 s to reach a process that no longer listens. */
static bool channel_waits(const struct channel *channel)
{
	return !channel->handle && channel->desktop != channel->watch->leaving;
}

static void channel_add(struct watch *watch, const struct domain_info *info)
{
	struct channel *channel;

	if (g_hash_table_contains(watch->channels, &info->desktop))
		return;
	channel = g_new0(struct channel, 1);
	channel->watch = watch;
	channel->desktop = info->desktop;
	channel->overlay = info->guest;
	if (info->qemu_ga)
		channel->agent = guest_agent_new(info->image ? info->image : "",
			&(struct guest_agent_calls){
				.send = agent_sends, .say = agent_says, .user = channel});
	channel->out = g_byte_array_new();
	g_queue_init(&channel->pending);
	g_hash_table_insert(watch->channels, &channel->desktop, channel);
	if (channel_waits(channel))
		channel_open(channel);
}

static void agent_send(struct watch *watch, struct request *request)
{
	struct channel *channel = g_hash_table_lookup(watch->channels, &request->desktop);
	char *text = json_dumps(request->message, JSON_COMPACT);
	g_autoptr(GError) error = NULL;

	if (!text || strlen(text) > REQUEST_LINE_MAX)
		g_set_error(&error, VIRT_ERROR, VIRT_ERROR_BAD_REQUEST,
			"agent-send: the message is longer than %d bytes", REQUEST_LINE_MAX);
	else if (!channel || !channel->handle)
		g_set_error(&error, VIRT_ERROR, VIRT_ERROR_NOT_FOUND,
			"desktop %" G_GUINT64_FORMAT " has no open agent channel",
			request->desktop);
	else if (channel->out->len > OUTGOING_MAX)
		g_set_error(&error, VIRT_ERROR, VIRT_ERROR_BUSY,
			"the agent of desktop %" G_GUINT64_FORMAT " does not read its channel",
			request->desktop);
	if (error) {
		worker_error(watch->worker, request, error);
		request_free(request);
	} else if (channel->agent) {
		guest_agent_ask(channel->agent, request->message, now_us());
		worker_ok(watch->worker, request, NULL);
		request_free(request);
		channel_push(channel);
	} else {
		struct pending *pending = g_new0(struct pending, 1);

		channel_queue(channel, text);
		channel_queue(channel, "\n");
		pending->request = request;
		pending->end = channel->written + channel->out->len;
		g_queue_push_tail(&channel->pending, pending);
		channel_turn(channel, 0);
	}
	free(text);
}

/* Detaches */

static void detach_free(gpointer data)
{
	struct detach *detach = data;

	request_free(detach->request);
	g_free(detach->name);
	g_free(detach->alias);
	g_free(detach);
}

/* Is the disk out for certain? When the VM cannot be looked at, it is not. */
static gboolean disk_is_out(struct watch *watch, const struct detach *detach)
{
	g_autoptr(GError) error = NULL;
	char *xml = watch->conn
			    ? watch->worker->driver->domain_xml(watch->conn, detach->name, &error)
			    : NULL;
	struct domain_info *info = xml ? domain_info_parse(xml, strlen(xml), NULL) : NULL;
	gboolean out = info ? !domain_info_has_alias(info, detach->alias)
			    : g_error_matches(error, VIRT_ERROR, VIRT_ERROR_NOT_FOUND);

	domain_info_free(info);
	free(xml);
	return out;
}

/* The hypervisor's word: an alias of this domain is out, or (NULL) the whole domain is. */
static void detaches_done(struct watch *watch, const char *name, const char *alias)
{
	for (guint i = watch->detaches->len; i-- > 0;) {
		struct detach *detach = watch->detaches->pdata[i];

		if (strcmp(detach->name, name) != 0 || (alias && strcmp(detach->alias, alias) != 0))
			continue;
		worker_ok(watch->worker, detach->request, NULL);
		g_ptr_array_remove_index(watch->detaches, i);
	}
}

/* Answers those that are due, or whose request is `id`, by a last look. */
static void detaches_end(struct watch *watch, gint64 due, json_int_t id, const GError *cause)
{
	for (guint i = watch->detaches->len; i-- > 0;) {
		struct detach *detach = watch->detaches->pdata[i];
		g_autoptr(GError) error = NULL;

		if (detach->deadline > due && detach->request->id != id)
			continue;
		g_set_error(&error, VIRT_ERROR,
			watch->conn ? VIRT_ERROR_TIMEOUT : VIRT_ERROR_UNREACHABLE,
			"%s has not given up the disk of volume %" G_GUINT64_FORMAT
			"; release it in the guest, or destroy the desktop",
			detach->name, detach->request->volume);
		if (disk_is_out(watch, detach))
			worker_ok(watch->worker, detach->request, NULL);
		else
			worker_error(watch->worker, detach->request, cause ? cause : error);
		g_ptr_array_remove_index(watch->detaches, i);
	}
}

static void detach_add(struct watch *watch, struct job *job)
{
	struct detach *detach = g_new0(struct detach, 1);

	detach->request = g_steal_pointer(&job->request);
	detach->name = g_steal_pointer(&job->name);
	detach->alias = g_steal_pointer(&job->text);
	detach->deadline = now_us() + DETACH_MS * 1000;
	g_ptr_array_add(watch->detaches, detach);
}

/* Connection */

static void watch_lost(struct watch *watch, const char *reason)
{
	watch->ready = false;
	g_hash_table_remove_all(watch->channels);
	watch->worker->driver->close(watch->agents);
	watch->worker->driver->close(watch->conn);
	watch->agents = watch->conn = NULL;
	watch->retry_at = now_us();
	/* Whether those disks are out is not known now. */
	detaches_end(watch, G_MAXINT64, 0, NULL);
	worker_lane_down(watch->worker, LANE_WATCH, reason);
}

static gboolean agents_connect(struct watch *watch, GError **error)
{
	const struct virt_callbacks callbacks = {.closed = on_agents_closed, .user = watch->worker};

	watch->agents = worker_connect(watch->worker, LANE_WATCH, &callbacks, error);
	return watch->agents != NULL;
}

static void watch_connect(struct watch *watch)
{
	const struct virt_callbacks callbacks = {.closed = on_closed,
		.domain = on_domain,
		.device_removed = on_removed,
		.user = watch->worker};
	g_autoptr(GError) error = NULL;

	watch->conn = worker_connect(watch->worker, LANE_WATCH, &callbacks, &error);
	if (watch->conn && agents_connect(watch, &error)) {
		watch->attempt = 0;
		worker_lane_up(watch->worker, LANE_WATCH);
		return;
	}
	watch->worker->driver->close(watch->conn);
	watch->conn = NULL;
	watch->retry_at = now_us() + worker_backoff_ms(watch->attempt++) * 1000;
	worker_lane_down(watch->worker, LANE_WATCH, error->message);
}

/* Adopts the desktops that run; also the answer to a JOB_CLOSED that may be an old one. */
static void watch_look(struct watch *watch, const char *reason)
{
	g_autoptr(GError) error = NULL;
	GPtrArray *list = watch->worker->driver->domain_list(watch->conn, &error);

	if (!list) {
		watch_lost(watch, reason ? reason : error->message);
		return;
	}
	for (guint i = 0; watch->ready && i < list->len; i++) {
		const char *xml = list->pdata[i];
		struct domain_info *info = domain_info_parse(xml, strlen(xml), NULL);

		if (info && info->desktop)
			channel_add(watch, info);
		domain_info_free(info);
	}
	g_ptr_array_unref(list);
}

static gboolean answers(struct watch *watch, struct virt_conn *conn)
{
	GPtrArray *list = watch->worker->driver->domain_list(conn, NULL);

	if (list)
		g_ptr_array_unref(list);
	return list != NULL;
}

/* The agents connection broke, if that is no old news. The caller's next watch_timers opens the
 * channels again, before any other message is taken. */
static void agents_lost(struct watch *watch, const char *reason)
{
	g_autoptr(GError) error = NULL;
	GHashTableIter iter;
	gpointer value;

	if (!watch->conn || answers(watch, watch->agents))
		return;
	/* A server that is away is to be called so before there is a wait for it to come back. */
	if (!answers(watch, watch->conn)) {
		watch_lost(watch, reason);
		return;
	}
	log_event(LOG_WARN, "agents-connection-lost", "server", watch->worker->name, "reason",
		reason, NULL);
	g_hash_table_iter_init(&iter, watch->channels);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct channel *channel = value;

		if (channel->handle)
			channel_shut(channel, reason);
	}
	watch->worker->driver->close(watch->agents);
	if (!agents_connect(watch, &error))
		watch_lost(watch, error->message);
}

/* Which program speaks for it is written down in its domain. */
static void desktop_came(struct watch *watch, const char *name)
{
	g_autoptr(GError) error = NULL;
	char *xml = watch->worker->driver->domain_xml(watch->conn, name, &error);
	struct domain_info *info = xml ? domain_info_parse(xml, strlen(xml), &error) : NULL;

	if (info)
		channel_add(watch, info);
	else if (!g_error_matches(error, VIRT_ERROR, VIRT_ERROR_NOT_FOUND))
		watch_look(watch, error->message);
	domain_info_free(info);
	free(xml);
}

static void desktop_gone(struct watch *watch, uint64_t desktop)
{
	const struct channel *channel = g_hash_table_lookup(watch->channels, &desktop);
	bool overlay = channel && channel->overlay;

	g_hash_table_remove(watch->channels, &desktop);
	if (overlay)
		overlay_drop(watch->worker, watch->conn, desktop);
}

static void on_domain_job(struct watch *watch, const struct job *job)
{
	uint64_t desktop = domain_id(job->name);

	worker_event(watch->worker,
		json_pack("{s:s, s:I, s:s, s:s}", "event", "domain", "desktop", (json_int_t)desktop,
			"state", job->flag ? "running" : "gone", "reason", job->text));
	if (job->flag && watch->ready) {
		desktop_came(watch, job->name);
	} else if (!job->flag) {
		desktop_gone(watch, desktop);
		detaches_done(watch, job->name, NULL);
	}
}

static void on_channel_job(struct watch *watch, const struct job *job)
{
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, watch->channels);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct channel *channel = value;

		if (channel->number == job->number && channel->handle) {
			channel_turn(channel, job->what);
			return;
		}
	}
}

static void watch_job(struct watch *watch, struct job *job)
{
	switch (job->kind) {
	case JOB_REQUEST:
		agent_send(watch, g_steal_pointer(&job->request));
		break;
	case JOB_CLOSED:
		if (watch->conn)
			watch_look(watch, job->text);
		break;
	case JOB_AGENTS_CLOSED:
		agents_lost(watch, job->text);
		break;
	case JOB_LEAVING:
		watch->leaving = job->number;
		break;
	case JOB_UP:
		if (watch->conn) {
			watch->ready = true;
			watch_look(watch, NULL);
		}
		break;
	case JOB_DOMAIN:
		on_domain_job(watch, job);
		break;
	case JOB_REMOVED:
		detaches_done(watch, job->name, job->text);
		break;
	case JOB_CHANNEL:
		on_channel_job(watch, job);
		break;
	case JOB_DETACH:
		detach_add(watch, job);
		break;
	case JOB_DETACH_FAILED:
		detaches_end(watch, 0, (json_int_t)job->number, job->error);
		break;
	}
}

/* When there is something to do without a job; -1 = never. */
static gint64 next_deadline(struct watch *watch)
{
	gint64 next = watch->conn ? G_MAXINT64 : watch->retry_at;
	GHashTableIter iter;
	gpointer value;

	for (guint i = 0; i < watch->detaches->len; i++) {
		const struct detach *detach = watch->detaches->pdata[i];

		next = MIN(next, detach->deadline);
	}
	g_hash_table_iter_init(&iter, watch->channels);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct channel *channel = value;

		if (channel_waits(channel))
			next = MIN(next, channel->retry_at);
		else if (channel->handle && channel->resume_at)
			next = MIN(next, channel->resume_at);
		if (channel->handle && channel->agent && guest_agent_deadline(channel->agent) >= 0)
			next = MIN(next, guest_agent_deadline(channel->agent));
	}
	return next == G_MAXINT64 ? -1 : next;
}

static void watch_timers(struct watch *watch)
{
	GHashTableIter iter;
	gpointer value;

	if (!watch->conn && now_us() >= watch->retry_at)
		watch_connect(watch);
	detaches_end(watch, now_us(), 0, NULL);
	g_hash_table_iter_init(&iter, watch->channels);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct channel *channel = value;

		if (channel_waits(channel) && now_us() >= channel->retry_at)
			channel_open(channel);
		else if (channel->handle && channel->resume_at && now_us() >= channel->resume_at)
			channel_turn(channel, VIRT_CAN_READ);
		if (channel->handle && channel->agent &&
			guest_agent_deadline(channel->agent) >= 0 &&
			now_us() >= guest_agent_deadline(channel->agent)) {
			guest_agent_tick(channel->agent, now_us());
			channel_push(channel);
		}
	}
}

gpointer watch_run(gpointer data)
{
	struct watch watch = {.worker = data,
		.channels = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, channel_free),
		.detaches = g_ptr_array_new_with_free_func(detach_free)};

	watched = data;
	for (;;) {
		watch_timers(&watch);
		struct job *job = worker_next(watch.worker, LANE_WATCH, next_deadline(&watch));

		if (job)
			watch_job(&watch, job);
		job_free(job);
	}
	return NULL;
}
