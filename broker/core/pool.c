/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Standby desktops: booted, anonymous, of the size that the next admission needs, and where it
 * needs it: in the hand-off reserve, for the user who would be handed off, or where the next user
 * goes. They lie in free memory and never keep anybody out: what is in the way of a user's desktop
 * is destroyed, and is not replaced until there is room again. One that fails to boot delays the
 * next by a back-off, so that a broken image does not keep the servers busy. Nor does one boot on a
 * server on which a user waits for his desktop: a boot takes whole processors, and he would wait
 * for it too.
 */
#include <string.h>

#include "broker/core/internal.h"

/* Is somebody with more than M_tier just being claimed for? He can be handed off in a moment. */
static bool claimed_soon(const struct core *core, unsigned tier)
{
	EACH(session, s, &core->sessions)
	{
		const struct desktop *d = move_target(core, s);
		if (d && d->row.state == DESKTOP_CLAIMING && d->place.server &&
			d->place.tier < tier)
			return true;
	}
	return false;
}

enum pool_answer pool_plan(
	const struct core *core, const struct placement_constraint *c, struct placement_plan *plan)
{
	const struct placement *p = &core->placement;

	*plan = placement_next_for(p, c);
	if (plan->result == PLACEMENT_NO_SERVER)
		return POOL_NO;
	if (plan->result == PLACEMENT_ADMIT && plan->keeps_reserve)
		return POOL_YES;
	if (plan->result == PLACEMENT_ADMIT && claimed_soon(core, plan->tier))
		return POOL_SOON;
	/* Nobody can be handed off: the new user gets what leaves a reserve, or the last slot. */
	enum placement_result result = plan->result;
	if (c ? placement_without_handoff_for(p, c, plan->tier, plan)
	      : placement_without_handoff(p, plan->tier, plan))
		return POOL_YES;
	plan->result = result;
	return POOL_NO;
}

static struct desktop *pool_next(const struct core *core, uint64_t after)
{
	struct tree_node *node = tree_at_least(&core->pool, after + 1);

	return node ? TREE_ENTRY(node, struct desktop, pool) : NULL;
}

static bool fits(const struct desktop *d, uint32_t memory_mib, const struct core_image *image)
{
	return d->row.memory_mib == memory_mib && strcmp(d->row.image, image->id) == 0;
}

static struct server *server_of(const struct core *core, const struct desktop *d)
{
	return table_live(&core->servers, d->row.server);
}

struct desktop *pool_take(struct core *core, const struct session *s,
	const struct placement_constraint *c, uint32_t memory_mib, const struct server *only,
	uint64_t avoid)
{
	unsigned tier = tier_of(&core->placement.tiers, memory_mib);
	struct desktop *best = NULL;

	for (struct desktop *d = pool_next(core, 0); d; d = pool_next(core, d->object.id)) {
		const struct server *server = server_of(core, d);
		if (!server_usable(server) || !fits(d, memory_mib, &s->row.image) ||
			d->row.server == avoid || (only && server != only) ||
			!placement_leaves_kept(&core->placement, c, &server->place, tier))
			continue;
		if (!best ||
			(best->row.state == DESKTOP_BOOTING && d->row.state == DESKTOP_STANDBY))
			best = d;
	}
	return best;
}

void pool_make_room(struct core *core, struct server *server)
{
	uint64_t need = 0, have = server_room(server);
	struct desktop *next;

	EACH(desktop, d, &core->desktops)
	{
		if (d->row.server != server->object.id)
			continue;
		if (d->held)
			need += d->row.session != 0 ? d->units : 0;
		else if (desktop_leaving(d) || d->left)
			have += d->units;
	}
	for (struct desktop *d = pool_next(core, 0); d && have < need; d = next) {
		next = pool_next(core, d->object.id);
		if (d->row.server != server->object.id)
			continue;
		have += d->held ? 0 : d->units;
		desktop_destroy(core, d, false);
	}
}

void pool_result(struct core *core, bool booted)
{
	unsigned shift = core->pool_failures < 16 ? core->pool_failures : 16;
	int64_t pause = (int64_t)POOL_BACKOFF_MS << shift;

	if (booted) {
		core->pool_failures = 0;
		timer_set(core, &core->pool_timer, 0);
		return;
	}
	core->pool_failures++;
	timer_after(core, &core->pool_timer, pause < POOL_BACKOFF_MAX ? pause : POOL_BACKOFF_MAX);
}

/* Is a user waiting for a desktop there: to boot, for his volume, to be claimed? */
static bool serving(const struct server *server)
{
	for (const struct placement_desktop *p = server->place.first; p; p = p->next) {
		enum core_desktop_state state = TREE_ENTRY(p, struct desktop, place)->row.state;

		if (state == DESKTOP_BOOTING || state == DESKTOP_STANDBY ||
			state == DESKTOP_CLAIMING)
			return true;
	}
	return false;
}

static bool can_boot(const struct core *core, const struct server *s, uint64_t units)
{
	return server_usable(s) && s->held == 0 && !serving(s) && server_room(s) >= units &&
	       s->booting < server_boots(core, s);
}

/* Where a standby desktop boots: where the plan's first desktop goes, else where most is free. */
static struct server *pool_server(struct core *core, struct placement_server *first, uint64_t units)
{
	struct server *best = TREE_ENTRY(first, struct server, place);

	if (can_boot(core, best, units))
		return best;
	best = NULL;
	EACH(server, s, &core->servers)
	{
		if (can_boot(core, s, units) && (!best || server_room(s) > server_room(best)))
			best = s;
	}
	return best;
}

/* How many standby desktops there are to be. */
static uint32_t wanted(const struct core *core)
{
	uint32_t least = core->config.boot_reserve ? 1 : 0;

	return core->config.standby > least ? core->config.standby : least;
}

/* Of the user who would be handed off: he takes it with him. */
static struct core_image image_of(const struct core *core, struct placement_desktop *place)
{
	const struct desktop *d = TREE_ENTRY(place, struct desktop, place);
	const struct session *s = table_live(&core->sessions, d->row.session);

	return s ? s->row.image : core->channels.stable;
}

void pool_balance(struct core *core)
{
	struct placement_constraint asked;
	struct placement_server *first = NULL;
	struct placement_plan plan;
	struct desktop *next;
	uint32_t size = 0, good = 0, count = wanted(core);
	struct core_image image = core->channels.stable;
	enum pool_answer answer = POOL_NO;

	if (count == 0 && !core->pool.root)
		return;
	if (count > 0 && image.id[0])
		answer = pool_plan(core, policy_next(core, &asked), &plan);
	if (answer == POOL_SOON)
		return;
	if (answer == POOL_YES) {
		first = plan.handoff ? plan.handoff_to : plan.server;
		size = tier_size_mib(
			&core->placement.tiers, plan.handoff ? plan.handoff_tier : plan.tier);
		if (plan.handoff)
			image = image_of(core, plan.handoff);
	}
	for (struct desktop *d = pool_next(core, 0); d; d = next) {
		const struct server *server = server_of(core, d);
		next = pool_next(core, d->object.id);
		if (!server || !server->row.up)
			continue; /* looked at again when it is back */
		if (server_usable(server) && fits(d, size, &image) && good < count)
			good++;
		else
			desktop_destroy(core, d, false);
	}
	while (size > 0 && good < count && core->pool_timer.deadline_ms == 0) {
		struct server *server =
			pool_server(core, first, tier_units_of(&core->placement.tiers, size));
		if (!server)
			return;
		desktop_new(core, server, size, NULL, &image);
		good++;
	}
}
