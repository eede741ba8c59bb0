/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is certain after a failed call matters more than the failure: a desktop counts as "certainly
 * not started", a disk as "certainly not in the VM", only where the worker's answer says so. An
 * "unreachable" (the worker or the server went away in the middle) says nothing, and nothing is
 * told to core but that: the list of desktops, read when the server is reached again, settles it.
 */
#include "broker/daemon/dispatch.h"
#include "broker/daemon/channels.h"
#include "broker/api/viewer.h"
#include "broker/daemon/agent.h"
#include "broker/daemon/fence.h"
#include "broker/daemon/ledger.h"
#include "broker/daemon/reconcile.h"
#include "broker/daemon/ticket.h"
#include "broker/daemon/volumes.h"
#include "broker/daemon/worker.h"
#include "broker/shared/log.h"
#include "broker/shared/msg.h"

#include <string.h>

#define NETD_TIMEOUT_MS 10000
#define DESTROY_RETRY_MS 3000

/* An action whose answer is awaited. */
struct effect {
	struct broker *broker; /* borrowed */
	struct core_action action;
	char code[32], text[CORE_TEXT_MAX]; /* first failure, where there is a second call */
	char ticket[TICKET_LENGTH + 1];
};

static struct effect *effect_new(struct broker *broker, const struct core_action *action)
{
	struct effect *effect = g_new0(struct effect, 1);

	effect->broker = broker;
	effect->action = *action;
	return effect;
}

static const char *id_text(char letter, guint64 id)
{
	return id ? log_fmt("%c%" G_GUINT64_FORMAT, letter, id) : NULL;
}

/* The answer to `effect` as an event of `type`, with the failure's code and text where there is
 * one. */
static void post_result(const struct effect *effect, enum core_event_type type, gboolean certain,
	const json_t *answer)
{
	const struct core_action *action = &effect->action;
	struct core_event event = {.type = type,
		.server = action->server,
		.desktop = action->desktop,
		.session = action->session,
		.volume = action->volume,
		.login = action->login,
		.number = action->number,
		.flag = certain};

	if (answer && !helper_ok(answer)) {
		g_strlcpy(event.code, helper_code(answer), sizeof(event.code));
		g_strlcpy(event.text, helper_message(answer), sizeof(event.text));
		log_event(LOG_WARN, core_event_name(type), "server", id_text('s', action->server),
			"desktop", id_text('d', action->desktop), "session",
			id_text('n', action->session), "volume", id_text('v', action->volume),
			"code", event.code, "reason", event.text, NULL);
	}
	broker_post(effect->broker, &event);
}

static gboolean code_in(const json_t *answer, const char *const *codes)
{
	return g_strv_contains(codes, helper_code(answer));
}

/* A call through the worker of a server; a server that was removed answers "unreachable". */
static void call_effect(struct effect *effect, json_t *request, helper_answer_func func)
{
	struct worker *worker = worker_get(effect->broker, effect->action.server);
	json_t *answer;

	if (worker) {
		worker_call(worker, request, func, effect);
		return;
	}
	answer = msg_fail(0, "unreachable", "there is no such server any more");
	func(answer, effect);
	json_decref(answer);
	json_decref(request);
	g_free(effect);
}

static void call(struct broker *broker, const struct core_action *action, json_t *request,
	helper_answer_func func)
{
	call_effect(effect_new(broker, action), request, func);
}

/* --- desktops --- */

static void on_undone(const json_t *answer, gpointer data)
{
	struct effect *effect = data;
	struct core_event event = {.type = CORE_EV_DESKTOP_START_FAILED,
		.server = effect->action.server,
		.desktop = effect->action.desktop};

	if (!helper_ok(answer))
		return; /* not certain: core's boot time-out asks for its destruction */
	g_strlcpy(event.code, effect->code, sizeof(event.code));
	g_strlcpy(event.text, effect->text, sizeof(event.text));
	broker_post(effect->broker, &event);
}

/* The server turned out to lack what it once had. */
static void send_lost_image(struct worker *worker, guint64 id)
{
	const struct core_desktop *desktop = core_desktop_get(worker_broker(worker)->core, id);

	if (desktop)
		reconcile_send_image(worker, desktop->image);
}

