/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the list of seats share: seats.c has it, seats_import.c and seats_power.c work
 * on it. */
#ifndef CARREL_SEATS_INTERNAL_H
#define CARREL_SEATS_INTERNAL_H

#include "broker/daemon/broker.h"
#include "broker/daemon/seat_name.h"
#include "broker/daemon/seats.h"
#include "broker/shared/keyboard.h"
#include "broker/shared/screen_mode.h"

struct seat {
	struct store_seat row;
	gboolean stored;             /* is there a row of it in the store? */
	enum seats_power power;      /* what it is to do; not stored */
	gint64 power_until_ms;       /* of broker_now_ms */
	gint64 noted_wall_ms;        /* when it was last put among those to be stored */
	char shown[SCREEN_MODE_MAX]; /* the mode that its viewer has said; not stored */
	/* A keyboard that a desktop there could not take, and its image; not stored. */
	char refused[KEYBOARD_MAX], refused_by[CORE_NAME_MAX];
};

struct seats {
	struct broker *broker; /* borrowed */
	GHashTable *all;       /* MAC address -> struct seat, owned */
	GHashTable *names;     /* name -> struct seat, borrowed */
	GHashTable *changed;   /* MAC addresses (owned) whose rows the store does not have so */
	guint unknown;         /* neither named nor approved */
	GPtrArray *knocks;     /* addresses (owned) of PCs for which there is something new */
	guint timer, clock, knocking;
	gint64 looked; /* at the clock, Unix seconds */
};

/* What an admin wants: rows that are to be so, and MAC addresses that are to be forgotten. */
struct seats_change {
	const GArray *rows;    /* of struct store_seat */
	const GPtrArray *gone; /* of texts; NULL = none */
};

/* All of it is stored and holds, or nothing, with an error. Then what a name means is told to core.
 */
gboolean seats_change(struct seats *seats, struct seats_change *change, GError **error);

/* The seats (borrowed) that `references` mean, in order; NULL with an error. */
GPtrArray *seats_find(const struct seats *seats, const json_t *references, GError **error);
/* What an admin sees of such a list: a new array. */
json_t *seats_list(const struct seats *seats, const GPtrArray *list);

/* Gives the row the settings that are in `values`, texts; what is not in it stays. */
gboolean seats_settings_take(struct store_seat *row, const json_t *values, GError **error);
/* Adds them all to `object`. */
void seats_settings_json(const struct store_seat *row, json_t *object);
/* From the one to the other, which then has them alone. */
void seats_settings_move(struct store_seat *from, struct store_seat *to);
gboolean seats_settings_same(const struct store_seat *a, const struct store_seat *b);
/* Would there still be few enough different kernel options with these rows? */
gboolean seats_kernels_fit(const struct seats *seats, const GArray *rows, GError **error);

/* Who has a session at the PC now, or ""; borrowed. */
const char *seats_user(const struct seats *seats, const char *mac);

/* There is something new for the PC there: has it ask, if it is on. */
void seats_knock(struct seats *seats, const struct seat *seat);

/* Each CLOCK_S seconds: has the time come at which PCs switch themselves off? */
gboolean seats_on_clock(gpointer data);

#endif
