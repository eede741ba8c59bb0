/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/channels.h"

#include "broker/core/core.h"
#include "broker/daemon/broker.h"
#include "broker/daemon/policies.h"
#include "broker/daemon/reconcile.h"
#include "broker/daemon/worker.h"
#include "broker/shared/log.h"
#include "images/store/image.h"

#include <string.h>

#define TRIAL "trial"
#define CHANNELS "channels"
#define POOL "desktop"

/* A version on its way. */
struct rollout {
	struct core_image image; /* id empty = there is none */
	enum core_event_type to; /* CORE_EV_IMAGE_TEST or _PROMOTE */
	guint32 canary;
	gint64 until_wall_ms;
	GHashTable *pending; /* ids (owned) of servers that have not answered; owned */
};

/* What a server has, and gets. */
struct holding {
	GHashTable *images;   /* set of owned texts: what it is known to have */
	char *sending, *file; /* owned; NULL = nothing is on its way */
	gint64 done, total;   /* bytes of that file */
};

struct channels {
	struct broker *broker; /* borrowed */
	json_t *trials;        /* owned; an array of objects, by image */
	struct rollout rollout;
	char *failure;        /* owned; why the last one was given up, or NULL */
	char *problem;        /* owned; why no desktop can start, or NULL */
	GHashTable *holdings; /* server id -> owned struct holding */
};

static const struct core_channels *now(const struct channels *channels)
{
	return core_channels(channels->broker->core);
}

/* --- the store --- */

static json_t *image_json(const struct core_image *image)
{
	return json_pack("{s:s, s:b}", "id", image->id, "live", image->live);
}

static void image_read(const json_t *json, struct core_image *image)
{
	const char *id = json_string_value(json_object_get(json, "id"));

	g_strlcpy(image->id, id ? id : "", sizeof(image->id));
	image->live = json_is_true(json_object_get(json, "live"));
}

gboolean channels_store(struct channels *channels, GError **error)
{
	const struct core_channels *c = now(channels);
	json_t *entry = json_pack("{s:o, s:o, s:o, s:I, s:I, s:s, s:s}", "stable",
		image_json(&c->stable), "testing", image_json(&c->testing), "previous",
		image_json(&c->previous), "canary", (json_int_t)c->canary, "until_wall_ms",
		(json_int_t)c->until_wall_ms, "returned", c->returned, "reason", c->reason);
	gboolean good =
		entry && store_policy_put(channels->broker->store, CHANNELS, POOL, entry, error);

	json_decref(entry);
	return good;
}

static void load_core(struct channels *channels, const json_t *entry)
{
	struct core_channels c = {
		.canary = (guint32)json_integer_value(json_object_get(entry, "canary")),
		.until_wall_ms = json_integer_value(json_object_get(entry, "until_wall_ms"))};
	const char *returned = json_string_value(json_object_get(entry, "returned"));
	const char *reason = json_string_value(json_object_get(entry, "reason"));

	image_read(json_object_get(entry, "stable"), &c.stable);
	image_read(json_object_get(entry, "testing"), &c.testing);
	image_read(json_object_get(entry, "previous"), &c.previous);
	g_strlcpy(c.returned, returned ? returned : "", sizeof(c.returned));
	g_strlcpy(c.reason, reason ? reason : "", sizeof(c.reason));
	core_load_channels(channels->broker->core, &c);
}

static void holding_free(gpointer data)
{
	struct holding *holding = data;

	g_hash_table_destroy(holding->images);
	g_free(holding->sending);
	g_free(holding->file);
	g_free(holding);
}

struct channels *channels_new(struct broker *broker, GError **error)
{
	struct channels *channels = g_new0(struct channels, 1);
	json_t *stored = store_policy_list(broker->store, CHANNELS, error);

	channels->broker = broker;
	channels->holdings =
		g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, holding_free);
	channels->rollout.pending =
		g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	if (stored) {
		channels->trials = store_policy_list(broker->store, TRIAL, error);
		load_core(channels, json_array_get(stored, 0));
	}
	json_decref(stored);
	if (channels->trials)
		return channels;
	channels_free(channels);
	return NULL;
}

