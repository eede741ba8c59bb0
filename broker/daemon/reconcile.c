/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/reconcile.h"
#include "broker/daemon/channels.h"
#include "broker/shared/log.h"

#include <string.h>

#define ENSURE_RETRY_MS 10000
#define NETD_TIMEOUT_MS 10000
#define NETD_SETUP_MS 5000 /* after a set-up that failed */

/* A question to one worker, void when the server has gone down or come again since. */
struct round {
	struct broker *broker; /* borrowed */
	guint64 server;
	unsigned number;
};

static struct round *round_new(struct worker *worker)
{
	struct round *round = g_new0(struct round, 1);

	round->broker = worker_broker(worker);
	round->server = worker_server(worker);
	round->number = worker_round(worker);
	return round;
}

static struct worker *round_worker(const struct round *round)
{
	struct worker *worker = worker_get(round->broker, round->server);

	return worker && worker_round(worker) == round->number ? worker : NULL;
}

static void on_desktop_list(const json_t *answer, gpointer data)
{
	struct round *round = data;
	struct worker *worker = round_worker(round);
	const json_t *list = json_object_get(answer, "desktops");
	size_t i;
	const json_t *item;

	if (!worker)
		return;
	if (!helper_ok(answer)) {
		worker_problem(worker, helper_message(answer));
		log_event(LOG_ERROR, "desktop-list", "server", worker_name(worker), "reason",
			helper_message(answer), NULL);
		return; /* the worker says server-down and, later, server-up again */
	}
	json_array_foreach (list, i, item) {
		struct core_event event = {.type = CORE_EV_RECONCILE_DESKTOP,
			.server = round->server,
			.desktop = (guint64)json_integer_value(json_object_get(item, "desktop")),
			.flag = json_is_true(json_object_get(item, "running")),
			.vnc_port = (guint16)json_integer_value(json_object_get(item, "vnc_port")),
			.memory_mib =
				(guint32)json_integer_value(json_object_get(item, "memory_mib"))};
		const char *host = json_string_value(json_object_get(item, "vnc_host"));

		g_strlcpy(event.vnc_host, host ? host : "", sizeof(event.vnc_host));
		broker_post(round->broker, &event);
	}
	broker_post(round->broker,
		&(struct core_event){.type = CORE_EV_RECONCILE_DONE, .server = round->server});
	worker_prepared(worker);
	reconcile_sweep_images(worker);
}

static void list(struct worker *worker)
{
	worker_call(worker, json_pack("{s:s}", "op", "desktop-list"), on_desktop_list,
		round_new(worker));
}

/* --- images --- */

/* What a server that was reached must have, one after the other. */
struct preparing {
	struct round *round; /* owned */
	GPtrArray *images;   /* owned, of owned texts */
	guint next;
};

static void preparing_free(struct preparing *preparing)
{
	g_free(preparing->round);
	g_ptr_array_unref(preparing->images);
	g_free(preparing);
}

static gboolean on_ensure_retry(gpointer data)
{
	struct worker *worker = round_worker(data);

	if (worker)
		reconcile_server(worker);
	return G_SOURCE_REMOVE;
}

static void image_failed(struct worker *worker, const char *image, const json_t *answer)
{
	g_autofree char *text = g_strdup_printf(
		"the image %s could not be put on the server: %s", image, helper_message(answer));

	log_event(LOG_ERROR, "image-ensure", "server", worker_name(worker), "image", image, "code",
		helper_code(answer), "reason", helper_message(answer), NULL);
	worker_problem(worker, text);
}

static void ensure_next(struct worker *worker, struct preparing *preparing);

static void on_ensured(const json_t *answer, gpointer data)
{
	struct preparing *preparing = *(struct preparing **)data;
	const struct round *round = preparing->round;
	struct worker *worker = round_worker(round);
	const char *image = preparing->images->pdata[preparing->next];

	if (!worker) {
		preparing_free(preparing);
		return;
	}
	if (helper_ok(answer)) {
		channels_sent(round->broker->channels, round->server, image, NULL);
	} else {
		image_failed(worker, image, answer);
		/* Without the stable version no desktop can start there; without another one those
		 * who should get that one get it elsewhere. */
		if (!strcmp(image, core_channels(round->broker->core)->stable.id)) {
			g_timeout_add_full(G_PRIORITY_DEFAULT, ENSURE_RETRY_MS, on_ensure_retry,
				g_memdup2(round, sizeof(*round)), g_free);
			preparing_free(preparing);
			return;
		}
	}
	preparing->next++;
	ensure_next(worker, preparing);
}

static json_t *ensure_request(const char *image)
{
	return json_pack("{s:s, s:s}", "op", "image-ensure", "image", image);
}

