/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One run: people, bad days, and at the end the questions whether anything is left over. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

#define BUSY_MS 300000  /* of lab life in a run */
#define CALM_MS 3000000 /* after it all must have settled by then */

static uint64_t some_login(struct world *w)
{
	return w->logins ? 1 + sim_random(w, w->logins) : 0;
}

static uint64_t some_vm(struct world *w)
{
	uint64_t last = core_counters(w->core).desktop;

	return last ? 1 + sim_random(w, last) : 0;
}

static void step(struct world *w, enum core_event_type type, uint64_t login)
{
	struct core_event event = {.type = type, .login = login};

	world_step(w, &event);
}

static void viewer_logs_in(struct world *w)
{
	struct core_event event = {.type = CORE_EV_LOGIN};
	struct sim_login *l;

	if (w->logins + 1 >= SIM_LOGINS)
		return;
	event.login = ++w->logins;
	l = &w->viewers[event.login];
	*l = (struct sim_login){.alive = true,
		.user = (unsigned)sim_random(w, SIM_USERS),
		.client = (unsigned)sim_random(w, SIM_CLIENTS)};
	snprintf(event.user, sizeof(event.user), "U%u", l->user);
	snprintf(event.client, sizeof(event.client), "c%u", l->client);
	snprintf(event.seat, sizeof(event.seat), "52:54:00:00:00:%02x", l->client);
	world_step(w, &event);
}

static void viewer_resumes(struct world *w)
{
	const struct core_session *s = core_session_next(w->core, 0);
	struct core_event event = {.type = CORE_EV_RESUME};
	unsigned user;

	if (!s || w->logins + 1 >= SIM_LOGINS || sscanf(s->user, "u%u", &user) != 1)
		return;
	event.login = ++w->logins;
	event.session = s->id;
	w->viewers[event.login] = (struct sim_login){.alive = true,
		.authenticated = true,
		.user = user,
		.client = (unsigned)sim_random(w, SIM_CLIENTS)};
	snprintf(event.client, sizeof(event.client), "c%u", w->viewers[event.login].client);
	world_step(w, &event);
}

static void viewer_does(struct world *w, enum core_event_type type)
{
	uint64_t login = some_login(w);

	if (!login || !w->viewers[login].alive)
		return;
	if (type == CORE_EV_VIEWER_GONE)
		w->viewers[login].alive = false;
	step(w, type, login);
}

/* The broker's machine slept, or a server does nothing for a while: all that was due comes at once.
 */
static void time_jumps(struct world *w)
{
	unsigned server = (unsigned)sim_random(w, w->server_count);

	if (sim_percent(w, 50))
		w->now_ms += (int64_t)sim_random(w, 40000);
	else
		w->servers[server].busy_ms += (int64_t)sim_random(w, 40000);
}

static void server_trouble(struct world *w)
{
	unsigned server = (unsigned)sim_random(w, w->server_count);
	struct core_event event = {.type = CORE_EV_SERVER_DOWN, .server = server + 1};

	if (!w->servers[server].connected)
		return;
	if (sim_percent(w, 40)) {
		event.type = CORE_EV_SERVER_DRAIN;
		event.flag = sim_percent(w, 50);
		world_step(w, &event);
		return;
	}
	server_disconnect(w, server, sim_percent(w, 30));
	snprintf(event.text, sizeof(event.text), "connection lost");
	world_step(w, &event);
}

static void handoffs_random(struct world *w)
{
	w->config.handoff_grace_ms = (uint32_t)sim_random(w, 3) * 6000;
	w->config.shrink_ms = (uint32_t)sim_random(w, 2) * 4000;
	w->config.lost_ms = (uint32_t)sim_random(w, 3) * 8000;
	w->config.boots = (uint32_t)sim_random(w, 3);
	w->config.boot_reserve = sim_percent(w, 50);
	w->config.fence = sim_percent(w, 50);
}

