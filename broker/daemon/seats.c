/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/seats_internal.h"

#include "broker/daemon/bootwatch.h"
#include "broker/daemon/clientimage.h"
#include "broker/daemon/knock.h"
#include "broker/daemon/policies.h"
#include "broker/shared/log.h"

#include <string.h>

#define CLOCK_S 20
#define STORE_S 5      /* what was seen is on the disk after so long */
#define ON_MS 180000   /* a PC that was heard of so lately is on: its viewer asks once a minute */
#define NOTE_MS 600000 /* a PC that only shows that it is on is stored so often */

G_STATIC_ASSERT(SEAT_NAME_MAX <= STORE_SEAT_NAME_MAX);

static gint64 wall_ms(void)
{
	return g_get_real_time() / 1000;
}

static gboolean is_known(const struct store_seat *row)
{
	return row->name[0] || row->approved;
}

/* --- the list --- */

/* Makes the seat of `row` what the row says. */
static void take(struct seats *seats, const struct store_seat *row, gboolean stored)
{
	struct seat *seat = g_hash_table_lookup(seats->all, row->mac);

	if (seat) {
		seats->unknown -= is_known(&seat->row) ? 0 : 1;
		if (g_hash_table_lookup(seats->names, seat->row.name) == seat)
			g_hash_table_remove(seats->names, seat->row.name);
	} else {
		seat = g_new0(struct seat, 1);
		g_strlcpy(seat->row.mac, row->mac, sizeof(seat->row.mac));
		g_hash_table_insert(seats->all, seat->row.mac, seat);
	}
	seat->row = *row;
	seat->stored = seat->stored || stored;
	seats->unknown += is_known(row) ? 0 : 1;
	if (row->name[0])
		g_hash_table_replace(seats->names, seat->row.name, seat);
}

static void drop(struct seats *seats, const char *mac)
{
	struct seat *seat = g_hash_table_lookup(seats->all, mac);

	if (!seat)
		return;
	seats->unknown -= is_known(&seat->row) ? 0 : 1;
	if (g_hash_table_lookup(seats->names, seat->row.name) == seat)
		g_hash_table_remove(seats->names, seat->row.name);
	g_hash_table_remove(seats->all, mac);
}

static void on_stored(const struct store_seat *row, gpointer data)
{
	take(data, row, TRUE);
}

struct seats *seats_new(struct broker *broker, GError **error)
{
	struct seats *seats = g_new0(struct seats, 1);

	seats->broker = broker;
	seats->all = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
	seats->names = g_hash_table_new(g_str_hash, g_str_equal);
	seats->changed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	seats->knocks = g_ptr_array_new_with_free_func(g_free);
	seats->looked = g_get_real_time() / G_USEC_PER_SEC;
	seats->clock = g_timeout_add_seconds(CLOCK_S, seats_on_clock, seats);
	if (store_load_seats(broker->store, on_stored, seats, error))
		return seats;
	seats_free(seats);
	return NULL;
}

/* --- the store --- */

static gboolean write_changed(struct store *store, gpointer data, GError **error)
{
	struct seats *seats = data;
	GHashTableIter iter;
	gpointer mac;

	g_hash_table_iter_init(&iter, seats->changed);
	while (g_hash_table_iter_next(&iter, &mac, NULL)) {
		const struct seat *seat = g_hash_table_lookup(seats->all, mac);

		if (!store_put_seat(store, mac, seat ? &seat->row : NULL, error))
			return FALSE;
	}
	return TRUE;
}

/* What was only seen; when it cannot be stored it is tried again with what is seen next. */
static void flush(struct seats *seats)
{
	GHashTableIter iter;
	gpointer mac;
	g_autoptr(GError) error = NULL;

	if (!g_hash_table_size(seats->changed))
		return;
	if (!store_transaction(seats->broker->store, write_changed, seats, &error)) {
		log_event(LOG_ERROR, "seats-store", "reason", error->message, NULL);
		return;
	}
	g_hash_table_iter_init(&iter, seats->changed);
	while (g_hash_table_iter_next(&iter, &mac, NULL)) {
		struct seat *seat = g_hash_table_lookup(seats->all, mac);

		if (seat)
			seat->stored = TRUE;
	}
	g_hash_table_remove_all(seats->changed);
}