static void ensure_next(struct worker *worker, struct preparing *preparing)
{
	if (preparing->next < preparing->images->len) {
		worker_call(worker, ensure_request(preparing->images->pdata[preparing->next]),
			on_ensured, g_memdup2(&preparing, sizeof(struct preparing *)));
		return;
	}
	preparing_free(preparing);
	list(worker);
}

void reconcile_server(struct worker *worker)
{
	struct preparing *preparing = g_new0(struct preparing, 1);

	preparing->round = round_new(worker);
	/* Without any no desktop can start, but those that run can be adopted. */
	preparing->images = channels_wanted(worker_broker(worker)->channels);
	ensure_next(worker, preparing);
}

/* A version that is on its way to a server that is up. */
struct sending {
	struct round round;
	char image[CORE_NAME_MAX];
};

static struct sending *sending_new(struct worker *worker, const char *image)
{
	g_autofree struct round *round = round_new(worker);
	struct sending *sending = g_new0(struct sending, 1);

	sending->round = *round;
	g_strlcpy(sending->image, image, sizeof(sending->image));
	return sending;
}

static void on_sent(const json_t *answer, gpointer data)
{
	const struct sending *sending = data;
	struct channels *channels = sending->round.broker->channels;
	struct worker *worker = round_worker(&sending->round);

	if (!worker || !strcmp(helper_code(answer), "unreachable")) {
		channels_server_gone(channels, sending->round.server);
		return; /* it gets it when it is back */
	}
	if (!helper_ok(answer))
		image_failed(worker, sending->image, answer);
	else if (worker_state(worker) == WORKER_UP)
		worker_problem(worker, "");
	channels_sent(channels, sending->round.server, sending->image,
		helper_ok(answer) ? NULL : helper_message(answer));
}

void reconcile_send_image(struct worker *worker, const char *image)
{
	worker_call(worker, ensure_request(image), on_sent, sending_new(worker, image));
}

static void on_removed(const json_t *answer, gpointer data)
{
	const struct sending *sending = data;
	struct worker *worker = round_worker(&sending->round);

	if (!worker)
		return;
	if (helper_ok(answer))
		channels_forgotten(
			sending->round.broker->channels, sending->round.server, sending->image);
	else
		log_event(LOG_WARN, "image-remove", "server", worker_name(worker), "image",
			sending->image, "reason", helper_message(answer), NULL);
}

static void on_images(const json_t *answer, gpointer data)
{
	const struct round *round = data;
	struct worker *worker = round_worker(round);
	size_t i;
	const json_t *item;

	if (!worker || !helper_ok(answer))
		return; /* what is too much there does no harm */
	GPtrArray *wanted = channels_wanted(round->broker->channels);
	json_array_foreach (json_object_get(answer, "images"), i, item) {
		const char *image = json_string_value(item);

		if (image && channels_useless(round->broker->channels, wanted, image))
			worker_call(worker,
				json_pack("{s:s, s:s}", "op", "image-remove", "image", image),
				on_removed, sending_new(worker, image));
	}
	g_ptr_array_unref(wanted);
}

void reconcile_sweep_images(struct worker *worker)
{
	worker_call(worker, json_pack("{s:s}", "op", "image-list"), on_images, round_new(worker));
}

/* --- forwards --- */

static void on_forward_removed(const json_t *answer, gpointer data)
{
	(void)data;
	if (!helper_ok(answer))
		log_event(LOG_ERROR, "forward-del", "reason", helper_message(answer), NULL);
}

static void on_forward_restored(const json_t *answer, gpointer data)
{
	struct round *round = data;
	struct core_event event = {.type = CORE_EV_FORWARD_FAILED, .session = round->server};

	if (helper_ok(answer))
		return;
	g_strlcpy(event.code, helper_code(answer), sizeof(event.code));
	g_strlcpy(event.text, helper_message(answer), sizeof(event.text));
	broker_post(round->broker, &event);
}

/* Whose forward that is; a session has at most one, and nobody else has its client and port. */
static const struct core_session *forward_owner(
	struct broker *broker, const char *client, json_int_t port)
{
	const struct core_session *session = core_session_next(broker->core, 0);

	while (session && !(session->forward_port && session->forward_port == port &&
				  !strcmp(session->client, client)))
		session = core_session_next(broker->core, session->id);
	return session;
}

/* Where the forward of a session leads to: its own desktop, the new one as soon as a hand-off has
 * given it that. NULL while that is not known. */
static const struct core_desktop *forward_target(
	struct broker *broker, const struct core_session *session)
{
	const struct core_desktop *desktop = core_desktop_get(broker->core, session->desktop);

