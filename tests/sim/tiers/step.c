/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happens in a world, and what was promised about it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/tiers/lab.h"

/* A large world is compared as a whole, and built anew, only now and then: it costs its size. */
#define LARGE_WORLD 64
#define LARGE_WORLD_EVERY 16
#define SHUFFLE_EVERY 8

static void check(struct lab *lab, enum property property, bool holds)
{
	lab->broken |= !holds;
	if (property_check(property, holds)) {
		fprintf(stderr, "broken: %s\n", property_name(property));
		lab_print(lab);
	}
}

static int server_index(const struct lab *lab, const struct placement_server *server)
{
	return server ? (int)(server - lab->servers) : SCAN_NONE;
}

static int desktop_index(const struct lab *lab, const struct placement_desktop *desktop)
{
	return desktop ? (int)(desktop - lab->desktops) : SCAN_NONE;
}

/* At each instant: nothing is overfull, and the allocator's sums are right. */
static void check_instant(struct lab *lab)
{
	uint64_t used[LAB_SERVERS] = {0};
	bool fits = true, books = scan_users(&lab->scan) == lab->p.users;

	for (unsigned i = 0; i < lab->desktop_count; i++) {
		const struct scan_desktop *d = &lab->scan_desktops[i];
		if (d->server != SCAN_NONE)
			used[d->server] += d->units;
	}
	for (unsigned i = 0; i < lab->server_count; i++) {
		fits &= used[i] <= lab->scan_servers[i].capacity;
		books &= used[i] == lab->servers[i].used &&
			 lab->scan_servers[i].users == lab->servers[i].user_count;
	}
	for (unsigned m = 0; m <= lab->scan.tiers.last; m++) {
		struct scan_slots slots = scan_slots(&lab->scan, m);
		books &= slots.all == lab->p.slots[m] && slots.free == lab->p.free_slots[m] &&
			 placement_threshold(&lab->p, m) == (int64_t)slots.all - 1;
	}
	check(lab, PROPERTY_CAPACITY, fits);
	check(lab, PROPERTY_BOOKS, books);
}

static bool same_plan(
	const struct lab *lab, const struct placement_plan *plan, const struct scan_plan *scan)
{
	return plan->result == scan->result &&
	       (plan->result != PLACEMENT_ADMIT || plan->tier == scan->tier) &&
	       server_index(lab, plan->server) == scan->server &&
	       desktop_index(lab, plan->handoff) == scan->handoff &&
	       server_index(lab, plan->handoff_to) == scan->handoff_to &&
	       plan->keeps_reserve == scan->keeps_reserve &&
	       plan->break_before_make == scan->break_before_make;
}

static uint64_t sequence_of(const struct placement_desktop *desktop)
{
	return desktop ? desktop->sequence : 0;
}

static uint64_t id_of(const struct placement_server *server)
{
	return server ? server->id : UINT64_MAX;
}

/* The same people at the same places, but put there in another order, at other addresses. */
static bool same_when_shuffled(const struct lab *lab, const struct placement_plan *plan)
{
	static struct placement_server servers[LAB_SERVERS];
	static struct placement_desktop desktops[LAB_DESKTOPS];
	unsigned last_server = lab->server_count - 1, last = lab->desktop_count - 1;
	struct placement_plan other;
	struct placement p;

	placement_init(&p, &lab->scan.tiers, lab->scan.standby);
	memset(desktops, 0, lab->desktop_count * sizeof(desktops[0]));
	for (unsigned i = lab->server_count; i-- > 0;)
		placement_server_init(&servers[last_server - i], i);
	for (unsigned i = lab->desktop_count; i-- > 0;) {
		const struct scan_desktop *d = &lab->scan_desktops[i];
		if (d->server != SCAN_NONE)
			placement_put(&p, &desktops[last - i],
				&servers[last_server - (unsigned)d->server],
				tier_size_mib(&p.tiers, d->tier), d->sequence, d->kind);
	}
	for (unsigned i = 0; i < lab->server_count; i++)
		placement_server_set(&p, &servers[last_server - i], lab->scan_servers[i].capacity,
			lab->scan_servers[i].state);
	other = placement_next(&p);
	return other.result == plan->result && other.tier == plan->tier &&
	       other.keeps_reserve == plan->keeps_reserve &&
	       id_of(other.server) == id_of(plan->server) &&
	       id_of(other.handoff_to) == id_of(plan->handoff_to) &&
	       sequence_of(other.handoff) == sequence_of(plan->handoff);
}

