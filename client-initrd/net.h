/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The network card: which one, up, and with link. */
#ifndef CARREL_CLIENT_NET_H
#define CARREL_CLIENT_NET_H

#include "client-initrd/boot.h"

/*
 * Chooses the card that the firmware booted from (BOOTIF), or without BOOTIF the first that has
 * link, brings it up and waits for link. Sets boot->interface and boot->mac. BOOT_OK,
 * BOOT_NO_CARD or BOOT_NO_LINK.
 */
enum boot_code net_up(struct boot *boot);

#endif
