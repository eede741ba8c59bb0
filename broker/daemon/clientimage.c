/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/clientimage.h"

#include "broker/daemon/bootwatch.h"
#include "broker/daemon/broker.h"
#include "broker/daemon/seat_name.h"
#include "broker/daemon/seats.h"
#include "broker/shared/log.h"
#include "images/store/bootplan.h"
#include "images/store/image.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#define KIND "client-channels"
#define TICK_MS 500
#define STOPS 2 /* silent boots that take a version back */
#define VERSION_MAX 24

/* What is stored. Versions without the image's name; "" = none. */
struct state {
	char stable[VERSION_MAX], testing[VERSION_MAX], previous[VERSION_MAX];
	guint32 canary; /* boots of the stable one that must still reach the form */
	char returned[VERSION_MAX];
	char reason[CORE_TEXT_MAX];
	json_t *trial; /* owned array: seats that boot the testing one */
};

struct clientimage {
	struct broker *broker; /* borrowed */
	char *image;           /* owned; its name */
	struct state state;
	/* on its way to the boot server, "" = nothing */
	char pending[VERSION_MAX];
	gboolean to_stable;
	guint32 canary;
	char *failure; /* owned; why the last one was given up, or NULL */
	/* the plan */
	char *text, *sum;    /* owned; as it was last written, NULL: it was not */
	gboolean answered;   /* carrel-bootconf has taken that up, or has said why not */
	char *problem;       /* owned; why not, or why it cannot be written; NULL */
	GHashTable *stopped; /* MAC address -> silent boots of the version on trial */
	guint timer, writer;
};

static json_t *id_json(const struct clientimage *self, const char *version)
{
	return *version ? json_sprintf("%s@%s", self->image, version) : json_string("");
}

static void tick_begin(struct clientimage *self);
static void plan_later(struct clientimage *self);

/* --- the store --- */

static gboolean state_put(const struct clientimage *self, const struct state *state, GError **error)
{
	json_t *entry = json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:O}", "image", self->image,
		"stable", state->stable, "testing", state->testing, "previous", state->previous,
		"canary", (json_int_t)state->canary, "returned", state->returned, "reason",
		state->reason, "trial", state->trial);
	gboolean good =
		entry && store_policy_put(self->broker->store, KIND, self->image, entry, error);

	json_decref(entry);
	return good;
}

/* `next` is stored and holds, or nothing has changed; its trial is taken over. */
static gboolean state_keep(struct clientimage *self, const struct state *next, GError **error)
{
	json_t *before = self->state.trial;

	if (!state_put(self, next, error)) {
		if (next->trial != before)
			json_decref(next->trial);
		return FALSE;
	}
	if (next->trial != before)
		json_decref(before);
	self->state = *next;
	plan_later(self);
	tick_begin(self);
	return TRUE;
}

static void text_read(const json_t *entry, const char *key, char *out, gsize size)
{
	g_strlcpy(out, json_string_value(json_object_get(entry, key)) ?: "", size);
}

/* What is stored of [boot] image; nothing yet: all empty. */
static gboolean state_load(struct clientimage *self, GError **error)
{
	json_t *list = store_policy_list(self->broker->store, KIND, error), *entry;
	struct state state = {.trial = json_array()};
	size_t i;

	json_array_foreach (list, i, entry) {
		if (g_strcmp0(json_string_value(json_object_get(entry, "image")), self->image))
			continue;
		text_read(entry, "stable", state.stable, sizeof(state.stable));
		text_read(entry, "testing", state.testing, sizeof(state.testing));
		text_read(entry, "previous", state.previous, sizeof(state.previous));
		text_read(entry, "returned", state.returned, sizeof(state.returned));
		text_read(entry, "reason", state.reason, sizeof(state.reason));
		state.canary = (guint32)json_integer_value(json_object_get(entry, "canary"));
		json_array_extend(state.trial, json_object_get(entry, "trial"));
	}
	json_decref(self->state.trial);
	self->state = state;
	gboolean good = list != NULL;
	json_decref(list);
	return good;
}

/* --- the plan --- */

struct planning {
	struct bootplan *plan;
	GHashTable *seats; /* MAC address -> index in plan->seats + 1 */
	gboolean testing;  /* is there such a version? */
};

