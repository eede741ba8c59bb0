/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A desktop that gives memory back in place. It counts with its old size until the hypervisor's
 * host has the memory again; then with the new one, whatever had become of the hand-off meanwhile.
 */
#include "broker/core/internal.h"

void resize_ask(struct core *core, struct desktop *d, uint32_t memory_mib)
{
	struct core_action *a = emit(core, CORE_ACT_DESKTOP_RESIZE);

	a->desktop = d->object.id;
	a->server = d->row.server;
	a->session = d->row.session;
	a->memory_mib = memory_mib;
	a->ms = core->config.shrink_ms;
}

static bool smaller(struct core *core, struct desktop *d, uint32_t memory_mib)
{
	struct server *server = table_live(&core->servers, d->row.server);
	uint64_t units = tier_units_of(&core->placement.tiers, memory_mib);

	if (memory_mib == 0 || memory_mib >= d->row.memory_mib || units > d->units)
		return false;
	if (server)
		server->started -= d->units - units;
	d->units = units;
	d->row.memory_mib = memory_mib;
	emit_desktop(core, d);
	if (d->place.server) {
		placement_remove(&core->placement, &d->place);
		desktop_put(core, d);
	}
	core->room = core->policy.stale = true;
	return true;
}

void resize_event(struct core *core, struct desktop *d, const struct core_event *ev)
{
	struct session *s = table_live(&core->sessions, d->row.session);
	bool asked = s && s->row.desktop == d->object.id && s->row.move == MOVE_SHRINK;

	if (ev->type == CORE_EV_DESKTOP_RESIZED && smaller(core, d, ev->memory_mib)) {
		emit_audit(core, "shrunk", d->row.session, d->object.id, "to %u MiB",
			d->row.memory_mib);
		if (asked)
			move_in_place(core, s);
	} else if (asked) {
		emit_audit(core, "not-shrunk", d->row.session, d->object.id, "%s",
			ev->text[0] ? ev->text : ev->code);
		move_announce(core, s);
	}
}

void resize_found(struct core *core, struct desktop *d, uint32_t memory_mib)
{
	smaller(core, d, memory_mib);
}