static gboolean on_timer(gpointer data)
{
	struct seats *seats = data;

	seats->timer = 0;
	flush(seats);
	return G_SOURCE_REMOVE;
}

/* All at once, behind what is being done: a room's PCs are told of it when it holds. */
static gboolean on_knocks(gpointer data)
{
	struct seats *seats = data;

	seats->knocking = 0;
	g_ptr_array_add(seats->knocks, NULL);
	knock_send(seats->broker->conf, (const char *const *)seats->knocks->pdata);
	g_ptr_array_set_size(seats->knocks, 0);
	return G_SOURCE_REMOVE;
}

void seats_knock(struct seats *seats, const struct seat *seat)
{
	if (!seat->row.address[0] || wall_ms() - seat->row.last_wall_ms > ON_MS)
		return;
	g_ptr_array_add(seats->knocks, g_strdup(seat->row.address));
	if (!seats->knocking)
		seats->knocking = g_idle_add(on_knocks, seats);
}

void seats_free(struct seats *seats)
{
	if (!seats)
		return;
	if (seats->knocking)
		g_source_remove(seats->knocking);
	g_ptr_array_unref(seats->knocks);
	if (seats->timer)
		g_source_remove(seats->timer);
	if (seats->clock)
		g_source_remove(seats->clock);
	flush(seats);
	g_hash_table_destroy(seats->names);
	g_hash_table_destroy(seats->all);
	g_hash_table_destroy(seats->changed);
	g_free(seats);
}

static gboolean write_change(struct store *store, gpointer data, GError **error)
{
	const struct seats_change *change = data;

	for (guint i = 0; i < change->rows->len; i++) {
		const struct store_seat *row = &g_array_index(change->rows, struct store_seat, i);

		if (!store_put_seat(store, row->mac, row, error))
			return FALSE;
	}
	for (guint i = 0; change->gone && i < change->gone->len; i++)
		if (!store_put_seat(store, change->gone->pdata[i], NULL, error))
			return FALSE;
	return TRUE;
}

/* All of it is stored and holds, or nothing. Then whoever is meant by a name is told to core. */
gboolean seats_change(struct seats *seats, struct seats_change *change, GError **error)
{
	if (!store_transaction(seats->broker->store, write_change, change, error))
		return FALSE;
	for (guint i = 0; i < change->rows->len; i++) {
		const struct store_seat *row = &g_array_index(change->rows, struct store_seat, i);

		take(seats, row, TRUE);
		g_hash_table_remove(seats->changed, row->mac);
		seats_knock(seats, g_hash_table_lookup(seats->all, row->mac));
		log_event(LOG_INFO, "seat", "seat", row->mac, "name", row->name, NULL);
	}
	for (guint i = 0; change->gone && i < change->gone->len; i++) {
		log_event(LOG_INFO, "seat-forgotten", "seat", change->gone->pdata[i], NULL);
		g_hash_table_remove(seats->changed, change->gone->pdata[i]);
		drop(seats, change->gone->pdata[i]);
	}
	policies_apply(seats->broker->policies);
	clientimage_apply(seats->broker->clientimage);
	return TRUE;
}

/* --- what is seen --- */

static void evict(struct seats *seats)
{
	const struct seat *oldest = NULL;
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, seats->all);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct seat *seat = value;

		if (!is_known(&seat->row) &&
			(!oldest || seat->row.last_wall_ms < oldest->row.last_wall_ms))
			oldest = seat;
	}
	if (!oldest)
		return;
	if (oldest->stored)
		g_hash_table_add(seats->changed, g_strdup(oldest->row.mac));
	else
		g_hash_table_remove(seats->changed, oldest->row.mac);
	drop(seats, oldest->row.mac);
}

