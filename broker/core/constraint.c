/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Admission under groups and reservations. The plain rule (placement.c) is a count, because all
 * users are alike; here they are not, so the same steps are taken with three changes.
 *
 * The count: a user whose smallest size is M_f takes 2^(m-f) slots of a smaller M_m, and so does a
 * seat that is kept for somebody; "users <= U_m" becomes "slots asked for <= U_m". A user with a
 * largest size counts as one slot, though he takes less: his room may be nobody else's size.
 *
 * The size: the tier's, brought between the user's smallest and largest.
 *
 * What stays: kept seats are a promise of memory, not of a number, so they must fit into what is
 * free after the admission. Sizes that halve pack without search: seats fit exactly when for each
 * tier j those of M_j and larger, counted in slots of M_j, are no more than the free slots of M_j.
 * (Placing one of them on any server takes exactly its slots from each smaller size; so place the
 * largest first.) The hand-off reserve is one more seat, of the tier's size. It is given up where
 * nothing else is left to give; kept seats never are, except that a member, who comes to take his
 * seat, may take any desktop of his smallest size: should there be fewer than were promised (a
 * server was lost), those who come first have them.
 *
 * A hand-off that would not be enough is still proposed when the admission fits by it. Which server
 * is taken matters now; they are tried from the fullest on.
 */
#include "broker/core/placement.h"

#define NO_RESERVE TIER_MAX

/* What an admission does to one server. */
struct change {
	const struct placement_server *server;
	uint64_t free; /* units, after it */
};

static const struct placement_constraint nothing = {.smallest = TIER_MAX};

static unsigned smallest_of(const struct placement *p, const struct placement_constraint *c)
{
	return c->smallest < p->tiers.last ? c->smallest : p->tiers.last;
}

/* The tier's size, between the user's smallest and largest. */
static unsigned clamp(
	const struct placement *p, const struct placement_constraint *c, unsigned tier)
{
	unsigned smallest = smallest_of(p, c);

	tier = tier < c->largest ? c->largest : tier;
	return tier < smallest ? tier : smallest;
}

/* Slots of M_m that somebody takes who has at least M_f. */
static uint64_t slots_of(unsigned m, unsigned f)
{
	return f < m ? UINT64_C(1) << (m - f) : 1;
}

static uint64_t demand(
	const struct placement *p, const struct placement_constraint *c, unsigned m, unsigned more)
{
	uint64_t slots = p->users + p->extra[m] + more * slots_of(m, smallest_of(p, c));

	for (unsigned i = 0; i <= p->tiers.last; i++)
		slots += c->kept[i] * slots_of(m, i);
	return slots;
}

unsigned placement_target_for(
	const struct placement *p, const struct placement_constraint *c, unsigned more)
{
	unsigned m = 0;

	c = c ? c : &nothing;
	while (m < p->tiers.last &&
		(int64_t)(demand(p, c, m, more) + p->standby) > placement_threshold(p, m))
		m++;
	return m;
}

/* Do the kept seats, and a slot of M_reserve, fit into what is free after the changes? */
static bool leaves(const struct placement *p, const struct placement_constraint *c,
	unsigned reserve, const struct change *changes, unsigned count)
{
	uint64_t need = 0;

	for (unsigned j = 0; j <= p->tiers.last; j++) {
		unsigned shift = p->tiers.last - j;
		uint64_t have = p->free_slots[j];
		need = 2 * need + c->kept[j] + (j == reserve);
		if (need == 0)
			continue;
		for (unsigned i = 0; i < count; i++)
			have = have + (changes[i].free >> shift) -
			       (placement_server_free(changes[i].server) >> shift);
		if (need > have)
			return false;
	}
	return true;
}

static bool keeps_seats(const struct placement *p, const struct placement_constraint *c)
{
	for (unsigned i = 0; i <= p->tiers.last; i++) {
		if (c->kept[i] > 0)
			return true;
	}
	return false;
}

bool placement_leaves_kept(const struct placement *p, const struct placement_constraint *c,
	const struct placement_server *server, unsigned tier)
{
	uint64_t units = tier_units(&p->tiers, tier), free = placement_server_free(server);
	struct change change = {server, free - units};

	if (free < units)
		return false;
	return !c || (c->member && tier == smallest_of(p, c)) ||
	       leaves(p, c, NO_RESERVE, &change, 1);
}

static struct placement_server *at_least(const struct placement *p, uint64_t units)
{
	struct tree_node *node = tree_at_least(&p->by_free, units);

	return node ? TREE_ENTRY(node, struct placement_server, node) : NULL;
}

/* The fullest server that takes M_tier and leaves what must be left. */
static struct placement_server *fit(const struct placement *p, const struct placement_constraint *c,
	unsigned tier, unsigned reserve)
{
	uint64_t units = tier_units(&p->tiers, tier);
	struct placement_server *server = at_least(p, units);
	bool any = keeps_seats(p, c) || (reserve != tier && reserve != NO_RESERVE);

	while (server) {
		struct change change = {server, placement_server_free(server) - units};
		if (leaves(p, c, reserve, &change, 1))
			return server;
		server = any ? at_least(p, placement_server_free(server) + 1) : NULL;
	}
	return NULL;
}

