/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CARREL_NOTIFY_H
#define CARREL_NOTIFY_H

/* Tells the service manager (sd_notify(3)'s datagram to $NOTIFY_SOCKET); nothing without one. */
void notify_send(const char *state);

#endif
