/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/api/viewer.h"
#include "broker/api/limit.h"
#include "broker/daemon/ledger.h"
#include "broker/daemon/seats.h"
#include "broker/daemon/ticket.h"
#include "broker/shared/log.h"

#include <string.h>

#define OPEN_MS 20000 /* within which a new login opens its stream */
#define GRACE_MS 3000 /* within which a lost stream may be opened again */
#define AUTH_TIMEOUT_MS 30000
#define PENDING_MAX 65536

struct viewer {
	struct api *api; /* borrowed */
	guint64 login;   /* the key */
	char token[TOKEN_LENGTH + 1], hash[65];
	char user[CORE_NAME_MAX], client[CORE_ADDR_MAX], seat[CORE_MAC_MAX];
	char *password; /* owned, wiped; NULL once handed on */
	gboolean authenticated;
	struct http_stream *stream; /* borrowed; NULL = none open */
	GString *pending;           /* owned: events while no stream is open */
	gboolean over;
	guint timer, delay;
};

static void viewer_free(gpointer data)
{
	struct viewer *viewer = data;

	if (viewer->timer)
		g_source_remove(viewer->timer);
	if (viewer->delay)
		g_source_remove(viewer->delay);
	if (viewer->stream)
		http_stream_forget(viewer->stream);
	secret_free(viewer->password);
	explicit_bzero(viewer->pending->str, viewer->pending->len);
	g_string_free(viewer->pending, TRUE);
	explicit_bzero(viewer->token, sizeof(viewer->token));
	g_free(viewer);
}

GHashTable *viewer_table_new(void)
{
	return g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, viewer_free);
}

static struct viewer *get(struct api *api, guint64 login)
{
	/* While the doors are being closed there is no api any more. */
	return api ? g_hash_table_lookup(api->viewers, &login) : NULL;
}

static void forget(struct viewer *viewer)
{
	g_hash_table_remove(viewer->api->viewers, &viewer->login);
}

/* No stream came, or came back, in time. */
static gboolean on_absent(gpointer data)
{
	struct viewer *viewer = data;
	struct broker *broker = viewer->api->broker;
	guint64 login = viewer->login;
	gboolean over = viewer->over;

	viewer->timer = 0;
	ledger_drop(broker->ledger, login);
	forget(viewer);
	if (!over)
		broker_post(
			broker, &(struct core_event){.type = CORE_EV_VIEWER_GONE, .login = login});
	return G_SOURCE_REMOVE;
}

static void wait_for_stream(struct viewer *viewer, unsigned ms)
{
	if (viewer->timer)
		g_source_remove(viewer->timer);
	viewer->timer = g_timeout_add(ms, on_absent, viewer);
}

static struct viewer *viewer_new(
	struct api *api, const char *token, const char *client, const char *user, const char *seat)
{
	struct viewer *viewer = g_new0(struct viewer, 1);

	viewer->api = api;
	viewer->login = ++api->last_login;
	g_strlcpy(viewer->token, token, sizeof(viewer->token));
	token_hash(token, viewer->hash);
	g_strlcpy(viewer->client, client, sizeof(viewer->client));
	g_strlcpy(viewer->user, user, sizeof(viewer->user));
	g_strlcpy(viewer->seat, seat, sizeof(viewer->seat));
	viewer->pending = g_string_new(NULL);
	g_hash_table_insert(api->viewers, &viewer->login, viewer);
	wait_for_stream(viewer, OPEN_MS);
	return viewer;
}

/* A login, or, for the session that a token of the store proves, its resumption. */
static void post_login(struct viewer *viewer, guint64 session)
{
	struct core_event event = {.type = session ? CORE_EV_RESUME : CORE_EV_LOGIN,
		.login = viewer->login,
		.session = session};

	g_strlcpy(event.user, viewer->user, sizeof(event.user));
	g_strlcpy(event.client, viewer->client, sizeof(event.client));
	g_strlcpy(event.seat, viewer->seat, sizeof(event.seat));
	broker_post(viewer->api->broker, &event);
}

const char *viewer_login(struct api *api, const char *client, const char *user, char *password,
	const char *seat, const json_t *boot)
{
	char token[TOKEN_LENGTH + 1];
	struct viewer *viewer;

	token_make(token);
	viewer = viewer_new(api, token, client, user, seat);
	explicit_bzero(token, sizeof(token));
	viewer->password = g_strdup(password);
	ledger_begin(api->broker->ledger, viewer->login, user, seat, boot, broker_now_ms());
	post_login(viewer, 0);
	/* Even a login that is refused at once lives until its stream has told so. */
	return viewer->token;
}

unsigned viewer_pending(struct api *api, const char *client)
{
	GHashTableIter iter;
	gpointer value;
	unsigned n = 0;

	g_hash_table_iter_init(&iter, api->viewers);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct viewer *viewer = value;

		n += (!viewer->authenticated || !viewer->stream) && !strcmp(viewer->client, client);
	}
	return n;
}

