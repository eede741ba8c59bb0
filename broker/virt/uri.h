/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is done with the text of a libvirt URI: https://libvirt.org/uri.html. */
#ifndef CARREL_VIRT_URI_H
#define CARREL_VIRT_URI_H

#include <glib.h>

/*
 * A qemu+tls URI that names no certificates gets pkipath=`pkipath`: the broker's own. Every other
 * URI is copied as it is. The result is owned by the caller.
 */
char *uri_complete(const char *uri, const char *pkipath);

/* The host of a URI, without brackets; owned by the caller, NULL when there is none. */
char *uri_host(const char *uri);

/*
 * Connects to the TCP port of a TLS or TCP URI and closes again, so that a host that is off is
 * known after `timeout_ms` and not after the kernel's two minutes. TRUE also for the other
 * transports, which are not probed. FALSE with VIRT_ERROR_UNREACHABLE.
 */
gboolean uri_probe(const char *uri, int timeout_ms, GError **error);

#endif