static struct bootplan_seat *plan_seat(struct planning *planning, const char *mac)
{
	GArray *seats = planning->plan->seats;
	guint at = GPOINTER_TO_UINT(g_hash_table_lookup(planning->seats, mac));

	if (!at && seats->len < BOOTPLAN_SEATS_MAX) {
		struct bootplan_seat seat = {0};

		g_strlcpy(seat.mac, mac, sizeof(seat.mac));
		g_array_append_val(seats, seat);
		at = seats->len;
		g_hash_table_insert(planning->seats, g_strdup(mac), GUINT_TO_POINTER(at));
	}
	return at ? &g_array_index(seats, struct bootplan_seat, at - 1) : NULL;
}

static void on_seat(const struct store_seat *row, gpointer data)
{
	struct planning *planning = data;
	gboolean tests = planning->testing && row->channel[0];
	struct bootplan_seat *seat = tests || row->kernel[0] ? plan_seat(planning, row->mac) : NULL;

	if (!seat)
		return;
	seat->version = tests ? 1 : 0;
	g_strlcpy(seat->kernel, row->kernel, sizeof(seat->kernel));
}

/* As all would be if what is on its way had come. NULL: there is no version to boot. */
static struct bootplan *plan_make(struct clientimage *self)
{
	const char *stable =
		self->to_stable && self->pending[0] ? self->pending : self->state.stable;
	const char *testing =
		!self->to_stable && self->pending[0] ? self->pending : self->state.testing;
	struct planning planning = {.testing = *testing && strcmp(testing, stable) != 0};
	gboolean trial = planning.testing && !strcmp(testing, self->state.testing);
	size_t i;
	const json_t *mac;

	if (!*stable)
		return NULL;
	planning.plan = bootplan_new(self->image, stable);
	planning.seats = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	if (planning.testing)
		g_ptr_array_add(planning.plan->versions, g_strdup(testing));
	seats_each(self->broker->seats, on_seat, &planning);
	json_t *tried = trial ? seats_resolve(self->broker->seats, self->state.trial) : NULL;
	json_array_foreach (tried, i, mac) {
		struct bootplan_seat *seat = plan_seat(&planning, json_string_value(mac));

		if (seat)
			seat->version = 1;
	}
	json_decref(tried);
	g_hash_table_unref(planning.seats);
	return planning.plan;
}

/* Everybody may read it, whatever our umask says: carrel-bootconf is another user, without a right
 * to look at what it may not. */
static gboolean plan_put(const struct clientimage *self, const char *text, GError **error)
{
	g_autofree char *path = conf_path(self->broker->conf, CONF_PATH_STATE, BOOTPLAN_FILE);
	g_autofree char *fresh = g_strconcat(path, ".new", NULL);
	g_autofree char *there = NULL;

	/* After a restart: carrel-bootconf need not look. */
	if (!self->text && g_file_get_contents(path, &there, NULL, NULL) && !strcmp(there, text))
		return TRUE;
	if (!g_file_set_contents(fresh, text, -1, error))
		return FALSE;
	if (g_chmod(fresh, 0644) == 0 && g_rename(fresh, path) == 0)
		return TRUE;
	return broker_refuse(error, BROKER_ERROR_INVALID, "%s: %s", path, g_strerror(errno));
}

static void plan_write(struct clientimage *self)
{
	struct bootplan *plan = plan_make(self);
	g_autofree char *text = plan ? bootplan_text(plan) : NULL;
	g_autoptr(GError) error = NULL;

	bootplan_free(plan);
	if (!text || !g_strcmp0(text, self->text))
		return;
	g_clear_pointer(&self->problem, g_free);
	if (!plan_put(self, text, &error)) {
		log_event(LOG_ERROR, "boot-plan", "reason", error->message, NULL);
		self->problem = g_strdup(error->message);
		return;
	}
	g_free(self->sum);
	g_free(self->text);
	self->sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
	self->text = g_steal_pointer(&text);
	self->answered = FALSE;
	tick_begin(self);
}

static gboolean on_write(gpointer data)
{
	struct clientimage *self = data;

	self->writer = 0;
	plan_write(self);
	return G_SOURCE_REMOVE;
}