	return desktop && desktop->vnc_port && desktop->vnc_host[0] ? desktop : NULL;
}

static void forward_restore(struct broker *broker, const struct core_session *session)
{
	const struct core_desktop *desktop = forward_target(broker, session);
	struct round *round;

	if (!desktop)
		return;
	log_event(LOG_WARN, "forward-missing", "client", session->client, "port",
		log_fmt("%u", session->forward_port), "action", "made again", NULL);
	round = g_new0(struct round, 1);
	round->broker = broker;
	round->server = session->id; /* of the session here */
	helper_call(broker->netd,
		json_pack("{s:s, s:s, s:i, s:s, s:i}", "op", "forward-add", "client",
			session->client, "port", (int)session->forward_port, "server",
			desktop->vnc_host, "server_port", (int)desktop->vnc_port),
		NETD_TIMEOUT_MS, on_forward_restored, round);
}

static void forward_remove(struct broker *broker, const char *client, json_int_t port)
{
	log_event(LOG_WARN, "forward-stale", "client", client, "port", log_fmt("%d", (int)port),
		"action", "removed", NULL);
	helper_call(broker->netd,
		json_pack("{s:s, s:s, s:I}", "op", "forward-del", "client", client, "port", port),
		NETD_TIMEOUT_MS, on_forward_removed, NULL);
}

/* The session whose right forward this is, of those that carrel-netd has. One that leads elsewhere,
 * where a VM of somebody else may listen by now, is removed, and NULL is returned. */
static const struct core_session *forward_check(struct broker *broker, const json_t *item)
{
	const char *client = json_string_value(json_object_get(item, "client"));
	const char *host = json_string_value(json_object_get(item, "server"));
	json_int_t port = json_integer_value(json_object_get(item, "port"));
	json_int_t vnc_port = json_integer_value(json_object_get(item, "server_port"));

	if (!client || !host)
		return NULL;
	const struct core_session *session = forward_owner(broker, client, port);
	const struct core_desktop *desktop = session ? forward_target(broker, session) : NULL;
	if (desktop && desktop->vnc_port == vnc_port && !strcmp(desktop->vnc_host, host))
		return session;
	forward_remove(broker, client, port);
	return NULL;
}

static void on_forward_list(const json_t *answer, gpointer data)
{
	struct broker *broker = *(struct broker **)data;
	g_autoptr(GHashTable) right = g_hash_table_new(NULL, NULL);
	size_t i;
	const json_t *item;

	if (!helper_ok(answer)) {
		log_event(LOG_ERROR, "forward-list", "reason", helper_message(answer), NULL);
		return;
	}
	json_array_foreach (json_object_get(answer, "forwards"), i, item)
		g_hash_table_add(right, (gpointer)forward_check(broker, item));
	for (const struct core_session *session = core_session_next(broker->core, 0); session;
		session = core_session_next(broker->core, session->id))
		if (session->forward_port && session->client[0] &&
			!g_hash_table_contains(right, session))
			forward_restore(broker, session);
}

static void netd_set_up(struct broker *broker);

static gboolean on_setup_timer(gpointer data)
{
	struct broker *broker = data;

	broker->netd_setup = 0;
	netd_set_up(broker);
	return G_SOURCE_REMOVE;
}

/* An interface may come, or get its address, later than we. */
static void on_setup(const json_t *answer, gpointer data)
{
	struct broker *broker = *(struct broker **)data;

	if (helper_ok(answer)) {
		helper_call(broker->netd, json_pack("{s:s}", "op", "forward-list"), NETD_TIMEOUT_MS,
			on_forward_list, g_memdup2(&broker, sizeof(broker)));
		return;
	}
	log_event(LOG_ERROR, "netd-setup", "reason", helper_message(answer), NULL);
	if (helper_is_up(broker->netd) && !broker->netd_setup)
		broker->netd_setup = g_timeout_add(NETD_SETUP_MS, on_setup_timer, broker);
}

static void netd_set_up(struct broker *broker)
{
	helper_call(broker->netd, json_pack("{s:s}", "op", "setup"), NETD_TIMEOUT_MS, on_setup,
		g_memdup2(&broker, sizeof(broker)));
}

static void on_netd_up(gpointer data)
{
	netd_set_up(data);
}

static void on_netd_down(const char *reason, gpointer data)
{
	struct broker *broker = data;

	(void)reason;
	g_clear_handle_id(&broker->netd_setup, g_source_remove);
}

const struct helper_ops *reconcile_netd_ops(void)
{
	static const struct helper_ops ops = {.up = on_netd_up, .down = on_netd_down};

	return &ops;
}
