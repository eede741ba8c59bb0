/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Groups and reservations of the made-up lab, and its own books of what they promise. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/world.h"

#define TIERS 32
#define MIN(a, b) ((a) < (b) ? (a) : (b))

static uint32_t some_size(struct world *w)
{
	return sim_percent(w, 50) ? 0 : w->config.min_mib << sim_random(w, 4);
}

void policy_random(struct world *w)
{
	struct sim_policy *p = &w->policy;

	p->group_users = (unsigned)sim_random(w, SIM_USERS);
	p->group_clients = (unsigned)sim_random(w, SIM_CLIENTS);
	p->user_min_mib = some_size(w);
	p->user_max_mib = some_size(w);
	p->seat_min_mib = some_size(w);
	p->seat_max_mib = some_size(w);
	p->class_seats = (uint32_t)sim_random(w, 4);
	p->class_min_mib = some_size(w);
	p->class_id++;
	p->trial_users = (unsigned)sim_random(w, 4);
	p->trial_clients = (unsigned)sim_random(w, 2);
	policy_tell(w);
}

void policy_quiet(struct world *w)
{
	uint64_t id = w->policy.class_id;

	memset(&w->policy, 0, sizeof(w->policy));
	w->policy.class_id = id;
	policy_tell(w);
}

void policy_tell(struct world *w)
{
	const struct sim_policy *p = &w->policy;
	char names[SIM_USERS + SIM_CLIENTS][24];
	const char *users[SIM_USERS], *seats[SIM_CLIENTS];
	struct core_group groups[2];
	struct core_reservation class;
	struct core_trial trials[2];
	struct core_policy policy = {groups, 2, &class, p->class_seats > 0, trials, 2};

	for (unsigned i = 0; i < p->group_users; i++) {
		snprintf(names[i], sizeof(names[i]), "u%u", i);
		users[i] = names[i];
	}
	for (unsigned i = 0; i < p->group_clients; i++) {
		snprintf(names[SIM_USERS + i], sizeof(names[0]), "52:54:*:%02x", i);
		seats[i] = names[SIM_USERS + i];
	}
	groups[0] = (struct core_group){{users, p->group_users}, p->user_min_mib, p->user_max_mib};
	groups[1] =
		(struct core_group){{seats, p->group_clients}, p->seat_min_mib, p->seat_max_mib};
	class = (struct core_reservation){
		p->class_id, {users, p->group_users}, p->class_seats, p->class_min_mib};
	trials[0] =
		(struct core_trial){{users, MIN(p->group_users, p->trial_users)}, {"lite@8", true}};
	trials[1] = (struct core_trial){
		{seats, MIN(p->group_clients, p->trial_clients)}, {"lite@9", false}};
	world_step(w, &(struct core_event){.type = CORE_EV_POLICY, .policy = &policy});
}

void policy_before(struct world *w)
{
	struct sim_policy *p = &w->policy;

	p->sessions = 0;
	p->filled = core_reservation_filled(w->core, p->class_id);
	for (const struct core_session *s = core_session_next(w->core, 0); s;
		s = core_session_next(w->core, s->id)) {
		p->before[p->sessions].session = s->id;
		p->before[p->sessions++].desktop = s->desktop;
	}
}

/* The one session that has a desktop since the step; NULL when it is none, or when several things
 * happened at once, so that it could not be told what it is about. */
static const struct core_session *placed_now(const struct world *w)
{
	const struct sim_policy *p = &w->policy;
	const struct core_session *placed = NULL;

	for (unsigned i = 0; i < p->sessions; i++) {
		const struct core_session *s = core_session_get(w->core, p->before[i].session);
		bool live = s && s->state != SESSION_ENDED;
		if (p->before[i].desktop != 0 && (!live || s->desktop != p->before[i].desktop))
			return NULL;
	}
	for (const struct core_session *s = core_session_next(w->core, 0); s;
		s = core_session_next(w->core, s->id)) {
		bool had = s->desktop == 0;
		for (unsigned i = 0; i < p->sessions && !had; i++)
			had = p->before[i].session == s->id && p->before[i].desktop != 0;
		/* Who is being moved loses his seat while he has no desktop, and takes it again. */
		if (s->state <= SESSION_WAITING && s->move != MOVE_NONE)
			return NULL;
		if (!had && placed)
			return NULL;
		if (!had)
			placed = s;
	}
	return placed;
}

