/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/policies.h"

#include "broker/core/tier.h"
#include "broker/daemon/broker.h"
#include "broker/daemon/channels.h"
#include "broker/daemon/seat_name.h"
#include "broker/daemon/seats.h"
#include "broker/daemon/when.h"
#include "broker/shared/log.h"

#include <string.h>

#define GROUP "group"
#define RESERVATION "reservation"
#define MEMBER_MAX (CORE_NAME_MAX - 1)

/* What core is told, and what its pointers point to. The struct stays where it is, so that an event
 * that is still queued has the newest. */
struct view {
	struct core_policy policy;
	/* of struct core_group, core_reservation, core_trial; owned */
	GArray *groups, *reservations, *trials;
	GPtrArray *patterns; /* arrays of borrowed texts; owned */
	json_t *groups_kept, *reservations_kept,
		*trials_kept; /* own what the texts are borrowed from */
	GString *in_force;    /* ids, to see a change; owned */
};

struct policies {
	struct broker *broker; /* borrowed */
	json_t *groups;        /* owned; an array of objects, by name */
	json_t *reservations;  /* owned; an array of objects, by id */
	struct view view;
	guint timer;
};

static const char *text(const json_t *object, const char *member)
{
	const char *value = json_string_value(json_object_get(object, member));

	return value ? value : "";
}

static gint64 number(const json_t *object, const char *member)
{
	return json_integer_value(json_object_get(object, member));
}

static gint64 wall_now(void)
{
	return g_get_real_time() / G_USEC_PER_SEC;
}

#define invalid(error, ...) broker_refuse(error, BROKER_ERROR_INVALID, __VA_ARGS__)

/* --- what core is told --- */

static void view_clear(struct view *view)
{
	g_array_set_size(view->groups, 0);
	g_array_set_size(view->reservations, 0);
	g_array_set_size(view->trials, 0);
	g_ptr_array_set_size(view->patterns, 0);
	json_decref(view->groups_kept);
	json_decref(view->reservations_kept);
	json_decref(view->trials_kept);
	view->groups_kept = view->reservations_kept = view->trials_kept = NULL;
	view->policy = (struct core_policy){0};
}

static struct core_members members_view(struct view *view, const json_t *members)
{
	size_t count = json_array_size(members);
	const char **patterns = g_new0(const char *, count + 1);

	for (size_t i = 0; i < count; i++)
		patterns[i] = json_string_value(json_array_get(members, i));
	g_ptr_array_add(view->patterns, patterns);
	return (struct core_members){patterns, count};
}

/* In each of `list`, seats named in `member` become the MAC addresses that have the names now. */
static void resolve(struct policies *policies, json_t *list, const char *member)
{
	size_t i;
	json_t *item;

	json_array_foreach (list, i, item) {
		const json_t *members = json_object_get(item, member);

		if (members)
			json_object_set_new(
				item, member, seats_resolve(policies->broker->seats, members));
	}
}

static json_t *find(json_t *list, const char *member, const json_t *value, size_t *at)
{
	size_t i;
	json_t *item;

	json_array_foreach (list, i, item)
		if (json_equal(json_object_get(item, member), value)) {
			if (at)
				*at = i;
			return item;
		}
	return NULL;
}

static json_t *group_find(struct policies *policies, const char *name, size_t *at)
{
	json_t *value = json_string(name);
	json_t *group = find(policies->groups, "name", value, at);

	json_decref(value);
	return group;
}

static char *when_read(const json_t *reservation, struct when *when)
{
	if (json_object_get(reservation, "when"))
		return when_parse_weekly(when, text(reservation, "when"));
	return when_parse_once(when, text(reservation, "from"), text(reservation, "until"));
}

static gboolean in_force(const json_t *reservation, gint64 now)
{
	struct when when;
	g_autofree char *problem = when_read(reservation, &when);

	return !problem && when_contains(&when, now);
}