static void on_started(const json_t *answer, gpointer data)
{
	static const char *const certain[] = {
		"no-image", "no-memory", "not-found", "storage", "bad-request", NULL};
	struct effect *effect = data;

	if (helper_ok(answer)) {
		struct core_event event = {.type = CORE_EV_DESKTOP_STARTED,
			.server = effect->action.server,
			.desktop = effect->action.desktop,
			.vnc_port =
				(guint16)json_integer_value(json_object_get(answer, "vnc_port"))};
		const char *host = json_string_value(json_object_get(answer, "vnc_host"));

		g_strlcpy(event.vnc_host, host ? host : "", sizeof(event.vnc_host));
		broker_post(effect->broker, &event);
		return;
	}
	struct worker *worker = worker_get(effect->broker, effect->action.server);
	if (worker && !strcmp(helper_code(answer), "no-image"))
		send_lost_image(worker, effect->action.desktop);
	if (code_in(answer, certain)) {
		post_result(effect, CORE_EV_DESKTOP_START_FAILED, TRUE, answer);
		return;
	}
	log_event(LOG_WARN, "desktop-start", "desktop", id_text('d', effect->action.desktop),
		"code", helper_code(answer), "reason", helper_message(answer), NULL);
	if (!strcmp(helper_code(answer), "unreachable"))
		return;
	struct effect *undo = effect_new(effect->broker, &effect->action);
	g_strlcpy(undo->code, helper_code(answer), sizeof(undo->code));
	g_strlcpy(undo->text, helper_message(answer), sizeof(undo->text));
	call_effect(undo,
		json_pack("{s:s, s:I}", "op", "desktop-destroy", "desktop",
			(json_int_t)effect->action.desktop),
		on_undone);
}

static void desktop_start(struct broker *broker, const struct core_action *action)
{
	const struct core_desktop *desktop = core_desktop_get(broker->core, action->desktop);

	if (!desktop)
		return; /* it has ended in the step in which it began */
	call(broker, action,
		json_pack("{s:s, s:I, s:s, s:I, s:I, s:s}", "op", "desktop-start", "desktop",
			(json_int_t)action->desktop, "image", desktop->image, "memory_mib",
			(json_int_t)action->memory_mib, "vcpus",
			(json_int_t)conf_int(broker->conf, CONF_DESKTOP_VCPUS), "network",
			conf_string(broker->conf, CONF_DESKTOP_NETWORK)),
		on_started);
}

static void desktop_destroy(struct broker *broker, const struct core_action *action);

static gboolean on_destroy_retry(gpointer data)
{
	struct effect *effect = data;
	const struct worker *worker = worker_get(effect->broker, effect->action.server);

	/* Core asks again for a desktop that it knows; a server that went away is reconciled when
	 * it comes back. What is left is a VM that nobody knows. */
	if (worker && worker_state(worker) == WORKER_UP &&
		!core_desktop_get(effect->broker->core, effect->action.desktop))
		desktop_destroy(effect->broker, &effect->action);
	return G_SOURCE_REMOVE;
}

static void on_destroyed(const json_t *answer, gpointer data)
{
	struct effect *effect = data;

	if (helper_ok(answer)) {
		post_result(effect, CORE_EV_DESKTOP_GONE, TRUE, NULL);
		return;
	}
	log_event(LOG_WARN, "desktop-destroy", "desktop", id_text('d', effect->action.desktop),
		"code", helper_code(answer), "reason", helper_message(answer), NULL);
	if (strcmp(helper_code(answer), "unreachable") != 0)
		g_timeout_add_full(G_PRIORITY_DEFAULT, DESTROY_RETRY_MS, on_destroy_retry,
			effect_new(effect->broker, &effect->action), g_free);
}

static void desktop_destroy(struct broker *broker, const struct core_action *action)
{
	call(broker, action,
		json_pack("{s:s, s:I}", "op", "desktop-destroy", "desktop",
			(json_int_t)action->desktop),
		on_destroyed);
}

static void on_resized(const json_t *answer, gpointer data)
{
	const struct effect *effect = data;
	const json_t *now = json_object_get(answer, "memory_mib");
	struct core_event event = {.type = CORE_EV_DESKTOP_RESIZED,
		.server = effect->action.server,
		.desktop = effect->action.desktop,
		.memory_mib = effect->action.memory_mib};

	if (!helper_ok(answer)) {
		/* Of code "unreachable" too: core knows that nothing is known then. */
		post_result(effect, CORE_EV_DESKTOP_RESIZE_FAILED, FALSE, answer);
		return;
	}
	if (json_is_integer(now))
		event.memory_mib = (guint32)CLAMP(json_integer_value(now), 0, G_MAXUINT32);
	broker_post(effect->broker, &event);
}

