/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Groups and reservations, from names and seats to what an admission is asked for.
 *
 * A user's sizes are those of all groups that he, or the seat he sits at, is in: the largest of the
 * smallest sizes and the smallest of the largest ones; where they contradict, the smallest size
 * holds. A reservation in force keeps its seats: each member with a desktop fills one, in the order
 * of connection, until all are filled; what is not filled counts as taken for everybody else. A
 * member's desktop is at least the reservation's size while he fills a seat of it.
 *
 * Who fills what follows from the sessions, so nothing of it is remembered: it is found out again
 * when a session got or lost its desktop or its seat, or the policy changed (`stale`).
 */
#include <stdlib.h>
#include <string.h>

#include "broker/core/internal.h"

bool core_pattern_match(const char *pattern, const char *text)
{
	const char *star = NULL, *from = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			from = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star;
			text = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static bool is_member(const struct members *members, const struct session *s)
{
	for (size_t i = 0; i < members->count; i++) {
		const char *pattern = members->patterns[i];
		if (core_pattern_match(pattern, strchr(pattern, ':') ? s->row.seat : s->row.user))
			return true;
	}
	return false;
}

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		abort();
	return memory;
}

static struct members members_copy(const struct core_members *from)
{
	struct members to = {allocate(from->count, sizeof(char *)), from->count};

	for (size_t i = 0; i < from->count; i++) {
		to.patterns[i] = strdup(from->patterns[i]);
		if (!to.patterns[i])
			abort();
	}
	return to;
}

static void members_clear(struct members *members)
{
	for (size_t i = 0; i < members->count; i++)
		free(members->patterns[i]);
	free(members->patterns);
}

void policy_clear(struct policy *policy)
{
	for (size_t i = 0; i < policy->group_count; i++)
		members_clear(&policy->groups[i].members);
	for (size_t i = 0; i < policy->reservation_count; i++)
		members_clear(&policy->reservations[i].members);
	for (size_t i = 0; i < policy->trial_count; i++)
		members_clear(&policy->trials[i].members);
	free(policy->groups);
	free(policy->reservations);
	free(policy->trials);
	*policy = (struct policy){0};
}

static const struct policy_reservation *reservation_find(const struct policy *policy, uint64_t id)
{
	for (size_t i = 0; i < policy->reservation_count; i++) {
		if (policy->reservations[i].id == id)
			return &policy->reservations[i];
	}
	return NULL;
}

/* One log line for each reservation that has come into force, or is over. */
static void audit_changes(struct core *core, const struct policy *old)
{
	const struct policy *new = &core->policy;

	for (size_t i = 0; i < old->reservation_count; i++) {
		const struct policy_reservation *r = &old->reservations[i];
		if (!reservation_find(new, r->id))
			emit_audit(core, "reservation-ends", 0, 0,
				"reservation %u: %u of %u seats were taken", (unsigned)r->id,
				r->filled, r->seats);
	}
	for (size_t i = 0; i < new->reservation_count; i++) {
		const struct policy_reservation *r = &new->reservations[i];
		if (!reservation_find(old, r->id))
			emit_audit(core, "reservation-starts", 0, 0,
				"reservation %u: %u seats of at least %u MiB are kept",
				(unsigned)r->id, r->seats, r->min_mib);
	}
}

void policy_set(struct core *core, const struct core_policy *policy)
{
	struct policy old = core->policy, *new = &core->policy;

	*new = (struct policy){
		.groups = allocate(policy->group_count, sizeof(*new->groups)),
		.group_count = policy->group_count,
		.reservations = allocate(policy->reservation_count, sizeof(*new->reservations)),
		.reservation_count = policy->reservation_count,
		.trials = allocate(policy->trial_count, sizeof(*new->trials)),
		.trial_count = policy->trial_count,
		.stale = true,
	};
	for (size_t i = 0; i < policy->trial_count; i++)
		new->trials[i] = (struct policy_trial){
			members_copy(&policy->trials[i].members), policy->trials[i].image};
	for (size_t i = 0; i < policy->group_count; i++) {
		const struct core_group *g = &policy->groups[i];
		new->groups[i] =
			(struct policy_group){members_copy(&g->members), g->min_mib, g->max_mib};
	}
	for (size_t i = 0; i < policy->reservation_count; i++) {
		const struct core_reservation *r = &policy->reservations[i];
		new->reservations[i] = (struct policy_reservation){
			r->id, members_copy(&r->members), r->seats, r->min_mib, 0};
	}
	audit_changes(core, &old);
	policy_clear(&old);
	core->room = true;
}

/* The tier of the smallest size that is no less than that; L when any will do. */
static unsigned tier_no_less(const struct core *core, uint32_t min_mib)
{
	const struct tier_table *tiers = &core->placement.tiers;
	unsigned tier = tiers->last;

	while (tier > 0 && tier_size_mib(tiers, tier) < min_mib)
		tier--;
	return tier;
}