static void view_trials(struct policies *policies)
{
	struct view *view = &policies->view;
	const struct channels *channels = policies->broker->channels;
	size_t i;
	json_t *item;

	view->trials_kept = channels ? json_deep_copy(channels_trials(channels)) : NULL;
	resolve(policies, view->trials_kept, "members");
	json_array_foreach (view->trials_kept, i, item) {
		const json_t *members = json_object_get(item, "members");
		struct core_trial trial = {
			.image = {.live = json_is_true(json_object_get(item, "live"))}};
		size_t at = 0;

		if (*text(item, "group"))
			members = group_find(policies, text(item, "group"), &at)
					  ? json_object_get(json_array_get(view->groups_kept, at),
						    "members")
					  : NULL;
		g_strlcpy(trial.image.id, text(item, "image"), sizeof(trial.image.id));
		trial.members = members_view(view, members);
		g_array_append_val(view->trials, trial);
	}
}

static void view_fill(struct policies *policies, gint64 now)
{
	struct view *view = &policies->view;
	size_t i;
	json_t *item;

	view_clear(view);
	view->groups_kept = json_deep_copy(policies->groups);
	view->reservations_kept = json_deep_copy(policies->reservations);
	resolve(policies, view->groups_kept, "members");
	resolve(policies, view->reservations_kept, "users");
	json_array_foreach (view->groups_kept, i, item) {
		struct core_group group = {members_view(view, json_object_get(item, "members")),
			(guint32)number(item, "min_mib"), (guint32)number(item, "max_mib")};

		g_array_append_val(view->groups, group);
	}
	json_array_foreach (view->reservations_kept, i, item) {
		const json_t *users = json_object_get(item, "users");
		size_t at = 0;
		struct core_reservation reservation = {.id = (guint64)number(item, "id"),
			.seats = (guint32)number(item, "seats"),
			.min_mib = (guint32)number(item, "min_mib")};

		if (!in_force(item, now))
			continue;
		if (!users && group_find(policies, text(item, "group"), &at))
			users = json_object_get(json_array_get(view->groups_kept, at), "members");
		reservation.members = members_view(view, users);
		g_array_append_val(view->reservations, reservation);
	}
	view_trials(policies);
	view->policy = (struct core_policy){(const struct core_group *)(void *)view->groups->data,
		view->groups->len,
		(const struct core_reservation *)(void *)view->reservations->data,
		view->reservations->len, (const struct core_trial *)(void *)view->trials->data,
		view->trials->len};
}

static char *in_force_ids(struct policies *policies, gint64 now)
{
	GString *ids = g_string_new(NULL);
	size_t i;
	json_t *item;

	json_array_foreach (policies->reservations, i, item)
		if (in_force(item, now))
			g_string_append_printf(ids, "%" G_GINT64_FORMAT " ", number(item, "id"));
	return g_string_free(ids, FALSE);
}

static void clock_set(struct policies *policies);

static gboolean on_clock(gpointer data)
{
	struct policies *policies = data;
	g_autofree char *ids = in_force_ids(policies, wall_now());

	policies->timer = 0;
	if (strcmp(ids, policies->view.in_force->str) != 0)
		policies_apply(policies);
	else
		clock_set(policies);
	return G_SOURCE_REMOVE;
}

/* Looks at the calendar again at the next whole minute, or at a moment in between that counts: also
 * when the wall clock is set, or jumps in spring, the right reservations are soon in force. */
static void clock_set(struct policies *policies)
{
	gint64 now = wall_now(), wait = -1;
	gint64 part = g_get_real_time() % G_USEC_PER_SEC / 1000;
	size_t i;
	json_t *item;

	if (policies->timer)
		g_source_remove(policies->timer);
	policies->timer = 0;
	json_array_foreach (policies->reservations, i, item) {
		struct when when;
		g_autofree char *problem = when_read(item, &when);

		if (!problem && !when_is_over(&when, now))
			wait = MIN(wait < 0 ? G_MAXINT64 : wait, when_wait(&when, now));
	}
	if (wait >= 0)
		policies->timer =
			g_timeout_add((guint)(wait * 1000 - part + 1), on_clock, policies);
}