static struct viewer *revive(
	struct api *api, const char *token, const char *hash, const char *client)
{
	struct store_token stored;
	const struct core_session *session;
	struct viewer *viewer;

	if (!store_token_find(api->broker->store, hash, &stored, NULL) ||
		!token_equal(stored.hash, hash) || strcmp(stored.client, client) != 0)
		return NULL;
	session = core_session_get(api->broker->core, stored.session);
	if (!session || session->state == SESSION_ENDED)
		return NULL;
	viewer = viewer_new(api, token, client, session->user, stored.seat);
	viewer->authenticated = TRUE;
	log_event(LOG_INFO, "viewer-back", "user", viewer->user, "client", client, NULL);
	post_login(viewer, stored.session);
	return viewer;
}

struct viewer *viewer_find(struct api *api, const char *token, const char *client)
{
	char hash[65];
	GHashTableIter iter;
	gpointer value;

	if (!token || strlen(token) != TOKEN_LENGTH)
		return NULL;
	token_hash(token, hash);
	g_hash_table_iter_init(&iter, api->viewers);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct viewer *viewer = value;

		if (token_equal(viewer->hash, hash) && !strcmp(viewer->client, client))
			return viewer;
	}
	return revive(api, token, hash, client);
}

guint64 viewer_id(const struct viewer *viewer)
{
	return viewer->login;
}

/* --- the stream --- */

static void on_stream_closed(gpointer data)
{
	struct viewer *viewer = data;

	viewer->stream = NULL;
	if (viewer->over)
		forget(viewer);
	else
		wait_for_stream(viewer, GRACE_MS);
}

void viewer_open_stream(struct viewer *viewer, struct http_request *request)
{
	if (viewer->timer)
		g_source_remove(viewer->timer);
	viewer->timer = 0;
	if (viewer->stream) {
		/* The viewer has noticed the end of the older one before us. */
		http_stream_forget(viewer->stream);
		http_stream_end(viewer->stream);
	}
	viewer->stream = http_stream_start(request, on_stream_closed, viewer);
	if (viewer->pending->len)
		http_stream_send(viewer->stream, viewer->pending->str);
	explicit_bzero(viewer->pending->str, viewer->pending->len);
	g_string_truncate(viewer->pending, 0);
	if (viewer->over)
		http_stream_end(viewer->stream);
}

/* Takes over the reference of `data`. */
static void emit(struct viewer *viewer, const char *event, json_t *data)
{
	g_autofree char *json = json_dumps(data, JSON_COMPACT);
	g_autofree char *text = g_strdup_printf("event: %s\ndata: %s\n\n", event, json);

	if (viewer->stream)
		http_stream_send(viewer->stream, text);
	else if (viewer->pending->len < PENDING_MAX)
		g_string_append(viewer->pending, text);
	explicit_bzero(json, strlen(json));
	explicit_bzero(text, strlen(text));
	json_decref(data);
}

void viewer_tell_stage(
	struct api *api, guint64 login, const char *stage, unsigned percent, const char *message)
{
	struct viewer *viewer = get(api, login);

	if (viewer && !viewer->over)
		emit(viewer, "stage",
			json_pack("{s:s, s:I, s:s}", "stage", stage, "percent", (json_int_t)percent,
				"message", message));
}

void viewer_tell_queued(struct api *api, guint64 login, unsigned percent, unsigned position,
	unsigned minutes, const char *message)
{
	struct viewer *viewer = get(api, login);
	json_t *data;

	if (!viewer || viewer->over)
		return;
	data = json_pack("{s:s, s:I, s:s, s:I}", "stage", "queued", "percent", (json_int_t)percent,
		"message", message, "position", (json_int_t)position);
	if (minutes)
		json_object_set_new(data, "minutes", json_integer(minutes));
	emit(viewer, "stage", data);
}

void viewer_tell_handoff(struct api *api, guint64 login, const char *step, guint32 ms,
	guint32 from_mib, guint32 size_mib, const char *text)
{
	struct viewer *viewer = get(api, login);

	if (viewer && !viewer->over)
		emit(viewer, "handoff",
			json_pack("{s:s, s:I, s:I, s:I, s:s}", "step", step, "ms", (json_int_t)ms,
				"from_mib", (json_int_t)from_mib, "size_mib", (json_int_t)size_mib,
				"message", text));
}

/* The session is this viewer's now: it may come back to it with its token. */
static void keep_token(struct viewer *viewer, guint64 session)
{
	struct store_token token = {.session = session};
	g_autoptr(GError) error = NULL;

	g_strlcpy(token.hash, viewer->hash, sizeof(token.hash));
	g_strlcpy(token.client, viewer->client, sizeof(token.client));
	g_strlcpy(token.seat, viewer->seat, sizeof(token.seat));
	if (!store_token_put(viewer->api->broker->store, &token, &error))
		log_event(LOG_ERROR, "token", "reason", error->message, NULL);
}

static void drop_token(struct viewer *viewer)
{
	struct store *store = viewer->api->broker->store;
	struct store_token token;

	if (!store_token_find(store, viewer->hash, &token, NULL))
		return;
	token.hash[0] = 0;
	store_token_put(store, &token, NULL);
}