void seats_seen(struct seats *seats, const char *mac, const char *client, gboolean boot)
{
	struct seat *seat = g_hash_table_lookup(seats->all, mac);

	if (!seat) {
		struct store_seat row = {.first_wall_ms = wall_ms()};

		if (seats->unknown >= SEATS_UNKNOWN)
			evict(seats);
		g_strlcpy(row.mac, mac, sizeof(row.mac));
		take(seats, &row, FALSE);
		seat = g_hash_table_lookup(seats->all, mac);
		log_event(LOG_INFO, "seat-new", "seat", mac, "client", client, NULL);
	}
	if (boot) {
		seat->power = SEATS_POWER_STAY;
		seat->shown[0] = '\0';
	}
	gint64 now = wall_ms();
	gboolean news = boot || strcmp(seat->row.address, client) != 0 ||
			ABS(now - seat->noted_wall_ms) >= NOTE_MS;
	if (!seat->row.first_wall_ms)
		seat->row.first_wall_ms = now;
	seat->row.last_wall_ms = now;
	seat->row.boots += boot ? 1 : 0;
	g_strlcpy(seat->row.address, client, sizeof(seat->row.address));
	if (!news)
		return;
	seat->noted_wall_ms = now;
	g_hash_table_add(seats->changed, g_strdup(mac));
	if (!seats->timer)
		seats->timer = g_timeout_add_seconds(STORE_S, on_timer, seats);
}

const char *seats_place(const struct seats *seats, const char *mac)
{
	const struct seat *seat = g_hash_table_lookup(seats->all, mac);

	return seat && seat->row.name[0] ? seat->row.name : mac;
}

const char *seats_language(const struct seats *seats, const char *mac)
{
	const struct seat *seat = g_hash_table_lookup(seats->all, mac);

	return seat && seat->row.language[0] ? seat->row.language
					     : conf_string(seats->broker->conf, CONF_SITE_LANGUAGE);
}

const char *seats_screen(const struct seats *seats, const char *mac)
{
	const struct seat *seat = g_hash_table_lookup(seats->all, mac);

	return seat ? seat->row.screen : "";
}

const char *seats_keyboard(const struct seats *seats, const char *mac)
{
	const struct seat *seat = g_hash_table_lookup(seats->all, mac);

	return seat ? seat->row.keyboard : "";
}

void seats_keyboard_refused(
	struct seats *seats, const char *mac, const char *keyboard, const char *image)
{
	struct seat *seat = g_hash_table_lookup(seats->all, mac);

	if (!seat)
		return;
	g_strlcpy(seat->refused, keyboard, sizeof(seat->refused));
	g_strlcpy(seat->refused_by, image, sizeof(seat->refused_by));
}

void seats_shows(struct seats *seats, const char *mac, const char *mode)
{
	struct seat *seat = g_hash_table_lookup(seats->all, mac);
	struct screen_mode read;

	screen_mode_parse(mode, &read);
	if (seat)
		screen_mode_text(&read, seat->shown);
}

static gboolean holds(const struct seats *seats)
{
	return !strcmp(conf_string(seats->broker->conf, CONF_SEATS_UNKNOWN), "hold");
}

guint seats_waiting(const struct seats *seats)
{
	return holds(seats) ? seats->unknown : 0;
}

char *seats_refusal(const struct seats *seats, const char *mac, const char *client)
{
	const struct seat *seat = g_hash_table_lookup(seats->all, mac);

	if (!holds(seats) || (seat && is_known(&seat->row)))
		return NULL;
	return g_strdup_printf("This PC waits for approval: %s, %s. Tell the room's administrator.",
		*mac ? mac : "without a MAC address", client);
}

/* --- what an admin sees --- */

static json_t *time_json(gint64 ms)
{
	if (!ms)
		return json_string("");
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(ms / 1000);
	g_autofree char *text = g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");

	return json_string(text);
}

