/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How memory is shared out.
 *
 * With N_m slots of size M_m on all open servers, up to U_m = N_m - 1 users fit with everyone at
 * M_m or more while one slot of that size stays free, the hand-off reserve. The reserve is what
 * makes shrinking safe: the new, smaller desktop boots in it while the old one runs on.
 *
 * User n' = n + 1 gets the size M_m of the smallest m with n' <= U_m. If two slots of that size are
 * free he takes one and the other is the reserve. If only one is free, the last-connected user with
 * a larger desktop moves into it, and leaves at least two behind, on his old server: the new user
 * takes one of those. That is why an admission costs one hand-off at most, and why its outcome
 * needs no search: before the hand-off exactly one server has a free slot, after it only the server
 * that he left has any. User N_L takes the last reserve; the next one is refused.
 *
 * Which of several servers: the one with the least free space that suffices, so that large pieces
 * stay whole for large desktops. Where a slot of M_m is taken does not change how many slots of M_m
 * are left, so "keeps the reserve" is a count and not a property of the server.
 *
 * Does a slot of M_m exist whenever n' <= U_m? While users only arrive, yes: each admission leaves
 * one of its own tier. If nobody has more than M_m, yes: n users break at most n slots, N_m - n is
 * two or more. But when users have left, small desktops can lie so that no server has M_m in one
 * piece while somebody still has more (small desktops of a fuller hour, thinly spread, beside large
 * ones of a later, emptier one: it takes many servers or very unequal ones). Then there is nothing
 * to hand off *into*. The new user gets the largest size of which there is a slot: nobody is
 * interrupted, nobody is refused, and the argument above holds at that size, because the latest
 * admission left a slot of its own tier, and departures only add.
 *
 * A server that is drained gives nothing, while its users, who still count, must come in. So as
 * long as there are some the last user does not take the last reserve from them if somebody has
 * more than M_L; and at the drain, as at a loss, the users of the open servers are settled first.
 *
 * A standby desktop lies in the free space: it is not put here. k standby desktops mean that the
 * tier is chosen as if k more users were there.
 */
#include <string.h>

#include "broker/core/placement.h"

void placement_init(struct placement *p, const struct tier_table *tiers, uint32_t standby)
{
	memset(p, 0, sizeof(*p));
	p->tiers = *tiers;
	p->standby = standby;
}

void placement_server_init(struct placement_server *server, uint64_t id)
{
	memset(server, 0, sizeof(*server));
	server->id = id;
}

uint64_t placement_server_free(const struct placement_server *server)
{
	return server->capacity > server->used ? server->capacity - server->used : 0;
}

/* Takes an open server's figures out of the sums; server_enter puts them back in. */
static void server_leave(struct placement *p, struct placement_server *server)
{
	if (server->state == PLACEMENT_OPEN) {
		for (unsigned m = 0; m <= p->tiers.last; m++) {
			p->slots[m] -= server->capacity >> (p->tiers.last - m);
			p->free_slots[m] -= placement_server_free(server) >> (p->tiers.last - m);
		}
		tree_remove(&p->by_free, &server->node);
	}
}

static void server_enter(struct placement *p, struct placement_server *server)
{
	if (server->state == PLACEMENT_OPEN) {
		for (unsigned m = 0; m <= p->tiers.last; m++) {
			p->slots[m] += server->capacity >> (p->tiers.last - m);
			p->free_slots[m] += placement_server_free(server) >> (p->tiers.last - m);
		}
		tree_insert(&p->by_free, &server->node, placement_server_free(server), server->id);
	}
}

/* Where a movable desktop stands: with those of its size, apart when it has a smallest one. */
static struct tree *movable_tree(struct placement *p, const struct placement_desktop *desktop)
{
	return desktop->smallest < p->tiers.last ? &p->bounded[desktop->tier][desktop->smallest]
						 : &p->movable[desktop->tier];
}

