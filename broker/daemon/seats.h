/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Seats: the client PCs, known by their MAC addresses. One is in the list from its first boot
 * report or login on, or because an admin has named it. Core knows of a seat only what a login
 * says; groups and trials that name seats are told to it as MAC addresses (policies.c).
 * docs/seats.md.
 *
 * What an admin does is stored before it holds. What is only seen (addresses, times, boots) is
 * stored every few seconds, and seats that nobody has named or approved are at most SEATS_UNKNOWN:
 * beyond that the one that was not seen for the longest is forgotten. So whoever invents addresses
 * fills neither memory nor disk.
 *
 * References are texts as seat_name.h has them. Refusals are BROKER_ERROR; their text has the
 * remedy. Objects are the JSON of the admin API (docs/protocols.md).
 */
#ifndef CARREL_SEATS_H
#define CARREL_SEATS_H

#include <glib.h>
#include <jansson.h>

#define SEATS_UNKNOWN 1024

struct broker;
struct seats;
struct store_seat;

enum seats_power { SEATS_POWER_STAY, SEATS_POWER_OFF, SEATS_POWER_REBOOT };

/* Reads the store. `broker` is borrowed. NULL with an error when the store cannot be read. */
struct seats *seats_new(struct broker *broker, GError **error);
/* Stores what is not stored yet. NULL is allowed. */
void seats_free(struct seats *seats);

/* A PC was heard of; `mac` is a whole one in lower case; `boot`: it has just booted. */
void seats_seen(struct seats *seats, const char *mac, const char *client, gboolean boot);
/* The name of the PC, or its MAC address where it has none; borrowed, as `mac` is. */
const char *seats_place(const struct seats *seats, const char *mac);
/* The language of the login form there; borrowed. */
const char *seats_language(const struct seats *seats, const char *mac);
/* The mode that the screen there is to have, "" = its own; borrowed. */
const char *seats_screen(const struct seats *seats, const char *mac);
/* The keyboard there (broker/shared/keyboard.h), "" = none is set; borrowed. */
const char *seats_keyboard(const struct seats *seats, const char *mac);
/* The desktop of the user there could not take `keyboard`: its `image` lacks the layout, or the
 * agent that sets it; "", "": it could. Shown as long as the seat has that keyboard set. */
void seats_keyboard_refused(
	struct seats *seats, const char *mac, const char *keyboard, const char *image);
/* The viewer there says which mode it has; what is none is not taken. */
void seats_shows(struct seats *seats, const char *mac, const char *mode);
/* Why nobody may log in there, a sentence for the form that the caller frees; NULL: one may. */
char *seats_refusal(const struct seats *seats, const char *mac, const char *client);

/* How many PCs wait for approval; 0 where [seats] unknown lets all in. */
guint seats_waiting(const struct seats *seats);

/* The seats that `references` (texts; NULL = all) mean, by name, those without one last: a new
 * array, or NULL with `error` when one means none. */
json_t *seats_json(struct seats *seats, const json_t *references, GError **error);

/* The same with each one's last boot as "boot" (boots.h), null: none is known. */
json_t *seats_show(struct seats *seats, const json_t *references, GError **error);

/* Is `reference` one, and is there such a seat? */
gboolean seats_check(const struct seats *seats, const char *reference, GError **error);
/* Calls `each` for every seat, in no order. */
typedef void (*seats_row_func)(const struct store_seat *row, gpointer data);
void seats_each(const struct seats *seats, seats_row_func each, gpointer data);
/* `members` with the MAC addresses of seats where they are named: a new array. */
json_t *seats_resolve(const struct seats *seats, const json_t *members);

/*
 * Each returns the seats that were changed, as seats_json does.
 * seats_name gives a name that no other seat has, also to a PC that was never heard of; seats_move
 * takes the name away from the PC that has it.
 */
json_t *seats_name(struct seats *seats, const char *reference, const char *name, GError **error);
json_t *seats_move(struct seats *seats, const char *reference, const char *name, GError **error);
json_t *seats_approve(struct seats *seats, const json_t *references, GError **error);
json_t *seats_forget(struct seats *seats, const json_t *references, GError **error);
/* Gives each the settings in `values`, an object of texts (seats_settings.c); "" takes one away,
 * what is not in it stays. */
json_t *seats_set(
	struct seats *seats, const json_t *references, const json_t *values, GError **error);

/*
 * Has each switch itself off, or boot again, when its viewer asks next, which it does at its login
 * form when it is knocked at, and at least once a minute. Refused (BUSY) when somebody sits at one
 * of them.
 */
json_t *seats_power(
	struct seats *seats, const json_t *references, enum seats_power power, GError **error);
/* What the PC that asks is to do now. */
enum seats_power seats_power_wanted(const struct seats *seats, const char *mac);
/* The session of the user who sat there has ended: by policy the PC is to switch itself off. */
void seats_session_ended(struct seats *seats, const char *mac);

/* Sends each a Wake-on-LAN packet; whether one starts shows in its next boot report. */
json_t *seats_wake(struct seats *seats, const json_t *references, GError **error);

/*
 * Names many seats at once, all or none: `rows` are objects with "mac", "name", settings (may be
 * missing: as they are) and "line" (by which it is called when it is wrong). Returns {"added",
 * "changed", "same"}, numbers; with `dry_run` nothing is done.
 */
json_t *seats_import(struct seats *seats, const json_t *rows, gboolean dry_run, GError **error);

#endif
