/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/api/routes.h"
#include "broker/shared/screen_mode.h"

#include <string.h>

#define USER_MAX (CORE_NAME_MAX - 1)
#define PASSWORD_MAX 1024

static const struct shape_field login_shape[] = {
	{"user", SHAPE_TEXT, USER_MAX, 0},
	{"password", SHAPE_TEXT, PASSWORD_MAX, SHAPE_SECRET | SHAPE_EMPTY},
	{"seat", SHAPE_TEXT, CORE_MAC_MAX - 1, SHAPE_EMPTY},
	{"boot", SHAPE_ARRAY, 64, SHAPE_OPTIONAL},
	{0},
};
static const struct shape_field report_shape[] = {
	{"event", SHAPE_TEXT, 32, 0},
	{"ms", SHAPE_INT, G_MAXINT32, SHAPE_OPTIONAL},
	{0},
};
static const struct shape_field boot_shape[] = {
	{"mac", SHAPE_TEXT, CORE_MAC_MAX - 1, 0},
	{"stage", SHAPE_TEXT, 32, 0},
	{"ms", SHAPE_INT, G_MAXINT32, 0},
	{"bytes", SHAPE_INT, G_MAXINT64, SHAPE_OPTIONAL},
	{"error", SHAPE_TEXT, 99, SHAPE_OPTIONAL | SHAPE_EMPTY},
	{0},
};
static const struct shape_field boot_driver_shape[] = {
	{"mac", SHAPE_TEXT, CORE_MAC_MAX - 1, 0},
	{"driver", SHAPE_TEXT, 47, 0},
	{0},
};
static const struct shape_field user_shape[] = {
	{"user", SHAPE_TEXT, USER_MAX, 0},
	{"password", SHAPE_TEXT, PASSWORD_MAX, SHAPE_SECRET},
	{"full_name", SHAPE_TEXT, USER_MAX, SHAPE_OPTIONAL | SHAPE_EMPTY},
	{0},
};
static const struct shape_field password_shape[] = {
	{"password", SHAPE_TEXT, PASSWORD_MAX, SHAPE_SECRET},
	{0},
};
static const struct shape_field server_shape[] = {
	{"name", SHAPE_TEXT, 63, 0},
	{"uri", SHAPE_TEXT, 511, 0},
	{0},
};
static const struct shape_field drain_shape[] = {
	{"drain", SHAPE_BOOL, 0, 0},
	{0},
};
static const struct shape_field session_move_shape[] = {
	{"server", SHAPE_TEXT, 63, SHAPE_OPTIONAL},
	{"memory_mib", SHAPE_INT, G_MAXINT32, SHAPE_OPTIONAL},
	{0},
};
static const struct shape_field desktop_move_shape[] = {
	{"server", SHAPE_TEXT, 63, SHAPE_OPTIONAL},
	{0},
};
static const struct shape_field resize_shape[] = {
	{"memory_mib", SHAPE_INT, G_MAXINT32, 0},
	{0},
};
static const struct shape_field destroy_shape[] = {
	{"force", SHAPE_BOOL, 0, SHAPE_OPTIONAL},
	{0},
};
static const struct shape_field group_shape[] = {
	{"name", SHAPE_TEXT, 63, 0},
	{"members", SHAPE_ARRAY, 4096, 0},
	{"min_mib", SHAPE_INT, G_MAXINT32, SHAPE_OPTIONAL},
	{"max_mib", SHAPE_INT, G_MAXINT32, SHAPE_OPTIONAL},
	{0},
};
static const struct shape_field members_shape[] = {
	{"members", SHAPE_ARRAY, 4096, 0},
	{0},
};
static const struct shape_field reservation_shape[] = {
	{"group", SHAPE_TEXT, 63, SHAPE_OPTIONAL},
	{"users", SHAPE_ARRAY, 4096, SHAPE_OPTIONAL},
	{"when", SHAPE_TEXT, 64, SHAPE_OPTIONAL},
	{"from", SHAPE_TEXT, 32, SHAPE_OPTIONAL},
	{"until", SHAPE_TEXT, 32, SHAPE_OPTIONAL},
	{"seats", SHAPE_INT, 100000, 0},
	{"min_mib", SHAPE_INT, G_MAXINT32, SHAPE_OPTIONAL},
	{0},
};
static const struct shape_field snapshot_shape[] = {
	{"snapshot", SHAPE_TEXT, 63, 0},
	{0},
};
static const struct shape_field check_shape[] = {
	{"repair", SHAPE_BOOL, 0, SHAPE_OPTIONAL},
	{0},
};
static const struct shape_field grow_shape[] = {
	{"size_mib", SHAPE_INT, 16777216, 0},
	{0},
};
static const struct shape_field export_shape[] = {
	{"file", SHAPE_TEXT, CORE_TEXT_MAX - 1, SHAPE_OPTIONAL},
	{0},
};
static const struct shape_field import_shape[] = {
	{"file", SHAPE_TEXT, CORE_TEXT_MAX - 1, 0},
	{0},
};

