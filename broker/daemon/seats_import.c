/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many seats named at once. */
#include "broker/daemon/seats_internal.h"

#include <string.h>

/* One row of an import, as a whole row of the list; FALSE: `error` names the line. */
static gboolean import_row(const struct seats *seats, const json_t *item, struct store_seat *row,
	gint line, GError **error)
{
	const char *mac = json_string_value(json_object_get(item, "mac"));
	const char *text = json_string_value(json_object_get(item, "name"));
	g_autofree char *problem = NULL;
	char name[SEAT_NAME_MAX];

	*row = (struct store_seat){0};
	if (!mac || !seat_mac_read(mac, row->mac))
		return broker_refuse(error, BROKER_ERROR_INVALID,
			"line %d: \"%s\" is no MAC address; write it as 52:54:00:77:00:01", line,
			mac ? mac : "");
	problem = seat_name_read(text ? text : "", name);
	if (problem)
		return broker_refuse(error, BROKER_ERROR_INVALID, "line %d: %s", line, problem);
	const struct seat *seat = g_hash_table_lookup(seats->all, row->mac);
	if (seat)
		*row = seat->row;
	if (!seats_settings_take(row, item, error)) {
		g_prefix_error(error, "line %d: ", line);
		return FALSE;
	}
	g_strlcpy(row->name, name, sizeof(row->name));
	row->approved = TRUE;
	return TRUE;
}

/* FALSE when `text` was in an earlier line. */
static gboolean is_first(GHashTable *lines, const char *text, gint line, GError **error)
{
	gpointer before = g_hash_table_lookup(lines, text);

	if (before)
		return broker_refuse(error, BROKER_ERROR_INVALID,
			"line %d: %s is in line %d already", line, text, GPOINTER_TO_INT(before));
	g_hash_table_insert(lines, g_strdup(text), GINT_TO_POINTER(line));
	return TRUE;
}

/* A name of the file that a seat has which is not in the file. */
static gboolean names_are_free(
	const struct seats *seats, const GArray *rows, GHashTable *lines, GError **error)
{
	for (guint i = 0; i < rows->len; i++) {
		const struct store_seat *row = &g_array_index(rows, struct store_seat, i);
		const struct seat *holder = g_hash_table_lookup(seats->names, row->name);

		if (holder && !g_hash_table_contains(lines, holder->row.mac))
			return broker_refuse(error, BROKER_ERROR_EXISTS,
				"line %d: %s is the name of %s, which is not in the file; put it "
				"there too, or \"carrel seat forget %s\" first",
				GPOINTER_TO_INT(g_hash_table_lookup(lines, row->mac)), row->name,
				holder->row.mac, holder->row.mac);
	}
	return TRUE;
}

json_t *seats_import(struct seats *seats, const json_t *rows, gboolean dry_run, GError **error)
{
	g_autoptr(GHashTable) lines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GArray) wanted = g_array_new(FALSE, FALSE, sizeof(struct store_seat));
	json_int_t added = 0, changed = 0, same = 0;
	size_t i;
	const json_t *item;

	json_array_foreach (rows, i, item) {
		json_int_t said = json_integer_value(json_object_get(item, "line"));
		gint line = said > 0 && said <= G_MAXINT ? (gint)said : (gint)i + 1;
		struct store_seat row;

		if (!import_row(seats, item, &row, line, error) ||
			!is_first(lines, row.mac, line, error) ||
			!is_first(lines, row.name, line, error))
			return NULL;
		const struct seat *seat = g_hash_table_lookup(seats->all, row.mac);
		gboolean other = seat && (strcmp(seat->row.name, row.name) != 0 ||
						 !seats_settings_same(&seat->row, &row));
		*(!seat ? &added : other ? &changed : &same) += 1;
		g_array_append_val(wanted, row);
	}
	if (!names_are_free(seats, wanted, lines, error) ||
		!seats_kernels_fit(seats, wanted, error))
		return NULL;
	if (!dry_run && wanted->len &&
		!seats_change(seats, &(struct seats_change){.rows = wanted}, error))
		return NULL;
	return json_pack("{s:I, s:I, s:I}", "added", added, "changed", changed, "same", same);
}
