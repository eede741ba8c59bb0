/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Feeds the boot ledger with the boot server's logs, where this machine is the boot server, and
 * keeps it in the store. */
#ifndef CARREL_BOOTWATCH_H
#define CARREL_BOOTWATCH_H

#include "broker/daemon/boots.h"
#include "broker/shared/conf.h"

struct bootwatch;
struct seats;
struct store;

/*
 * Without logs the ledger has the PCs' own reports alone, and the log says so. PCs that boot are
 * seats from their address on; `seats` and `store` are borrowed. NULL with an error when the store
 * cannot be read.
 */
struct bootwatch *bootwatch_new(
	const struct conf *conf, struct seats *seats, struct store *store, GError **error);
/* Stores what is not stored yet. NULL: nothing. */
void bootwatch_free(struct bootwatch *watch);

/* As in boots.h, now. */
void bootwatch_report(struct bootwatch *watch, const char *mac, const char *address,
	const char *stage, guint ms, guint64 bytes, const char *error);
void bootwatch_form(struct bootwatch *watch, const char *mac);
gboolean bootwatch_driver(struct bootwatch *watch, const char *mac, const char *driver);
void bootwatch_driver_again(struct bootwatch *watch, const char *mac);
json_t *bootwatch_json(const struct bootwatch *watch, const char *mac);
json_t *bootwatch_troubles(const struct bootwatch *watch);
void bootwatch_on_end(struct bootwatch *watch, boots_end_func end, gpointer data);
void bootwatch_check(struct bootwatch *watch);

#endif
