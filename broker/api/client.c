/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What viewers and PCs without a viewer ask. */
#include "broker/api/limit.h"
#include "broker/api/routes.h"
#include "broker/api/viewer.h"
#include "broker/daemon/bootwatch.h"
#include "broker/daemon/seat_name.h"
#include "broker/daemon/seats.h"
#include "broker/shared/log.h"

#include <string.h>

#define PENDING_LOGINS 16 /* of one address, those that core has refused included */

static const char *const boot_stages[] = {"kernel", "modules", "network", "fetch", "verify", "root",
	"drivers", "viewer", "failed", NULL};

void client_hello(struct call *call)
{
	const struct broker *broker = call->api->broker;
	const char *seat = shape_text(call->body, "seat");
	static const char *const powers[] = {
		[SEATS_POWER_OFF] = "off", [SEATS_POWER_REBOOT] = "reboot"};
	enum seats_power power;
	char mac[CORE_MAC_MAX] = "";
	const char *screen, *keyboard;
	json_t *answer;

	if (*seat && !seat_mac_read(seat, mac)) {
		http_reply_error(call->request, 400, "bad-request",
			"\"seat\" must be a MAC address such as 52:54:00:77:00:01");
		return;
	}
	if (*mac) {
		seats_seen(broker->seats, mac, http_client(call->request), FALSE);
		seats_shows(broker->seats, mac, shape_text(call->body, "mode"));
		bootwatch_form(broker->boots, mac);
	}
	power = seats_power_wanted(broker->seats, mac);
	answer = json_pack("{s:s, s:s, s:s}", "site", conf_string(broker->conf, CONF_SITE_NAME),
		"language", seats_language(broker->seats, mac), "version", CARREL_VERSION);
	screen = seats_screen(broker->seats, mac);
	if (*screen)
		json_object_set_new(answer, "screen", json_string(screen));
	keyboard = seats_keyboard(broker->seats, mac);
	if (*keyboard)
		json_object_set_new(answer, "keyboard", json_string(keyboard));
	if (power != SEATS_POWER_STAY) {
		log_event(LOG_INFO, "seat-power", "seat", mac, "order", powers[power], NULL);
		json_object_set_new(answer, "power", json_string(powers[power]));
	}
	g_autofree char *refusal =
		*mac ? seats_refusal(broker->seats, mac, http_client(call->request)) : NULL;
	if (refusal)
		json_object_set_new(answer, "held", json_string(refusal));
	http_reply(call->request, 200, answer);
}

static gboolean boot_is_good(const json_t *boot)
{
	size_t i;
	const json_t *item;

	json_array_foreach (boot, i, item) {
		const char *stage = json_string_value(json_object_get(item, "stage"));
		const json_t *ms = json_object_get(item, "ms");

		if (!stage || !g_strv_contains(boot_stages, stage) || !json_is_integer(ms) ||
			json_integer_value(ms) < 0 || json_integer_value(ms) > G_MAXINT32)
			return FALSE;
	}
	return TRUE;
}

void client_login(struct call *call)
{
	const char *client = http_client(call->request);
	const json_t *boot = json_object_get(call->body, "boot");
	struct seats *seats = call->api->broker->seats;
	const char *seat = shape_text(call->body, "seat");
	char mac[CORE_MAC_MAX] = "";

	if (*seat && !seat_mac_read(seat, mac)) {
		http_reply_error(call->request, 400, "bad-request",
			"\"seat\" must be a MAC address such as 52:54:00:77:00:01, or empty");
	} else if (!boot_is_good(boot)) {
		http_reply_error(call->request, 400, "bad-request",
			"\"boot\" must be an array of boot stages with \"stage\" and \"ms\"");
	} else if (viewer_pending(call->api, client) >= PENDING_LOGINS) {
		http_reply_error(call->request, 429, "too-many",
			"too many logins of this PC are waiting for their answer; try again later");
	} else {
		if (*mac)
			seats_seen(seats, mac, client, FALSE);
		g_autofree char *refusal = seats_refusal(seats, mac, client);
		if (refusal) {
			log_event(LOG_WARN, "login-held", "seat", mac, "client", client, NULL);
			http_reply_error(call->request, 403, "held", "%s", refusal);
			return;
		}
		const char *token = viewer_login(call->api, client, shape_text(call->body, "user"),
			(char *)shape_text(call->body, "password"), mac, boot);

		http_reply(call->request, 202, json_pack("{s:s}", "login", token));
	}
}

