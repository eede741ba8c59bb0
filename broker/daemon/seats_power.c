/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCs are switched on by a packet, and off by themselves: their viewer asks at its login form, when
 * it is knocked at and at least once a minute, and is told. An order that nobody asks for in time
 * is void, and so is one to a PC that has booted since.
 */
#include "broker/daemon/daily.h"
#include "broker/daemon/seats_internal.h"
#include "broker/daemon/wake.h"
#include "broker/shared/log.h"

#include <string.h>

#define POWER_MS 300000   /* that an order is good for */
#define NIGHT_MS 21600000 /* the same of the one that all get at night */

static void order(struct seats *seats, struct seat *seat, enum seats_power power, gint64 life_ms)
{
	seat->power = power;
	seat->power_until_ms = broker_now_ms() + life_ms;
	seats_knock(seats, seat);
}

/* Has the time come at which PCs switch themselves off? */
gboolean seats_on_clock(gpointer data)
{
	struct seats *seats = data;
	gint64 minutes = conf_int(seats->broker->conf, CONF_SEATS_POWER_OFF);
	gint64 now = g_get_real_time() / G_USEC_PER_SEC;
	GHashTableIter iter;
	gpointer value;

	if (minutes >= 0 && daily_is_due((guint)minutes, seats->looked, now)) {
		log_event(LOG_INFO, "seats-night", NULL);
		g_hash_table_iter_init(&iter, seats->all);
		while (g_hash_table_iter_next(&iter, NULL, &value))
			order(seats, value, SEATS_POWER_OFF, NIGHT_MS);
	}
	seats->looked = now;
	return G_SOURCE_CONTINUE;
}

json_t *seats_power(
	struct seats *seats, const json_t *references, enum seats_power power, GError **error)
{
	g_autoptr(GPtrArray) found = seats_find(seats, references, error);

	for (guint i = 0; found && i < found->len; i++) {
		const struct seat *seat = found->pdata[i];
		const char *user = seats_user(seats, seat->row.mac);

		if (!*user)
			continue;
		broker_refuse(error, BROKER_ERROR_BUSY,
			"%s sits at %s; \"carrel session end %s\" first, or leave that seat out",
			user, seat->row.name[0] ? seat->row.name : seat->row.mac, user);
		return NULL;
	}
	for (guint i = 0; found && i < found->len; i++)
		order(seats, found->pdata[i], power, POWER_MS);
	return found ? seats_list(seats, found) : NULL;
}

enum seats_power seats_power_wanted(const struct seats *seats, const char *mac)
{
	const struct seat *seat = g_hash_table_lookup(seats->all, mac);

	return seat && broker_now_ms() < seat->power_until_ms ? seat->power : SEATS_POWER_STAY;
}

void seats_session_ended(struct seats *seats, const char *mac)
{
	struct seat *seat = g_hash_table_lookup(seats->all, mac);

	if (seat && !strcmp(conf_string(seats->broker->conf, CONF_SEATS_POWER_OFF), "session"))
		order(seats, seat, SEATS_POWER_OFF, POWER_MS);
}

json_t *seats_wake(struct seats *seats, const json_t *references, GError **error)
{
	g_autoptr(GPtrArray) found = seats_find(seats, references, error);
	g_autoptr(GPtrArray) macs = g_ptr_array_new();
	guint32 address, mask;

	if (!found)
		return NULL;
	for (guint i = 0; i < found->len; i++) {
		struct seat *seat = found->pdata[i];

		g_ptr_array_add(macs, seat->row.mac);
		log_event(LOG_INFO, "seat-wake", "seat", seat->row.mac, NULL);
	}
	g_ptr_array_add(macs, NULL);
	conf_cidr(seats->broker->conf, CONF_NETWORK_CLIENT_ADDRESS, &address, &mask);
	return wake_send((const char *const *)macs->pdata, address, mask, error)
		       ? seats_list(seats, found)
		       : NULL;
}
