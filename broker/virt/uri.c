/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/virt/uri.h"
#include "broker/virt/virt.h"

#include <gio/gio.h>
#include <string.h>

#define TLS_PORT 16514
#define TCP_PORT 16509

char *uri_complete(const char *uri, const char *pkipath)
{
	const char *scheme_end = strstr(uri, "://");
	const char *query = strchr(uri, '?');

	if (!scheme_end || scheme_end - uri < 4 || strncmp(scheme_end - 4, "+tls", 4) != 0 ||
		(query && strstr(query, "pkipath=")))
		return g_strdup(uri);
	g_autofree char *escaped = g_uri_escape_string(pkipath, "/", FALSE);
	return g_strdup_printf("%s%cpkipath=%s", uri, query ? '&' : '?', escaped);
}

static GUri *parse(const char *uri)
{
	return g_uri_parse(uri, G_URI_FLAGS_NONE, NULL);
}

char *uri_host(const char *uri)
{
	g_autoptr(GUri) parsed = parse(uri);
	const char *host = parsed ? g_uri_get_host(parsed) : NULL;

	return host && *host ? g_strdup(host) : NULL;
}

gboolean uri_probe(const char *uri, int timeout_ms, GError **error)
{
	g_autoptr(GUri) parsed = parse(uri);
	g_autoptr(GError) cause = NULL;
	const char *scheme = parsed ? g_uri_get_scheme(parsed) : "";
	const char *host = parsed ? g_uri_get_host(parsed) : NULL;
	int port = g_str_has_suffix(scheme, "+tls")   ? TLS_PORT
		   : g_str_has_suffix(scheme, "+tcp") ? TCP_PORT
						      : 0;

	if (!port || !host || !*host)
		return TRUE;
	if (g_uri_get_port(parsed) > 0)
		port = g_uri_get_port(parsed);
	/* Seconds are all that GSocketClient has; rounded up. */
	g_autoptr(GSocketClient) client = g_socket_client_new();
	g_socket_client_set_enable_proxy(client, FALSE);
	g_socket_client_set_timeout(client, (guint)(timeout_ms + 999) / 1000);
	g_autoptr(GSocketConnection) connection =
		g_socket_client_connect_to_host(client, host, (guint16)port, NULL, &cause);
	if (connection)
		return TRUE;
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_UNREACHABLE,
		"%s port %d cannot be reached: %s; is the server on, and does its libvirtd listen?",
		host, port, cause->message);
	return FALSE;
}
