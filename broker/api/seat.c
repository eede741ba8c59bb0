/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The seats, as the `carrel` command asks for them. */
#include "broker/api/routes.h"
#include "broker/daemon/seats.h"

/* Answers with a list of seats, whose reference is taken over; without one with `error`. */
static void reply_list(struct call *call, json_t *list, const GError *error)
{
	if (list)
		http_reply(call->request, 200, json_pack("{s:o}", "seats", list));
	else
		call_failed(call, error, "unknown-seat");
}

/* Answers with what `act` makes of the seats that the body names. */
static void reply_of(struct call *call,
	json_t *(*act)(struct seats *seats, const json_t *references, GError **error))
{
	g_autoptr(GError) error = NULL;
	json_t *list = act(call->api->broker->seats, json_object_get(call->body, "seats"), &error);

	reply_list(call, list, error);
}

/* The same of the one seat and the name in the body. */
static void reply_named(
	struct call *call, json_t *(*act)(struct seats *seats, const char *reference,
				   const char *name, GError **error))
{
	g_autoptr(GError) error = NULL;
	json_t *list = act(call->api->broker->seats, shape_text(call->body, "seat"),
		shape_text(call->body, "name"), &error);

	reply_list(call, list, error);
}

void seat_list(struct call *call)
{
	g_autoptr(GError) error = NULL;

	reply_list(call, seats_json(call->api->broker->seats, NULL, &error), error);
}

void seat_show(struct call *call)
{
	reply_of(call, seats_show);
}

void seat_name(struct call *call)
{
	reply_named(call, seats_name);
}

void seat_move(struct call *call)
{
	reply_named(call, seats_move);
}

void seat_approve(struct call *call)
{
	reply_of(call, seats_approve);
}

void seat_forget(struct call *call)
{
	reply_of(call, seats_forget);
}

void seat_wake(struct call *call)
{
	reply_of(call, seats_wake);
}

void seat_set(struct call *call)
{
	g_autoptr(GError) error = NULL;
	json_t *list = seats_set(
		call->api->broker->seats, json_object_get(call->body, "seats"), call->body, &error);

	reply_list(call, list, error);
}

static void power(struct call *call, enum seats_power order)
{
	g_autoptr(GError) error = NULL;
	json_t *list = seats_power(
		call->api->broker->seats, json_object_get(call->body, "seats"), order, &error);

	reply_list(call, list, error);
}

void seat_poweroff(struct call *call)
{
	power(call, SEATS_POWER_OFF);
}

void seat_reboot(struct call *call)
{
	power(call, SEATS_POWER_REBOOT);
}

void seat_import(struct call *call)
{
	g_autoptr(GError) error = NULL;
	json_t *done = seats_import(call->api->broker->seats, json_object_get(call->body, "seats"),
		json_is_true(json_object_get(call->body, "dry_run")), &error);

	if (done)
		http_reply(call->request, 200, done);
	else
		call_failed(call, error, "unknown-seat");
}