/* Who has a session there now, or "". */
const char *seats_user(const struct seats *seats, const char *mac)
{
	const struct core *core = seats->broker->core;

	for (const struct core_session *s = core_session_next(core, 0); s;
		s = core_session_next(core, s->id))
		if (s->state != SESSION_ENDED && s->state != SESSION_DISCONNECTED &&
			!strcmp(s->seat, mac))
			return s->user;
	return "";
}

static json_t *row_json(const struct seats *seats, const struct store_seat *row)
{
	size_t room = strcspn(row->name, "/");

	json_t *json = json_pack("{s:s, s:s, s:s%, s:s, s:s, s:s, s:o, s:o, s:I}", "mac", row->mac,
		"name", row->name, "room", row->name, room, "state",
		is_known(row)  ? "known"
		: holds(seats) ? "held"
			       : "guest",
		"user", seats_user(seats, row->mac), "address", row->address, "first_seen",
		time_json(row->first_wall_ms), "last_seen", time_json(row->last_wall_ms), "boots",
		(json_int_t)row->boots);
	seats_settings_json(row, json);
	return json;
}

/* Numbers in names count as numbers; the nameless come last. */
static gint compare(gconstpointer a, gconstpointer b)
{
	const struct seat *one = *(const struct seat *const *)a;
	const struct seat *other = *(const struct seat *const *)b;

	if (!one->row.name[0] || !other->row.name[0])
		return one->row.name[0] != other->row.name[0]
			       ? (one->row.name[0] ? -1 : 1)
			       : strcmp(one->row.mac, other->row.mac);
	g_autofree char *key = g_utf8_collate_key_for_filename(one->row.name, -1);
	g_autofree char *other_key = g_utf8_collate_key_for_filename(other->row.name, -1);
	return strcmp(key, other_key);
}

/* Adds the seats that `ref` means and that are not in `found` yet; how many it means. */
static guint add_fitting(const struct seats *seats, const struct seat_ref *ref, GPtrArray *found)
{
	GHashTableIter iter;
	gpointer value;
	guint count = 0;

	if (ref->kind == SEAT_REF_MAC || ref->kind == SEAT_REF_NAME) {
		value = g_hash_table_lookup(
			ref->kind == SEAT_REF_MAC ? seats->all : seats->names, ref->text);
		if (value && !g_ptr_array_find(found, value, NULL))
			g_ptr_array_add(found, value);
		return value != NULL;
	}
	g_hash_table_iter_init(&iter, seats->all);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct seat *seat = value;

		if (!seat_ref_fits(ref, seat->row.mac, seat->row.name))
			continue;
		count++;
		if (!g_ptr_array_find(found, value, NULL))
			g_ptr_array_add(found, value);
	}
	return count;
}

static gboolean ref_parse(const char *text, struct seat_ref *ref, GError **error)
{
	g_autofree char *problem = seat_ref_read(text, ref);

	return !problem || broker_refuse(error, BROKER_ERROR_INVALID, "%s", problem);
}

static gboolean find_one(
	const struct seats *seats, const char *reference, GPtrArray *found, GError **error)
{
	struct seat_ref ref;

	if (!ref_parse(reference, &ref, error))
		return FALSE;
	return add_fitting(seats, &ref, found) > 0 ||
	       broker_refuse(error, BROKER_ERROR_UNKNOWN,
		       "there is no seat %s; \"carrel seat list\" shows them", ref.text);
}

/* The seats that are meant (borrowed), in order; NULL with an error. */
GPtrArray *seats_find(const struct seats *seats, const json_t *references, GError **error)
{
	GPtrArray *found = g_ptr_array_new();
	gboolean good = TRUE;
	size_t i;
	const json_t *item;

	json_array_foreach (references, i, item) {
		good = find_one(seats, json_string_value(item) ?: "", found, error);
		if (!good)
			break;
	}
	if (good && !found->len)
		good = broker_refuse(error, BROKER_ERROR_INVALID, "name at least one seat");
	if (good) {
		g_ptr_array_sort(found, compare);
		return found;
	}
	g_ptr_array_unref(found);
	return NULL;
}