/* Many changes in a row are one plan. */
static void plan_later(struct clientimage *self)
{
	if (!self->writer)
		self->writer = g_timeout_add(TICK_MS / 2, on_write, self);
}

/* What carrel-bootconf has said of the plan: "" that it is in use. NULL: nothing yet; the caller
 * frees it. */
static char *answer_read(const struct clientimage *self)
{
	g_autofree char *path = conf_path(self->broker->conf, CONF_PATH_STATE, BOOTPLAN_ANSWER);
	g_autofree char *text = NULL;
	gsize length = self->sum ? strlen(self->sum) : 0;

	if (!length || !g_file_get_contents(path, &text, NULL, NULL) ||
		strncmp(text, self->sum, length) != 0 || text[length] != ' ' ||
		!g_utf8_validate(text, -1, NULL))
		return NULL;
	return g_strdup(g_strstrip(text + length));
}

/* --- on the way to the boot server --- */

static void commit(struct clientimage *self)
{
	struct state next = self->state;
	g_autoptr(GError) error = NULL;

	if (!self->to_stable) {
		g_strlcpy(next.testing, self->pending, sizeof(next.testing));
	} else if (strcmp(self->pending, next.stable) != 0) {
		g_strlcpy(next.previous, next.stable, sizeof(next.previous));
		g_strlcpy(next.stable, self->pending, sizeof(next.stable));
		next.canary = next.previous[0] ? self->canary : 0;
	}
	if (!strcmp(next.testing, next.stable))
		next.testing[0] = '\0';
	if (strcmp(next.testing, self->state.testing) != 0)
		next.trial = json_array();
	if (self->to_stable)
		next.returned[0] = next.reason[0] = '\0';
	g_hash_table_remove_all(self->stopped);
	self->pending[0] = '\0';
	if (state_keep(self, &next, &error)) {
		log_event(LOG_INFO, self->to_stable ? "client-image-promoted" : "client-image-test",
			"stable", next.stable, "testing", next.testing, NULL);
		return;
	}
	self->failure = g_strdup(error->message);
	plan_later(self);
}

static void take_answer(struct clientimage *self)
{
	g_autofree char *problem = answer_read(self);

	if (!problem)
		return;
	self->answered = TRUE;
	g_free(self->problem);
	self->problem = *problem ? g_strdup(problem) : NULL;
	if (*problem)
		log_event(LOG_ERROR, "boot-plan", "reason", problem, NULL);
	if (!self->pending[0])
		return;
	g_clear_pointer(&self->failure, g_free);
	if (!*problem) {
		commit(self);
		return;
	}
	self->failure = g_strdup_printf("%s@%s cannot be given to PCs: %s; nothing was changed",
		self->image, self->pending, problem);
	self->pending[0] = '\0';
	plan_later(self);
}

static gboolean on_tick(gpointer data)
{
	struct clientimage *self = data;

	if (self->sum && !self->answered && !self->writer)
		take_answer(self);
	if (self->state.canary)
		bootwatch_check(self->broker->boots);
	if ((self->sum && !self->answered) || self->state.canary)
		return G_SOURCE_CONTINUE;
	self->timer = 0;
	return G_SOURCE_REMOVE;
}

static void tick_begin(struct clientimage *self)
{
	if (!self->timer)
		self->timer = g_timeout_add(TICK_MS, on_tick, self);
}

/* The version of "NAME@VERSION", once it is known to be one for PCs. */
static gboolean find(const struct clientimage *self, const char *version, GError **error)
{
	const struct conf *conf = self->broker->conf;
	g_autofree char *key = conf_path(conf, CONF_PATH_PKI, IMAGE_PUBLIC_KEY);
	g_autoptr(GError) cause = NULL;
	struct image *image =
		image_load(conf_string(conf, CONF_PATH_IMAGES), self->image, version, key, &cause);
	gboolean client = image && image->kind == IMAGE_CLIENT;

	image_free(image);
	if (client)
		return TRUE;
	if (!cause)
		return broker_refuse(error, BROKER_ERROR_INVALID,
			"%s is an image of desktops, not of PCs: correct [boot] image",
			self->image);
	return broker_refuse(error,
		g_error_matches(cause, IMAGE_ERROR, IMAGE_ERROR_MISSING) ? BROKER_ERROR_UNKNOWN
									 : BROKER_ERROR_INVALID,
		"%s@%s: %s; \"carrel image list\" shows what there is", self->image, version,
		cause->message);
}