/* Slots of each tier that a user takes beyond one, because of his smallest size. */
static void extra_add(struct placement *p, const struct placement_desktop *desktop, bool add)
{
	for (unsigned m = desktop->smallest + 1; m <= p->tiers.last; m++) {
		uint64_t extra = (UINT64_C(1) << (m - desktop->smallest)) - 1;
		p->extra[m] += add ? extra : -extra;
	}
}

static void desktop_leave(struct placement *p, struct placement_desktop *desktop)
{
	struct placement_server *server = desktop->server;

	if (desktop->kind != PLACEMENT_HELD) {
		server->user_count--;
		p->users -= server->state != PLACEMENT_LOST;
		p->draining -= server->state == PLACEMENT_DRAINING;
		if (server->state != PLACEMENT_LOST)
			extra_add(p, desktop, false);
	}
	tree_remove(movable_tree(p, desktop), &desktop->node);
}

static void desktop_enter(struct placement *p, struct placement_desktop *desktop)
{
	struct placement_server *server = desktop->server;

	if (desktop->kind != PLACEMENT_HELD) {
		server->user_count++;
		p->users += server->state != PLACEMENT_LOST;
		p->draining += server->state == PLACEMENT_DRAINING;
		if (server->state != PLACEMENT_LOST)
			extra_add(p, desktop, true);
	}
	if (desktop->kind == PLACEMENT_MOVABLE && server->state == PLACEMENT_OPEN)
		tree_insert(movable_tree(p, desktop), &desktop->node, desktop->sequence,
			desktop->sequence);
}

void placement_server_set(struct placement *p, struct placement_server *server, uint64_t capacity,
	enum placement_server_state state)
{
	if (server->capacity == capacity && server->state == state)
		return;
	for (struct placement_desktop *d = server->first; d; d = d->next)
		desktop_leave(p, d);
	server_leave(p, server);
	server->capacity = capacity;
	server->state = state;
	server_enter(p, server);
	for (struct placement_desktop *d = server->first; d; d = d->next)
		desktop_enter(p, d);
}

static void server_use(struct placement *p, struct placement_server *server, uint64_t used)
{
	uint64_t before = placement_server_free(server), after;

	server->used = used;
	after = placement_server_free(server);
	if (server->state != PLACEMENT_OPEN || before == after)
		return;
	for (unsigned m = 0; m <= p->tiers.last; m++)
		p->free_slots[m] +=
			(after >> (p->tiers.last - m)) - (before >> (p->tiers.last - m));
	tree_remove(&p->by_free, &server->node);
	tree_insert(&p->by_free, &server->node, after, server->id);
}

void placement_put(struct placement *p, struct placement_desktop *desktop,
	struct placement_server *server, uint32_t size_mib, uint64_t sequence,
	enum placement_kind kind)
{
	*desktop = (struct placement_desktop){
		.server = server,
		.sequence = sequence,
		.units = tier_units_of(&p->tiers, size_mib),
		.tier = tier_of(&p->tiers, size_mib),
		.smallest = p->tiers.last,
		.kind = kind,
		.next = server->first,
	};
	if (server->first)
		server->first->previous = desktop;
	server->first = desktop;
	server_use(p, server, server->used + desktop->units);
	desktop_enter(p, desktop);
}

void placement_set_kind(
	struct placement *p, struct placement_desktop *desktop, enum placement_kind kind)
{
	if (!desktop->server || desktop->kind == kind)
		return;
	desktop_leave(p, desktop);
	desktop->kind = kind;
	desktop_enter(p, desktop);
}

void placement_set_smallest(struct placement *p, struct placement_desktop *desktop, unsigned tier)
{
	unsigned smallest = tier < desktop->tier ? desktop->tier : tier;

	smallest = smallest < p->tiers.last ? smallest : p->tiers.last;
	if (!desktop->server || desktop->smallest == smallest)
		return;
	desktop_leave(p, desktop);
	desktop->smallest = smallest;
	desktop_enter(p, desktop);
}

