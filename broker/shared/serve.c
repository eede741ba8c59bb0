/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/shared/serve.h"
#include "broker/shared/log.h"
#include "broker/shared/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
	struct serve *serve; /* borrowed */
	guint64 id;
	int fd;
	guint source;
};

struct serve {
	int fd;
	guint source;
	uid_t user;
	guint64 next;
	GHashTable *clients; /* owned: guint64 in the client -> struct client, owned */
	serve_fn fn;
	void *data; /* borrowed */
};

static void client_free(gpointer pointer)
{
	struct client *client = pointer;

	if (client->source)
		g_source_remove(client->source);
	close(client->fd);
	g_free(client);
}

static void client_refuse(struct client *client, const char *why)
{
	serve_reply(client->serve, client->id, msg_fail(0, "bad-request", "%s", why));
}

static gboolean client_readable(gint fd, GIOCondition condition, gpointer pointer)
{
	struct client *client = pointer;
	struct serve *serve = client->serve;
	g_autoptr(GError) error = NULL;
	json_t *request = msg_recv(fd, &error);

	(void)condition;
	if (request) {
		const json_t *id = json_object_get(request, "id");

		if (json_is_integer(id) && json_is_string(json_object_get(request, "op")))
			serve->fn(serve, client->id, json_integer_value(id), request, serve->data);
		else
			client_refuse(client, "a request needs an integer id and a string op");
		json_decref(request);
	} else if (g_error_matches(error, MSG_ERROR, MSG_ERROR_FORMAT) ||
		   g_error_matches(error, MSG_ERROR, MSG_ERROR_SIZE)) {
		client_refuse(client, error->message);
	} else if (!g_error_matches(error, MSG_ERROR, MSG_ERROR_AGAIN)) {
		client->source = 0;
		g_hash_table_remove(serve->clients, &client->id);
		return G_SOURCE_REMOVE;
	}
	return G_SOURCE_CONTINUE;
}

static gboolean serve_accept(gint fd, GIOCondition condition, gpointer pointer)
{
	struct serve *serve = pointer;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)condition;
	if (peer < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			log_event(LOG_ERROR, "accept-failed", "error", g_strerror(errno), NULL);
		return G_SOURCE_CONTINUE;
	}
	uid_t uid = msg_peer_uid(peer);
	gboolean known = uid != (uid_t)-1 && (uid == 0 || uid == serve->user);
	if (!known || g_hash_table_size(serve->clients) >= SERVE_CLIENTS_MAX) {
		log_event(LOG_WARN, "client-refused", "uid", log_fmt("%u", (unsigned)uid), "reason",
			known ? "too-many" : "user", NULL);
		close(peer);
		return G_SOURCE_CONTINUE;
	}
	struct client *client = g_new0(struct client, 1);
	client->serve = serve;
	client->id = serve->next++;
	client->fd = peer;
	client->source = g_unix_fd_add(peer, G_IO_IN, client_readable, client);
	g_hash_table_insert(serve->clients, &client->id, client);
	return G_SOURCE_CONTINUE;
}

struct serve *serve_new(int listen_fd, uid_t user, serve_fn fn, void *data)
{
	struct serve *serve = g_new0(struct serve, 1);

	serve->fd = listen_fd;
	serve->user = user;
	serve->next = 1;
	serve->clients = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, client_free);
	serve->fn = fn;
	serve->data = data;
	/* A client that leaves between poll and accept must not block the loop. */
	g_unix_set_fd_nonblocking(listen_fd, TRUE, NULL);
	serve->source = g_unix_fd_add(listen_fd, G_IO_IN, serve_accept, serve);
	return serve;
}

void serve_free(struct serve *serve)
{
	if (!serve)
		return;
	g_hash_table_destroy(serve->clients);
	g_source_remove(serve->source);
	close(serve->fd);
	g_free(serve);
}

void serve_set_user(struct serve *serve, uid_t user)
{
	serve->user = user;
}

void serve_reply(struct serve *serve, guint64 id, json_t *answer)
{
	struct client *client = g_hash_table_lookup(serve->clients, &id);
	g_autoptr(GError) error = NULL;

	if (client && !(answer && msg_send(client->fd, answer, &error))) {
		log_event(LOG_WARN, "answer-lost", "error",
			error ? error->message : "no answer could be made", NULL);
		/* The loop sees the end of the connection next and frees the client there. */
		shutdown(client->fd, SHUT_RDWR);
	}
	json_decref(answer);
}

void serve_close_all(struct serve *serve)
{
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, serve->clients);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		close(((struct client *)value)->fd);
	close(serve->fd);
}

gboolean serve_user(const char *name, uid_t *uid, gid_t *gid)
{
	const struct passwd *user = getpwnam(name);

	*uid = user ? user->pw_uid : (uid_t)-1;
	*gid = user ? user->pw_gid : (gid_t)-1;
	return user != NULL;
}