static bool equal_plans(const struct placement_plan *a, const struct placement_plan *b)
{
	return a->result == b->result && a->tier == b->tier && a->server == b->server &&
	       a->handoff == b->handoff && a->handoff_to == b->handoff_to &&
	       a->keeps_reserve == b->keeps_reserve && a->break_before_make == b->break_before_make;
}

static struct placement_plan decide(struct lab *lab)
{
	static struct placement_desktop desktops[LAB_DESKTOPS];
	struct placement_server servers[LAB_SERVERS];
	struct placement p;
	size_t desktops_size = lab->desktop_count * sizeof(desktops[0]);
	size_t servers_size = lab->server_count * sizeof(servers[0]);
	uint64_t decision = lab->decisions++;
	bool whole = lab->desktop_count <= LARGE_WORLD || decision % LARGE_WORLD_EVERY == 0;
	struct placement_plan plan, again;
	struct scan_plan scan, small;

	if (whole) {
		memcpy(&p, &lab->p, sizeof(p));
		memcpy(servers, lab->servers, servers_size);
		memcpy(desktops, lab->desktops, desktops_size);
	}
	plan = placement_next(&lab->p);
	again = placement_next(&lab->p);
	if (whole)
		check(lab, PROPERTY_CHANGES_NOTHING,
			memcmp(&p, &lab->p, sizeof(p)) == 0 &&
				memcmp(servers, lab->servers, servers_size) == 0 &&
				memcmp(desktops, lab->desktops, desktops_size) == 0);
	check(lab, PROPERTY_PURE, equal_plans(&plan, &again));
	if (lab->shuffle && whole && decision % SHUFFLE_EVERY == 0)
		check(lab, PROPERTY_PURE, same_when_shuffled(lab, &plan));
	scan = scan_next(&lab->scan);
	check(lab, PROPERTY_SAME_AS_SCAN, same_plan(lab, &plan, &scan));
	bool fits = placement_without_handoff(&lab->p, plan.tier, &again);
	check(lab, PROPERTY_SAME_AS_SCAN,
		fits == scan_without_handoff(&lab->scan, plan.tier, &small) &&
			(!fits || same_plan(lab, &again, &small)));
	return plan;
}

/* Carries a hand-off out; `to` is whom it should concern, by the scan. */
static void handoff(struct lab *lab, const struct placement_plan *plan, int last_larger)
{
	int old = desktop_index(lab, plan->handoff), new;
	int to = server_index(lab, plan->handoff_to);
	uint64_t sequence = plan->handoff->sequence;

	check(lab, PROPERTY_LAST_CONNECTED, old == last_larger);
	check(lab, PROPERTY_OPEN_ONLY,
		lab->scan_servers[to].state == PLACEMENT_OPEN &&
			plan->handoff->server->state == PLACEMENT_OPEN);
	if (plan->break_before_make) {
		lab->breaks++;
		lab_take(lab, old);
	} else {
		check(lab, PROPERTY_SMALLEST_SUFFICIENT,
			to == scan_best_fit(&lab->scan, plan->tier));
	}
	new = lab_put(lab, to, plan->tier, sequence, PLACEMENT_HELD);
	check_instant(lab); /* the middle: both count */
	if (!plan->break_before_make)
		lab_take(lab, old);
	lab_set_kind(lab, new, PLACEMENT_MOVABLE);
	check_instant(lab);
	lab->handoffs++;
}