static void desktop_resize(struct broker *broker, const struct core_action *action)
{
	call(broker, action,
		json_pack("{s:s, s:I, s:I, s:I}", "op", "desktop-resize", "desktop",
			(json_int_t)action->desktop, "memory_mib", (json_int_t)action->memory_mib,
			"ms", (json_int_t)action->ms),
		on_resized);
}

/* --- a lost server's power --- */

void dispatch_fenced(guint64 server, const char *failure, gpointer data)
{
	struct core_event event = {
		.type = failure ? CORE_EV_FENCE_FAILED : CORE_EV_SERVER_FENCED, .server = server};

	g_strlcpy(event.text, failure ? failure : "", sizeof(event.text));
	broker_post(data, &event);
}

static void fence(struct broker *broker, const struct core_action *action)
{
	const struct core_server *server = core_server_get(broker->core, action->server);
	const struct worker *worker = worker_get(broker, action->server);
	g_auto(GStrv) words = conf_command(broker->conf, CONF_SERVER_FENCE);

	if (!server || !words)
		dispatch_fenced(action->server, "[server] fence is not set", broker);
	else if (worker && worker_state(worker) != WORKER_DOWN)
		dispatch_fenced(
			action->server, "the server is connected again and made ready", broker);
	else
		fence_begin(broker->fences, server->id, words, server->name,
			g_hash_table_lookup(broker->uris, server->name));
}

/* --- volumes --- */

static void on_volume_created(const json_t *answer, gpointer data)
{
	post_result(data, helper_ok(answer) ? CORE_EV_VOLUME_CREATED : CORE_EV_VOLUME_CREATE_FAILED,
		TRUE, answer);
}

static void volume_create(struct broker *broker, const struct core_action *action)
{
	const struct core_volume *volume = core_volume_get(broker->core, action->volume);

	if (!volume)
		return;
	call(broker, action,
		json_pack("{s:s, s:I, s:I, s:I, s:s}", "op", "volume-create", "volume",
			(json_int_t)volume->id, "size_mib", (json_int_t)volume->size_mib, "uid",
			(json_int_t)volume->uid, "user", volume->user),
		on_volume_created);
}

static void on_volume_attached(const json_t *answer, gpointer data)
{
	static const char *const certain[] = {"busy", "not-found", "bad-request", NULL};

	post_result(data,
		helper_ok(answer) ? CORE_EV_VOLUME_ATTACHED : CORE_EV_VOLUME_ATTACH_FAILED,
		!helper_ok(answer) && code_in(answer, certain), answer);
}

static void on_volume_detached(const json_t *answer, gpointer data)
{
	post_result(data,
		helper_ok(answer) ? CORE_EV_VOLUME_DETACHED : CORE_EV_VOLUME_DETACH_FAILED,
		helper_ok(answer), answer);
}

static json_t *volume_request(const char *op, const struct core_action *action)
{
	return json_pack("{s:s, s:I, s:I}", "op", op, "volume", (json_int_t)action->volume,
		"desktop", (json_int_t)action->desktop);
}

static void volume_attach(struct broker *broker, const struct core_action *action)
{
	const struct core_volume *volume = core_volume_get(broker->core, action->volume);
	json_t *request = volume_request("volume-attach", action);

	json_object_set_new(request, "copy", json_integer(volume ? volume->copy : 0));
	call(broker, action, request, on_volume_attached);
}

static void volume_detach(struct broker *broker, const struct core_action *action)
{
	call(broker, action, volume_request("volume-detach", action), on_volume_detached);
}

static void claim(struct broker *broker, const struct core_action *action)
{
	agent_claim(broker->agents, action);
}

static void release(struct broker *broker, const struct core_action *action)
{
	agent_release(broker->agents, action);
}

/* --- the way to the desktop --- */

static void on_ticket_set(const json_t *answer, gpointer data)
{
	struct effect *effect = data;
	const struct core_session *session =
		core_session_get(effect->broker->core, effect->action.session);

	/* A late answer of the desktop that he had before is no use any more. */
	if (helper_ok(answer) && session && session->desktop == effect->action.desktop)
		ticket_table_put(effect->broker->tickets, effect->action.session, effect->ticket);
	explicit_bzero(effect->ticket, sizeof(effect->ticket));
	post_result(effect, helper_ok(answer) ? CORE_EV_TICKET_SET : CORE_EV_TICKET_FAILED, TRUE,
		answer);
}