void placement_remove(struct placement *p, struct placement_desktop *desktop)
{
	struct placement_server *server = desktop->server;

	if (!server)
		return;
	desktop_leave(p, desktop);
	if (desktop->previous)
		desktop->previous->next = desktop->next;
	else
		server->first = desktop->next;
	if (desktop->next)
		desktop->next->previous = desktop->previous;
	desktop->server = NULL;
	server_use(p, server, server->used - desktop->units);
}

int64_t placement_threshold(const struct placement *p, unsigned tier)
{
	return (int64_t)p->slots[tier] - 1;
}

uint64_t placement_capacity(const struct placement *p)
{
	return p->slots[p->tiers.last];
}

unsigned placement_target(const struct placement *p, uint64_t users)
{
	unsigned m = 0;

	while (m < p->tiers.last && (int64_t)users > placement_threshold(p, m))
		m++;
	return m;
}

/* The open server with the least free space that holds a desktop of that tier, or NULL. */
static struct placement_server *best_fit(const struct placement *p, unsigned tier)
{
	struct tree_node *node = tree_at_least(&p->by_free, tier_units(&p->tiers, tier));

	return node ? TREE_ENTRY(node, struct placement_server, node) : NULL;
}

/* The last-connected movable user whose desktop is larger than M_tier, or NULL. */
static struct placement_desktop *last_larger(const struct placement *p, unsigned tier)
{
	struct placement_desktop *last = NULL;

	for (unsigned m = 0; m < tier; m++) {
		struct tree_node *node = tree_last(&p->movable[m]);
		if (node && (!last || node->key > last->sequence))
			last = TREE_ENTRY(node, struct placement_desktop, node);
	}
	return last;
}

struct placement_plan placement_next(const struct placement *p)
{
	struct placement_plan plan = {.result = PLACEMENT_ADMIT};
	uint64_t users = (uint64_t)p->users + 1;
	unsigned m = placement_target(p, users + p->standby);

	if (placement_capacity(p) == 0)
		plan.result = PLACEMENT_NO_SERVER;
	else if (users > placement_capacity(p))
		plan.result = PLACEMENT_FULL;
	while (m < p->tiers.last && p->free_slots[m] == 0)
		m++;
	plan.tier = m;
	if (plan.result == PLACEMENT_ADMIT && p->free_slots[m] == 0)
		plan.result = PLACEMENT_NO_ROOM;
	if (plan.result != PLACEMENT_ADMIT)
		return plan;
	plan.server = best_fit(p, m);
	plan.keeps_reserve =
		p->free_slots[m] >= 2 || (users == placement_capacity(p) && p->draining == 0);
	if (plan.keeps_reserve)
		return plan;
	plan.handoff = last_larger(p, m);
	plan.keeps_reserve = plan.handoff != NULL;
	if (plan.handoff) {
		plan.handoff_to = plan.server;
		plan.handoff_tier = m;
		plan.server = plan.handoff->server;
	}
	return plan;
}

bool placement_without_handoff(
	const struct placement *p, unsigned tier, struct placement_plan *plan)
{
	while (tier < p->tiers.last && p->free_slots[tier] < 2)
		tier++;
	*plan = (struct placement_plan){.tier = tier,
		.server = best_fit(p, tier),
		.keeps_reserve = p->free_slots[tier] >= 2};
	return plan->server != NULL;
}

bool placement_settle(const struct placement *p, struct placement_plan *plan)
{
	unsigned m = placement_target(p, p->users + p->standby);

	*plan = (struct placement_plan){.tier = m};
	if (p->free_slots[m] > 0)
		return false;
	/* As many users as slots, and all here: then nobody has more than M_L. */
	plan->handoff = last_larger(p, m);
	if (!plan->handoff)
		return false;
	plan->handoff_to = plan->handoff->server;
	plan->handoff_tier = m;
	plan->break_before_make = true;
	return true;
}