static const struct shape_field image_shape[] = {
	{"image", SHAPE_TEXT, CORE_NAME_MAX - 1, 0},
	{0},
};
static const struct shape_field promote_shape[] = {
	{"image", SHAPE_TEXT, CORE_NAME_MAX - 1, 0},
	{"canary", SHAPE_INT, 1000, SHAPE_OPTIONAL},
	{"within", SHAPE_INT, 525600, SHAPE_OPTIONAL},
	{0},
};
static const struct shape_field rollback_shape[] = {
	{"reason", SHAPE_TEXT, 200, SHAPE_OPTIONAL | SHAPE_EMPTY},
	{"image", SHAPE_TEXT, CORE_NAME_MAX - 1, SHAPE_OPTIONAL},
	{0},
};
static const struct shape_field cancel_shape[] = {
	{"image", SHAPE_TEXT, CORE_NAME_MAX - 1, SHAPE_OPTIONAL},
	{0},
};
static const struct shape_field try_shape[] = {
	{"image", SHAPE_TEXT, CORE_NAME_MAX - 1, 0},
	{"members", SHAPE_ARRAY, 4096, SHAPE_OPTIONAL},
	{"group", SHAPE_TEXT, 63, SHAPE_OPTIONAL | SHAPE_EMPTY},
	{0},
};

static const struct shape_field seats_shape[] = {
	{"seats", SHAPE_ARRAY, 4096, 0},
	{0},
};
static const struct shape_field seat_name_shape[] = {
	{"seat", SHAPE_TEXT, CORE_NAME_MAX - 1, 0},
	{"name", SHAPE_TEXT, CORE_NAME_MAX - 1, 0},
	{0},
};
static const struct shape_field seat_import_shape[] = {
	{"seats", SHAPE_ARRAY, 4096, 0},
	{"dry_run", SHAPE_BOOL, 0, SHAPE_OPTIONAL},
	{0},
};

static const struct shape_field hello_shape[] = {
	{"seat", SHAPE_TEXT, CORE_MAC_MAX - 1, 0},
	{"mode", SHAPE_TEXT, SCREEN_MODE_MAX - 1, SHAPE_OPTIONAL | SHAPE_EMPTY},
	{0},
};
static const struct shape_field seat_set_shape[] = {
	{"seats", SHAPE_ARRAY, 4096, 0},
	{"language", SHAPE_TEXT, 7, SHAPE_OPTIONAL | SHAPE_EMPTY},
	{"channel", SHAPE_TEXT, 7, SHAPE_OPTIONAL | SHAPE_EMPTY},
	{"kernel", SHAPE_TEXT, 1000, SHAPE_OPTIONAL | SHAPE_EMPTY},
	{"screen", SHAPE_TEXT, 1000, SHAPE_OPTIONAL | SHAPE_EMPTY},
	{"keyboard", SHAPE_TEXT, 1000, SHAPE_OPTIONAL | SHAPE_EMPTY},
	{0},
};