void viewer_tell_ready(struct api *api, guint64 login, guint64 session, unsigned port,
	const char *ticket, const char *tls_name)
{
	struct viewer *viewer = get(api, login);
	guint32 address, mask;

	if (!viewer || viewer->over)
		return;
	keep_token(viewer, session);
	conf_cidr(api->broker->conf, CONF_NETWORK_CLIENT_ADDRESS, &address, &mask);
	emit(viewer, "ready",
		json_pack("{s:s, s:I, s:s, s:s, s:I}", "host", conf_ipv4(address), "port",
			(json_int_t)port, "ticket", ticket, "tls_name", tls_name, "session",
			(json_int_t)session));
}

void viewer_tell_over(
	struct api *api, guint64 login, const char *event, const char *code, const char *message)
{
	struct viewer *viewer = get(api, login);
	json_t *data;

	if (!viewer || viewer->over)
		return;
	data = json_pack("{s:s}", "message", message);
	if (code)
		json_object_set_new(data, "code", json_string(code));
	log_event(LOG_INFO, log_fmt("login-%s", event), "login",
		log_fmt("%" G_GUINT64_FORMAT, login), "client", viewer->client, "code", code, NULL);
	emit(viewer, event, data);
	viewer->over = TRUE;
	if (!strcmp(event, "ended"))
		seats_session_ended(api->broker->seats, viewer->seat);
	drop_token(viewer);
	ledger_drop(api->broker->ledger, login);
	if (viewer->stream)
		http_stream_end(viewer->stream);
}

void viewer_keepalive(struct api *api)
{
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, api->viewers);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct viewer *viewer = value;

		if (viewer->stream)
			http_stream_send(viewer->stream, ":\n\n");
	}
}

/* --- the password --- */

struct asking {
	struct api *api; /* borrowed */
	guint64 login;
};

static void auth_failed(struct viewer *viewer, const char *code, const char *text)
{
	struct core_event event = {.type = CORE_EV_AUTH_FAILED, .login = viewer->login};

	g_strlcpy(event.code, code, sizeof(event.code));
	g_strlcpy(event.text, text, sizeof(event.text));
	broker_post(viewer->api->broker, &event);
}

static void authenticated(
	struct viewer *viewer, const char *user, const char *full_name, guint32 uid, guint32 gid)
{
	struct core_event event = {
		.type = CORE_EV_AUTHENTICATED, .login = viewer->login, .uid = uid, .gid = gid};

	viewer->authenticated = TRUE;
	g_strlcpy(event.user, user, sizeof(event.user));
	g_strlcpy(event.full_name, full_name, sizeof(event.full_name));
	broker_post(viewer->api->broker, &event);
}

static void on_authenticated(const json_t *answer, gpointer data)
{
	const struct asking *asking = data;
	struct viewer *viewer = get(asking->api, asking->login);
	const char *user = json_string_value(json_object_get(answer, "user"));
	const char *name = json_string_value(json_object_get(answer, "full_name"));
	const json_t *uid = json_object_get(answer, "uid"), *gid = json_object_get(answer, "gid");

	if (!viewer)
		return;
	if (helper_ok(answer) && user && strlen(user) < CORE_NAME_MAX && json_is_integer(uid) &&
		json_is_integer(gid)) {
		limit_passed(asking->api->limit, viewer->client, viewer->user);
		authenticated(viewer, user, name ? name : "", (guint32)json_integer_value(uid),
			(guint32)json_integer_value(gid));
	} else if (!strcmp(helper_code(answer), "denied")) {
		limit_failed(asking->api->limit, viewer->client, viewer->user, broker_now_ms());
		log_event(LOG_WARN, "login-denied", "client", viewer->client, NULL);
		auth_failed(viewer, "denied", "User name or password is wrong.");
	} else {
		log_event(LOG_ERROR, "authenticate", "code", helper_code(answer), "reason",
			helper_message(answer), NULL);
		auth_failed(viewer, "unavailable",
			"Passwords cannot be checked now. Tell the room's administrator.");
	}
}

static gboolean on_delay_over(gpointer data)
{
	struct viewer *viewer = data;
	struct asking *asking = g_new0(struct asking, 1);

	viewer->delay = 0;
	asking->api = viewer->api;
	asking->login = viewer->login;
	helper_call(viewer->api->broker->authd,
		json_pack("{s:s, s:s, s:s}", "op", "authenticate", "user", viewer->user, "password",
			viewer->password ? viewer->password : ""),
		AUTH_TIMEOUT_MS, on_authenticated, asking);
	secret_free(g_steal_pointer(&viewer->password));
	return G_SOURCE_REMOVE;
}

void viewer_authenticate(struct api *api, guint64 login)
{
	struct viewer *viewer = get(api, login);

	if (viewer)
		viewer->delay = g_timeout_add(
			limit_delay_ms(api->limit, viewer->client, viewer->user, broker_now_ms()),
			on_delay_over, viewer);
}
