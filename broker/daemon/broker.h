/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The broker: what lives in the main loop around the pure core. Everything here happens in one
 * thread.
 *
 *   API, workers, agents, helpers, timer --broker_post--> core_step --> dispatch.c --> effects
 *
 * A step's rows are stored first, in one transaction, then its effects are begun. When they cannot
 * be stored the broker stops (exit status 1) and leaves every desktop running: nothing is done that
 * a restart would not know of.
 */
#ifndef CARREL_BROKER_H
#define CARREL_BROKER_H

#include <glib.h>

#include "broker/core/core.h"
#include "broker/daemon/helper.h"
#include "broker/shared/conf.h"
#include "broker/store/store.h"

struct agents;
struct api;
struct bootwatch;
struct channels;
struct clientimage;
struct fences;
struct ledger;
struct policies;
struct seats;
struct volumes;
struct worker;

struct broker {
	char *conf_path;   /* owned */
	struct conf *conf; /* owned; replaced by a reload */
	struct core_config config;
	struct core *core;               /* owned */
	struct store *store;             /* owned */
	GMainLoop *loop;                 /* owned */
	struct helper *netd;             /* owned */
	struct helper *authd;            /* owned */
	struct ledger *ledger;           /* owned */
	struct agents *agents;           /* owned */
	struct policies *policies;       /* owned; groups and reservations */
	struct channels *channels;       /* owned; versions of the image */
	struct volumes *volumes;         /* owned; work on volumes */
	struct seats *seats;             /* owned; the PCs */
	struct bootwatch *boots;         /* owned; how they booted */
	struct clientimage *clientimage; /* owned; versions of what they boot */
	struct api *api;                 /* owned; NULL until it listens */
	struct fences *fences;           /* owned */
	GHashTable *workers;             /* server id -> struct worker, owned */
	GHashTable *uris;                /* server name -> URI, owned strings */
	GHashTable *tickets;             /* session id -> one-time ticket, owned, wiped */
	char *worker_program;            /* owned; path of carrel-virtd */
	GQueue events;                   /* of struct core_event, owned */
	struct core_actions actions;
	gboolean stepping, stopping;
	guint timer;      /* for the next deadline; 0 = none */
	guint netd_setup; /* timer until carrel-netd is asked for its set-up again; 0 = none */
	int exit_status;
};

/* Reads the configuration, opens the store and loads it; starts nothing. */
struct broker *broker_new(const char *conf_path, GError **error);
/* Starts workers and helpers, then carries out what core wants after loading. */
void broker_start(struct broker *broker);
/* Frees all, in the reverse order; desktops go on running. NULL is allowed. */
void broker_free(struct broker *broker);

/* Hands an event to core (copied; its times are filled in here) and carries out what follows. */
void broker_post(struct broker *broker, const struct core_event *event);

/* Reads carrel.conf again; with a mistake in it nothing changes. */
gboolean broker_reload(struct broker *broker, GError **error);

/* Ends the main loop. */
void broker_stop(struct broker *broker, int exit_status);

/*
 * Servers. The remedy of a refusal is in the error's text. Adding stores the server and starts its
 * worker; removing is refused while users have desktops on it, or while it is up and has any.
 */
#define BROKER_ERROR (broker_error_quark())
GQuark broker_error_quark(void);
enum broker_error {
	BROKER_ERROR_INVALID,
	BROKER_ERROR_EXISTS,
	BROKER_ERROR_BUSY,
	BROKER_ERROR_UNKNOWN
};
/* Sets the error; FALSE. */
gboolean broker_refuse(GError **error, enum broker_error code, const char *format, ...)
	G_GNUC_PRINTF(3, 4);
gboolean broker_server_add(
	struct broker *broker, const char *name, const char *uri, GError **error);
gboolean broker_server_drain(
	struct broker *broker, const char *name, gboolean drain, GError **error);
gboolean broker_server_remove(struct broker *broker, const char *name, GError **error);
/* An admin says that a server's power is off, and that none of its VMs runs any more: they are
 * gone. Refused (BUSY) while the server answers. */
gboolean broker_server_lost(struct broker *broker, const char *name, GError **error);

/*
 * Moves a session to another desktop, on `server` (NULL = where it fits best) of `memory_mib` (0 =
 * as it is). BUSY says why that cannot be done now, UNKNOWN that there is no such session or
 * server.
 */
gboolean broker_session_move(struct broker *broker, guint64 session, const char *server,
	guint32 memory_mib, GError **error);
/* Destroys a desktop; the session that has it ends. */
gboolean broker_desktop_discard(struct broker *broker, guint64 desktop, GError **error);

/* CLOCK_BOOTTIME in ms, core's clock. */
gint64 broker_now_ms(void);

#endif