void policies_apply(struct policies *policies)
{
	gint64 now = wall_now();
	g_autofree char *ids = in_force_ids(policies, now);

	g_string_assign(policies->view.in_force, ids);
	view_fill(policies, now);
	broker_post(policies->broker,
		&(struct core_event){.type = CORE_EV_POLICY, .policy = &policies->view.policy});
	clock_set(policies);
}

struct policies *policies_new(struct broker *broker, GError **error)
{
	struct policies *policies = g_new0(struct policies, 1);

	policies->broker = broker;
	policies->view.groups = g_array_new(FALSE, FALSE, sizeof(struct core_group));
	policies->view.reservations = g_array_new(FALSE, FALSE, sizeof(struct core_reservation));
	policies->view.trials = g_array_new(FALSE, FALSE, sizeof(struct core_trial));
	policies->view.patterns = g_ptr_array_new_with_free_func(g_free);
	policies->view.in_force = g_string_new(NULL);
	policies->groups = store_policy_list(broker->store, GROUP, error);
	if (policies->groups)
		policies->reservations = store_policy_list(broker->store, RESERVATION, error);
	if (policies->reservations)
		return policies;
	policies_free(policies);
	return NULL;
}

void policies_free(struct policies *policies)
{
	if (!policies)
		return;
	if (policies->timer)
		g_source_remove(policies->timer);
	view_clear(&policies->view);
	g_array_free(policies->view.groups, TRUE);
	g_array_free(policies->view.reservations, TRUE);
	g_array_free(policies->view.trials, TRUE);
	g_ptr_array_free(policies->view.patterns, TRUE);
	g_string_free(policies->view.in_force, TRUE);
	json_decref(policies->groups);
	json_decref(policies->reservations);
	g_free(policies);
}

/* --- members and sizes --- */

/* A seat's pattern in lower case, its name, a user's as names are kept. NULL: `error` says why. */
static char *member_read(struct policies *policies, const char *member, GError **error)
{
	gboolean own = !strcmp(conf_string(policies->broker->conf, CONF_AUTH_METHOD), "own");
	g_autofree char *name = NULL;

	if (strchr(member, ':')) {
		name = g_ascii_strdown(member, -1);
		if (strlen(name) < CORE_MAC_MAX && !name[strspn(name, "0123456789abcdef:*?")])
			return g_steal_pointer(&name);
		invalid(error,
			"\"%s\" is no seat: write its MAC address, such as 52:54:00:77:00:01, or a "
			"pattern, such as 52:54:00:77:*",
			member);
		return NULL;
	}
	if (strchr(member, '/')) {
		struct seat_ref ref;
		g_autofree char *problem = seat_ref_read(member, &ref);

		if (problem)
			invalid(error, "%s", problem);
		return problem ? NULL : g_strdup(ref.text);
	}
	g_autofree char *composed = g_utf8_normalize(member, -1, G_NORMALIZE_NFC);
	name = composed ? own ? g_utf8_strdown(composed, -1) : g_strdup(composed) : NULL;
	if (name && *name && strlen(name) <= MEMBER_MAX && !strpbrk(name, " \t,/"))
		return g_steal_pointer(&name);
	invalid(error, "\"%s\" is neither a user's name nor a seat", member);
	return NULL;
}

/* Adds to `list` what it does not have yet. */
static gboolean members_add(
	struct policies *policies, json_t *list, const json_t *members, GError **error)
{
	size_t i, k;
	const json_t *item, *there;

	json_array_foreach (members, i, item) {
		g_autofree char *name = member_read(policies, json_string_value(item) ?: "", error);
		gboolean known = FALSE;

		if (!name ||
			(strchr(name, '/') && !seats_check(policies->broker->seats, name, error)))
			return FALSE;
		json_array_foreach (list, k, there)
			known = known || !strcmp(json_string_value(there), name);
		if (!known)
			json_array_append_new(list, json_string(name));
	}
	return TRUE;
}