static struct placement_desktop *later(const struct tree *tree, struct placement_desktop *last)
{
	struct tree_node *node = tree_last(tree);

	return node && (!last || node->key > last->sequence)
		       ? TREE_ENTRY(node, struct placement_desktop, node)
		       : last;
}

/* The last-connected user with more than M_tier who may be handed off to it, or NULL. */
static struct placement_desktop *last_larger(const struct placement *p, unsigned tier)
{
	struct placement_desktop *last = NULL;

	for (unsigned m = 0; m < tier; m++) {
		last = later(&p->movable[m], last);
		for (unsigned f = tier; p->extra[p->tiers.last] > 0 && f < p->tiers.last; f++)
			last = later(&p->bounded[m][f], last);
	}
	return last;
}

/* With the last larger user handed off to M_base, does M_tier fit where he was? */
static bool with_handoff(const struct placement *p, const struct placement_constraint *c,
	unsigned base, unsigned tier, unsigned reserve, bool exempt, struct placement_plan *plan)
{
	uint64_t small = tier_units(&p->tiers, base), units = tier_units(&p->tiers, tier);
	struct placement_desktop *desktop = last_larger(p, base);
	struct placement_server *to = at_least(p, small);
	struct change changes[2];

	if (!desktop || !to)
		return false;
	changes[0] = (struct change){
		desktop->server, placement_server_free(desktop->server) + desktop->units};
	changes[1] = (struct change){to, placement_server_free(to) - small};
	if (to == desktop->server)
		changes[0].free -= small;
	if (changes[0].free < units)
		return false;
	changes[0].free -= units;
	if (!exempt && !leaves(p, c, reserve, changes, to == desktop->server ? 1 : 2))
		return false;
	plan->handoff = desktop;
	plan->handoff_to = to;
	plan->handoff_tier = base;
	plan->server = desktop->server;
	return true;
}

/* A desktop of M_tier, where the others are at M_base. */
static bool try(const struct placement *p, const struct placement_constraint *c, unsigned base,
	unsigned reserve, struct placement_plan *plan)
{
	unsigned tier = clamp(p, c, base);
	bool exempt = c->member && tier == smallest_of(p, c);

	plan->tier = tier;
	plan->keeps_reserve = true;
	plan->server = fit(p, c, tier, reserve);
	if (plan->server || with_handoff(p, c, base, tier, reserve, false, plan))
		return true;
	plan->keeps_reserve = false;
	plan->server =
		exempt ? at_least(p, tier_units(&p->tiers, tier)) : fit(p, c, tier, NO_RESERVE);
	return plan->server || with_handoff(p, c, base, tier, NO_RESERVE, exempt, plan);
}

struct placement_plan placement_next_for(
	const struct placement *p, const struct placement_constraint *constraint)
{
	const struct placement_constraint *c = constraint ? constraint : &nothing;
	struct placement_plan plan = {.result = PLACEMENT_ADMIT};
	uint64_t all = demand(p, c, p->tiers.last, 1), capacity = placement_capacity(p);
	unsigned m = placement_target_for(p, c, 1);

	if (!constraint && p->extra[p->tiers.last] == 0)
		return placement_next(p);
	plan.tier = clamp(p, c, m);
	if (p->slots[smallest_of(p, c)] == 0)
		plan.result = PLACEMENT_NO_SERVER;
	else if (all > capacity)
		plan.result = PLACEMENT_FULL;
	if (plan.result != PLACEMENT_ADMIT)
		return plan;
	bool last_user = all == capacity && p->draining == 0;
	for (; m <= p->tiers.last; m++) {
		if (try(p, c, m, last_user ? NO_RESERVE : m, &plan))
			return plan;
	}
	plan.result = PLACEMENT_NO_ROOM;
	return plan;
}

bool placement_without_handoff_for(const struct placement *p,
	const struct placement_constraint *constraint, unsigned tier, struct placement_plan *plan)
{
	const struct placement_constraint *c = constraint ? constraint : &nothing;
	unsigned smallest = smallest_of(p, c);

	*plan = (struct placement_plan){.result = PLACEMENT_ADMIT};
	for (unsigned t = clamp(p, c, tier); t <= smallest && !plan->server; t++) {
		plan->tier = t;
		plan->server = fit(p, c, t, t > tier ? t : tier);
	}
	plan->keeps_reserve = plan->server != NULL;
	if (!plan->server && c->member)
		plan->server = at_least(p, tier_units(&p->tiers, smallest));
	else if (!plan->server)
		plan->server = fit(p, c, smallest, NO_RESERVE);
	return plan->server != NULL;
}
