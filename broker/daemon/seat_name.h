/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How seats are written: MAC addresses, names, and what stands for several of them. */
#ifndef CARREL_SEAT_NAME_H
#define CARREL_SEAT_NAME_H

#include <glib.h>

#define SEAT_MAC_MAX 18  /* "52:54:00:77:00:01" with the terminator */
#define SEAT_PART_MAX 40 /* bytes of a room's or a seat's own name */
#define SEAT_NAME_MAX (2 * SEAT_PART_MAX + 4)

/* What a person writes for one seat or several. */
struct seat_ref {
	enum { SEAT_REF_MAC, SEAT_REF_NAME, SEAT_REF_RANGE, SEAT_REF_PATTERN } kind;
	char text[SEAT_NAME_MAX]; /* canonical: lower case MAC address, composed name */
	guint64 first, last;      /* of a range */
};

/* Six pairs of hexadecimal digits with ':' or '-' between them; written with ':', lower case. */
gboolean seat_mac_read(const char *text, char mac[SEAT_MAC_MAX]);

/*
 * A seat's name, "ROOM/NAME": letters and digits of any script, '-', '_' and '.', each part at most
 * SEAT_PART_MAX bytes and begun by a letter or digit; NAME is not two numbers with '-' between
 * them, which are a range. Returns NULL with `name` composed (NFC), or what is wrong, which the
 * caller frees.
 */
char *seat_name_read(const char *text, char name[SEAT_NAME_MAX]);

/*
 * A MAC address, ROOM/NAME, the range ROOM/1-30 (of seats whose own name is such a number), or a
 * name with '*' and '?'. Returns NULL, or what is wrong, which the caller frees.
 */
char *seat_ref_read(const char *text, struct seat_ref *ref);
/* Is it the seat of that MAC address and name ("": it has none)? */
gboolean seat_ref_fits(const struct seat_ref *ref, const char *mac, const char *name);

#endif