void channels_free(struct channels *channels)
{
	if (!channels)
		return;
	json_decref(channels->trials);
	g_hash_table_destroy(channels->rollout.pending);
	g_hash_table_destroy(channels->holdings);
	g_free(channels->failure);
	g_free(channels->problem);
	g_free(channels);
}

/* --- versions --- */

/* The version of [desktop] image that is asked for; "current" is the newest that was published. */
static gboolean find(
	struct channels *channels, const char *version, struct core_image *found, GError **error)
{
	const struct conf *conf = channels->broker->conf;
	const char *name = conf_string(conf, CONF_DESKTOP_IMAGE);
	g_autofree char *key = conf_path(conf, CONF_PATH_PKI, IMAGE_PUBLIC_KEY);
	struct image *image =
		image_load(conf_string(conf, CONF_PATH_IMAGES), name, version, key, error);

	if (!image)
		return FALSE;
	g_autofree char *id = image_id(image);
	gboolean desktop = image->kind != IMAGE_CLIENT;
	*found = (struct core_image){.live = image->live};
	g_strlcpy(found->id, id, sizeof(found->id));
	image_free(image);
	return desktop ||
	       broker_refuse(error, BROKER_ERROR_INVALID,
		       "%s is an image of PCs, not of desktops: correct [desktop] image", name);
}

/* "name@version" of [desktop] image. */
static gboolean find_id(
	struct channels *channels, const char *id, struct core_image *found, GError **error)
{
	const char *name = conf_string(channels->broker->conf, CONF_DESKTOP_IMAGE);
	const char *at = strchr(id, '@');
	g_autoptr(GError) cause = NULL;

	if (!at || strncmp(id, name, (gsize)(at - id)) || name[at - id] ||
		!image_version_is_good(at + 1))
		return broker_refuse(error, BROKER_ERROR_INVALID,
			"\"%s\" is no version of the image %s, which desktops run ([desktop] "
			"image); write %s@YYYYMMDD.N",
			id, name, name);
	if (find(channels, at + 1, found, &cause))
		return TRUE;
	if (!g_error_matches(cause, IMAGE_ERROR, IMAGE_ERROR_MISSING)) {
		broker_refuse(error, BROKER_ERROR_INVALID, "%s", cause->message);
		return FALSE;
	}
	return broker_refuse(error, BROKER_ERROR_UNKNOWN,
		"there is no image %s (%s); \"carrel image list\" shows what there is", id,
		cause->message);
}

static gboolean is_of(const char *id, const char *name)
{
	gsize length = strlen(name);

	return !strncmp(id, name, length) && id[length] == '@';
}

void channels_look(struct channels *channels)
{
	const char *name = conf_string(channels->broker->conf, CONF_DESKTOP_IMAGE);
	struct core_event event = {.type = CORE_EV_IMAGE_PROMOTE};
	g_autoptr(GError) error = NULL;

	g_clear_pointer(&channels->problem, g_free);
	if (is_of(now(channels)->stable.id, name))
		return;
	if (find(channels, "current", &event.image, &error)) {
		broker_post(channels->broker, &event);
		return;
	}
	channels->problem = g_strdup_printf(
		"no desktop image %s can be used (%s): build it and \"carrel image publish\" it, "
		"or correct [desktop] image",
		name, error->message);
	log_event(LOG_WARN, "image-missing", "reason", error->message, NULL);
}

const char *channels_problem(const struct channels *channels)
{
	return channels->problem;
}

static void want(GPtrArray *list, const char *image)
{
	if (*image && !g_ptr_array_find_with_equal_func(list, image, g_str_equal, NULL))
		g_ptr_array_add(list, g_strdup(image));
}

GPtrArray *channels_wanted(const struct channels *channels)
{
	const struct core_channels *c = now(channels);
	const struct core *core = channels->broker->core;
	GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
	size_t i;
	const json_t *item;

	want(list, c->stable.id);
	want(list, c->previous.id);
	want(list, c->testing.id);
	want(list, channels->rollout.image.id);
	json_array_foreach (channels->trials, i, item)
		want(list, json_string_value(json_object_get(item, "image")));
	for (const struct core_desktop *d = core_desktop_next(core, 0); d;
		d = core_desktop_next(core, d->id))
		want(list, d->image);
	return list;
}

