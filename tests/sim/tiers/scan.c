/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/tiers/scan.h"

void scan_init(struct scan *scan, const struct tier_table *tiers, uint32_t standby,
	struct scan_server *servers, int server_count, struct scan_desktop *desktops,
	int desktop_count)
{
	*scan = (struct scan){.tiers = *tiers,
		.standby = standby,
		.servers = servers,
		.desktops = desktops,
		.server_count = server_count};
	for (unsigned m = 0; m < TIER_MAX; m++)
		scan->earliest[m] = scan->latest[m] = SCAN_NONE;
	for (int i = 0; i < server_count; i++)
		servers[i] = (struct scan_server){.state = PLACEMENT_LOST};
	for (int i = 0; i < desktop_count; i++)
		desktops[i] = (struct scan_desktop){.server = SCAN_NONE};
}

void scan_put(struct scan *scan, int desktop, int server, unsigned tier, uint64_t sequence,
	enum placement_kind kind)
{
	struct scan_desktop *d = &scan->desktops[desktop];
	int later = SCAN_NONE, earlier = scan->latest[tier];

	/* Who is new comes last, who is handed off comes near the front. */
	if (earlier != SCAN_NONE && scan->desktops[earlier].sequence > sequence) {
		later = scan->earliest[tier];
		while (scan->desktops[later].sequence < sequence)
			later = scan->desktops[later].later;
		earlier = scan->desktops[later].earlier;
	}
	*d = (struct scan_desktop){.server = server,
		.sequence = sequence,
		.units = tier_units(&scan->tiers, tier),
		.tier = tier,
		.kind = kind,
		.earlier = earlier,
		.later = later};
	if (earlier != SCAN_NONE)
		scan->desktops[earlier].later = desktop;
	else
		scan->earliest[tier] = desktop;
	if (later != SCAN_NONE)
		scan->desktops[later].earlier = desktop;
	else
		scan->latest[tier] = desktop;
	scan->servers[server].used += d->units;
	scan->servers[server].users += kind != PLACEMENT_HELD;
}

void scan_set_kind(struct scan *scan, int desktop, enum placement_kind kind)
{
	struct scan_desktop *d = &scan->desktops[desktop];
	struct scan_server *s = &scan->servers[d->server];

	s->users -= d->kind != PLACEMENT_HELD;
	s->users += kind != PLACEMENT_HELD;
	d->kind = kind;
}

void scan_remove(struct scan *scan, int desktop)
{
	struct scan_desktop *d = &scan->desktops[desktop];

	scan->servers[d->server].used -= d->units;
	scan->servers[d->server].users -= d->kind != PLACEMENT_HELD;
	if (d->earlier != SCAN_NONE)
		scan->desktops[d->earlier].later = d->later;
	else
		scan->earliest[d->tier] = d->later;
	if (d->later != SCAN_NONE)
		scan->desktops[d->later].earlier = d->earlier;
	else
		scan->latest[d->tier] = d->earlier;
	d->server = SCAN_NONE;
}

uint64_t scan_free(const struct scan_server *server)
{
	return server->capacity > server->used ? server->capacity - server->used : 0;
}

uint64_t scan_users(const struct scan *scan)
{
	uint64_t users = 0;

	for (int i = 0; i < scan->server_count; i++) {
		if (scan->servers[i].state != PLACEMENT_LOST)
			users += scan->servers[i].users;
	}
	return users;
}

bool scan_asks_reserve(const struct scan *scan, uint64_t users)
{
	for (int i = 0; i < scan->server_count; i++) {
		const struct scan_server *s = &scan->servers[i];
		if (s->state == PLACEMENT_DRAINING && s->users > 0)
			return true;
	}
	return users < scan_slots(scan, scan->tiers.last).all;
}

struct scan_slots scan_slots(const struct scan *scan, unsigned tier)
{
	unsigned shift = scan->tiers.last - tier;
	struct scan_slots slots = {0};

	for (int i = 0; i < scan->server_count; i++) {
		const struct scan_server *s = &scan->servers[i];
		if (s->state == PLACEMENT_OPEN) {
			slots.all += s->capacity >> shift;
			slots.free += scan_free(s) >> shift;
		}
	}
	return slots;
}

