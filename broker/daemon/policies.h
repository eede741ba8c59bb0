/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Groups and reservations as an admin has laid them down, stored; and the calendar: core is told of
 * the reservations that are in force, each time that one begins or ends. docs/policy.md.
 *
 * Objects here are the JSON of the admin API (docs/protocols.md). Refusals are BROKER_ERROR; their
 * text has the remedy. Nothing is kept that could not be stored.
 */
#ifndef CARREL_POLICIES_H
#define CARREL_POLICIES_H

#include <glib.h>
#include <jansson.h>

struct broker;
struct policies;

/* Reads the store. `broker` is borrowed. NULL with an error when the store cannot be read. */
struct policies *policies_new(struct broker *broker, GError **error);
void policies_free(struct policies *policies); /* NULL is allowed */

/* Tells core of all that holds now, and sets the clock for the next change. */
void policies_apply(struct policies *policies);

/*
 * Makes a group, or adds members to one that is there. `members`: texts, user names or MAC
 * addresses, with '*' and '?'. Sizes in MiB: 0 = no limit, negative = as it was. Returns the group,
 * a new reference.
 */
json_t *policies_group_add(struct policies *policies, const char *name, const json_t *members,
	gint64 min_mib, gint64 max_mib, GError **error);
/* Takes members out of a group; all of it with an empty `members`. */
gboolean policies_group_remove(
	struct policies *policies, const char *name, const json_t *members, GError **error);
json_t *policies_groups(struct policies *policies); /* an array, a new reference */

/*
 * Makes a reservation of {"group" | "users", "when" | "from" and "until", "seats", "min_mib"}.
 * Returns it, with "warnings" (texts); a new reference.
 */
json_t *policies_reservation_add(struct policies *policies, const json_t *body, GError **error);
gboolean policies_reservation_remove(struct policies *policies, guint64 id, GError **error);
/* An array, a new reference; each with "in_force" and "filled" besides. */
json_t *policies_reservations(struct policies *policies);

/*
 * The members that are meant, in their canonical form: `members` (texts; NULL or empty = none) or,
 * with a `group` that is not "", none but that there is such a group. A new array, or NULL with
 * `error`.
 */
json_t *policies_members(
	struct policies *policies, const json_t *members, const char *group, GError **error);

/* What does not fit the configuration or the servers any more, as texts added to `list`. */
void policies_warn(struct policies *policies, json_t *list);

#endif
