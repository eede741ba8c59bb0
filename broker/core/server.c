/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtualization servers. One that is down takes no new desktop, and that is all that is known:
 * often only the control connection is lost, so sessions on it go on. Before it counts as up again
 * its VMs are listed: what runs and is known is adopted, what runs and is not known is destroyed,
 * what is known and was not found is gone.
 */
#include <string.h>

#include "broker/core/internal.h"

uint64_t server_room(const struct server *s)
{
	return s->place.capacity > s->started ? s->place.capacity - s->started : 0;
}

bool server_usable(const struct server *s)
{
	return s->row.up && !s->row.draining;
}

struct server *server_any_up(const struct core *core, uint64_t avoid)
{
	struct server *last = NULL;

	EACH(server, s, &core->servers)
	{
		if (s->row.up && s->object.id != avoid)
			return s;
		if (s->row.up)
			last = s;
	}
	return last;
}

void server_place(struct core *core, struct server *s)
{
	uint64_t capacity = tier_capacity(
		&core->placement.tiers, s->row.memory_mib, core->config.host_reserve_mib);
	enum placement_server_state state = PLACEMENT_OPEN;

	if (!s->row.up)
		state = PLACEMENT_LOST;
	else if (s->row.draining)
		state = PLACEMENT_DRAINING;
	placement_server_set(&core->placement, &s->place, capacity, state);
	s->shrunk = s->started > capacity;
}

static void server_added(struct core *core, const char *name)
{
	if (name[0] == '\0' || core_server_by_name(core, name))
		return;
	uint64_t id = ++core->counters.server;
	struct server *s = table_add(&core->servers, sizeof(*s), OBJECT_SERVER, id);
	emit_counters(core);
	s->row.id = id;
	COPY(s->row.name, name);
	placement_server_init(&s->place, id);
	emit_server(core, s);
}

static void server_removed(struct core *core, struct server *s)
{
	EACH(desktop, d, &core->desktops)
	{
		if (d->row.server == s->object.id && d->row.session != 0) {
			emit_audit(core, "server-not-removed", d->row.session, d->object.id,
				"server %s still has desktops; drain it first", s->row.name);
			return;
		}
	}
	EACH(desktop, d, &core->desktops)
	{
		if (d->row.server == s->object.id)
			desktop_gone(core, d, "its server was removed");
	}
	volume_server_down(core, s->object.id);
	emit_server(core, s);
	placement_server_set(&core->placement, &s->place, 0, PLACEMENT_LOST);
	table_remove(core, &core->servers, &s->object);
}

static void server_up(struct core *core, struct server *s, uint32_t memory_mib)
{
	s->row.up = true;
	if (memory_mib != 0 && memory_mib != s->row.memory_mib) {
		s->row.memory_mib = memory_mib;
		emit_server(core, s);
	}
	server_place(core, s);
	EACH(desktop, d, &core->desktops)
	{
		if (d->row.server == s->object.id)
			desktop_server_up(core, d);
	}
	core->room = true;
}

static void server_down(struct core *core, struct server *s, const char *why)
{
	if (s->row.up)
		emit_audit(core, "server-down", 0, 0, "%s: %s", s->row.name, why);
	s->row.up = false;
	server_place(core, s);
	EACH(desktop, d, &core->desktops)
	{
		if (d->row.server == s->object.id)
			desktop_server_down(core, d);
	}
	volume_server_down(core, s->object.id);
}

static void reconcile_desktop(struct core *core, struct server *s, const struct core_event *ev)
{
	struct desktop *d = table_live(&core->desktops, ev->desktop);

	if (d && d->row.server == s->object.id && ev->flag) {
		desktop_found(core, d, ev);
		return;
	}
	/* Not ours any more, or off: whatever is left of it goes. */
	if (d && d->row.server == s->object.id && d->unsure)
		desktop_gone(core, d, "its machine was found off");
	struct core_action *a = emit(core, CORE_ACT_DESKTOP_DESTROY);
	a->desktop = ev->desktop;
	a->server = s->object.id;
}

static void reconcile_done(struct core *core, struct server *s)
{
	EACH(desktop, d, &core->desktops)
	{
		if (d->row.server != s->object.id || !d->unsure)
			continue;
		d->unsure = false;
		if (!d->seen)
			desktop_gone(core, d, "its machine is no longer there");
	}
}

void server_event(struct core *core, const struct core_event *ev)
{
	struct server *s = table_live(&core->servers, ev->server);

	if (ev->type == CORE_EV_SERVER_ADDED)
		server_added(core, ev->text);
	if (!s)
		return;
	switch (ev->type) {
	case CORE_EV_SERVER_REMOVED:
		server_removed(core, s);
		break;
	case CORE_EV_SERVER_DRAIN:
		if (s->row.draining != ev->flag) {
			s->row.draining = ev->flag;
			emit_server(core, s);
			server_place(core, s);
			core->room = true;
		}
		break;
	case CORE_EV_SERVER_UP:
		server_up(core, s, ev->memory_mib);
		break;
	case CORE_EV_SERVER_DOWN:
		server_down(core, s, ev->text);
		break;
	case CORE_EV_RECONCILE_DESKTOP:
		reconcile_desktop(core, s, ev);
		break;
	case CORE_EV_RECONCILE_DONE:
		reconcile_done(core, s);
		break;
	default:
		break;
	}
}

void server_config(struct core *core)
{
	struct tier_table tiers;

	if (!tier_table_init(
		    &tiers, core->config.max_mib, core->config.min_mib, core->config.overhead_mib))
		tier_table_init(&tiers, core->config.max_mib ? core->config.max_mib : 1,
			core->config.max_mib ? core->config.max_mib : 1, 0);
	placement_init(&core->placement, &tiers, core->config.standby);
	EACH(server, s, &core->servers)
	{
		placement_server_init(&s->place, s->object.id);
		s->started = 0;
	}
	EACH(desktop, d, &core->desktops)
	{
		struct server *s = table_live(&core->servers, d->row.server);
		d->units = tier_units_of(&tiers, d->row.memory_mib);
		d->place.server = NULL;
		if (s && !d->held)
			s->started += d->units;
		desktop_put(core, d);
	}
	EACH(server, s, &core->servers)
	{
		server_place(core, s);
	}
	core->room = core->policy.stale = true;
}
