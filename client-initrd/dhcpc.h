/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DHCP client: one exchange at the start, in the initramfs; renewals for as long as the PC
 * runs, by carrel-root-init. The lease goes from one to the other in /run/carrel/network.
 */
#ifndef CARREL_CLIENT_DHCPC_H
#define CARREL_CLIENT_DHCPC_H

#include "client-initrd/boot.h"

/*
 * DISCOVER to ACK on boot->interface, which is up and has no address. About 30 s of tries, further
 * and further apart. Sets boot->lease and lease_start_ms; BOOT_OK or BOOT_NO_DHCP.
 */
enum boot_code dhcpc_acquire(struct boot *boot);

/*
 * The same, when it is not sure which card is the right one (net_candidates): each try asks on all
 * of them at once, and also on those that have got link since. An offer of the network in which the
 * boot server lies is taken at once, another one only when in some seconds none such has come. Sets
 * boot->interface and boot->mac too.
 */
enum boot_code dhcpc_find(struct boot *boot);

/* Puts the lease's address, mask and router on the interface; 0 or -errno. */
int dhcpc_apply(const struct boot *boot);

/* Writes and reads /run/carrel/network ("key=value" lines); 0 or -errno. */
int dhcpc_save(const struct boot *boot, const char *path);
int dhcpc_restore(struct boot *boot, const char *path);

/*
 * Keeps the lease alive; never returns. To be run in a process of its own. An answer that refuses
 * the lease, or its end, leads to a new exchange; the old address stays until there is a new one.
 */
void dhcpc_keep(struct boot *boot) __attribute__((noreturn));

#endif
