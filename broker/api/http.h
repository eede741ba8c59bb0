/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HTTP in the main loop: libmicrohttpd without threads, its epoll descriptor watched by GLib. A
 * request whose body is complete is given to one handler, which answers at once or later; a stream
 * of Server-Sent Events sleeps (its connection is suspended) until there is something to send.
 */
#ifndef CARREL_HTTP_H
#define CARREL_HTTP_H

#include <glib.h>
#include <jansson.h>

/* Bytes of a body, where a server has no limit of its own; what is longer is answered with 413. */
#define HTTP_BODY_MAX 65536

#define HTTP_ERROR (http_error_quark())
GQuark http_error_quark(void);

struct http_server;
struct http_request;
struct http_stream;

/* Called when the body is there. It must lead to exactly one http_reply* or http_stream_start. */
typedef void (*http_handler)(struct http_request *request, gpointer data);

struct http_options {
	const char *address; /* "a.b.c.d", or NULL for `socket_path` */
	guint16 port;
	const char *socket_path;       /* Unix socket, mode 0660 */
	const char *certificate, *key; /* PEM texts for TLS, or NULL for plain HTTP */
	unsigned connections, per_ip;  /* limits; per_ip 0 = none */
	unsigned timeout_s;            /* of an idle connection */
	gsize body_max;                /* bytes; 0 = HTTP_BODY_MAX */
	http_handler handler;
	gpointer data;
};

struct http_server *http_server_new(const struct http_options *options, GError **error);
/* Ends all connections; handlers that have not answered must not do so afterwards. */
void http_server_free(struct http_server *server);

/* Of a request; the strings are borrowed and live as long as the request. */
const char *http_method(const struct http_request *request);
const char *http_path(const struct http_request *request);   /* percent-decoded */
const char *http_client(const struct http_request *request); /* address, "" on a Unix socket */
/* The body, terminated by a zero byte that does not count. It is wiped when the request is over. */
const char *http_body(const struct http_request *request, gsize *length);
/* The token of "Authorization: Bearer", or NULL. */
const char *http_bearer(const struct http_request *request);
/* Something that lives as long as the request; `free` is called at its end. */
void http_attach(struct http_request *request, gpointer object, GDestroyNotify free);

/* Answer; the reference of `body` is taken over, NULL means no body. */
void http_reply(struct http_request *request, unsigned status, json_t *body);
void http_reply_error(struct http_request *request, unsigned status, const char *code,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * Answers with an event stream. `closed` is called once, when the other side or http_stream_end has
 * closed it; the stream is freed after that.
 */
struct http_stream *http_stream_start(
	struct http_request *request, void (*closed)(gpointer data), gpointer data);
/* Appends bytes (whole events). */
void http_stream_send(struct http_stream *stream, const char *text);
/* Closes after what has been sent so far. */
void http_stream_end(struct http_stream *stream);
/* `closed` is not called any more. */
void http_stream_forget(struct http_stream *stream);

#endif