static void ticket_set(struct broker *broker, const struct core_action *action)
{
	struct effect *effect = effect_new(broker, action);

	ticket_make(effect->ticket);
	call_effect(effect,
		json_pack("{s:s, s:I, s:s, s:I}", "op", "ticket-set", "desktop",
			(json_int_t)action->desktop, "password", effect->ticket, "seconds",
			(json_int_t)conf_int(broker->conf, CONF_SESSION_TICKET)),
		on_ticket_set);
}

static void on_ticket_cleared(const json_t *answer, gpointer data)
{
	struct effect *effect = data;

	if (!helper_ok(answer))
		log_event(LOG_WARN, "ticket-clear", "desktop", id_text('d', effect->action.desktop),
			"reason", helper_message(answer), NULL);
}

static void ticket_clear(struct broker *broker, const struct core_action *action)
{
	secret_free(ticket_table_take(broker->tickets, action->session));
	call(broker, action,
		json_pack(
			"{s:s, s:I}", "op", "ticket-clear", "desktop", (json_int_t)action->desktop),
		on_ticket_cleared);
}

static void on_forward_added(const json_t *answer, gpointer data)
{
	post_result(data, helper_ok(answer) ? CORE_EV_FORWARD_ADDED : CORE_EV_FORWARD_FAILED, TRUE,
		answer);
}

static void forward_add(struct broker *broker, const struct core_action *action)
{
	helper_call(broker->netd,
		json_pack("{s:s, s:s, s:i, s:s, s:i}", "op", "forward-add", "client",
			action->client, "port", (int)action->port, "server", action->vnc_host,
			"server_port", (int)action->vnc_port),
		NETD_TIMEOUT_MS, on_forward_added, effect_new(broker, action));
}

static void on_forward_deleted(const json_t *answer, gpointer data)
{
	const struct effect *effect = data;

	/* It is found as stale and removed when carrel-netd is reached again. */
	if (!helper_ok(answer))
		log_event(LOG_WARN, "forward-del", "client", effect->action.client, "reason",
			helper_message(answer), NULL);
}

static void forward_del(struct broker *broker, const struct core_action *action)
{
	helper_call(broker->netd,
		json_pack("{s:s, s:s, s:i}", "op", "forward-del", "client", action->client, "port",
			(int)action->port),
		NETD_TIMEOUT_MS, on_forward_deleted, effect_new(broker, action));
}

/* --- words for viewers --- */

static void authenticate(struct broker *broker, const struct core_action *action)
{
	viewer_authenticate(broker->api, action->login);
}

static void tell_stage(struct broker *broker, const struct core_action *action)
{
	if (action->position)
		viewer_tell_queued(broker->api, action->login, action->percent, action->position,
			action->minutes, action->text);
	else
		viewer_tell_stage(
			broker->api, action->login, action->code, action->percent, action->text);
}

static void tell_ready(struct broker *broker, const struct core_action *action)
{
	const struct core_server *server = core_server_get(broker->core, action->server);
	char *ticket = ticket_table_take(broker->tickets, action->session);

	viewer_tell_ready(broker->api, action->login, action->session, action->port,
		ticket ? ticket : "", server ? server->name : "");
	secret_free(ticket);
	agent_keyboard(broker->agents, action->session);
	ledger_ready(broker->ledger, action->login, action->session);
}

static void tell_handoff(struct broker *broker, const struct core_action *action)
{
	viewer_tell_handoff(broker->api, action->login, action->code, action->ms, action->from_mib,
		action->memory_mib, action->text);
}

static void tell_refused(struct broker *broker, const struct core_action *action)
{
	viewer_tell_over(broker->api, action->login, "refused", action->code, action->text);
}

static void tell_moved(struct broker *broker, const struct core_action *action)
{
	viewer_tell_over(broker->api, action->login, "moved", NULL, action->text);
}

static void tell_ended(struct broker *broker, const struct core_action *action)
{
	viewer_tell_over(broker->api, action->login, "ended", action->code, action->text);
}

static void audit(struct broker *broker, const struct core_action *action)
{
	(void)broker;
	log_event(LOG_INFO, action->code[0] ? action->code : "audit", "server",
		id_text('s', action->server), "desktop", id_text('d', action->desktop), "session",
		id_text('n', action->session), "volume", id_text('v', action->volume), "text",
		action->text, NULL);
}

