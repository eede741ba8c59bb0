/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table `inet carrel`; nft.c is the only file that uses libnftables. The kernel's table is the
 * only memory: nothing about forwards is kept in the process.
 *
 *   map forwards   client . port : server . server_port          where a new connection is led
 *   set open       client . port . server . server_port          what may pass, asked per packet
 *
 * Both change in one transaction. A connection's address translation is decided once, by its first
 * packet; `open` is asked for each packet of either direction, so that taking an element out cuts
 * the connections that run through it, and replacing one cuts those to the former server.
 */
#ifndef CARREL_NETCONF_NFT_H
#define CARREL_NETCONF_NFT_H

#include "netconf/policy.h"

#include <glib.h>

#define NFT_ERROR (nft_error_quark())
GQuark nft_error_quark(void);
enum nft_error {
	NFT_ERROR_FAILED,
	NFT_ERROR_EXISTS,
	NFT_ERROR_MISSING /* no such table or element: `setup` has not been asked for */
};

struct nft;

struct nft *nft_new(void); /* NULL: out of memory */
void nft_free(struct nft *nft);

/*
 * Makes or completes the table for this policy in one transaction. Forwards stay, but for those
 * that the policy does not allow any more. Twice is harmless.
 */
gboolean nft_setup(struct nft *nft, const struct policy *policy, GError **error);

/* Adds a forward or replaces the one of the same client and port. */
gboolean nft_forward_add(struct nft *nft, const struct forward *forward, GError **error);

/* Takes a forward out; TRUE also when there was none. */
gboolean nft_forward_del(struct nft *nft, guint32 client, guint16 port, GError **error);

/*
 * All forwards as the kernel has them, in the order of client and port; the caller frees the array
 * of struct forward.
 */
GArray *nft_forward_list(struct nft *nft, GError **error);

#endif