static const char *version_of(const struct clientimage *self, const char *image, GError **error)
{
	const char *at = strchr(image, '@');

	if (at && image_version_is_good(at + 1) && strlen(at + 1) < VERSION_MAX)
		return at + 1;
	broker_refuse(error, BROKER_ERROR_INVALID,
		"\"%s\" is no version of the image of PCs; write %s@YYYYMMDD.N", image,
		self->image);
	return NULL;
}

static gboolean begin(struct clientimage *self, const char *image, gboolean to_stable,
	guint32 canary, GError **error)
{
	const char *version = version_of(self, image, error);

	if (!version || !find(self, version, error))
		return FALSE;
	if (self->pending[0])
		return broker_refuse(error, BROKER_ERROR_BUSY,
			"%s@%s waits for carrel-bootconf; \"carrel image status\" says more; wait, "
			"or \"carrel image cancel %s\"",
			self->image, self->pending, self->image);
	g_clear_pointer(&self->failure, g_free);
	g_strlcpy(self->pending, version, sizeof(self->pending));
	self->to_stable = to_stable || !self->state.stable[0];
	self->canary = canary;
	self->answered = FALSE; /* also when the plan stays as it is */
	g_clear_pointer(&self->problem, g_free);
	plan_write(self);
	if (self->text && !self->problem) {
		tick_begin(self);
		return TRUE;
	}
	self->pending[0] = '\0';
	return broker_refuse(error, BROKER_ERROR_INVALID, "the boot plan cannot be written: %s",
		self->problem ? self->problem : "there is no version to boot");
}

gboolean clientimage_test(struct clientimage *self, const char *image, GError **error)
{
	return begin(self, image, FALSE, 0, error);
}

gboolean clientimage_promote(
	struct clientimage *self, const char *image, gint64 canary, GError **error)
{
	return begin(self, image, TRUE,
		(guint32)(canary < 0 ? conf_int(self->broker->conf, CONF_IMAGE_CANARY) : canary),
		error);
}

gboolean clientimage_cancel(struct clientimage *self, GError **error)
{
	if (!self->pending[0])
		return broker_refuse(error, BROKER_ERROR_BUSY,
			"no version of %s is on its way to PCs", self->image);
	self->pending[0] = '\0';
	plan_later(self);
	return TRUE;
}

/* --- back --- */

/* The one that is taken back is in no channel then: seats that boot the testing one would have it
 * again. */
static gboolean roll_back(struct clientimage *self, const char *why, GError **error)
{
	struct state next = self->state;

	g_strlcpy(next.returned, next.stable, sizeof(next.returned));
	g_strlcpy(next.reason, why, sizeof(next.reason));
	g_strlcpy(next.stable, next.previous, sizeof(next.stable));
	next.previous[0] = '\0';
	next.canary = 0;
	self->pending[0] = '\0';
	g_hash_table_remove_all(self->stopped);
	log_event(LOG_WARN, "client-image-rolled-back", "stable", next.stable, "returned",
		next.returned, "reason", why, NULL);
	return state_keep(self, &next, error);
}

gboolean clientimage_rollback(struct clientimage *self, const char *why, GError **error)
{
	if (!self->state.previous[0])
		return broker_refuse(error, BROKER_ERROR_BUSY,
			"there is no version of %s to go back to; \"carrel image promote "
			"%s@VERSION\" takes any other one",
			self->image, self->image);
	return roll_back(self, *why ? why : "by an administrator", error);
}

/* What a version cannot be blamed for: cable, network, boot server. */
static gboolean is_elsewhere(const char *code)
{
	static const char *const codes[] = {
		"CARREL-B02", "CARREL-B03", "CARREL-B04", "CARREL-B05", NULL};

	return g_strv_contains(codes, code);
}

static guint count_stop(struct clientimage *self, const char *mac)
{
	guint own = GPOINTER_TO_UINT(g_hash_table_lookup(self->stopped, mac)) + 1, all = 0;
	GHashTableIter iter;
	gpointer count;

	g_hash_table_replace(self->stopped, g_strdup(mac), GUINT_TO_POINTER(own));
	g_hash_table_iter_init(&iter, self->stopped);
	while (g_hash_table_iter_next(&iter, NULL, &count))
		all += GPOINTER_TO_UINT(count);
	return all;
}

