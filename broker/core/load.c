/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the store's rows back to a running state. All servers are down until their workers say
 * otherwise, and all desktops are unsure until their server was looked at. What was under way at
 * the viewers is lost with their event streams: logins that had no desktop yet are over, sessions
 * that had one are without a viewer and keep their forward. A hand-off whose session still works in
 * its old desktop is undone; one that has come further goes on.
 */
#include <string.h>

#include "broker/core/internal.h"

#define GRACE_MS 60000 /* life of a session after a restart, where it would end with its viewer */

static void count(uint64_t *counter, uint64_t id)
{
	if (*counter < id)
		*counter = id;
}

void core_load_counters(struct core *core, const struct core_counters *counters)
{
	count(&core->counters.server, counters->server);
	count(&core->counters.desktop, counters->desktop);
	count(&core->counters.volume, counters->volume);
	count(&core->counters.session, counters->session);
}

void core_load_server(struct core *core, const struct core_server *row)
{
	struct server *s = table_add(&core->servers, sizeof(*s), OBJECT_SERVER, row->id);

	count(&core->counters.server, row->id);
	s->row = *row;
	s->row.up = false;
	placement_server_init(&s->place, row->id);
}

void core_load_desktop(struct core *core, const struct core_desktop *row)
{
	count(&core->counters.desktop, row->id);
	if (row->state == DESKTOP_GONE)
		return;
	struct desktop *d = table_add(&core->desktops, sizeof(*d), OBJECT_DESKTOP, row->id);
	d->row = *row;
	d->row.deadline_ms = 0;
	d->unsure = true;
	d->hello = row->state != DESKTOP_BOOTING;
}

void core_load_volume(struct core *core, const struct core_volume *row)
{
	struct volume *v = table_add(&core->volumes, sizeof(*v), OBJECT_VOLUME, row->id);

	count(&core->counters.volume, row->id);
	v->row = *row;
}

void core_load_session(struct core *core, const struct core_session *row)
{
	count(&core->counters.session, row->id);
	if (row->state == SESSION_ENDED)
		return;
	struct session *s = table_add(&core->sessions, sizeof(*s), OBJECT_SESSION, row->id);
	s->row = *row;
	s->row.login = 0;
	s->row.deadline_ms = 0;
}

static void load_desktop(struct core *core, struct desktop *d)
{
	const struct session *s = table_live(&core->sessions, d->row.session);
	bool wanted = s && (s->row.desktop == d->object.id || s->row.next == d->object.id);

	switch (d->row.state) {
	case DESKTOP_BOOTING:
		timer_after(core, &d->object, core->config.boot_timeout_ms);
		/* fall through */
	case DESKTOP_STANDBY:
		if (!wanted && !d->pool.linked)
			desktop_unassign(core, d);
		break;
	case DESKTOP_CLAIMING:
		if (!wanted)
			desktop_destroy(core, d, false);
		else
			timer_after(core, &d->object, give_ms(core));
		d->attach_unsure = wanted;
		break;
	case DESKTOP_ACTIVE:
		if (!wanted)
			desktop_release(core, d);
		break;
	case DESKTOP_DRAINING:
		/* How far it had come is not known: the agent is asked once more. */
		if (d->volume != 0)
			desktop_release(core, d);
		else
			desktop_destroy(core, d, false);
		break;
	default:
		desktop_destroy(core, d, false);
		break;
	}
}

/* A hand-off that goes on, from where its two desktops are. */
static void load_move(struct core *core, struct session *s)
{
	const struct desktop *d = table_live(&core->desktops, s->row.desktop);
	const struct volume *v = table_live(&core->volumes, s->row.volume);
	int64_t wait = give_ms(core);

	timer_after(core, &s->object, wait);
	if (s->row.state == SESSION_MOVING) {
		if (v->row.desktop == 0)
			move_lease_ended(core, s);
	} else if (!d || d->row.session != s->object.id || d->row.state > DESKTOP_CLAIMING) {
		s->row.desktop = 0;
		session_state(core, s, SESSION_PLACING);
	}
}

static void load_session(struct core *core, struct session *s)
{
	const struct desktop *d = table_live(&core->desktops, s->row.desktop);
	int64_t life = core->config.disconnected_ms;

	if (s->row.move != MOVE_NONE && table_live(&core->volumes, s->row.volume)) {
		load_move(core, s);
		return;
	}
	if (s->row.state < SESSION_CONNECTED || !d || d->row.state != DESKTOP_ACTIVE ||
		!table_live(&core->volumes, s->row.volume)) {
		session_close(core, s);
		return;
	}
	if (s->row.state != SESSION_DISCONNECTED)
		session_state(core, s, SESSION_DISCONNECTED);
	/* Its last ticket may not have been used yet. */
	s->way.ticket_live = true;
	timer_after(core, &s->object, life > GRACE_MS ? life : GRACE_MS);
}

void core_load_done(struct core *core, int64_t now_ms, struct core_actions *actions)
{
	core_begin(core, now_ms, actions);
	EACH(volume, v, &core->volumes)
	{
		struct desktop *d = table_live(&core->desktops, v->row.desktop);
		if (d)
			d->volume = v->object.id;
		else if (v->row.desktop != 0)
			volume_free(core, v);
	}
	EACH(session, s, &core->sessions)
	{
		move_load(core, s);
	}
	server_config(core);
	EACH(session, s, &core->sessions)
	{
		const struct desktop *d = move_target(core, s);
		if (d) {
			COPY(s->row.image.id, d->row.image);
			s->row.image.live = d->row.live;
		}
		load_session(core, s);
	}
	EACH(desktop, d, &core->desktops)
	{
		load_desktop(core, d);
	}
	EACH(server, s, &core->servers)
	{
		if (core->config.lost_ms > 0)
			timer_after(core, &s->object, core->config.lost_ms);
	}
	image_due(core);
	core_settle(core);
	core->actions = NULL;
}
