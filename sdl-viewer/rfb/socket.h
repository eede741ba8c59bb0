/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CARREL_VIEWER_SOCKET_H
#define CARREL_VIEWER_SOCKET_H

#include <stdint.h>

/*
 * Connects to an address (not a name) within `timeout_ms`; `cancel_fd` becoming readable ends the
 * wait. The socket is blocking, without Nagle's delay, and notices a dead peer within about 15 s.
 * Returns the fd, or -1 with errno (ECANCELED, ETIMEDOUT, EINVAL for no address, ...).
 */
int socket_connect(const char *host, uint16_t port, int timeout_ms, int cancel_fd);

#endif
