/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The broker's side: steps, the store, what viewers are told, a crash and the way back. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

static void trace_event(const struct world *w, const struct core_event *e)
{
	if (!w->trace)
		return;
	printf("%8" PRId64 " %-20s", w->now_ms, core_event_name(e->type));
	if (e->server)
		printf(" server=%" PRIu64, e->server);
	if (e->desktop)
		printf(" desktop=%" PRIu64, e->desktop);
	if (e->session)
		printf(" session=%" PRIu64, e->session);
	if (e->volume)
		printf(" volume=%" PRIu64, e->volume);
	if (e->login)
		printf(" login=%" PRIu64, e->login);
	printf("%s%s%s%s%s\n", e->user[0] ? " user=" : "", e->user, e->code[0] ? " code=" : "",
		e->code, e->flag ? " flag" : "");
}

static void trace_action(const struct world *w, const struct core_action *a)
{
	if (!w->trace)
		return;
	printf("%8s   %-18s", "", core_action_name(a->type));
	if (a->server)
		printf(" server=%" PRIu64, a->server);
	if (a->desktop)
		printf(" desktop=%" PRIu64, a->desktop);
	if (a->session)
		printf(" session=%" PRIu64, a->session);
	if (a->volume)
		printf(" volume=%" PRIu64, a->volume);
	if (a->login)
		printf(" login=%" PRIu64, a->login);
	printf("%s%s%s%s%s%s\n", a->client[0] ? " client=" : "", a->client,
		a->code[0] ? " code=" : "", a->code, a->text[0] ? " text=" : "", a->text);
}

/* Writes the rows that a step names, as the daemon's one transaction does. */
static void store_write(struct world *w, const struct core_action *a)
{
	struct sim_store *store = &w->store;
	const struct core_desktop *d;
	const struct core_volume *v;

	switch (a->type) {
	case CORE_ACT_PERSIST_SERVER:
		store->servers[a->server] = *core_server_get(w->core, a->server);
		break;
	case CORE_ACT_PERSIST_DESKTOP:
		d = core_desktop_get(w->core, a->desktop);
		store->desktops[a->desktop] = *d;
		if (d->state == DESKTOP_GONE)
			store->desktops[a->desktop].id = 0;
		break;
	case CORE_ACT_PERSIST_SESSION:
		store->sessions[a->session] = *core_session_get(w->core, a->session);
		break;
	case CORE_ACT_PERSIST_VOLUME:
		v = core_volume_get(w->core, a->volume);
		store->volumes[a->volume] = v ? *v : (struct core_volume){0};
		break;
	case CORE_ACT_PERSIST_CHANNELS:
		store->channels = *core_channels(w->core);
		break;
	case CORE_ACT_PERSIST_COUNTERS:
		store->counters = core_counters(w->core);
		break;
	default:
		break;
	}
}

/* A viewer may be shown a desktop only if the way leads to that one and it is its user's. */
static void check_ready(struct world *w, const struct core_action *a, struct sim_login *l)
{
	const struct core_session *s = core_session_get(w->core, a->session);
	const struct sim_vm *vm = &w->vms[s->desktop];
	char name[32], client[32];
	bool found = false;

	snprintf(name, sizeof(name), "u%u", l->user);
	snprintf(client, sizeof(client), "c%u", l->client);
	if (!l->authenticated || strcmp(s->user, name) != 0)
		sim_break(w, "a viewer is shown somebody else's desktop");
	if (vm->exists && strcmp(vm->user, name) != 0)
		sim_break(w, "a viewer is shown a desktop with somebody else's data");
	if (vm->exists && vm->ticket_session != a->session)
		sim_break(w, "ready before the ticket is set");
	for (unsigned i = 0; i < SIM_FORWARDS; i++) {
		const struct sim_forward *f = &w->forwards[i];
		found |= f->there && strcmp(f->client, client) == 0 && f->port == a->port &&
			 f->vnc_port == 5900 + s->desktop % 900;
	}
	if (!found)
		sim_break(w, "ready before the forward is there");
}

static void viewer_told(struct world *w, const struct core_action *a)
{
	struct sim_login *l = &w->viewers[a->login];
	struct sim_item *item;

	if (!l->alive) {
		sim_break(w, "a word for a viewer whose login is over");
		return;
	}
	w->queued += a->type == CORE_ACT_TELL_STAGE && a->position > 0;
	if (a->type == CORE_ACT_TELL_STAGE || a->type == CORE_ACT_TELL_HANDOFF)
		return;
	if (a->type != CORE_ACT_TELL_READY) {
		l->alive = l->ready = false;
		w->refusals += a->type == CORE_ACT_TELL_REFUSED;
		return;
	}
	check_ready(w, a, l);
	l->ready = true;
	l->session = a->session;
	w->readies++;
	item = sim_later(w, (int64_t)sim_random(w, 500), SIM_EVENT);
	item->epoch = w->broker_epoch;
	item->event = (struct core_event){.type = CORE_EV_FIRST_FRAME, .login = a->login};
}