void client_events(struct call *call)
{
	viewer_open_stream(call->viewer, call->request);
}

static void post(struct call *call, enum core_event_type type)
{
	broker_post(call->api->broker,
		&(struct core_event){.type = type, .login = viewer_id(call->viewer)});
}

void client_report(struct call *call)
{
	const char *event = shape_text(call->body, "event");
	json_int_t ms = json_integer_value(json_object_get(call->body, "ms"));

	if (!strcmp(event, "first-frame")) {
		post(call, CORE_EV_FIRST_FRAME);
	} else if (!strcmp(event, "lost")) {
		log_event(LOG_INFO, "viewer-lost-desktop", "client", http_client(call->request),
			"ms", log_fmt("%d", (int)ms), NULL);
	} else {
		http_reply_error(
			call->request, 400, "bad-request", "\"event\" must be first-frame or lost");
		return;
	}
	http_reply(call->request, 204, NULL);
}

void client_reconnect(struct call *call)
{
	http_reply(call->request, 202, json_object());
	post(call, CORE_EV_RECONNECT);
}

void client_move_now(struct call *call)
{
	http_reply(call->request, 202, json_object());
	post(call, CORE_EV_MOVE_NOW);
}

void client_logout(struct call *call)
{
	http_reply(call->request, 202, json_object());
	post(call, CORE_EV_LOGOUT);
}

void boot_report(struct call *call)
{
	const char *stage = shape_text(call->body, "stage");
	const char *client = http_client(call->request);
	json_int_t ms = json_integer_value(json_object_get(call->body, "ms"));
	char mac[CORE_MAC_MAX];

	if (!seat_mac_read(shape_text(call->body, "mac"), mac) ||
		!g_strv_contains(boot_stages, stage)) {
		http_reply_error(call->request, 400, "bad-request",
			"\"mac\" or \"stage\" is not one of a boot report");
		return;
	}
	/* The first stage that a PC can tell, and tells once a boot. */
	seats_seen(call->api->broker->seats, mac, client, !strcmp(stage, "network"));
	log_event(strcmp(stage, "failed") ? LOG_INFO : LOG_WARN, "boot", "seat", mac, "client",
		client, "stage", stage, "ms", log_fmt("%d", (int)ms), "error",
		shape_text(call->body, "error"), NULL);
	bootwatch_report(call->api->broker->boots, mac, client, stage, (guint)ms,
		(guint64)MAX(json_integer_value(json_object_get(call->body, "bytes")), 0),
		shape_text(call->body, "error"));
	http_reply(call->request, 204, NULL);
}

void boot_driver(struct call *call)
{
	const char *driver = shape_text(call->body, "driver");
	char mac[CORE_MAC_MAX];

	if (!seat_mac_read(shape_text(call->body, "mac"), mac) || !*driver ||
		strspn(driver, G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "_-") != strlen(driver)) {
		http_reply_error(call->request, 400, "bad-request",
			"\"mac\" is no MAC address or \"driver\" no kernel module's name");
		return;
	}
	if (bootwatch_driver(call->api->broker->boots, mac, driver)) {
		http_reply(call->request, 204, NULL);
		return;
	}
	log_event(LOG_WARN, "boot-driver-left", "seat", mac, "client", http_client(call->request),
		"driver", driver, NULL);
	http_reply_error(call->request, 409, "left-alone", "two boots have ended with it");
}