static void boot_is_good(struct clientimage *self, const char *mac)
{
	struct state next = self->state;
	g_autoptr(GError) error = NULL;

	g_hash_table_remove(self->stopped, mac);
	next.canary--;
	if (!state_keep(self, &next, &error))
		log_event(LOG_ERROR, "client-image-store", "reason", error->message, NULL);
	else if (!next.canary)
		log_event(LOG_INFO, "client-image-proven", "version", next.stable, NULL);
}

static void on_boot(const char *mac, const char *version, enum boots_end end, const char *code,
	const char *stage, gpointer data)
{
	struct clientimage *self = data;
	const char *place = seats_place(self->broker->seats, mac);
	g_autofree char *why = NULL;
	g_autoptr(GError) error = NULL;

	if (!self->state.canary || strcmp(version, self->state.stable) != 0)
		return;
	if (end == BOOTS_UP)
		boot_is_good(self, mac);
	else if (end == BOOTS_FAILED && !is_elsewhere(code))
		why = g_strdup_printf("the PC %s did not reach its login form: %s", place, code);
	else if (end == BOOTS_STOPPED && count_stop(self, mac) >= STOPS)
		why = g_strdup_printf("%d boots did not reach the login form; the last, of the PC "
				      "%s, stopped at %s",
			STOPS, place, stage);
	if (why && !roll_back(self, why, &error))
		log_event(LOG_ERROR, "client-image-store", "reason", error->message, NULL);
}

/* --- trials --- */

static gboolean trial_keep(struct clientimage *self, json_t *trial, GError **error)
{
	struct state next = self->state;

	next.trial = trial;
	return state_keep(self, &next, error);
}

static gboolean is_testing(const struct clientimage *self, const char *image, GError **error)
{
	const char *version = version_of(self, image, error), *testing = self->state.testing;

	if (!version)
		return FALSE;
	return (*testing && !strcmp(testing, version)) ||
	       broker_refuse(error, BROKER_ERROR_BUSY,
		       "%s is not the testing version%s%s; \"carrel image publish %s\" makes it "
		       "that",
		       image, *testing ? ", which is " : "", testing, image);
}

/* One PC by its MAC address, known or not; or names, which mean at least one. */
static gboolean trial_add(
	const struct clientimage *self, json_t *trial, const char *text, GError **error)
{
	struct seat_ref ref;
	g_autofree char *problem = seat_ref_read(text, &ref);

	if (problem)
		return broker_refuse(
			error, BROKER_ERROR_INVALID, "%s; PCs are meant by --seats", problem);
	if (ref.kind != SEAT_REF_MAC && !seats_check(self->broker->seats, text, error))
		return FALSE;
	json_array_append_new(trial, json_string(ref.text));
	return TRUE;
}

gboolean clientimage_try(
	struct clientimage *self, const char *image, const json_t *seats, GError **error)
{
	json_t *trial = json_array();
	gboolean good = is_testing(self, image, error);
	size_t i;
	const json_t *item;

	if (good && !json_array_size(seats))
		good = broker_refuse(
			error, BROKER_ERROR_INVALID, "name seats, such as --seats room-301/1-4");
	json_array_foreach (seats, i, item)
		good = good && trial_add(self, trial, json_string_value(item) ?: "", error);
	if (good)
		return trial_keep(self, trial, error);
	json_decref(trial);
	return FALSE;
}

gboolean clientimage_untry(struct clientimage *self, const char *image, GError **error)
{
	if (!is_testing(self, image, error))
		return FALSE;
	if (!json_array_size(self->state.trial))
		return broker_refuse(error, BROKER_ERROR_UNKNOWN, "no PC tries %s", image);
	return trial_keep(self, json_array(), error);
}

/* --- the whole --- */

struct clientimage *clientimage_new(struct broker *broker, GError **error)
{
	struct clientimage *self = g_new0(struct clientimage, 1);