/* The sizes that groups give to a user at his seat. */
static void group_sizes(
	const struct core *core, const struct session *s, struct placement_constraint *c)
{
	for (size_t i = 0; i < core->policy.group_count; i++) {
		const struct policy_group *g = &core->policy.groups[i];
		unsigned smallest = tier_no_less(core, g->min_mib);
		unsigned largest = g->max_mib ? tier_of(&core->placement.tiers, g->max_mib) : 0;
		if (!is_member(&g->members, s))
			continue;
		c->smallest = smallest < c->smallest ? smallest : c->smallest;
		c->largest = largest > c->largest ? largest : c->largest;
	}
}

/* The first reservation that has a seat for him, or NULL. */
static struct policy_reservation *reservation_for(const struct core *core, const struct session *s)
{
	for (size_t i = 0; i < core->policy.reservation_count; i++) {
		struct policy_reservation *r = &core->policy.reservations[i];
		if (r->filled < r->seats && is_member(&r->members, s))
			return r;
	}
	return NULL;
}

static void take_seat(struct core *core, struct session *s, struct desktop *d)
{
	struct placement_constraint c = {.smallest = core->placement.tiers.last};
	struct policy_reservation *r = reservation_for(core, s);

	group_sizes(core, s, &c);
	if (r) {
		unsigned tier = tier_no_less(core, r->min_mib);
		c.smallest = tier < c.smallest ? tier : c.smallest;
		s->reservation = r->id;
		r->filled++;
	}
	placement_set_smallest(&core->placement, &d->place, c.smallest);
}

void policy_refresh(struct core *core)
{
	if (!core->policy.stale)
		return;
	core->policy.stale = false;
	for (size_t i = 0; i < core->policy.reservation_count; i++)
		core->policy.reservations[i].filled = 0;
	EACH(session, s, &core->sessions)
	{
		struct desktop *d = move_target(core, s);
		s->reservation = 0;
		if (d)
			take_seat(core, s, d);
	}
}

bool policy_seat_kept(const struct core *core, const struct session *s)
{
	return reservation_for(core, s) != NULL;
}

static bool keep_seats(const struct core *core, const struct policy_reservation *mine,
	struct placement_constraint *c)
{
	bool any = false;

	for (size_t i = 0; i < core->policy.reservation_count; i++) {
		const struct policy_reservation *r = &core->policy.reservations[i];
		uint32_t left = r->seats - r->filled - (r == mine ? 1 : 0);
		c->kept[tier_no_less(core, r->min_mib)] += left;
		any |= left > 0;
	}
	return any;
}

/* `mine` has a seat for him; `has` is the reservation whose seat he takes already. */
static const struct placement_constraint *constraint(const struct core *core,
	const struct session *s, const struct policy_reservation *mine,
	const struct policy_reservation *has, struct placement_constraint *c)
{
	unsigned last = core->placement.tiers.last;
	const struct policy_reservation *sized = has ? has : mine;

	*c = (struct placement_constraint){.smallest = last, .member = mine != NULL};
	if (s)
		group_sizes(core, s, c);
	if (sized) {
		unsigned tier = tier_no_less(core, sized->min_mib);
		c->smallest = tier < c->smallest ? tier : c->smallest;
	}
	bool kept = keep_seats(core, mine, c);
	return kept || mine || c->smallest < last || c->largest > 0 ? c : NULL;
}

const struct placement_constraint *policy_constraint(
	const struct core *core, const struct session *s, struct placement_constraint *c)
{
	const struct policy_reservation *has =
		s && s->reservation ? reservation_find(&core->policy, s->reservation) : NULL;

	return constraint(core, s, s && !has ? reservation_for(core, s) : NULL, has, c);
}

const struct placement_constraint *policy_next(
	const struct core *core, struct placement_constraint *c)
{
	const struct policy_reservation *mine = NULL;

	for (size_t i = 0; i < core->policy.reservation_count && !mine; i++) {
		const struct policy_reservation *r = &core->policy.reservations[i];
		mine = r->filled < r->seats ? r : NULL;
	}
	return constraint(core, NULL, mine, NULL, c);
}

const struct core_image *policy_trial(const struct core *core, const struct session *s)
{
	for (size_t i = 0; i < core->policy.trial_count; i++) {
		if (is_member(&core->policy.trials[i].members, s))
			return &core->policy.trials[i].image;
	}
	return NULL;
}

uint32_t core_reservation_filled(const struct core *core, uint64_t id)
{
	const struct policy_reservation *r = reservation_find(&core->policy, id);

	return r ? r->filled : 0;
}
