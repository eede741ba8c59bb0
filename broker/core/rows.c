/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemon may look at. */
#include <string.h>

#include "broker/core/internal.h"

#define GETTERS(type, table)                                                                       \
	const struct core_##type *core_##type##_get(const struct core *core, uint64_t id)          \
	{                                                                                          \
		const struct type *object = table_get(&core->table, id);                           \
		return object ? &object->row : NULL;                                               \
	}                                                                                          \
	const struct core_##type *core_##type##_next(const struct core *core, uint64_t after)      \
	{                                                                                          \
		const struct type *object = table_next(&core->table, after);                       \
		return object ? &object->row : NULL;                                               \
	}

GETTERS(server, servers)
GETTERS(desktop, desktops)
GETTERS(volume, volumes)
GETTERS(session, sessions)

const struct core_server *core_server_by_name(const struct core *core, const char *name)
{
	EACH(server, s, &core->servers)
	{
		if (strcmp(s->row.name, name) == 0)
			return &s->row;
	}
	return NULL;
}

const struct core_volume *core_volume_by_user(const struct core *core, const char *user)
{
	const struct volume *v = volume_of_user(core, user);

	return v ? &v->row : NULL;
}

const struct core_session *core_session_by_user(const struct core *core, const char *user)
{
	const struct session *s = session_of_user(core, user);

	return s ? &s->row : NULL;
}

struct core_counters core_counters(const struct core *core)
{
	return core->counters;
}

static uint32_t mib(const struct core *core, uint64_t units)
{
	uint64_t size = units * core->placement.tiers.unit_mib;

	return size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
}

uint32_t core_server_capacity_mib(const struct core *core, uint64_t server)
{
	const struct server *s = table_live(&core->servers, server);

	return s ? mib(core, s->place.capacity) : 0;
}

uint32_t core_server_used_mib(const struct core *core, uint64_t server)
{
	const struct server *s = table_live(&core->servers, server);

	return s ? mib(core, s->started) : 0;
}

void core_tier_status(const struct core *core, struct core_tier_status *status)
{
	const struct placement *p = &core->placement;
	const struct tree_node *largest = tree_last(&p->by_free);
	struct placement_constraint asked;
	const struct placement_constraint *c = policy_constraint(core, NULL, &asked);
	unsigned tier = placement_target_for(p, c, 0);
	int64_t threshold = placement_threshold(p, tier);
	struct placement_plan next;
	bool admitted = core->queue_length == 0 && pool_plan(core, c, &next) == POOL_YES;
	const struct desktop *handoff =
		admitted && next.handoff ? TREE_ENTRY(next.handoff, struct desktop, place) : NULL;
	uint32_t kept = 0, moving = 0;

	EACH(session, s, &core->sessions)
	{
		moving += s->row.move != MOVE_NONE;
	}

	for (size_t i = 0; i < core->policy.reservation_count; i++)
		kept += core->policy.reservations[i].seats - core->policy.reservations[i].filled;

	*status = (struct core_tier_status){
		.users = p->users,
		.capacity_users = (uint32_t)placement_capacity(p),
		.tier = tier,
		.tiers = p->tiers.last + 1,
		.size_mib = tier_size_mib(&p->tiers, tier),
		.threshold = threshold > 0 ? (uint32_t)threshold : 0,
		.reserve_server_free_mib = largest ? mib(core, largest->key) : 0,
		.kept_seats = kept,
		.queued = core->queue_length,
		.moving = moving,
		.next_handoff_server = handoff ? next.handoff_to->id : 0,
		.next_handoff = handoff ? handoff->row.session : 0,
		.next_handoff_size_mib = handoff ? tier_size_mib(&p->tiers, next.handoff_tier) : 0,
		.next_waits = !admitted && core->queue_length < core->config.queue,
		.next_size_mib = admitted ? tier_size_mib(&p->tiers, next.tier) : 0,
		.next_server = admitted ? next.server->id : 0,
	};
}
