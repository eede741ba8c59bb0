/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the broker must not forget: one SQLite file (write-ahead log, full synchronisation). The
 * only code that knows SQLite. A row that core asks to be persisted is written here before any
 * effect of the same step is begun.
 *
 * Functions that can fail return FALSE and set `error` (STORE_ERROR); its text names the file.
 */
#ifndef CARREL_STORE_H
#define CARREL_STORE_H

#include <glib.h>
#include <jansson.h>

#include "broker/core/core.h"

#define STORE_ERROR (store_error_quark())
GQuark store_error_quark(void);
enum store_error { STORE_ERROR_OPEN, STORE_ERROR_VERSION, STORE_ERROR_SQL };

struct store;

/* A viewer's right to come back to its session without the password, after a restart. */
struct store_token {
	uint64_t session;
	char hash[65]; /* SHA-256 of the token, hexadecimal */
	char client[CORE_ADDR_MAX];
	char seat[CORE_MAC_MAX];
};

#define STORE_SEAT_NAME_MAX 84 /* bytes with the terminator */

/* A client PC as it has been seen, and as an admin has named it. Times: Unix ms, 0 = never. */
struct store_seat {
	char mac[CORE_MAC_MAX];
	char name[STORE_SEAT_NAME_MAX]; /* "ROOM/NAME"; empty = none */
	char address[CORE_ADDR_MAX];
	char language[8];  /* of its login form; empty = the site's */
	char channel[8];   /* of the PCs' image: "testing"; empty = stable */
	char kernel[161];  /* further options of its kernel */
	char screen[24];   /* the mode that its screen is to have; empty = the screen's own */
	char keyboard[48]; /* its layout; empty = US at the form, the image's own in desktops */
	gboolean approved;
	gint64 first_wall_ms, last_wall_ms;
	guint64 boots;
};

/* Opens or makes the file (mode 0600). A file of an older version of Carrel is brought up to this
 * one, in one transaction; a file of a newer version is refused. */
struct store *store_open(const char *path, GError **error);
void store_close(struct store *store);

/*
 * Gives all rows that still matter, and the counters, to core (core_load_*, not core_load_done);
 * `server` is called for each server with its URI, which core does not keep.
 */
typedef void (*store_server_func)(uint64_t id, const char *name, const char *uri, gpointer data);
gboolean store_load(struct store *store, struct core *core, store_server_func server, gpointer data,
	GError **error);

/* Runs `work` in one transaction: all of it is on the disk when this returns TRUE, or nothing. */
typedef gboolean (*store_work_func)(struct store *store, gpointer data, GError **error);
gboolean store_transaction(
	struct store *store, store_work_func work, gpointer data, GError **error);

/* Write a row; with a NULL row the one of that id is deleted (a session: marked as ended). */
gboolean store_put_server(struct store *store, uint64_t id, const struct core_server *row,
	const char *uri, GError **error);
gboolean store_put_desktop(
	struct store *store, uint64_t id, const struct core_desktop *row, GError **error);
gboolean store_put_volume(
	struct store *store, uint64_t id, const struct core_volume *row, GError **error);
gboolean store_put_session(
	struct store *store, uint64_t id, const struct core_session *row, GError **error);

/* The last ids given of each kind. */
gboolean store_put_counters(
	struct store *store, const struct core_counters *counters, GError **error);

/* A seat's row by its MAC address; NULL deletes it. */
gboolean store_put_seat(
	struct store *store, const char *mac, const struct store_seat *row, GError **error);
typedef void (*store_seat_func)(const struct store_seat *row, gpointer data);
gboolean store_load_seats(struct store *store, store_seat_func seat, gpointer data, GError **error);

/* A PC's last boot as a JSON object, by its MAC address; NULL deletes it. */
gboolean store_boot_put(struct store *store, const char *mac, const json_t *boot, GError **error);
/* A new object of all of them, MAC address -> boot, in the order in which they were put; or NULL.
 */
json_t *store_boot_list(struct store *store, GError **error);

/* Keeps one ledger entry (the newest 1000 are kept); returns a new array of the newest, or NULL. */
gboolean store_ledger_add(struct store *store, const json_t *entry, GError **error);
json_t *store_ledger_list(struct store *store, unsigned limit, GError **error);

/* A session has at most one token: a new one replaces it, an empty hash deletes it. */
gboolean store_token_put(struct store *store, const struct store_token *token, GError **error);
/* FALSE without an error when no session has the token of that hash. */
gboolean store_token_find(
	struct store *store, const char *hash, struct store_token *token, GError **error);

/*
 * What an admin has laid down beside the configuration, as JSON objects: kind "group" or
 * "reservation", by name. A NULL entry deletes the row.
 */
gboolean store_policy_put(struct store *store, const char *kind, const char *name,
	const json_t *entry, GError **error);
/* A new array of all entries of that kind by name, or NULL. */
json_t *store_policy_list(struct store *store, const char *kind, GError **error);

#endif
