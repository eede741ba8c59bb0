/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtualization servers. One that is down takes no new desktop, and that is all that is known:
 * often only the control connection is lost, so sessions on it go on. Before it counts as up again
 * its VMs are listed: what runs and is known is adopted, what runs and is not known is destroyed,
 * what is known and was not found is gone.
 */
#include <limits.h>
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
	move_take_back(core, s);
}

unsigned server_boots(const struct core *core, const struct server *s)
{
	if (core->config.boots > 0)
		return core->config.boots;
	if (s->row.cpus == 0)
		return UINT_MAX; /* not known */
	return s->row.cpus >= 4 ? s->row.cpus / 2 : 1;
}

/* Nothing of it runs any more: its disks and its memory are free. */
static void server_dead(struct core *core, struct server *s)
{
	EACH(desktop, d, &core->desktops)
	{
		if (d->row.server == s->object.id)
			desktop_gone(core, d, "its server is off");
	}
}

static bool server_empty(const struct core *core, const struct server *s)
{
	EACH(desktop, d, &core->desktops)
	{
		if (d->row.server == s->object.id)
			return false;
	}
	return true;
}

static void fence(struct core *core, struct server *s)
{
	if (server_empty(core, s))
		return;
	if (!core->config.fence) {
		emit_audit(core, "fence-missing", 0, 0,
			"server %s may still run; its users get their homes when it is certain "
			"that "
			"it does not: switch it off and say \"carrel server lost %s --yes\"",
			s->row.name, s->row.name);
		return;
	}
	timer_after(core, &s->object, FENCE_MS);
	emit(core, CORE_ACT_FENCE)->server = s->object.id;
}

static void server_lost(struct core *core, struct server *s)
{
	s->row.lost = true;
	emit_audit(core, "server-lost", 0, 0, "%s has %u desktops", s->row.name,
		core_server_users(core, s->object.id));
	move_settle(core);
	session_lost(core, s);
	core->room = true;
}

void server_deadline(struct core *core, struct server *s)
{
	if (s->row.up)
		return;
	if (!s->row.lost)
		server_lost(core, s);
	fence(core, s);
}

/* Somebody whose word counts says that its power is off. */
static void server_fenced(struct core *core, struct server *s)
{
	if (s->row.up)
		return;
	emit_audit(core, "server-fenced", 0, 0, "%s is off", s->row.name);
	timer_set(core, &s->object, 0);
	if (!s->row.lost)
		server_lost(core, s);
	server_dead(core, s);
}

static void fence_failed(struct core *core, struct server *s, const char *why)
{
	emit_audit(core, "fence-failed", 0, 0, "%s: %s", s->row.name, why);
	if (s->row.lost && !s->row.up)
		timer_after(core, &s->object, FENCE_RETRY_MS);
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

static void server_up(struct core *core, struct server *s, uint32_t memory_mib, uint32_t cpus)
{
	timer_set(core, &s->object, 0);
	s->row.up = true;
	s->row.lost = false;
	s->row.cpus = cpus;
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
	EACH(session, session, &core->sessions)
	{
		session_advance(core, session);
		move_advance(core, session);
		way_server_up(core, session);
	}
	core->room = core->works = true;
}

static void server_down(struct core *core, struct server *s, const char *why)
{
	if (s->row.up)
		emit_audit(core, "server-down", 0, 0, "%s: %s", s->row.name, why);
	if (s->row.up && core->config.lost_ms > 0)
		timer_after(core, &s->object, core->config.lost_ms);
	s->row.up = false;
	server_place(core, s);
	EACH(desktop, d, &core->desktops)
	{
		if (d->row.server == s->object.id)
			desktop_server_down(core, d);
	}
	volume_server_down(core, s->object.id);
}

/* A VM that runs and is nobody's takes memory until it is gone. */
static void ghost(struct core *core, struct server *s, const struct core_event *ev)
{
	struct desktop *d = table_add(&core->desktops, sizeof(*d), OBJECT_DESKTOP, ev->desktop);

	if (core->counters.desktop < ev->desktop) {
		core->counters.desktop = ev->desktop;
		emit_counters(core);
	}
	d->row.id = ev->desktop;
	d->row.server = s->object.id;
	d->row.memory_mib = ev->memory_mib;
	d->row.state = DESKTOP_FAILED;
	d->units = tier_units_of(&core->placement.tiers, ev->memory_mib);
	d->destroys = 1;
	d->seen = true;
	s->started += d->units;
	s->shrunk = true; /* nothing more fits until it is gone */
	timer_after(core, &d->object, DESTROY_MS);
	emit_desktop(core, d);
	emit_audit(core, "desktop-unknown", 0, ev->desktop,
		"a machine of %u MiB runs on %s and is nobody's: it is destroyed", ev->memory_mib,
		s->row.name);
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
	if (ev->desktop != 0 && ev->flag && !table_get(&core->desktops, ev->desktop)) {
		ghost(core, s, ev); /* it is destroyed when the server is up */
		return;
	}
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
			core->room = core->settle = true;
		}
		break;
	case CORE_EV_SERVER_UP:
		server_up(core, s, ev->memory_mib, ev->cpus);
		break;
	case CORE_EV_SERVER_FENCED:
		server_fenced(core, s);
		break;
	case CORE_EV_FENCE_FAILED:
		fence_failed(core, s, ev->text);
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
