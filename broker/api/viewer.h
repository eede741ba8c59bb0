/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A viewer's login: its token, its event stream, its password until carrel-authd has it. Core knows
 * it by its login id.
 *
 * Its life: login -> (event stream opened, lost and opened again within GRACE) -> over. A stream
 * that stays away longer is CORE_EV_VIEWER_GONE. A viewer whose session has a desktop may come back
 * with its token even after that, and after a restart of carreld: the token's hash is in the store
 * as long as the session is this viewer's.
 */
#ifndef CARREL_VIEWER_H
#define CARREL_VIEWER_H

#include "broker/api/routes.h"

struct viewer;

GHashTable *viewer_table_new(void);

/* A new login; its password is copied and wiped as soon as it is handed on. Returns the token. */
const char *viewer_login(struct api *api, const char *client, const char *user, char *password,
	const char *seat, const json_t *boot);

/* How many logins of this address have no answer yet, or nobody who listens to it. */
unsigned viewer_pending(struct api *api, const char *client);

/*
 * Whose token it is; it is good only from the address that it was given to. A viewer that core has
 * forgotten, though its session lives, is made again from the store, and core hears that it is
 * back.
 */
struct viewer *viewer_find(struct api *api, const char *token, const char *client);

guint64 viewer_id(const struct viewer *viewer);
void viewer_open_stream(struct viewer *viewer, struct http_request *request);

/* Carry out core's actions; a login that is not known is ignored. */
void viewer_authenticate(struct api *api, guint64 login);
void viewer_tell_stage(
	struct api *api, guint64 login, const char *stage, unsigned percent, const char *message);
/* Of stage "queued"; minutes 0 = there is no estimate. */
void viewer_tell_queued(struct api *api, guint64 login, unsigned percent, unsigned position,
	unsigned minutes, const char *message);
/* `step` is announced (it begins in ms; 0 = at once), moving or cancelled. Sizes in MiB. */
void viewer_tell_handoff(struct api *api, guint64 login, const char *step, guint32 ms,
	guint32 from_mib, guint32 size_mib, const char *text);
void viewer_tell_ready(struct api *api, guint64 login, guint64 session, unsigned port,
	const char *ticket, const char *tls_name);
/* `event` is refused, moved or ended; the login is over. */
void viewer_tell_over(
	struct api *api, guint64 login, const char *event, const char *code, const char *message);

/* A comment on every stream: keeps it alive, and finds the dead ones. */
void viewer_keepalive(struct api *api);

#endif