/* A version is promoted, with or without a proof of it and an end of the others, or taken back. */
static void image_changes(struct world *w)
{
	struct core_event event = {.type = CORE_EV_IMAGE_PROMOTE};

	if (sim_percent(w, 20)) {
		event.type = CORE_EV_IMAGE_ROLLBACK;
		snprintf(event.text, sizeof(event.text), "an admin");
	} else {
		snprintf(event.image.id, sizeof(event.image.id), "lite@%u",
			(unsigned)sim_random(w, 3));
		event.image.live = sim_percent(w, 30);
		event.number = (uint32_t)sim_random(w, 4);
		if (sim_percent(w, 30))
			event.until_wall_ms =
				SIM_WALL_MS + w->now_ms + (int64_t)sim_random(w, 20000);
	}
	world_step(w, &event);
}

static void admin_moves(struct world *w)
{
	const struct core_session *s = core_session_next(w->core, sim_random(w, w->logins + 1));
	struct core_event event = {.type = CORE_EV_SESSION_MOVE, .session = s ? s->id : 1};

	event.server = sim_random(w, w->server_count + 2);
	if (sim_percent(w, 50))
		event.memory_mib = w->config.min_mib << sim_random(w, 4);
	world_step(w, &event);
}

static void admin_works(struct world *w)
{
	struct core_event event = {.type = CORE_EV_VOLUME_WORK,
		.volume = 1 + sim_random(w, core_counters(w->core).volume + 1),
		.memory_mib = (uint32_t)sim_random(w, 4096),
		.work = (enum core_volume_work)sim_random(w, VOLUME_WORK_COUNT)};
	const struct core_volume *v = core_volume_get(w->core, event.volume);

	/* The books have room for so many. */
	if (v && v->last_copy < 40 &&
		(event.work != VOLUME_WORK_DELETE ||
			core_counters(w->core).volume + SIM_USERS < SIM_DISKS))
		world_step(w, &event);
}

static void config_changes(struct world *w)
{
	struct core_event event = {.type = CORE_EV_CONFIG, .config = &w->config};

	if (sim_percent(w, 50)) {
		image_changes(w);
		return;
	}
	w->config.standby = (uint32_t)sim_random(w, 4);
	if (sim_percent(w, 30))
		w->config.max_mib = w->config.min_mib << sim_random(w, 4);
	if (sim_percent(w, 30))
		w->config.queue = (uint32_t)sim_random(w, 5);
	handoffs_random(w);
	world_step(w, &event);
}

/* An event about things that core does not know. */
static void nonsense(struct world *w)
{
	unsigned kinds = CORE_EV_COUNT - CORE_EV_AUTH_FAILED;
	struct core_event event = {.type = CORE_EV_AUTH_FAILED,
		.desktop = 100000,
		.session = 100000,
		.login = 100000,
		.volume = 100000};

	event.type = (enum core_event_type)(event.type + sim_random(w, kinds));
	if (event.type == CORE_EV_RESUME)
		event.login = 0; /* a new login is what makes it known */
	unsigned epoch = w->broker_epoch;
	world_step(w, &event);
	if (w->actions.count > 0 && epoch == w->broker_epoch)
		sim_break(w, "an event about unknown things does something");
}

