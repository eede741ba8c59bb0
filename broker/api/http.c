/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How libmicrohttpd and GLib meet. The daemon runs in its external epoll mode: one descriptor that
 * becomes readable when any connection has work, and a time-out that says when it must run anyway.
 * A GSource watches both and calls MHD_run.
 *
 * A suspended connection is taken out of the epoll set, so the library does not see that its other
 * end has gone. For the event streams a GLib watch for the hang-up looks at the socket itself; it
 * wakes the connection up, whose next read then tells the library that the response is over.
 */
#include "broker/api/http.h"
#include "broker/shared/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define STREAM_UNACKED_MS 20000         /* a PC that lost its power acknowledges nothing */
#define STREAM_PENDING_MAX (256 * 1024) /* bytes that a viewer may leave unread */

G_DEFINE_QUARK(carrel - http - error, http_error)

struct loop_source {
	GSource source;
	struct http_server *server; /* borrowed */
	gpointer tag;
};

struct http_server {
	struct MHD_Daemon *daemon;  /* owned */
	struct loop_source *source; /* owned */
	http_handler handler;
	gpointer data;     /* borrowed */
	char *socket_path; /* owned; NULL on TCP */
	GList *waiting;    /* of struct http_request, borrowed: suspended without an answer */
	GList *streams;    /* of struct http_stream, borrowed */
	gsize body_max;
	gboolean stopping;
};

struct http_request {
	struct http_server *server;        /* borrowed */
	struct MHD_Connection *connection; /* borrowed */
	char *method, *path;               /* owned */
	char client[INET6_ADDRSTRLEN];
	char *body; /* owned; body_max + 1 bytes or NULL */
	gsize length;
	gboolean too_long, handled, suspended, queued;
	struct MHD_Response *response; /* owned until it is queued */
	unsigned status;
	gpointer object; /* owned through object_free */
	GDestroyNotify object_free;
};

struct http_stream {
	struct http_server *server;        /* borrowed */
	struct MHD_Connection *connection; /* borrowed */
	GString *pending;                  /* owned */
	gboolean suspended, ending, broken;
	guint watch;
	void (*closed)(gpointer data);
	gpointer data;
};

/* --- the loop --- */

static gboolean due(struct http_server *server, gint *timeout)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(server->daemon, &ms) != MHD_YES)
		return FALSE;
	if (timeout)
		*timeout = (gint)MIN(ms, (MHD_UNSIGNED_LONG_LONG)G_MAXINT);
	return ms == 0;
}

static gboolean source_prepare(GSource *base, gint *timeout)
{
	*timeout = -1;
	return due(((struct loop_source *)base)->server, timeout);
}

static gboolean source_check(GSource *base)
{
	struct loop_source *source = (struct loop_source *)base;

	return g_source_query_unix_fd(base, source->tag) != 0 || due(source->server, NULL);
}

static gboolean source_dispatch(GSource *base, GSourceFunc callback, gpointer data)
{
	(void)callback;
	(void)data;
	/* A resumed connection made itself known by the ready time. */
	g_source_set_ready_time(base, -1);
	MHD_run(((struct loop_source *)base)->server->daemon);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
	.prepare = source_prepare, .check = source_check, .dispatch = source_dispatch};

static gboolean source_attach(struct http_server *server, GError **error)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	if (!info || info->epoll_fd < 0) {
		g_set_error(error, HTTP_ERROR, 0, "libmicrohttpd was built without epoll");
		return FALSE;
	}
	server->source =
		(struct loop_source *)g_source_new(&source_funcs, sizeof(struct loop_source));
	server->source->server = server;
	server->source->tag =
		g_source_add_unix_fd(&server->source->source, info->epoll_fd, G_IO_IN);
	g_source_attach(&server->source->source, NULL);
	return TRUE;
}

static void resume(struct http_server *server, struct MHD_Connection *connection)
{
	MHD_resume_connection(connection);
	g_source_set_ready_time(&server->source->source, 0);
}

/* --- requests --- */

static void client_text(struct http_request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info ? info->client_addr : NULL;

	if (address && address->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr,
			request->client, sizeof(request->client));
}

static struct http_request *request_new(struct http_server *server,
	struct MHD_Connection *connection, const char *method, const char *path)
{
	struct http_request *request = g_new0(struct http_request, 1);

	request->server = server;
	request->connection = connection;
	request->method = g_strdup(method);
	request->path = g_strdup(path);
	client_text(request);
	return request;
}

static void request_free(struct http_request *request)
{
	request->server->waiting = g_list_remove(request->server->waiting, request);
	if (request->object_free)
		request->object_free(request->object);
	if (request->body)
		explicit_bzero(request->body, request->server->body_max + 1);
	g_free(request->body);
	if (request->response)
		MHD_destroy_response(request->response);
	g_free(request->method);
	g_free(request->path);
	g_free(request);
}

static void body_append(struct http_request *request, const char *data, size_t size)
{
	if (request->too_long || size > request->server->body_max - request->length) {
		request->too_long = TRUE;
		return;
	}
	if (!request->body)
		request->body = g_malloc0(request->server->body_max + 1);
	memcpy(request->body + request->length, data, size);
	request->length += size;
}