const struct route routes[] = {
	{DOOR_CLIENT, "GET", "/v1/client/hello", NULL, FALSE, client_hello},
	{DOOR_CLIENT, "POST", "/v1/client/hello", hello_shape, FALSE, client_hello},
	{DOOR_CLIENT, "POST", "/v1/client/login", login_shape, FALSE, client_login},
	{DOOR_CLIENT, "GET", "/v1/client/events", NULL, TRUE, client_events},
	{DOOR_CLIENT, "POST", "/v1/client/report", report_shape, TRUE, client_report},
	{DOOR_CLIENT, "POST", "/v1/client/reconnect", NULL, TRUE, client_reconnect},
	{DOOR_CLIENT, "POST", "/v1/client/move-now", NULL, TRUE, client_move_now},
	{DOOR_CLIENT, "POST", "/v1/client/logout", NULL, TRUE, client_logout},
	{DOOR_REPORT, "POST", "/v1/boot/report", boot_shape, FALSE, boot_report},
	{DOOR_REPORT, "POST", "/v1/boot/driver", boot_driver_shape, FALSE, boot_driver},
	{DOOR_ADMIN, "GET", "/v1/status", NULL, FALSE, admin_status},
	{DOOR_ADMIN, "GET", "/v1/sessions", NULL, FALSE, admin_sessions},
	{DOOR_ADMIN, "DELETE", "/v1/sessions/*", NULL, FALSE, admin_session_end},
	{DOOR_ADMIN, "POST", "/v1/sessions/*/move", session_move_shape, FALSE, admin_session_move},
	{DOOR_ADMIN, "GET", "/v1/users", NULL, FALSE, admin_users},
	{DOOR_ADMIN, "POST", "/v1/users", user_shape, FALSE, admin_user_add},
	{DOOR_ADMIN, "PUT", "/v1/users/*/password", password_shape, FALSE, admin_user_passwd},
	{DOOR_ADMIN, "DELETE", "/v1/users/*", NULL, FALSE, admin_user_del},
	{DOOR_ADMIN, "GET", "/v1/servers", NULL, FALSE, admin_servers},
	{DOOR_ADMIN, "POST", "/v1/servers", server_shape, FALSE, admin_server_add},
	{DOOR_ADMIN, "POST", "/v1/servers/*/drain", drain_shape, FALSE, admin_server_drain},
	{DOOR_ADMIN, "POST", "/v1/servers/*/lost", NULL, FALSE, admin_server_lost},
	{DOOR_ADMIN, "DELETE", "/v1/servers/*", NULL, FALSE, admin_server_remove},
	{DOOR_ADMIN, "GET", "/v1/desktops", NULL, FALSE, admin_desktops},
	{DOOR_ADMIN, "GET", "/v1/desktops/*", NULL, FALSE, admin_desktop},
	{DOOR_ADMIN, "POST", "/v1/desktops/*/move", desktop_move_shape, FALSE, admin_desktop_move},
	{DOOR_ADMIN, "POST", "/v1/desktops/*/resize", resize_shape, FALSE, admin_desktop_move},
	{DOOR_ADMIN, "DELETE", "/v1/desktops/*", destroy_shape, FALSE, admin_desktop_destroy},
	{DOOR_ADMIN, "GET", "/v1/ledger", NULL, FALSE, admin_ledger},
	{DOOR_ADMIN, "POST", "/v1/reload", NULL, FALSE, admin_reload},
	{DOOR_ADMIN, "GET", "/v1/queue", NULL, FALSE, policy_queue},
	{DOOR_ADMIN, "GET", "/v1/groups", NULL, FALSE, policy_groups},
	{DOOR_ADMIN, "POST", "/v1/groups", group_shape, FALSE, policy_group_add},
	{DOOR_ADMIN, "POST", "/v1/groups/*/remove", members_shape, FALSE, policy_group_remove},
	{DOOR_ADMIN, "GET", "/v1/reservations", NULL, FALSE, policy_reservations},
	{DOOR_ADMIN, "POST", "/v1/reservations", reservation_shape, FALSE, policy_reservation_add},
	{DOOR_ADMIN, "DELETE", "/v1/reservations/*", NULL, FALSE, policy_reservation_remove},
	{DOOR_ADMIN, "GET", "/v1/images", NULL, FALSE, image_status},
	{DOOR_ADMIN, "POST", "/v1/images/publish", image_shape, FALSE, image_publish},
	{DOOR_ADMIN, "POST", "/v1/images/promote", promote_shape, FALSE, image_promote},
	{DOOR_ADMIN, "POST", "/v1/images/rollback", rollback_shape, FALSE, image_rollback},
	{DOOR_ADMIN, "POST", "/v1/images/cancel", cancel_shape, FALSE, image_cancel},
	{DOOR_ADMIN, "POST", "/v1/images/sweep", NULL, FALSE, image_sweep},
	{DOOR_ADMIN, "POST", "/v1/images/try", try_shape, FALSE, image_try},
	{DOOR_ADMIN, "DELETE", "/v1/images/trials/*", NULL, FALSE, image_untry},
	{DOOR_ADMIN, "GET", "/v1/volumes", NULL, FALSE, volume_list},
	{DOOR_ADMIN, "GET", "/v1/volumes/*", NULL, FALSE, volume_show},
	{DOOR_ADMIN, "GET", "/v1/volumes/*/work", NULL, FALSE, volume_work},
	{DOOR_ADMIN, "GET", "/v1/volumes/*/log", NULL, FALSE, volume_log},
	{DOOR_ADMIN, "POST", "/v1/volumes/*/snapshot", NULL, FALSE, volume_snapshot},
	{DOOR_ADMIN, "POST", "/v1/volumes/*/drop", snapshot_shape, FALSE, volume_drop},
	{DOOR_ADMIN, "POST", "/v1/volumes/*/restore", snapshot_shape, FALSE, volume_restore},
	{DOOR_ADMIN, "POST", "/v1/volumes/*/check", check_shape, FALSE, volume_check},
	{DOOR_ADMIN, "POST", "/v1/volumes/*/grow", grow_shape, FALSE, volume_grow},
	{DOOR_ADMIN, "POST", "/v1/volumes/*/export", export_shape, FALSE, volume_export},
	{DOOR_ADMIN, "POST", "/v1/volumes/*/import", import_shape, FALSE, volume_import},
	{DOOR_ADMIN, "POST", "/v1/volumes/*/cancel", NULL, FALSE, volume_cancel},
	{DOOR_ADMIN, "DELETE", "/v1/volumes/*", NULL, FALSE, volume_delete},
	{DOOR_ADMIN, "GET", "/v1/seats", NULL, FALSE, seat_list},
	{DOOR_ADMIN, "POST", "/v1/seats/show", seats_shape, FALSE, seat_show},
	{DOOR_ADMIN, "POST", "/v1/seats/name", seat_name_shape, FALSE, seat_name},
	{DOOR_ADMIN, "POST", "/v1/seats/move", seat_name_shape, FALSE, seat_move},
	{DOOR_ADMIN, "POST", "/v1/seats/approve", seats_shape, FALSE, seat_approve},
	{DOOR_ADMIN, "POST", "/v1/seats/forget", seats_shape, FALSE, seat_forget},
	{DOOR_ADMIN, "POST", "/v1/seats/set", seat_set_shape, FALSE, seat_set},
	{DOOR_ADMIN, "POST", "/v1/seats/poweroff", seats_shape, FALSE, seat_poweroff},
	{DOOR_ADMIN, "POST", "/v1/seats/reboot", seats_shape, FALSE, seat_reboot},
	{DOOR_ADMIN, "POST", "/v1/seats/wake", seats_shape, FALSE, seat_wake},
	{DOOR_ADMIN, "POST", "/v1/seats/import", seat_import_shape, FALSE, seat_import},
};
const size_t routes_count = G_N_ELEMENTS(routes);

/* TRUE when `path` has the shape of `pattern`; `param` is set to the text of its "*". */
static gboolean path_fits(const char *pattern, const char *path, char **param)
{
	const char *star = strchr(pattern, '*');

	if (!star)
		return !strcmp(pattern, path);
	size_t before = (size_t)(star - pattern);
	const char *after = star + 1;
	if (strncmp(path, pattern, before) != 0)
		return FALSE;
	size_t length = strcspn(path + before, "/");
	if (!length || strcmp(path + before + length, after) != 0 ||
		!g_utf8_validate(path + before, (gssize)length, NULL))
		return FALSE;
	*param = g_strndup(path + before, length);
	return TRUE;
}

const struct route *route_find(
	enum door door, const char *method, const char *path, char **param, gboolean *allowed)
{
	*param = NULL;
	*allowed = FALSE;
	for (size_t i = 0; i < routes_count; i++) {
		if (routes[i].door != door || !path_fits(routes[i].path, path, param))
			continue;
		if (!strcmp(routes[i].method, method))
			return &routes[i];
		*allowed = TRUE;
		g_clear_pointer(param, g_free);
	}
	return NULL;
}