/* Somebody does something, or something breaks. */
void run_chance(struct world *w)
{
	unsigned dice = (unsigned)sim_random(w, 100);
	bool bad_day = sim_percent(w, 10 * w->faults.chaos);

	if (dice < 37)
		viewer_logs_in(w);
	else if (dice < 38)
		admin_moves(w);
	else if (dice < 39)
		viewer_does(w, CORE_EV_MOVE_NOW);
	else if (dice < 40 && sim_percent(w, 30))
		world_step(w, &(struct core_event){
				      .type = CORE_EV_DESKTOP_DISCARD, .desktop = some_vm(w)});
	else if (dice < 55)
		viewer_does(w, CORE_EV_VIEWER_GONE);
	else if (dice < 65)
		viewer_does(w, CORE_EV_LOGOUT);
	else if (dice < 70)
		viewer_does(w, CORE_EV_RECONNECT);
	else if (dice < 72)
		admin_works(w);
	else if (dice < 76)
		guest_logs_out(w, some_vm(w));
	else if (dice < 79)
		world_step(w, &(struct core_event){.type = CORE_EV_SESSION_END,
				      .session = 1 + sim_random(w, w->logins + 1)});
	else if (dice < 82)
		viewer_resumes(w);
	else if (dice < 86 && bad_day)
		vm_dies(w, some_vm(w));
	else if (dice < 92 && bad_day)
		server_trouble(w);
	else if (dice < 94 && bad_day)
		config_changes(w);
	else if (dice < 95 && bad_day)
		time_jumps(w);
	else if (dice < 95 && sim_percent(w, 40))
		policy_random(w);
	else if (dice < 95)
		step(w, CORE_EV_VOLUME_SNAPSHOTS, 0);
	else if (dice >= 95)
		nonsense(w);
	for (unsigned i = 0; i < w->server_count; i++) {
		if (!w->servers[i].connected && sim_percent(w, 15))
			server_connect(w, i);
		else if (!w->servers[i].connected && sim_percent(w, 3))
			server_fence(w, i); /* by hand */
	}
}

static void deliver(struct world *w, const struct sim_item *item)
{
	if (item->kind == SIM_OP) {
		effect_finish(w, item);
	} else if (item->kind == SIM_CHANCE) {
		if (w->calm)
			return;
		run_chance(w);
		sim_later(w, (int64_t)sim_random(w, 6000), SIM_CHANCE);
	} else if (item->epoch == w->broker_epoch &&
		   (item->server >= SIM_SERVERS ||
			   item->connection == w->servers[item->server].epoch)) {
		if (item->event.type == CORE_EV_FIRST_FRAME && !w->viewers[item->event.login].ready)
			return;
		world_step(w, &item->event);
	}
}

/* Runs until `until_ms`, or until nothing more is going to happen. */
static void run_until(struct world *w, int64_t until_ms)
{
	while (!w->broken) {
		int64_t deadline = core_next_deadline(w->core);
		int64_t next = w->queue_count ? w->queue[0].ms : INT64_MAX;
		struct sim_item item;

		if (deadline < next && deadline <= until_ms) {
			w->now_ms = deadline > w->now_ms ? deadline : w->now_ms;
			world_step(w, &(struct core_event){.type = CORE_EV_TICK});
			if (core_next_deadline(w->core) <= w->now_ms)
				sim_break(w, "a deadline that has come stays");
		} else if (next <= until_ms && sim_next(w, &item)) {
			w->now_ms = item.ms > w->now_ms ? item.ms : w->now_ms;
			deliver(w, &item);
		} else {
			w->now_ms = until_ms;
			return;
		}
	}
}

/* What may be left when everybody has gone home: standby desktops, and nobody's anything. */
static void check_settled(struct world *w)
{
	unsigned standby = 0, wanted = w->config.standby;

	for (const struct core_session *s = core_session_next(w->core, 0); w->trace && s;
		s = core_session_next(w->core, s->id))
		printf("left: session=%" PRIu64 " user=%s state=%s desktop=%" PRIu64
		       " login=%" PRIu64 " deadline=%" PRId64 "\n",
			s->id, s->user, core_session_state_name(s->state), s->desktop, s->login,
			s->deadline_ms);
	if (core_session_next(w->core, 0))
		sim_break(w, "a session is left over");
	for (const struct core_desktop *d = core_desktop_next(w->core, 0); d && !w->broken;
		d = core_desktop_next(w->core, d->id)) {
		if (d->state != DESKTOP_STANDBY || d->session != 0)
			sim_break(w, "a desktop is left over");
		else if (!w->vms[d->id].exists ||
			 strcmp(d->image, core_channels(w->core)->stable.id) != 0)
			sim_break(w, "a standby desktop is not there, or is of an old image");
		standby++;
	}
	if (w->config.boot_reserve && wanted == 0)
		wanted = 1;
	if (standby > wanted)
		sim_break(w, "too many standby desktops");
	for (unsigned i = 0; i < SIM_VMS; i++) {
		if (w->vms[i].exists && !core_desktop_get(w->core, i))
			sim_break(w, "a VM is left over that nobody knows of");
	}
	for (const struct core_volume *v = core_volume_next(w->core, 0); v;
		v = core_volume_next(w->core, v->id)) {
		if (v->desktop != 0 || v->attached)
			sim_break(w, "a lease is left over");
		if (v->work != VOLUME_WORK_NONE || (v->due && v->state == VOLUME_READY))
			sim_break(w, "work on a volume is left over");
	}
	for (unsigned i = 0; i < SIM_FORWARDS; i++) {
		if (w->forwards[i].there)
			sim_break(w, "a forward is left over");
	}
	if (standby < wanted && standby == 0)
		sim_break(w, "no standby desktop though all is free");
}