static enum MHD_Result queue(struct http_request *request)
{
	struct MHD_Response *response = g_steal_pointer(&request->response);
	enum MHD_Result result = MHD_queue_response(request->connection, request->status, response);

	request->queued = TRUE;
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload, size_t *size, void **state)
{
	struct http_server *server = cls;
	struct http_request *request = *state;

	(void)version;
	if (!request) {
		*state = request_new(server, connection, method, url);
		return MHD_YES;
	}
	if (*size) {
		body_append(request, upload, *size);
		*size = 0;
		return MHD_YES;
	}
	if (!request->handled) {
		request->handled = TRUE;
		if (request->too_long)
			http_reply_error(request, 413, "bad-request",
				"the body is longer than %zu bytes", server->body_max);
		else
			server->handler(request, server->data);
	}
	if (request->response)
		return queue(request);
	request->suspended = TRUE;
	server->waiting = g_list_prepend(server->waiting, request);
	MHD_suspend_connection(connection);
	return MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
	enum MHD_RequestTerminationCode code)
{
	(void)cls;
	(void)connection;
	(void)code;
	if (*state)
		request_free(*state);
	*state = NULL;
}

const char *http_method(const struct http_request *request)
{
	return request->method;
}

const char *http_path(const struct http_request *request)
{
	return request->path;
}

const char *http_client(const struct http_request *request)
{
	return request->client;
}

const char *http_body(const struct http_request *request, gsize *length)
{
	*length = request->length;
	return request->body ? request->body : "";
}

const char *http_bearer(const struct http_request *request)
{
	const char *value =
		MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Authorization");

	return value && g_str_has_prefix(value, "Bearer ") ? value + strlen("Bearer ") : NULL;
}

void http_attach(struct http_request *request, gpointer object, GDestroyNotify free_func)
{
	request->object = object;
	request->object_free = free_func;
}

static void answer(struct http_request *request, unsigned status, struct MHD_Response *response)
{
	request->status = status;
	request->response = response;
	if (request->suspended) {
		request->suspended = FALSE;
		request->server->waiting = g_list_remove(request->server->waiting, request);
		resume(request->server, request->connection);
	}
}

void http_reply(struct http_request *request, unsigned status, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct MHD_Response *response = MHD_create_response_from_buffer(text ? strlen(text) : 0,
		text, text ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);

	if (text)
		MHD_add_response_header(response, "Content-Type", "application/json");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	json_decref(body);
	answer(request, status, response);
}

void http_reply_error(
	struct http_request *request, unsigned status, const char *code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	g_autofree char *message = g_strdup_vprintf(format, ap);
	va_end(ap);
	g_autofree char *clean = g_utf8_make_valid(message, -1);
	http_reply(request, status, json_pack("{s:s, s:s}", "code", code, "message", clean));
}

/* --- streams --- */

static ssize_t on_stream_read(void *cls, uint64_t position, char *buffer, size_t max)
{
	struct http_stream *stream = cls;
	gsize size = MIN(stream->pending->len, max);

	(void)position;
	if (stream->broken)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (size) {
		memcpy(buffer, stream->pending->str, size);
		/* There may be a ticket in it. */
		explicit_bzero(stream->pending->str, size);
		g_string_erase(stream->pending, 0, (gssize)size);
		return (ssize_t)size;
	}
	if (stream->ending)
		return MHD_CONTENT_READER_END_OF_STREAM;
	stream->suspended = TRUE;
	MHD_suspend_connection(stream->connection);
	return 0;
}

static void on_stream_free(void *cls)
{
	struct http_stream *stream = cls;

	if (stream->watch)
		g_source_remove(stream->watch);
	stream->server->streams = g_list_remove(stream->server->streams, stream);
	if (stream->closed)
		stream->closed(stream->data);
	explicit_bzero(stream->pending->str, stream->pending->len);
	g_string_free(stream->pending, TRUE);
	g_free(stream);
}

static void stream_wake(struct http_stream *stream)
{
	if (!stream->suspended)
		return;
	stream->suspended = FALSE;
	resume(stream->server, stream->connection);
}

static gboolean on_stream_hangup(gint fd, GIOCondition condition, gpointer data)
{
	struct http_stream *stream = data;

	(void)fd;
	(void)condition;
	stream->watch = 0;
	stream->broken = TRUE;
	stream_wake(stream);
	return G_SOURCE_REMOVE;
}

struct http_stream *http_stream_start(
	struct http_request *request, void (*closed)(gpointer data), gpointer data)
{
	struct http_stream *stream = g_new0(struct http_stream, 1);
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct MHD_Response *response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, 4096, on_stream_read, stream, on_stream_free);

	const int unacked_ms = STREAM_UNACKED_MS;

	setsockopt(
		info->connect_fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof(unacked_ms));
	stream->server = request->server;
	stream->connection = request->connection;
	stream->pending = g_string_new(": carrel\n\n");
	stream->closed = closed;
	stream->data = data;
	stream->watch = g_unix_fd_add(info->connect_fd,
		(GIOCondition)(G_IO_HUP | G_IO_ERR | POLLRDHUP), on_stream_hangup, stream);
	request->server->streams = g_list_prepend(request->server->streams, stream);
	MHD_add_response_header(response, "Content-Type", "text/event-stream");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	answer(request, 200, response);
	return stream;
}