json_t *policies_members(
	struct policies *policies, const json_t *members, const char *group, GError **error)
{
	json_t *list = json_array();
	size_t at = 0;

	if (*group && json_array_size(members))
		invalid(error, "name members or a group, not both");
	else if (*group && !group_find(policies, group, &at))
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_UNKNOWN,
			"there is no group %s; \"carrel group list\" shows them", group);
	else if (!*group && !json_array_size(members))
		invalid(error, "name users, the MAC addresses of seats, or a group");
	else if (members_add(policies, list, members, error))
		return list;
	json_decref(list);
	return NULL;
}

static void tiers_of(struct policies *policies, struct tier_table *tiers)
{
	const struct core_config *config = &policies->broker->config;

	tier_table_init(tiers, config->max_mib, config->min_mib, config->overhead_mib);
}

static gboolean is_size(const struct tier_table *tiers, gint64 mib)
{
	return mib >= tiers->min_mib && mib <= tiers->max_mib &&
	       tier_size_mib(tiers, tier_of(tiers, (guint32)mib)) == mib;
}

/* 0 is no limit; anything else one of the sizes that desktops have. */
static gboolean size_check(struct policies *policies, const char *what, gint64 mib, GError **error)
{
	struct tier_table tiers;
	g_autoptr(GString) sizes = g_string_new(NULL);

	tiers_of(policies, &tiers);
	if (mib == 0 || is_size(&tiers, mib))
		return TRUE;
	for (unsigned m = 0; m <= tiers.last; m++)
		g_string_append_printf(
			sizes, "%s%u", sizes->len ? ", " : "", tier_size_mib(&tiers, m));
	return invalid(error,
		"%s = %" G_GINT64_FORMAT " MiB is no size of desktops; the sizes are %s", what, mib,
		sizes->str);
}

/* --- groups --- */

static gboolean name_check(const char *name, GError **error)
{
	if (*name && strlen(name) <= 63 && !strpbrk(name, " \t/*?"))
		return TRUE;
	return invalid(error,
		"\"%s\" cannot be a group's name: 1 to 63 bytes without blanks, /, * and ? are "
		"allowed",
		name);
}

/* Stores `group` and puts it in the place of `at`, or where its name belongs. */
static gboolean group_keep(
	struct policies *policies, json_t *group, gboolean there, size_t at, GError **error)
{
	const char *name = text(group, "name");

	if (!store_policy_put(policies->broker->store, GROUP, name, group, error))
		return FALSE;
	if (there) {
		json_array_set(policies->groups, at, group);
	} else {
		for (at = 0; at < json_array_size(policies->groups); at++)
			if (strcmp(text(json_array_get(policies->groups, at), "name"), name) > 0)
				break;
		json_array_insert(policies->groups, at, group);
	}
	policies_apply(policies);
	return TRUE;
}

json_t *policies_group_add(struct policies *policies, const char *name, const json_t *members,
	gint64 min_mib, gint64 max_mib, GError **error)
{
	size_t at = 0;
	const json_t *old = group_find(policies, name, &at);
	gint64 least = min_mib < 0 ? number(old, "min_mib") : min_mib;
	gint64 most = max_mib < 0 ? number(old, "max_mib") : max_mib;
	json_t *list = old ? json_deep_copy(json_object_get(old, "members")) : json_array();
	json_t *group = json_pack("{s:s, s:I, s:I, s:o}", "name", name, "min_mib",
		(json_int_t)least, "max_mib", (json_int_t)most, "members", list);
	gboolean good = group && name_check(name, error) &&
			size_check(policies, "min", least, error) &&
			size_check(policies, "max", most, error) &&
			members_add(policies, list, members, error);

	if (good && most != 0 && least > most)
		good = invalid(error,
			"the smallest size, %" G_GINT64_FORMAT
			" MiB, is larger than the largest, %" G_GINT64_FORMAT " MiB",
			least, most);
	if (good && json_array_size(list) == 0)
		good = invalid(
			error, "a group needs a member; name users or the MAC addresses of seats");
	if (good && group_keep(policies, group, old != NULL, at, error))
		return group;
	json_decref(group);
	return NULL;
}

