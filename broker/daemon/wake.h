/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wake-on-LAN. A PC that is switched off, and whose network card listens still, starts when it sees
 * its own address in a "magic packet": six bytes of ones, then the address 16 times (AMD, white
 * paper 20213, 1995). It is sent as a UDP broadcast, which needs no privilege.
 */
#ifndef CARREL_WAKE_H
#define CARREL_WAKE_H

#include <glib.h>

#define WAKE_PACKET 102 /* bytes */
#define WAKE_PORT 9     /* "discard": what nobody listens to */

/* Fills `packet` for a MAC address as "52:54:00:77:00:01". */
void wake_packet(const char *mac, guint8 packet[WAKE_PACKET]);

/*
 * Sends one for each of `macs` (texts, NULL at the end) from `address` into its network of mask
 * `mask` (both in host byte order). FALSE with an error (G_IO_ERROR) when the system refuses one.
 */
gboolean wake_send(const char *const *macs, guint32 address, guint32 mask, GError **error);

#endif
