/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of all requests that carreld answers: which door, which method, which path, what body,
 * which function. docs/protocols.md has the same list in words.
 */
#ifndef CARREL_ROUTES_H
#define CARREL_ROUTES_H

#include "broker/api/http.h"
#include "broker/api/shape.h"
#include "broker/daemon/broker.h"

enum door { DOOR_CLIENT, DOOR_REPORT, DOOR_ADMIN };

struct limit;
struct viewer;

struct api {
	struct broker *broker;          /* borrowed */
	struct http_server *servers[3]; /* owned, by door */
	struct limit *limit;            /* owned */
	GHashTable *viewers;            /* login id -> struct viewer, owned */
	guint64 last_login;
	guint keepalive;
};

/* One request on its way through a handler. */
struct call {
	struct api *api;              /* borrowed */
	struct http_request *request; /* borrowed */
	json_t *body;                 /* borrowed; an object that fits the route's shape */
	const char *param;            /* what stands for the * in the path, or NULL; borrowed */
	struct viewer *viewer;        /* whose token it is; NULL where none is asked for */
};

struct route {
	enum door door;
	const char *method;
	const char *path;                /* one segment may be "*" */
	const struct shape_field *shape; /* NULL: no body */
	gboolean token;                  /* only with a viewer's token */
	void (*handle)(struct call *call);
};

extern const struct route routes[];
extern const size_t routes_count;

/*
 * Finds the route of a request. `param` (the caller frees it) is the text of the path's "*", or
 * NULL. Without a route, `allowed` says whether the path exists with another method.
 */
const struct route *route_find(
	enum door door, const char *method, const char *path, char **param, gboolean *allowed);

/* Answers with a BROKER_ERROR (or 500 for another one); `unknown` is the code for what is not
 * there. */
void call_failed(struct call *call, const GError *error, const char *unknown);

/* Handlers; client.c, admin.c, desktop.c, policy.c, image.c, volume.c and seat.c. */
void client_hello(struct call *call);
void client_login(struct call *call);
void client_events(struct call *call);
void client_report(struct call *call);
void client_reconnect(struct call *call);
void client_move_now(struct call *call);
void client_logout(struct call *call);
void boot_report(struct call *call);
void boot_driver(struct call *call);
void admin_status(struct call *call);
void admin_sessions(struct call *call);
void admin_session_end(struct call *call);
void admin_session_move(struct call *call);
void admin_users(struct call *call);
void admin_user_add(struct call *call);
void admin_user_passwd(struct call *call);
void admin_user_del(struct call *call);
void admin_servers(struct call *call);
void admin_server_add(struct call *call);
void admin_server_drain(struct call *call);
void admin_server_lost(struct call *call);
void admin_server_remove(struct call *call);
void admin_desktops(struct call *call);
void admin_desktop(struct call *call);
void admin_desktop_move(struct call *call);
void admin_desktop_destroy(struct call *call);
void admin_ledger(struct call *call);
void admin_reload(struct call *call);
void policy_queue(struct call *call);
void policy_groups(struct call *call);
void policy_group_add(struct call *call);
void policy_group_remove(struct call *call);
void policy_reservations(struct call *call);
void policy_reservation_add(struct call *call);
void policy_reservation_remove(struct call *call);
void image_status(struct call *call);
void image_publish(struct call *call);
void image_promote(struct call *call);
void image_rollback(struct call *call);
void image_cancel(struct call *call);
void image_sweep(struct call *call);
void image_try(struct call *call);
void image_untry(struct call *call);
void volume_list(struct call *call);
void volume_show(struct call *call);
void volume_work(struct call *call);
void volume_log(struct call *call);
void volume_snapshot(struct call *call);
void volume_drop(struct call *call);
void volume_restore(struct call *call);
void volume_check(struct call *call);
void volume_grow(struct call *call);
void volume_export(struct call *call);
void volume_import(struct call *call);
void volume_cancel(struct call *call);
void volume_delete(struct call *call);
void seat_list(struct call *call);
void seat_show(struct call *call);
void seat_name(struct call *call);
void seat_move(struct call *call);
void seat_approve(struct call *call);
void seat_forget(struct call *call);
void seat_set(struct call *call);
void seat_poweroff(struct call *call);
void seat_reboot(struct call *call);
void seat_wake(struct call *call);
void seat_import(struct call *call);

#endif
