/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The network card: which one, up, and with link. */
#ifndef CARREL_CLIENT_NET_H
#define CARREL_CLIENT_NET_H

#include "client-initrd/boot.h"

#define NET_CARDS 8 /* as many are looked at */

struct net_card {
	char interface[IF_NAMESIZE];
	char mac[18];
};

/*
 * Chooses the card that the firmware booted from (BOOTIF, by PXELINUX), or without BOOTIF (UEFI)
 * the first that has link, brings it up and waits for link. Sets boot->interface and boot->mac.
 * BOOT_OK, BOOT_NO_CARD or BOOT_NO_LINK.
 */
enum boot_code net_up(struct boot *boot);

/*
 * The cards that may be the right one, NET_CARDS at most: the chosen one first, and without BOOTIF
 * all others that have link now. Returns their number, 1 at least.
 */
int net_candidates(const struct boot *boot, struct net_card cards[NET_CARDS]);

/* Without BOOTIF: takes down what net_up brought up beside the card in use. */
void net_leave_others(const struct boot *boot);

#endif