/* --- on the way to the servers --- */

static void rollout_end(struct channels *channels)
{
	channels->rollout.image.id[0] = '\0';
	g_hash_table_remove_all(channels->rollout.pending);
}

/* Every server that is up has it. */
static void rollout_check(struct channels *channels)
{
	struct rollout *rollout = &channels->rollout;
	struct core_event event = {.type = rollout->to,
		.image = rollout->image,
		.number = rollout->canary,
		.until_wall_ms = rollout->until_wall_ms};

	if (!rollout->image.id[0] || g_hash_table_size(rollout->pending))
		return;
	rollout_end(channels);
	log_event(LOG_INFO, core_event_name(event.type), "image", event.image.id, NULL);
	broker_post(channels->broker, &event);
	channels_look(channels);
}

static void rollout_fail(struct channels *channels, const char *server, const char *why)
{
	g_free(channels->failure);
	channels->failure = g_strdup_printf(
		"%s could not be put on the server %s (%s): nothing was changed; mend that, or "
		"drain the server and take it out, and try again",
		channels->rollout.image.id, server, why);
	log_event(LOG_ERROR, "image-rollout", "image", channels->rollout.image.id, "server", server,
		"reason", why, NULL);
	rollout_end(channels);
}

static gboolean rollout_begin(
	struct channels *channels, const char *id, enum core_event_type to, GError **error)
{
	struct rollout *rollout = &channels->rollout;
	struct core_image image;
	GHashTableIter iter;
	gpointer value;

	if (rollout->image.id[0])
		return broker_refuse(error, BROKER_ERROR_BUSY,
			"%s is on its way to the servers; \"carrel image status\" shows how far; "
			"wait, or \"carrel image cancel\"",
			rollout->image.id);
	if (!find_id(channels, id, &image, error))
		return FALSE;
	g_clear_pointer(&channels->failure, g_free);
	rollout->image = image;
	rollout->to = now(channels)->stable.id[0] ? to : CORE_EV_IMAGE_PROMOTE;
	rollout->canary = 0;
	rollout->until_wall_ms = 0;
	g_hash_table_iter_init(&iter, channels->broker->workers);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		guint64 server = worker_server(value);

		if (worker_state(value) == WORKER_UP)
			g_hash_table_add(rollout->pending, g_memdup2(&server, sizeof(server)));
	}
	g_hash_table_iter_init(&iter, channels->broker->workers);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		if (worker_state(value) == WORKER_UP)
			reconcile_send_image(value, image.id);
	return TRUE;
}

gboolean channels_test(struct channels *channels, const char *image, GError **error)
{
	if (!rollout_begin(channels, image, CORE_EV_IMAGE_TEST, error))
		return FALSE;
	rollout_check(channels);
	return TRUE;
}

gboolean channels_promote(
	struct channels *channels, const char *image, gint64 canary, gint64 minutes, GError **error)
{
	if (!rollout_begin(channels, image, CORE_EV_IMAGE_PROMOTE, error))
		return FALSE;
	channels->rollout.canary =
		(guint32)(canary < 0 ? conf_int(channels->broker->conf, CONF_IMAGE_CANARY)
				     : canary);
	channels->rollout.until_wall_ms =
		minutes > 0 ? g_get_real_time() / 1000 + minutes * 60000 : 0;
	rollout_check(channels);
	return TRUE;
}

gboolean channels_cancel(struct channels *channels, GError **error)
{
	if (!channels->rollout.image.id[0])
		return broker_refuse(
			error, BROKER_ERROR_BUSY, "no version is on its way to the servers");
	log_event(LOG_INFO, "image-rollout-cancelled", "image", channels->rollout.image.id, NULL);
	rollout_end(channels);
	return TRUE;
}