/* Sizes of users, from the largest's tier to the smallest's: how many halvings? */
static unsigned halvings(const struct lab *lab)
{
	unsigned smallest = 0, largest = TIER_MAX;

	for (int i = 0; i < (int)lab->desktop_count; i++) {
		if (lab_is_user(lab, i)) {
			unsigned tier = lab->scan_desktops[i].tier;
			smallest = tier > smallest ? tier : smallest;
			largest = tier < largest ? tier : largest;
		}
	}
	return smallest > largest ? smallest - largest : 0;
}

static void check_arrivals_only(
	struct lab *lab, uint64_t users, uint64_t capacity, unsigned target, unsigned handoffs)
{
	bool first = users == 1 || scan_target(&lab->scan, users - 1) != target;
	unsigned expected = target > 0 && !first && users < capacity ? 1 : 0;

	if (lab->scan.standby > 0)
		return; /* k free slots more: a tier begins before the last one is used up */
	check(lab, PROPERTY_ONE_HALVING, halvings(lab) <= 1);
	/* Where sizes do not divide a server, a tier has slots that cost nobody anything. */
	check(lab, PROPERTY_ONE_HANDOFF_INSIDE_A_TIER,
		lab->divides ? handoffs == expected : handoffs <= expected);
}

enum placement_result lab_arrive(struct lab *lab, uint64_t sequence)
{
	uint64_t users = scan_users(&lab->scan) + 1;
	uint64_t capacity = scan_slots(&lab->scan, lab->scan.tiers.last).all;
	unsigned target = scan_target(&lab->scan, users + lab->scan.standby), tier = target;
	struct placement_plan plan = decide(lab);
	bool room, asks = scan_asks_reserve(&lab->scan, users);

	if (users > capacity)
		check(lab, PROPERTY_FULL, plan.result != PLACEMENT_ADMIT);
	else if (!lab->rough)
		check(lab, PROPERTY_ADMITTED, plan.result == PLACEMENT_ADMIT);
	if (plan.result != PLACEMENT_ADMIT) {
		lab->refused++;
		return plan.result;
	}
	while (tier < lab->scan.tiers.last && scan_slots(&lab->scan, tier).free == 0)
		tier++;
	check(lab, PROPERTY_TIER, plan.tier == tier && (tier == target || !lab->arrivals_only));
	check(lab, PROPERTY_SMALLEST_SUFFICIENT, plan.server && (!plan.handoff || plan.handoff_to));
	check(lab, PROPERTY_MAKE_BEFORE_BREAK, !plan.break_before_make);
	room = scan_slots(&lab->scan, plan.tier).free >= (asks ? 2 : 1);
	check(lab, PROPERTY_NO_NEEDLESS_HANDOFF, !(room && plan.handoff));
	if (!plan.server || (plan.handoff && !plan.handoff_to))
		return plan.result;
	lab->smaller += tier > target;
	lab->smaller_moved += tier > target && plan.handoff;
	bool moved = plan.handoff != NULL;
	if (moved)
		handoff(lab, &plan, scan_last_larger(&lab->scan, plan.tier));
	if (!lab->rough)
		check(lab, PROPERTY_ONE_HANDOFF,
			scan_slots(&lab->scan, plan.tier).free >= (asks ? 2 : 1));
	int server = server_index(lab, plan.server);
	check(lab, PROPERTY_OPEN_ONLY, lab->scan_servers[server].state == PLACEMENT_OPEN);
	check(lab, PROPERTY_SMALLEST_SUFFICIENT, server == scan_best_fit(&lab->scan, plan.tier));
	lab_put(lab, server, plan.tier, sequence, PLACEMENT_MOVABLE);
	lab->sequence = sequence > lab->sequence ? sequence : lab->sequence;
	check_instant(lab);
	bool reserve = !asks || scan_slots(&lab->scan, plan.tier).free >= 1;
	check(lab, PROPERTY_RESERVE, plan.keeps_reserve == reserve && (reserve || lab->rough));
	if (lab->arrivals_only)
		check_arrivals_only(lab, users, capacity, target, moved);
	return plan.result;
}