/* The smallest m with users <= U_m, U_m = N_m - 1; else L. */
unsigned scan_target(const struct scan *scan, uint64_t users)
{
	unsigned m = 0;

	while (m < scan->tiers.last && users + 1 > scan_slots(scan, m).all)
		m++;
	return m;
}

int scan_best_fit(const struct scan *scan, unsigned tier)
{
	uint64_t units = tier_units(&scan->tiers, tier), least = UINT64_MAX;
	int best = SCAN_NONE;

	for (int i = 0; i < scan->server_count; i++) {
		const struct scan_server *s = &scan->servers[i];
		if (s->state == PLACEMENT_OPEN && scan_free(s) >= units && scan_free(s) < least) {
			least = scan_free(s);
			best = i;
		}
	}
	return best;
}

static bool can_be_handed_off(const struct scan *scan, const struct scan_desktop *desktop)
{
	return desktop->kind == PLACEMENT_MOVABLE &&
	       scan->servers[desktop->server].state == PLACEMENT_OPEN;
}

int scan_last_larger(const struct scan *scan, unsigned tier)
{
	int last = SCAN_NONE;

	for (unsigned m = 0; m < tier; m++) {
		int i = scan->latest[m];
		while (i != SCAN_NONE && !can_be_handed_off(scan, &scan->desktops[i]))
			i = scan->desktops[i].earlier;
		if (i != SCAN_NONE && (last == SCAN_NONE || scan->desktops[i].sequence >
								    scan->desktops[last].sequence))
			last = i;
	}
	return last;
}

struct scan_plan scan_next(const struct scan *scan)
{
	struct scan_plan plan = {.server = SCAN_NONE,
		.handoff = SCAN_NONE,
		.handoff_to = SCAN_NONE,
		.result = PLACEMENT_ADMIT};
	uint64_t users = scan_users(scan) + 1;
	uint64_t capacity = scan_slots(scan, scan->tiers.last).all;

	plan.tier = scan_target(scan, users + scan->standby);
	while (plan.tier < scan->tiers.last && scan_best_fit(scan, plan.tier) == SCAN_NONE)
		plan.tier++;
	plan.server = scan_best_fit(scan, plan.tier);
	if (capacity == 0)
		plan.result = PLACEMENT_NO_SERVER;
	else if (users > capacity)
		plan.result = PLACEMENT_FULL;
	else if (plan.server == SCAN_NONE)
		plan.result = PLACEMENT_NO_ROOM;
	if (plan.result != PLACEMENT_ADMIT) {
		plan.server = SCAN_NONE;
		return plan;
	}
	plan.keeps_reserve =
		!scan_asks_reserve(scan, users) || scan_slots(scan, plan.tier).free >= 2;
	if (plan.keeps_reserve)
		return plan;
	plan.handoff = scan_last_larger(scan, plan.tier);
	if (plan.handoff != SCAN_NONE) {
		plan.handoff_to = plan.server;
		plan.server = scan->desktops[plan.handoff].server;
		plan.keeps_reserve = true;
	}
	return plan;
}

bool scan_without_handoff(const struct scan *scan, unsigned tier, struct scan_plan *plan)
{
	while (tier < scan->tiers.last && scan_slots(scan, tier).free < 2)
		tier++;
	*plan = (struct scan_plan){.tier = tier,
		.server = scan_best_fit(scan, tier),
		.handoff = SCAN_NONE,
		.handoff_to = SCAN_NONE,
		.keeps_reserve = scan_slots(scan, tier).free >= 2};
	return plan->server != SCAN_NONE;
}

bool scan_settle(const struct scan *scan, struct scan_plan *plan)
{
	unsigned tier = scan_target(scan, scan_users(scan) + scan->standby);
	int last = scan_last_larger(scan, tier);

	if (scan_best_fit(scan, tier) != SCAN_NONE || last == SCAN_NONE)
		return false;
	*plan = (struct scan_plan){.tier = tier,
		.server = SCAN_NONE,
		.handoff = last,
		.handoff_to = scan->desktops[last].server,
		.break_before_make = true};
	return true;
}