static gboolean group_drop(struct policies *policies, const char *name, size_t at, GError **error)
{
	size_t i;
	const json_t *item;

	json_array_foreach (policies->reservations, i, item)
		if (!strcmp(text(item, "group"), name)) {
			g_set_error(error, BROKER_ERROR, BROKER_ERROR_BUSY,
				"reservation %" G_GINT64_FORMAT " is for the group %s; \"carrel "
				"reservation remove %" G_GINT64_FORMAT "\" first",
				number(item, "id"), name, number(item, "id"));
			return FALSE;
		}
	json_array_foreach (channels_trials(policies->broker->channels), i, item)
		if (!strcmp(text(item, "group"), name)) {
			g_set_error(error, BROKER_ERROR, BROKER_ERROR_BUSY,
				"the group %s tries the image %s out; \"carrel image try %s "
				"--none\" "
				"first",
				name, text(item, "image"), text(item, "image"));
			return FALSE;
		}
	if (!store_policy_put(policies->broker->store, GROUP, name, NULL, error))
		return FALSE;
	json_array_remove(policies->groups, at);
	policies_apply(policies);
	return TRUE;
}

gboolean policies_group_remove(
	struct policies *policies, const char *name, const json_t *members, GError **error)
{
	size_t at = 0, i;
	const json_t *old = group_find(policies, name, &at), *item;

	if (!old) {
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_UNKNOWN,
			"there is no group %s; \"carrel group list\" shows them", name);
		return FALSE;
	}
	if (json_array_size(members) == 0)
		return group_drop(policies, name, at, error);
	json_t *group = json_deep_copy(old);
	gboolean good = TRUE;
	json_array_foreach (members, i, item) {
		g_autofree char *member =
			member_read(policies, json_string_value(item) ?: "", error);
		json_t *list = json_object_get(group, "members");
		size_t k = 0;

		good = member != NULL;
		while (good && k < json_array_size(list) &&
			strcmp(json_string_value(json_array_get(list, k)), member) != 0)
			k++;
		if (good && k == json_array_size(list))
			good = invalid(error, "%s is no member of the group %s", member, name);
		if (!good)
			break;
		json_array_remove(list, k);
	}
	if (good && json_array_size(json_object_get(group, "members")) == 0)
		good = invalid(error,
			"the group %s would be empty; \"carrel group remove %s\" removes it", name,
			name);
	good = good && group_keep(policies, group, TRUE, at, error);
	json_decref(group);
	return good;
}

json_t *policies_groups(struct policies *policies)
{
	return json_deep_copy(policies->groups);
}

/* --- reservations --- */

/* Seats of that size that the configured servers hold, those that are down included. */
static guint64 seats_held(struct policies *policies, gint64 min_mib)
{
	const struct core *core = policies->broker->core;
	struct tier_table tiers;
	guint64 seats = 0;

	tiers_of(policies, &tiers);
	unsigned tier = tiers.last;
	while (tier > 0 && tier_size_mib(&tiers, tier) < min_mib)
		tier--;
	for (const struct core_server *server = core_server_next(core, 0); server;
		server = core_server_next(core, server->id))
		seats += tier_capacity(&tiers, server->memory_mib,
				 policies->broker->config.host_reserve_mib) /
			 tier_units(&tiers, tier);
	return seats;
}