/* Indexed by core's action; a NULL row is one of the PERSIST actions. */
static void (*const effects[CORE_ACT_COUNT])(struct broker *, const struct core_action *) = {
	[CORE_ACT_AUTHENTICATE] = authenticate,
	[CORE_ACT_DESKTOP_START] = desktop_start,
	[CORE_ACT_DESKTOP_DESTROY] = desktop_destroy,
	[CORE_ACT_DESKTOP_RESIZE] = desktop_resize,
	[CORE_ACT_FENCE] = fence,
	[CORE_ACT_VOLUME_CREATE] = volume_create,
	[CORE_ACT_VOLUME_ATTACH] = volume_attach,
	[CORE_ACT_VOLUME_DETACH] = volume_detach,
	[CORE_ACT_VOLUME_WORK] = volumes_work,
	[CORE_ACT_VOLUME_CANCEL] = volumes_cancel,
	[CORE_ACT_VOLUME_SWEEP] = volumes_sweep,
	[CORE_ACT_CLAIM] = claim,
	[CORE_ACT_RELEASE] = release,
	[CORE_ACT_TICKET_SET] = ticket_set,
	[CORE_ACT_TICKET_CLEAR] = ticket_clear,
	[CORE_ACT_FORWARD_ADD] = forward_add,
	[CORE_ACT_FORWARD_DEL] = forward_del,
	[CORE_ACT_TELL_STAGE] = tell_stage,
	[CORE_ACT_TELL_READY] = tell_ready,
	[CORE_ACT_TELL_HANDOFF] = tell_handoff,
	[CORE_ACT_TELL_REFUSED] = tell_refused,
	[CORE_ACT_TELL_MOVED] = tell_moved,
	[CORE_ACT_TELL_ENDED] = tell_ended,
	[CORE_ACT_AUDIT] = audit,
};

struct persisting {
	struct broker *broker;
	const struct core_actions *actions;
};

static gboolean persist_one(struct broker *broker, const struct core_action *action, GError **error)
{
	const struct core *core = broker->core;
	const struct core_server *server;

	switch (action->type) {
	case CORE_ACT_PERSIST_SERVER:
		server = core_server_get(core, action->server);
		return store_put_server(broker->store, action->server, server,
			server ? g_hash_table_lookup(broker->uris, server->name) : NULL, error);
	case CORE_ACT_PERSIST_DESKTOP:
		return store_put_desktop(broker->store, action->desktop,
			core_desktop_get(core, action->desktop), error);
	case CORE_ACT_PERSIST_SESSION:
		return store_put_session(broker->store, action->session,
			core_session_get(core, action->session), error);
	case CORE_ACT_PERSIST_VOLUME:
		return store_put_volume(broker->store, action->volume,
			core_volume_get(core, action->volume), error);
	case CORE_ACT_PERSIST_CHANNELS:
		return channels_store(broker->channels, error);
	case CORE_ACT_PERSIST_COUNTERS: {
		struct core_counters counters = core_counters(core);

		return store_put_counters(broker->store, &counters, error);
	}
	default:
		return TRUE;
	}
}

static gboolean persist_all(struct store *store, gpointer data, GError **error)
{
	const struct persisting *persisting = data;

	(void)store;
	for (size_t i = 0; i < persisting->actions->count; i++)
		if (!persist_one(persisting->broker, &persisting->actions->items[i], error))
			return FALSE;
	return TRUE;
}

static gboolean persist(struct broker *broker, const struct core_actions *actions)
{
	struct persisting persisting = {broker, actions};
	g_autoptr(GError) error = NULL;
	gboolean any = FALSE;

	for (size_t i = 0; i < actions->count; i++)
		any = any || !effects[actions->items[i].type];
	if (!any || store_transaction(broker->store, persist_all, &persisting, &error))
		return TRUE;
	log_event(LOG_ERROR, "store-failed", "reason", error->message, "action",
		"carreld stops; desktops go on running", "remedy",
		"make room on the disk of [paths] state and start carreld again", NULL);
	broker_stop(broker, 1);
	return FALSE;
}

void dispatch(struct broker *broker, const struct core_actions *actions)
{
	if (!persist(broker, actions))
		return;
	for (size_t i = 0; i < actions->count; i++) {
		const struct core_action *action = &actions->items[i];

		if (effects[action->type])
			effects[action->type](broker, action);
	}
}