void world_do(struct world *w, const struct core_action *a)
{
	switch (a->type) {
	case CORE_ACT_TELL_STAGE:
	case CORE_ACT_TELL_HANDOFF:
	case CORE_ACT_TELL_READY:
	case CORE_ACT_TELL_REFUSED:
	case CORE_ACT_TELL_MOVED:
	case CORE_ACT_TELL_ENDED:
		viewer_told(w, a);
		break;
	case CORE_ACT_AUDIT:
		w->moved += strcmp(a->code, "handoff") == 0 && strncmp(a->text, "done", 4) == 0;
		break;
	default:
		if (a->type >= CORE_ACT_AUTHENTICATE)
			effect_begin(w, a);
		break;
	}
}

/* One step: core decides, the rows are written, the actions begin. A broker that crashes here has
 * written all rows and begun only some of the actions. */
static void carry_out(struct world *w)
{
	size_t count = w->actions.count;
	bool crash = !w->calm && w->faults.chaos > 0 && sim_random(w, 1500) < w->faults.chaos;

	for (size_t i = 0; i < count; i++) {
		trace_action(w, &w->actions.items[i]);
		store_write(w, &w->actions.items[i]);
	}
	const char *broken = core_check(w->core);
	if (broken)
		sim_break(w, broken);
	if (crash)
		count = sim_random(w, count + 1);
	for (size_t i = 0; i < count && !w->broken; i++)
		world_do(w, &w->actions.items[i]);
	if (crash && !w->broken)
		world_restart(w);
}

void world_step(struct world *w, const struct core_event *event)
{
	struct core_event e = *event;

	if (w->broken)
		return;
	e.now_ms = w->now_ms;
	e.wall_ms = SIM_WALL_MS + w->now_ms;
	trace_event(w, &e);
	w->steps++;
	policy_before(w);
	core_step(w->core, &e, &w->actions);
	if (e.type != CORE_EV_POLICY) /* it changes who counts as what */
		policy_after(w);
	carry_out(w);
}

static bool store_has_forward(const struct world *w, const struct sim_forward *f)
{
	for (unsigned i = 0; i < SIM_LOGINS; i++) {
		const struct core_session *s = &w->store.sessions[i];
		if (s->id && s->state != SESSION_ENDED && s->forward_port == f->port &&
			strcmp(s->client, f->client) == 0)
			return true;
	}
	return false;
}

/* What was up stays up: a session with a desktop, or on its way from one to another. */
static void check_adopted(struct world *w)
{
	for (unsigned i = 0; i < SIM_LOGINS; i++) {
		const struct core_session *s = &w->store.sessions[i];
		const struct core_session *now = s->id ? core_session_get(w->core, s->id) : NULL;
		bool was_up = s->id && s->state != SESSION_ENDED &&
			      (s->state >= SESSION_CONNECTED || s->move != MOVE_NONE);
		if (was_up && (!now || now->state == SESSION_ENDED))
			sim_break(w, "a session that was up is lost by a restart");
	}
}

void world_restart(struct world *w)
{
	if (w->trace)
		printf("%8" PRId64 " THE BROKER CRASHES\n", w->now_ms);
	w->crashes++;
	w->broker_epoch++;
	core_free(w->core);
	w->core = core_new(&w->config);
	for (unsigned i = 0; i < SIM_LOGINS; i++)
		w->viewers[i].alive = w->viewers[i].ready = false;
	for (unsigned i = 0; i < w->server_count; i++) {
		if (w->servers[i].connected)
			server_disconnect(w, i, false);
	}
	for (unsigned i = 0; i < SIM_SERVERS + 1; i++) {
		if (w->store.servers[i].id)
			core_load_server(w->core, &w->store.servers[i]);
	}
	for (unsigned i = 0; i < SIM_VMS; i++) {
		if (w->store.desktops[i].id)
			core_load_desktop(w->core, &w->store.desktops[i]);
	}
	for (unsigned i = 0; i < SIM_DISKS; i++) {
		if (w->store.volumes[i].id)
			core_load_volume(w->core, &w->store.volumes[i]);
	}
	for (unsigned i = 0; i < SIM_LOGINS; i++) {
		if (w->store.sessions[i].id)
			core_load_session(w->core, &w->store.sessions[i]);
	}
	core_load_channels(w->core, &w->store.channels);
	core_load_counters(w->core, &w->store.counters);
	core_load_done(w->core, w->now_ms, &w->actions);
	check_adopted(w);
	carry_out(w);
	policy_tell(w);
	for (unsigned i = 0; i < SIM_FORWARDS; i++) {
		if (w->forwards[i].there && !store_has_forward(w, &w->forwards[i]))
			w->forwards[i].there = false;
	}
}