static gboolean can_be_met(struct policies *policies, const json_t *entry, GError **error)
{
	gint64 seats = number(entry, "seats"), min_mib = number(entry, "min_mib");
	guint64 held = seats_held(policies, min_mib);

	if (seats < 1)
		return invalid(error, "a reservation needs at least one seat");
	if ((guint64)seats <= held)
		return TRUE;
	return invalid(error,
		"%" G_GINT64_FORMAT " seats of at least %" G_GINT64_FORMAT
		" MiB can never be kept: the configured servers hold %" G_GUINT64_FORMAT
		" of them; ask for fewer or smaller ones, or add a server first",
		seats, min_mib ? min_mib : (gint64)policies->broker->config.min_mib, held);
}

static gboolean who_check(struct policies *policies, json_t *entry, GError **error)
{
	const json_t *users = json_object_get(entry, "users");
	const char *group = text(entry, "group");
	json_t *list;

	if ((users != NULL) == (*group != 0))
		return invalid(error, "a reservation is for a group or for a list of users");
	if (!users && !group_find(policies, group, NULL))
		return invalid(error,
			"there is no group %s; \"carrel group add %s MEMBER...\" makes it", group,
			group);
	if (!users)
		return TRUE;
	list = json_array();
	gboolean good = members_add(policies, list, users, error);
	if (good && json_array_size(list) == 0)
		good = invalid(error, "the list of users is empty");
	json_object_set_new(entry, "users", list);
	return good;
}

static gboolean when_check(const json_t *entry, struct when *when, GError **error)
{
	gboolean weekly = json_object_get(entry, "when") != NULL;
	gboolean from = json_object_get(entry, "from") != NULL,
		 until = json_object_get(entry, "until") != NULL;

	if (from != until || weekly == from)
		return invalid(error, "a reservation has a time of the week (--when) or a time "
				      "from which and until which it holds (--from, --until)");
	g_autofree char *problem = when_read(entry, when);
	if (problem)
		return invalid(error, "%s", problem);
	if (when_is_over(when, wall_now()))
		return invalid(error, "\"%s\" is over already", text(entry, "until"));
	return TRUE;
}

/* Texts about the others that are in force at the same time. */
static json_t *overlaps(struct policies *policies, const json_t *entry, const struct when *when)
{
	json_t *list = json_array();
	gint64 seats = number(entry, "seats");
	size_t i;
	const json_t *item;

	json_array_foreach (policies->reservations, i, item) {
		struct when other;
		g_autofree char *problem = when_read(item, &other);

		if (problem || !when_overlap(when, &other))
			continue;
		seats += number(item, "seats");
		g_autofree char *at = when_text(&other);
		g_autofree char *warning =
			g_strdup_printf("it overlaps reservation %" G_GINT64_FORMAT
					" (%s, %" G_GINT64_FORMAT " seats)",
				number(item, "id"), at, number(item, "seats"));
		json_array_append_new(list, json_string(warning));
	}
	guint64 held = seats_held(policies, 0);
	if (json_array_size(list) && (guint64)seats > held) {
		g_autofree char *warning = g_strdup_printf(
			"together they keep %" G_GINT64_FORMAT
			" seats, the servers hold %" G_GUINT64_FORMAT ": who comes first has them",
			seats, held);
		json_array_append_new(list, json_string(warning));
	}
	return list;
}

/* Ids are not given twice, so that a script never removes another one than it made. */
static gint64 id_next(struct policies *policies, GError **error)
{
	json_t *all = store_policy_list(policies->broker->store, "reservation-id", error);
	gint64 id;

	if (!all)
		return 0;
	id = number(json_array_get(all, 0), "last") + 1;
	json_decref(all);
	json_t *entry = json_pack("{s:I}", "last", (json_int_t)id);
	gboolean kept =
		store_policy_put(policies->broker->store, "reservation-id", "last", entry, error);
	json_decref(entry);
	return kept ? id : 0;
}