static bool in_group(const struct world *w, const struct core_session *s)
{
	unsigned user = SIM_USERS;

	return sscanf(s->user, "u%u", &user) == 1 && user < w->policy.group_users;
}

static bool at_seat(const struct world *w, const struct core_session *s)
{
	unsigned client = SIM_CLIENTS;

	return sscanf(s->seat, "52:54:00:00:00:%x", &client) == 1 &&
	       client < w->policy.group_clients;
}

/* The smallest size of the ladder that is no less, its largest at most. */
static uint32_t no_less(const struct world *w, uint32_t mib)
{
	uint32_t size = w->config.min_mib;

	while (size < mib && size < w->config.max_mib)
		size *= 2;
	return size;
}

static uint32_t no_more(const struct world *w, uint32_t mib)
{
	uint32_t size = w->config.max_mib;

	while (mib > 0 && size > mib && size > w->config.min_mib)
		size /= 2;
	return size;
}

/* Are the seats that nobody has taken there, in pieces of their size? */
static bool seats_are_there(const struct world *w)
{
	uint32_t unit = w->config.min_mib + w->config.overhead_mib, seats = 0;
	uint32_t size = no_less(w, w->policy.class_min_mib) / w->config.min_mib;
	uint32_t wanted =
		w->policy.class_seats - core_reservation_filled(w->core, w->policy.class_id);

	for (const struct core_server *s = core_server_next(w->core, 0); s;
		s = core_server_next(w->core, s->id)) {
		uint32_t room = core_server_capacity_mib(w->core, s->id) / unit, used = 0;
		for (const struct core_desktop *d = core_desktop_next(w->core, 0); d;
			d = core_desktop_next(w->core, d->id)) {
			const struct core_session *owner = core_session_get(w->core, d->session);
			/* What is on its way out makes room for a seat in a moment. */
			bool left = d->state == DESKTOP_DRAINING || d->state == DESKTOP_FAILED ||
				    (owner && owner->next != 0 && owner->desktop == d->id);
			if (d->server == s->id && d->session != 0 && !left)
				used += (d->memory_mib + w->config.min_mib - 1) / w->config.min_mib;
		}
		if (s->up && !s->draining && used < room)
			seats += (room - used) / size;
	}
	return seats >= wanted;
}

static void check_size(struct world *w, const struct core_session *s, bool member)
{
	const struct sim_policy *p = &w->policy;
	uint32_t mib = core_desktop_get(w->core, s->desktop)->memory_mib;
	uint32_t least = w->config.min_mib, most = w->config.max_mib;

	if (in_group(w, s)) {
		least = no_less(w, p->user_min_mib);
		most = no_more(w, p->user_max_mib);
	}
	if (at_seat(w, s)) {
		uint32_t seat_least = no_less(w, p->seat_min_mib);
		uint32_t seat_most = no_more(w, p->seat_max_mib);
		least = seat_least > least ? seat_least : least;
		most = seat_most < most ? seat_most : most;
	}
	if (member && no_less(w, p->class_min_mib) > least)
		least = no_less(w, p->class_min_mib);
	if (mib < least)
		sim_break(w, "a user gets less than his group's, or class's, smallest size");
	if (mib > most && mib > least)
		sim_break(w, "a user gets more than his group's largest size");
}

static bool somebody_was_first(const struct world *w, const struct core_session *s)
{
	for (const struct core_session *o = core_session_next(w->core, 0); o && o->id < s->id;
		o = core_session_next(w->core, o->id)) {
		if (core_session_queued(w->core, o->id) && !in_group(w, o))
			return true;
	}
	return false;
}

void policy_after(struct world *w)
{
	const struct core_session *placed = placed_now(w);
	uint32_t filled = core_reservation_filled(w->core, w->policy.class_id);

	if (!placed)
		return;
	bool member = filled > w->policy.filled;
	if (member && !in_group(w, placed))
		sim_break(w, "a kept seat is taken by somebody who is not of the class");
	check_size(w, placed, member);
	w->members += member;
	if (member)
		return;
	if (somebody_was_first(w, placed))
		sim_break(w, "somebody passes those who wait");
	if (w->policy.class_seats > filled) {
		w->kept++;
		if (!seats_are_there(w))
			sim_break(w, "a kept seat is given away");
	}
}