	self->broker = broker;
	self->image = g_strdup(conf_string(broker->conf, CONF_BOOT_IMAGE));
	self->stopped = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	if (state_load(self, error)) {
		bootwatch_on_end(broker->boots, on_boot, self);
		return self;
	}
	clientimage_free(self);
	return NULL;
}

void clientimage_free(struct clientimage *self)
{
	if (!self)
		return;
	if (self->timer)
		g_source_remove(self->timer);
	if (self->writer)
		g_source_remove(self->writer);
	json_decref(self->state.trial);
	g_hash_table_destroy(self->stopped);
	g_free(self->image);
	g_free(self->failure);
	g_free(self->text);
	g_free(self->sum);
	g_free(self->problem);
	g_free(self);
}

void clientimage_look(struct clientimage *self)
{
	const struct conf *conf = self->broker->conf;
	const char *name = conf_string(conf, CONF_BOOT_IMAGE);
	g_autoptr(GError) error = NULL;

	if (strcmp(name, self->image) != 0) {
		g_free(self->image);
		self->image = g_strdup(name);
		self->pending[0] = '\0';
		if (!state_load(self, &error))
			log_event(LOG_ERROR, "client-image-store", "reason", error->message, NULL);
	}
	if (!self->state.stable[0]) {
		g_autofree char *key = conf_path(conf, CONF_PATH_PKI, IMAGE_PUBLIC_KEY);
		struct image *image =
			image_load(conf_string(conf, CONF_PATH_IMAGES), name, "current", key, NULL);
		struct state next = self->state;

		if (image && image->kind == IMAGE_CLIENT) {
			g_strlcpy(next.stable, image->version, sizeof(next.stable));
			state_keep(self, &next, NULL);
		}
		image_free(image);
	}
	plan_write(self);
	tick_begin(self);
}

void clientimage_apply(struct clientimage *self)
{
	if (self)
		plan_later(self);
}

gboolean clientimage_is(const struct clientimage *self, const char *image)
{
	gsize length = strlen(self->image);

	return !strncmp(image, self->image, length) && (!image[length] || image[length] == '@');
}

/* --- what an admin sees --- */

char *clientimage_warning(struct clientimage *self)
{
	if (self->problem)
		return g_strdup_printf("what PCs boot is not what it should be: %s", self->problem);
	if (!self->state.returned[0])
		return NULL;
	return g_strdup_printf("the PCs' image %s@%s was taken back, %s is stable again: %s",
		self->image, self->state.returned, self->state.stable, self->state.reason);
}

/* The places of PCs that boot the testing version. */
static json_t *testers_json(struct clientimage *self)
{
	struct bootplan *plan =
		self->text ? bootplan_parse(self->text, strlen(self->text), NULL) : NULL;
	json_t *list = json_array();

	for (guint i = 0; plan && i < plan->seats->len; i++) {
		const struct bootplan_seat *seat =
			&g_array_index(plan->seats, struct bootplan_seat, i);

		if (seat->version)
			json_array_append_new(
				list, json_string(seats_place(self->broker->seats, seat->mac)));
	}
	bootplan_free(plan);
	return list;
}

/* "in use", or "waiting" for carrel-bootconf, or "failed". */
static const char *boot_state(struct clientimage *self)
{
	g_autofree char *answer = answer_read(self);

	if (self->problem)
		return "failed";
	return !self->text ? "" : answer && !self->writer ? "in use" : "waiting";
}

json_t *clientimage_json(struct clientimage *self)
{
	const struct state *state = &self->state;

	return json_pack(
		"{s:s, s:{s:o, s:o, s:o, s:I, s:o, s:s}, s:{s:o, s:s}, s:s, s:O, s:o, s:s, "
		"s:s}",
		"image", self->image, "channels", "stable", id_json(self, state->stable), "testing",
		id_json(self, state->testing), "previous", id_json(self, state->previous), "canary",
		(json_int_t)state->canary, "returned", id_json(self, state->returned), "reason",
		state->reason, "rollout", "image", id_json(self, self->pending), "to",
		!self->pending[0] ? ""
		: self->to_stable ? "stable"
				  : "testing",
		"failure", self->failure ? self->failure : "", "trial", state->trial, "testers",
		testers_json(self), "boot", boot_state(self), "problem",
		self->problem ? self->problem : "");
}
