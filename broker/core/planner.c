/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "broker/core/planner.h"

void planner_init(struct planner *p, const struct tier_table *tiers, uint32_t standby,
	struct planner_server *servers, size_t count, const struct planner_watch *watch)
{
	memset(p, 0, sizeof(*p));
	placement_init(&p->placement, tiers, standby);
	p->servers = servers;
	p->server_count = count;
	if (watch)
		p->watch = *watch;
}

void planner_server_init(
	struct planner *p, size_t index, uint32_t memory_mib, uint32_t host_reserve_mib, bool open)
{
	struct planner_server *server = &p->servers[index];

	placement_server_init(&server->place, index);
	server->usable_mib = memory_mib > host_reserve_mib ? memory_mib - host_reserve_mib : 0;
	placement_server_set(&p->placement, &server->place,
		tier_capacity(&p->placement.tiers, memory_mib, host_reserve_mib),
		open ? PLACEMENT_OPEN : PLACEMENT_LOST);
	if (open)
		p->usable_mib += server->usable_mib;
}

/* Remembers where a user was before a loss on trial. */
static void touch(struct planner *p, struct planner_user *user)
{
	if (!p->trial || user->touched)
		return;
	user->touched = true;
	user->before = user->desktop;
	user->next_touched = p->touched;
	p->touched = user;
}

static void put(struct planner *p, struct planner_user *user, struct placement_server *server,
	uint32_t size_mib, uint64_t sequence)
{
	placement_put(&p->placement, &user->desktop, server, size_mib, sequence, PLACEMENT_MOVABLE);
	p->counts[user->desktop.tier]++;
	tree_insert(&p->users, &user->order, sequence, sequence);
}

static void take(struct planner *p, struct planner_user *user)
{
	if (!user->desktop.server)
		return;
	p->counts[user->desktop.tier]--;
	placement_remove(&p->placement, &user->desktop);
	tree_remove(&p->users, &user->order);
}

static void handoff(struct planner *p, const struct placement_plan *plan)
{
	struct planner_user *user = TREE_ENTRY(plan->handoff, struct planner_user, desktop);
	const struct tier_table *tiers = &p->placement.tiers;
	struct placement_desktop next;
	const struct planner_step step = {
		.user = user,
		.from = plan->handoff->server->id,
		.to = plan->handoff_to->id,
		.from_mib = tier_size_mib(tiers, plan->handoff->tier),
		.size_mib = tier_size_mib(tiers, plan->tier),
		.break_before_make = plan->break_before_make,
	};
	uint64_t sequence = user->desktop.sequence;

	touch(p, user);
	if (plan->break_before_make)
		take(p, user);
	placement_put(
		&p->placement, &next, plan->handoff_to, step.size_mib, sequence, PLACEMENT_HELD);
	if (p->watch.handoff)
		p->watch.handoff(p->watch.data, &step);
	take(p, user);
	placement_remove(&p->placement, &next);
	put(p, user, plan->handoff_to, step.size_mib, sequence);
}

enum placement_result planner_arrive(struct planner *p, struct planner_user *user)
{
	struct placement_plan plan = placement_next(&p->placement);

	if (plan.result != PLACEMENT_ADMIT)
		return plan.result;
	if (plan.handoff)
		handoff(p, &plan);
	put(p, user, plan.server, tier_size_mib(&p->placement.tiers, plan.tier), ++p->sequence);
	return PLACEMENT_ADMIT;
}

void planner_leave(struct planner *p, struct planner_user *user)
{
	take(p, user);
}

static void set_state(
	struct planner *p, struct planner_server *server, enum placement_server_state state)
{
	if (server->place.state == state)
		return;
	placement_server_set(&p->placement, &server->place, server->place.capacity, state);
	if (state == PLACEMENT_OPEN)
		p->usable_mib += server->usable_mib;
	else
		p->usable_mib -= server->usable_mib;
}

void planner_lose(struct planner *p, struct planner_server *server, bool trial)
{
	struct placement_plan plan;
	struct tree homeless = {0};
	struct tree_node *node;

	p->trial = trial;
	p->lost = server;
	set_state(p, server, PLACEMENT_LOST);
	while (placement_settle(&p->placement, &plan))
		handoff(p, &plan);
	while (server->place.first) {
		struct planner_user *user =
			TREE_ENTRY(server->place.first, struct planner_user, desktop);
		uint64_t sequence = user->desktop.sequence;
		touch(p, user);
		take(p, user);
		tree_insert(&homeless, &user->order, sequence, sequence);
	}
	while ((node = tree_first(&homeless))) {
		struct planner_user *user = TREE_ENTRY(node, struct planner_user, order);
		tree_remove(&homeless, node);
		bool admitted = planner_arrive(p, user) == PLACEMENT_ADMIT;
		if (p->watch.again)
			p->watch.again(p->watch.data, user, admitted);
	}
}