gboolean channels_rollback(struct channels *channels, const char *why, GError **error)
{
	struct core_event event = {.type = CORE_EV_IMAGE_ROLLBACK};

	if (!now(channels)->previous.id[0])
		return broker_refuse(error, BROKER_ERROR_BUSY,
			"there is no version to go back to: nothing was promoted since %s became "
			"stable; \"carrel image promote NAME@VERSION\" takes any other one",
			now(channels)->stable.id[0] ? now(channels)->stable.id : "the start");
	g_strlcpy(event.text, *why ? why : "by an administrator", sizeof(event.text));
	broker_post(channels->broker, &event);
	return TRUE;
}

static struct holding *holding_of(struct channels *channels, guint64 server)
{
	struct holding *holding = g_hash_table_lookup(channels->holdings, &server);

	if (holding)
		return holding;
	holding = g_new0(struct holding, 1);
	holding->images = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_hash_table_insert(channels->holdings, g_memdup2(&server, sizeof(server)), holding);
	return holding;
}

void channels_sent(struct channels *channels, guint64 server, const char *image, const char *why)
{
	struct holding *holding = holding_of(channels, server);
	const struct core_server *row = core_server_get(channels->broker->core, server);
	gboolean rolled = !strcmp(channels->rollout.image.id, image) &&
			  g_hash_table_contains(channels->rollout.pending, &server);

	if (!g_strcmp0(holding->sending, image))
		g_clear_pointer(&holding->sending, g_free);
	if (!why)
		g_hash_table_add(holding->images, g_strdup(image));
	if (rolled && why) {
		rollout_fail(channels, row ? row->name : "?", why);
	} else if (rolled) {
		g_hash_table_remove(channels->rollout.pending, &server);
		rollout_check(channels);
	}
}

void channels_progress(struct channels *channels, guint64 server, const json_t *event)
{
	struct holding *holding = holding_of(channels, server);
	const char *image = json_string_value(json_object_get(event, "image"));
	const char *file = json_string_value(json_object_get(event, "file"));

	g_free(holding->sending);
	g_free(holding->file);
	holding->sending = g_strdup(image ? image : "");
	holding->file = g_strdup(file ? file : "");
	holding->done = json_integer_value(json_object_get(event, "done"));
	holding->total = json_integer_value(json_object_get(event, "total"));
}

void channels_forgotten(struct channels *channels, guint64 server, const char *image)
{
	g_hash_table_remove(holding_of(channels, server)->images, image);
}

gboolean channels_useless(
	const struct channels *channels, const GPtrArray *wanted, const char *image)
{
	const char *at = strchr(image, '@');

	if (g_ptr_array_find_with_equal_func((GPtrArray *)wanted, image, g_str_equal, NULL) ||
		!at || !image_version_is_good(at + 1))
		return FALSE;
	g_autofree char *name = g_strndup(image, (gsize)(at - image));
	g_autofree char *path =
		g_build_filename(conf_string(channels->broker->conf, CONF_PATH_IMAGES), name,
			at + 1, "manifest.json", NULL);
	return !g_file_test(path, G_FILE_TEST_EXISTS);
}

void channels_sweep(struct channels *channels)
{
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, channels->broker->workers);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		if (worker_state(value) == WORKER_UP)
			reconcile_sweep_images(value);
}

void channels_server_gone(struct channels *channels, guint64 server)
{
	g_hash_table_remove(channels->holdings, &server);
	if (g_hash_table_remove(channels->rollout.pending, &server))
		rollout_check(channels);
}

/* --- trials --- */

static json_t *trial_find(const struct channels *channels, const char *image, size_t *at)
{
	size_t i;
	json_t *item;

	json_array_foreach (channels->trials, i, item)
		if (!strcmp(json_string_value(json_object_get(item, "image")), image)) {
			*at = i;
			return item;
		}
	return NULL;
}

const json_t *channels_trials(const struct channels *channels)
{
	return channels->trials;
}

