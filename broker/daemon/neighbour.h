/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose an address on the PCs' network is, by the kernel's table of neighbours (ARP). */
#ifndef CARREL_NEIGHBOUR_H
#define CARREL_NEIGHBOUR_H

#include <glib.h>

#define NEIGHBOUR_MAC 18 /* "52:54:00:77:00:01" and its end */

/* FALSE: no such machine has been spoken with on `interface` lately. Needs no privilege. */
gboolean neighbour_mac(const char *interface, const char *address, char mac[NEIGHBOUR_MAC]);

#endif