void planner_undo(struct planner *p)
{
	for (struct planner_user *user = p->touched; user; user = user->next_touched)
		take(p, user);
	set_state(p, p->lost, PLACEMENT_OPEN);
	for (struct planner_user *user = p->touched; user; user = user->next_touched) {
		put(p, user, user->before.server,
			tier_size_mib(&p->placement.tiers, user->before.tier),
			user->before.sequence);
		user->touched = false;
	}
	p->touched = NULL;
	p->trial = false;
}

void planner_return(struct planner *p, struct planner_server *server)
{
	set_state(p, server, PLACEMENT_OPEN);
}

struct planner_user *planner_next_user(const struct planner *p, const struct planner_user *user)
{
	struct tree_node *node = tree_at_least(&p->users, user ? user->desktop.sequence + 1 : 0);

	return node ? TREE_ENTRY(node, struct planner_user, order) : NULL;
}

unsigned planner_tier(const struct planner *p)
{
	return placement_target(&p->placement, (uint64_t)p->placement.users + p->placement.standby);
}

uint64_t planner_free_mib(const struct planner *p)
{
	const struct tier_table *tiers = &p->placement.tiers;
	uint64_t used = 0;

	for (unsigned m = 0; m <= tiers->last; m++)
		used += p->counts[m] * tier_units(tiers, m);
	return p->usable_mib - used * tiers->unit_mib;
}

uint64_t planner_server_free_mib(const struct planner *p, const struct planner_server *server)
{
	if (server->place.state != PLACEMENT_OPEN)
		return 0;
	return server->usable_mib - server->place.used * p->placement.tiers.unit_mib;
}

uint64_t planner_waste_mib(const struct planner *p, unsigned tier)
{
	const struct tier_table *tiers = &p->placement.tiers;

	return p->usable_mib - p->placement.slots[tier] * tier_units(tiers, tier) * tiers->unit_mib;
}

uint64_t planner_servers_for(const struct tier_table *tiers, uint32_t memory_mib,
	uint32_t host_reserve_mib, uint64_t users, uint64_t spare)
{
	uint64_t each = tier_capacity(tiers, memory_mib, host_reserve_mib);

	return each > 0 ? (users + each - 1) / each + spare : 0;
}

/* Of all sizes from max down by halves: the first with which `serves` says yes. */
static uint32_t largest_min(uint32_t max_mib, uint32_t overhead_mib,
	bool (*serves)(const struct tier_table *tiers, const void *data), const void *data)
{
	for (uint32_t min = max_mib; min > 0; min /= 2) {
		struct tier_table tiers;
		if (!tier_table_init(&tiers, max_mib, min, overhead_mib))
			return 0; /* an odd size has been halved */
		if (serves(&tiers, data))
			return min;
	}
	return 0;
}

struct given {
	const uint32_t *memory_mib;
	size_t count;
	uint32_t host_reserve_mib;
	uint64_t users;
	bool one_lost;
};

static bool given_serves(const struct tier_table *tiers, const void *data)
{
	const struct given *given = data;
	uint64_t sum = 0, most = 0;

	for (size_t i = 0; i < given->count; i++) {
		uint64_t each = tier_capacity(tiers, given->memory_mib[i], given->host_reserve_mib);
		sum += each;
		most = each > most ? each : most;
	}
	return sum - (given->one_lost ? most : 0) >= given->users;
}

uint32_t planner_min_for(const uint32_t *memory_mib, size_t count, uint32_t host_reserve_mib,
	uint32_t max_mib, uint32_t overhead_mib, uint64_t users, bool one_lost)
{
	const struct given given = {memory_mib, count, host_reserve_mib, users, one_lost};

	return largest_min(max_mib, overhead_mib, given_serves, &given);
}

struct equal {
	uint32_t memory_mib, host_reserve_mib;
	uint64_t count; /* that are left */
	uint64_t users;
};

static bool equal_serves(const struct tier_table *tiers, const void *data)
{
	const struct equal *equal = data;
	uint64_t each = tier_capacity(tiers, equal->memory_mib, equal->host_reserve_mib);

	return each > 0 && (equal->users + each - 1) / each <= equal->count;
}

uint32_t planner_min_for_equal(uint32_t memory_mib, uint64_t count, uint64_t spare,
	uint32_t host_reserve_mib, uint32_t max_mib, uint32_t overhead_mib, uint64_t users)
{
	const struct equal equal = {
		memory_mib, host_reserve_mib, count > spare ? count - spare : 0, users};

	return largest_min(max_mib, overhead_mib, equal_serves, &equal);
}