json_t *seats_list(const struct seats *seats, const GPtrArray *list)
{
	json_t *array = json_array();

	for (guint i = 0; i < list->len; i++) {
		const struct seat *seat = list->pdata[i];

		json_t *row = row_json(seats, &seat->row);

		json_object_set_new(row, "shown", json_string(seat->shown));
		json_object_set_new(row, "keyboard_missing",
			json_string(!strcmp(seat->refused, seat->row.keyboard) ? seat->refused_by
									       : ""));
		json_array_append_new(array, row);
	}
	return array;
}

json_t *seats_show(struct seats *seats, const json_t *references, GError **error)
{
	json_t *list = seats_json(seats, references, error), *item;
	size_t i;

	json_array_foreach (list, i, item) {
		json_t *boot = bootwatch_json(
			seats->broker->boots, json_string_value(json_object_get(item, "mac")));

		json_object_set_new(item, "boot", boot ? boot : json_null());
	}
	return list;
}

json_t *seats_json(struct seats *seats, const json_t *references, GError **error)
{
	GPtrArray *found;
	GHashTableIter iter;
	gpointer value;

	if (references) {
		found = seats_find(seats, references, error);
	} else {
		found = g_ptr_array_new();
		g_hash_table_iter_init(&iter, seats->all);
		while (g_hash_table_iter_next(&iter, NULL, &value))
			g_ptr_array_add(found, value);
		g_ptr_array_sort(found, compare);
	}
	if (!found)
		return NULL;
	json_t *list = seats_list(seats, found);
	g_ptr_array_unref(found);
	return list;
}

gboolean seats_check(const struct seats *seats, const char *reference, GError **error)
{
	g_autoptr(GPtrArray) found = g_ptr_array_new();

	return find_one(seats, reference, found, error);
}

void seats_each(const struct seats *seats, seats_row_func each, gpointer data)
{
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, seats->all);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		each(&((const struct seat *)value)->row, data);
}

json_t *seats_resolve(const struct seats *seats, const json_t *members)
{
	g_autoptr(GPtrArray) found = g_ptr_array_new();
	json_t *list = json_array();
	size_t i;
	json_t *item;

	json_array_foreach (members, i, item) {
		struct seat_ref ref;

		if (!strchr(json_string_value(item), '/'))
			json_array_append(list, item);
		else if (ref_parse(json_string_value(item), &ref, NULL))
			add_fitting(seats, &ref, found);
	}
	for (guint k = 0; k < found->len; k++) {
		const struct seat *seat = found->pdata[k];

		json_array_append_new(list, json_string(seat->row.mac));
	}
	return list;
}

/* --- what an admin changes --- */

/* Stores `rows`, and says what they are now; NULL with an error. */
static json_t *rows_keep(struct seats *seats, GArray *rows, GError **error)
{
	g_autoptr(GPtrArray) kept = g_ptr_array_new();

	if (!seats_change(seats, &(struct seats_change){.rows = rows}, error))
		return NULL;
	for (guint i = 0; i < rows->len; i++)
		g_ptr_array_add(kept, g_hash_table_lookup(seats->all,
					      g_array_index(rows, struct store_seat, i).mac));
	return seats_list(seats, kept);
}

/* The one seat that is meant, or a new one for a MAC address that was not heard of. */
static gboolean row_find(
	const struct seats *seats, const char *reference, struct store_seat *row, GError **error)
{
	g_autoptr(GPtrArray) found = g_ptr_array_new();
	struct seat_ref ref;

	*row = (struct store_seat){0};
	if (!ref_parse(reference, &ref, error))
		return FALSE;
	if (ref.kind == SEAT_REF_RANGE || ref.kind == SEAT_REF_PATTERN)
		return broker_refuse(error, BROKER_ERROR_INVALID,
			"\"%s\" can be several seats: a name is for one", ref.text);
	if (!add_fitting(seats, &ref, found)) {
		g_strlcpy(row->mac, ref.text, sizeof(row->mac));
		return ref.kind == SEAT_REF_MAC || find_one(seats, reference, found, error);
	}
	*row = ((const struct seat *)found->pdata[0])->row;
	return TRUE;
}