void http_stream_send(struct http_stream *stream, const char *text)
{
	if (stream->ending || stream->broken)
		return;
	if (stream->pending->len > STREAM_PENDING_MAX)
		stream->broken = TRUE;
	else
		g_string_append(stream->pending, text);
	stream_wake(stream);
}

void http_stream_end(struct http_stream *stream)
{
	stream->ending = TRUE;
	stream_wake(stream);
}

void http_stream_forget(struct http_stream *stream)
{
	stream->closed = NULL;
}

/* --- servers --- */

static void on_mhd_log(void *cls, const char *format, va_list ap)
{
	char text[256];

	(void)cls;
	vsnprintf(text, sizeof(text), format, ap);
	log_event(LOG_DEBUG, "http", "text", g_strchomp(text), NULL);
}

static int listen_unix(const char *path, GError **error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = -1;

	if (strlen(path) < sizeof(address.sun_path)) {
		memcpy(address.sun_path, path, strlen(path));
		unlink(path);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		mode_t old = umask(0117);
		int bound = bind(fd, (struct sockaddr *)&address, sizeof(address));
		umask(old);
		if (bound == 0 && listen(fd, 64) == 0)
			return fd;
	} else {
		errno = ENAMETOOLONG;
	}
	g_set_error(error, HTTP_ERROR, 0, "cannot listen on %s: %s", path, g_strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static struct MHD_Daemon *start(struct http_server *server, const struct http_options *options,
	const struct sockaddr_in *address, int fd)
{
	struct MHD_OptionItem more[4];
	unsigned flags =
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (options->certificate ? MHD_USE_TLS : 0);
	int n = 0;

	if (fd >= 0)
		more[n++] = (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, fd, NULL};
	else
		more[n++] = (struct MHD_OptionItem){
			MHD_OPTION_SOCK_ADDR, 0, (void *)(uintptr_t)address};
	if (options->per_ip)
		more[n++] = (struct MHD_OptionItem){
			MHD_OPTION_PER_IP_CONNECTION_LIMIT, options->per_ip, NULL};
	more[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
	if (!options->certificate)
		return MHD_start_daemon(flags, options->port, NULL, NULL, on_request, server,
			MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL, MHD_OPTION_NOTIFY_COMPLETED,
			on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT, options->connections,
			MHD_OPTION_CONNECTION_TIMEOUT, options->timeout_s, MHD_OPTION_ARRAY, more,
			MHD_OPTION_END);
	return MHD_start_daemon(flags, options->port, NULL, NULL, on_request, server,
		MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT, options->connections,
		MHD_OPTION_CONNECTION_TIMEOUT, options->timeout_s, MHD_OPTION_HTTPS_MEM_KEY,
		options->key, MHD_OPTION_HTTPS_MEM_CERT, options->certificate,
		MHD_OPTION_HTTPS_PRIORITIES, TLS_PRIORITIES, MHD_OPTION_ARRAY, more,
		MHD_OPTION_END);
}

struct http_server *http_server_new(const struct http_options *options, GError **error)
{
	struct http_server *server = g_new0(struct http_server, 1);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options->port)};
	int fd = -1;

	server->handler = options->handler;
	server->data = options->data;
	server->body_max = options->body_max ? options->body_max : HTTP_BODY_MAX;
	server->socket_path = g_strdup(options->socket_path);
	if (options->socket_path) {
		fd = listen_unix(options->socket_path, error);
		if (fd < 0)
			goto fail;
	} else {
		inet_pton(AF_INET, options->address, &address.sin_addr);
	}
	errno = 0;
	server->daemon = start(server, options, &address, fd);
	if (!server->daemon) {
		int saved = errno;

		if (fd >= 0)
			close(fd);
		g_set_error(error, HTTP_ERROR, 0, "cannot listen on %s:%u: %s",
			options->address ? options->address : options->socket_path, options->port,
			saved ? g_strerror(saved)
			      : "libmicrohttpd refused, see its certificate and key");
		goto fail;
	}
	if (source_attach(server, error))
		return server;
fail:
	http_server_free(server);
	return NULL;
}

void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	server->stopping = TRUE;
	/* The library refuses to stop with suspended connections. */
	while (server->waiting)
		http_reply_error(server->waiting->data, 503, "unavailable", "carreld is stopping");
	for (GList *l = server->streams; l; l = l->next) {
		struct http_stream *stream = l->data;

		stream->ending = TRUE;
		stream_wake(stream);
	}
	if (server->daemon) {
		MHD_run(server->daemon);
		MHD_stop_daemon(server->daemon);
	}
	if (server->source) {
		g_source_destroy(&server->source->source);
		g_source_unref(&server->source->source);
	}
	if (server->socket_path)
		unlink(server->socket_path);
	g_free(server->socket_path);
	g_free(server);
}