void lab_leave(struct lab *lab, int desktop)
{
	lab->arrivals_only = false;
	lab_take(lab, desktop);
	check_instant(lab);
}

/* The users who are left get their reserve. */
static void settle(struct lab *lab)
{
	struct placement_plan plan;
	struct scan_plan scan;
	unsigned breaks = 0, target;

	for (;;) {
		target = scan_target(&lab->scan, scan_users(&lab->scan) + lab->scan.standby);
		bool needed = scan_settle(&lab->scan, &scan);
		bool asked = placement_settle(&lab->p, &plan);
		check(lab, PROPERTY_SAME_AS_SCAN,
			needed == asked && (!asked || same_plan(lab, &plan, &scan)));
		if (!asked)
			break;
		check(lab, PROPERTY_MAKE_BEFORE_BREAK,
			!plan.break_before_make || scan_slots(&lab->scan, target).free == 0);
		breaks += plan.break_before_make;
		check(lab, PROPERTY_ONE_BREAK_A_LOSS, breaks <= 1);
		handoff(lab, &plan, scan_last_larger(&lab->scan, target));
		if (lab->broken)
			return;
	}
	if (!lab->rough)
		check(lab, PROPERTY_SETTLED,
			scan_slots(&lab->scan, target).free >= 1 ||
				scan_last_larger(&lab->scan, target) == SCAN_NONE);
}

unsigned lab_lose(struct lab *lab, int server)
{
	unsigned homeless = 0;

	lab->arrivals_only = false;
	lab_set_server(lab, server, PLACEMENT_LOST);
	check_instant(lab);
	settle(lab);
	for (int i = 0; i < (int)lab->desktop_count; i++) {
		if (lab->scan_desktops[i].server == server) {
			homeless += lab_is_user(lab, i);
			lab_take(lab, i);
		}
	}
	check_instant(lab);
	return homeless;
}

void lab_drain(struct lab *lab, int server)
{
	lab->arrivals_only = false;
	lab_set_server(lab, server, PLACEMENT_DRAINING);
	check_instant(lab);
	settle(lab);
}

bool lab_move(struct lab *lab, int desktop)
{
	enum placement_kind kind = lab->scan_desktops[desktop].kind;
	enum placement_result result;

	/* He is admitted again, while his desktop still takes what it takes where it is. */
	lab_set_kind(lab, desktop, PLACEMENT_HELD);
	result = lab_arrive(lab, lab->scan_desktops[desktop].sequence);
	if (lab->broken)
		return false;
	if (result == PLACEMENT_ADMIT)
		lab_take(lab, desktop);
	else
		lab_set_kind(lab, desktop, kind);
	check_instant(lab);
	return result == PLACEMENT_ADMIT;
}

void lab_return(struct lab *lab, int server)
{
	static struct scan_desktop before[LAB_DESKTOPS];
	size_t size = lab->desktop_count * sizeof(before[0]);
	unsigned last = lab->scan.tiers.last;
	uint64_t slots[TIER_MAX];
	bool more = true;

	bool drained = lab->scan_servers[server].state == PLACEMENT_DRAINING;
	memcpy(before, lab->scan_desktops, size);
	memcpy(slots, lab->p.slots, sizeof(slots));
	lab_set_server(lab, server, PLACEMENT_OPEN);
	check_instant(lab);
	for (unsigned m = 0; m <= last; m++)
		more &= lab->p.slots[m] ==
			slots[m] + (lab->scan_servers[server].capacity >> (last - m));
	for (unsigned i = 0; i < lab->desktop_count; i++)
		more &= before[i].server == SCAN_NONE ||
			(server_index(lab, lab->desktops[i].server) == before[i].server &&
				lab->desktops[i].tier == before[i].tier);
	check(lab, PROPERTY_RETURN_ADDS, more);
	/* It brings its users back with it, who have not been settled when others were lost. */
	if (drained && !lab->broken)
		settle(lab);
}