static gboolean name_parse(const char *text, char name[SEAT_NAME_MAX], GError **error)
{
	g_autofree char *problem = seat_name_read(text, name);

	return !problem || broker_refuse(error, BROKER_ERROR_INVALID, "%s", problem);
}

static json_t *rename_seat(struct seats *seats, const char *reference, const char *text,
	gboolean take_over, GError **error)
{
	g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(struct store_seat));
	struct store_seat row;
	char name[SEAT_NAME_MAX];

	if (!row_find(seats, reference, &row, error) || !name_parse(text, name, error))
		return NULL;
	const struct seat *holder = g_hash_table_lookup(seats->names, name);
	gboolean other = holder && strcmp(holder->row.mac, row.mac) != 0;
	if (other && !take_over) {
		broker_refuse(error, BROKER_ERROR_EXISTS,
			"%s is the name of %s; \"carrel seat move %s %s\" takes it from there, as "
			"when a PC was replaced",
			name, holder->row.mac, row.mac, name);
		return NULL;
	}
	g_strlcpy(row.name, name, sizeof(row.name));
	row.approved = TRUE;
	if (other) {
		struct store_seat former = holder->row;

		seats_settings_move(&former, &row);
		former.name[0] = '\0';
		g_array_append_val(rows, former);
	}
	/* The last one: its name is then its own in the list of names. */
	g_array_append_val(rows, row);
	return rows_keep(seats, rows, error);
}

json_t *seats_name(struct seats *seats, const char *reference, const char *name, GError **error)
{
	return rename_seat(seats, reference, name, FALSE, error);
}

json_t *seats_move(struct seats *seats, const char *reference, const char *name, GError **error)
{
	return rename_seat(seats, reference, name, TRUE, error);
}

json_t *seats_approve(struct seats *seats, const json_t *references, GError **error)
{
	g_autoptr(GPtrArray) found = seats_find(seats, references, error);
	g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(struct store_seat));

	for (guint i = 0; found && i < found->len; i++) {
		struct store_seat row = ((const struct seat *)found->pdata[i])->row;

		row.approved = TRUE;
		g_array_append_val(rows, row);
	}
	return found ? rows_keep(seats, rows, error) : NULL;
}

json_t *seats_forget(struct seats *seats, const json_t *references, GError **error)
{
	g_autoptr(GPtrArray) found = seats_find(seats, references, error);
	g_autoptr(GPtrArray) gone = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(struct store_seat));
	json_t *list = found ? seats_list(seats, found) : NULL;

	for (guint i = 0; found && i < found->len; i++)
		g_ptr_array_add(gone, g_strdup(((const struct seat *)found->pdata[i])->row.mac));
	if (!list || seats_change(seats, &(struct seats_change){rows, gone}, error))
		return list;
	json_decref(list);
	return NULL;
}

json_t *seats_set(
	struct seats *seats, const json_t *references, const json_t *values, GError **error)
{
	g_autoptr(GPtrArray) found = seats_find(seats, references, error);
	g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(struct store_seat));

	for (guint i = 0; found && i < found->len; i++) {
		struct store_seat row = ((const struct seat *)found->pdata[i])->row;

		if (!seats_settings_take(&row, values, error))
			return NULL;
		g_array_append_val(rows, row);
	}
	json_t *list = found && seats_kernels_fit(seats, rows, error)
			       ? rows_keep(seats, rows, error)
			       : NULL;
	for (guint i = 0; list && json_object_get(values, "kernel") && i < rows->len; i++)
		bootwatch_driver_again(
			seats->broker->boots, g_array_index(rows, struct store_seat, i).mac);
	return list;
}