gboolean channels_try(struct channels *channels, const char *image, const json_t *members,
	const char *group, GError **error)
{
	const struct core_image *testing = &now(channels)->testing;
	json_t *list = policies_members(channels->broker->policies, members, group, error);
	size_t at = 0;

	if (!list)
		return FALSE;
	if (!*testing->id || strcmp(testing->id, image) != 0) {
		json_decref(list);
		return broker_refuse(error, BROKER_ERROR_BUSY,
			"%s is not the testing version%s%s; \"carrel image publish %s\" makes it "
			"that",
			image, *testing->id ? ", which is " : "", testing->id, image);
	}
	json_t *trial = json_pack("{s:s, s:b, s:o, s:s}", "image", image, "live", testing->live,
		"members", list, "group", group);
	gboolean good =
		trial && store_policy_put(channels->broker->store, TRIAL, image, trial, error);
	if (good && trial_find(channels, image, &at))
		json_array_set(channels->trials, at, trial);
	else if (good)
		json_array_append(channels->trials, trial);
	json_decref(trial);
	if (good)
		policies_apply(channels->broker->policies);
	return good;
}

gboolean channels_untry(struct channels *channels, const char *image, GError **error)
{
	size_t at = 0;

	if (!trial_find(channels, image, &at))
		return broker_refuse(error, BROKER_ERROR_UNKNOWN,
			"nobody tries %s; \"carrel image status\" shows who tries what", image);
	if (!store_policy_put(channels->broker->store, TRIAL, image, NULL, error))
		return FALSE;
	json_array_remove(channels->trials, at);
	policies_apply(channels->broker->policies);
	return TRUE;
}

/* --- what an admin sees --- */

static json_t *sessions_json(const struct core *core)
{
	json_t *counts = json_object();

	for (const struct core_session *s = core_session_next(core, 0); s;
		s = core_session_next(core, s->id)) {
		json_int_t count = json_integer_value(json_object_get(counts, s->image.id));

		if (s->image.id[0] && s->state != SESSION_ENDED)
			json_object_set_new(counts, s->image.id, json_integer(count + 1));
	}
	return counts;
}

static json_t *server_json(struct channels *channels, struct worker *worker)
{
	guint64 id = worker_server(worker);
	struct holding *holding = holding_of(channels, id);
	json_t *has = json_array();
	GHashTableIter iter;
	gpointer image;

	g_hash_table_iter_init(&iter, holding->images);
	while (g_hash_table_iter_next(&iter, &image, NULL))
		json_array_append_new(has, json_string(image));
	return json_pack("{s:s, s:b, s:o, s:s, s:s, s:I, s:I}", "server", worker_name(worker), "up",
		worker_state(worker) == WORKER_UP, "has", has, "sending",
		holding->sending ? holding->sending : "", "file",
		holding->sending ? holding->file : "", "done", (json_int_t)holding->done, "total",
		(json_int_t)holding->total);
}

json_t *channels_json(struct channels *channels)
{
	const struct core_channels *c = now(channels);
	const struct rollout *rollout = &channels->rollout;
	GPtrArray *wanted = channels_wanted(channels);
	json_t *keep = json_array(), *servers = json_array();
	GHashTableIter iter;
	gpointer worker;

	for (guint i = 0; i < wanted->len; i++)
		json_array_append_new(keep, json_string(wanted->pdata[i]));
	g_ptr_array_unref(wanted);
	g_hash_table_iter_init(&iter, channels->broker->workers);
	while (g_hash_table_iter_next(&iter, NULL, &worker))
		json_array_append_new(servers, server_json(channels, worker));
	return json_pack("{s:{s:s, s:s, s:s, s:I, s:I, s:s, s:s}, s:{s:s, s:s}, s:s, s:O, s:o, "
			 "s:o, s:o}",
		"channels", "stable", c->stable.id, "testing", c->testing.id, "previous",
		c->previous.id, "canary", (json_int_t)c->canary, "until",
		(json_int_t)(c->until_wall_ms / 1000), "returned", c->returned, "reason", c->reason,
		"rollout", "image", rollout->image.id, "to",
		!rollout->image.id[0]                  ? ""
		: rollout->to == CORE_EV_IMAGE_PROMOTE ? "stable"
						       : "testing",
		"failure", channels->failure ? channels->failure : "", "trials", channels->trials,
		"sessions", sessions_json(channels->broker->core), "servers", servers, "keep",
		keep);
}