json_t *policies_reservation_add(struct policies *policies, const json_t *body, GError **error)
{
	json_t *entry = json_deep_copy(body), *shown;
	struct when when;
	gint64 id = 0;

	if (!json_object_get(entry, "min_mib"))
		json_object_set_new(entry, "min_mib", json_integer(0));
	if (who_check(policies, entry, error) && when_check(entry, &when, error) &&
		size_check(policies, "min", number(entry, "min_mib"), error) &&
		can_be_met(policies, entry, error))
		id = id_next(policies, error);
	if (id) {
		g_autofree char *key = g_strdup_printf("%020" G_GINT64_FORMAT, id);

		json_object_set_new(entry, "id", json_integer(id));
		if (!store_policy_put(policies->broker->store, RESERVATION, key, entry, error))
			id = 0;
	}
	if (!id) {
		json_decref(entry);
		return NULL;
	}
	shown = json_copy(entry);
	json_object_set_new(shown, "warnings", overlaps(policies, entry, &when));
	json_array_append_new(policies->reservations, entry);
	policies_apply(policies);
	return shown;
}

gboolean policies_reservation_remove(struct policies *policies, guint64 id, GError **error)
{
	json_t *value = json_integer((json_int_t)id);
	g_autofree char *key = g_strdup_printf("%020" G_GUINT64_FORMAT, id);
	size_t at = 0;
	gboolean there = find(policies->reservations, "id", value, &at) != NULL;

	json_decref(value);
	if (!there) {
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_UNKNOWN,
			"there is no reservation %" G_GUINT64_FORMAT
			"; \"carrel reservation list\" shows them",
			id);
		return FALSE;
	}
	if (!store_policy_put(policies->broker->store, RESERVATION, key, NULL, error))
		return FALSE;
	json_array_remove(policies->reservations, at);
	policies_apply(policies);
	return TRUE;
}

static const char *state_of(const json_t *reservation, gint64 now)
{
	struct when when;
	g_autofree char *problem = when_read(reservation, &when);

	if (problem || when_is_over(&when, now))
		return "over";
	return when_contains(&when, now) ? "in force" : "waiting";
}

json_t *policies_reservations(struct policies *policies)
{
	json_t *list = json_deep_copy(policies->reservations), *item;
	size_t i;

	json_array_foreach (list, i, item) {
		struct when when;
		g_autofree char *problem = when_read(item, &when);
		g_autofree char *at = problem ? g_steal_pointer(&problem) : when_text(&when);

		json_object_set_new(item, "state", json_string(state_of(item, wall_now())));
		json_object_set_new(item, "time", json_string(at));
		json_object_set_new(item, "filled",
			json_integer(core_reservation_filled(
				policies->broker->core, (guint64)number(item, "id"))));
	}
	return list;
}

static void warn(json_t *list, char *sentence)
{
	json_array_append_new(list, json_string(sentence));
	g_free(sentence);
}

void policies_warn(struct policies *policies, json_t *list)
{
	static const char *const limits[] = {"min_mib", "max_mib"};
	struct tier_table tiers;
	size_t i;
	const json_t *item;

	tiers_of(policies, &tiers);
	json_array_foreach (policies->groups, i, item)
		for (size_t k = 0; k < G_N_ELEMENTS(limits); k++) {
			gint64 mib = number(item, limits[k]);

			if (mib != 0 && !is_size(&tiers, mib))
				warn(list, g_strdup_printf("group %s: %s = %" G_GINT64_FORMAT
							   " is no size of desktops any more; the "
							   "nearest that keeps it is used",
						   text(item, "name"), limits[k], mib));
		}
	json_array_foreach (policies->reservations, i, item)
		if (strcmp(state_of(item, wall_now()), "over") != 0 &&
			(guint64)number(item, "seats") >
				seats_held(policies, number(item, "min_mib")))
			warn(list, g_strdup_printf("reservation %" G_GINT64_FORMAT
						   ": the servers hold "
						   "fewer than its %" G_GINT64_FORMAT " seats",
					   number(item, "id"), number(item, "seats")));
}