static void world_init(struct world *w, uint64_t seed, bool trace)
{
	struct sim_item *queue = w->queue;
	struct core_actions actions = w->actions;
	size_t capacity = w->queue_capacity;

	memset(w, 0, sizeof(*w));
	w->queue = queue;
	w->queue_capacity = capacity;
	w->actions = actions;
	w->seed = w->random = seed;
	w->trace = trace;
	w->now_ms = 1000;
	w->faults = (struct sim_faults){
		.fail = (unsigned)sim_random(w, 3) * 4,
		.lose = (unsigned)sim_random(w, 3) * 2,
		.twice = (unsigned)sim_random(w, 3) * 5,
		.chaos = (unsigned)sim_random(w, 4),
	};
	w->config = (struct core_config){
		.min_mib = 512,
		.max_mib = 512u << sim_random(w, 4),
		.overhead_mib = (uint32_t)sim_random(w, 2) * 64,
		.host_reserve_mib = 256,
		.standby = (uint32_t)sim_random(w, 3),
		.queue = (uint32_t)sim_random(w, 2) * (uint32_t)sim_random(w, 6),
		.volume_size_mib = 1024,
		.boot_timeout_ms = 10000,
		.claim_timeout_ms = 6000,
		.ticket_ms = 30000,
		.disconnected_ms = (int64_t)sim_random(w, 4) * 10000,
		.forward_port = 5900,
	};
	handoffs_random(w);
	w->server_count = 1 + (unsigned)sim_random(w, SIM_SERVERS);
	w->core = core_new(&w->config);
	world_step(w, &(struct core_event){.type = CORE_EV_IMAGE_PROMOTE,
			      .image = {"lite@0", sim_percent(w, 30)}});
	for (unsigned i = 0; i < w->server_count; i++) {
		struct core_event event = {.type = CORE_EV_SERVER_ADDED};
		snprintf(event.text, sizeof(event.text), "s%u", i);
		w->servers[i].mib = 1200 + (uint32_t)sim_random(w, 7000);
		world_step(w, &event);
		server_connect(w, i);
	}
	if (sim_percent(w, 50))
		policy_random(w);
}

const char *world_run(struct world *w, uint64_t seed, bool trace)
{
	world_init(w, seed, trace);
	sim_later(w, 0, SIM_CHANCE);
	run_until(w, BUSY_MS);
	w->calm = true;
	w->faults = (struct sim_faults){0};
	policy_quiet(w);
	for (unsigned i = 0; i < w->server_count; i++) {
		struct core_event event = {.type = CORE_EV_SERVER_DRAIN, .server = i + 1};
		world_step(w, &event);
		server_connect(w, i);
	}
	for (uint64_t i = 1; i <= w->logins; i++) {
		if (w->viewers[i].alive)
			step(w, CORE_EV_VIEWER_GONE, i);
		w->viewers[i].alive = false;
	}
	run_until(w, BUSY_MS + CALM_MS);
	if (!w->broken)
		check_settled(w);
	core_free(w->core);
	w->core = NULL;
	return w->broken;
}

void world_clear(struct world *w)
{
	free(w->queue);
	core_actions_clear(&w->actions);
}
