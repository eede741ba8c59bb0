/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hard hand-off: a session goes to another desktop, which is booted already, with its volume
 * and its viewer.
 *
 *   SHRINK -> ANNOUNCE -> PREPARE -> QUIESCE -> DETACH -> CLAIM -> SWITCH -> done
 *   |________ undone when it fails ________|   |____ driven on, whatever fails ____|
 *
 * Two books are kept. The allocator's (placement.h) is about what *shall* be: from the moment of
 * the decision on the session counts on its new desktop and the old one (`left`) for nothing, so
 * that the next decision stands on this one and a class that logs in at once is planned as if
 * everybody had come one after the other. The servers' (server.started) is about what *is*: a VM is
 * started only where the memory of all VMs that exist leaves room for it, both of a hand-off
 * included; until then its desktop is `held`. Desktops that are held on a server start in the order
 * in which they were decided. A desktop waits thus only for hand-offs that were decided before it,
 * the first of which waits for nobody: there is no circle. A desktop that is on its way out counts
 * for nothing either, unless its VM does not go.
 *
 * Up to PREPARE the session is CONNECTED or DISCONNECTED as ever, and its user works on. QUIESCE is
 * the old desktop's ordinary release. When the volume is nobody's the session goes on as a login
 * does that has a desktop and waits for its volume, with its ways to try again (session.c); what is
 * different is that it needs no viewer and survives a restart. The old desktop is destroyed as soon
 * as the disk is out of it: whoever waits for its memory waits less, and the viewer shows the
 * picture that it has.
 *
 * A desktop that nobody has claimed yet is not handed off but replaced: there is nothing in it.
 *
 * Where there is no room for both desktops (only after the loss of a server) the new one is held
 * until the old one is gone: `move_breaks`, and PREPARE does not wait.
 */
#include <stdio.h>
#include <string.h>

#include "broker/core/internal.h"

static void step(struct core *core, struct session *s, enum core_move move)
{
	const struct desktop *d = table_live(&core->desktops, s->row.desktop);
	const struct desktop *next = table_live(&core->desktops, s->row.next);

	move_state(core, s, move);
	s->turns = 0;
	emit_audit(core, "handoff", s->object.id, s->row.desktop,
		"%s: %s, desktop %u of %u MiB, next %u of %u MiB, for %s", core_move_name(move),
		s->row.user, (unsigned)s->row.desktop, d ? d->row.memory_mib : 0,
		(unsigned)s->row.next, next ? next->row.memory_mib : 0,
		core_move_why_name(s->row.move_why));
}

/* It is over, well or not. */
static void finish(struct core *core, struct session *s, const char *how, const char *why)
{
	move_state(core, s, MOVE_NONE);
	s->row.move_why = MOVE_WHY_NONE;
	s->row.move_breaks = false;
	emit_audit(core, "handoff", s->object.id, s->row.desktop, "%s: %s", how, why);
	core->room = core->policy.stale = true;
}

struct desktop *move_target(const struct core *core, const struct session *s)
{
	return table_live(&core->desktops, s->row.next ? s->row.next : s->row.desktop);
}

bool move_running(const struct session *s)
{
	return s->row.move >= MOVE_SHRINK && s->row.move <= MOVE_PREPARE;
}

enum placement_kind move_kind(const struct core *core, const struct desktop *d)
{
	const struct session *s = table_live(&core->sessions, d->row.session);
	enum core_desktop_state state = d->row.state;

	if (desktop_leaving(d))
		return PLACEMENT_HELD;
	if (!s || state == DESKTOP_CLAIMING || s->row.move_breaks || s->row.move >= MOVE_QUIESCE)
		return PLACEMENT_PINNED;
	if (state == DESKTOP_ACTIVE && s->clock.deadline_ms != 0)
		return PLACEMENT_PINNED;
	return PLACEMENT_MOVABLE;
}

static const char *reason(const struct session *s)
{
	switch (s->row.move_why) {
	case MOVE_WHY_ROOM:
		return "to make room for others";
	case MOVE_WHY_LOSS:
		return "because there are fewer servers now";
	case MOVE_WHY_DRAIN:
		return "because its server needs maintenance";
	case MOVE_WHY_IMAGE:
		return "whose system is up to date";
	default:
		return "as the administrator wants it";
	}
}

static void tell(
	struct core *core, const struct session *s, const char *code, int64_t ms, const char *text)
{
	const struct desktop *d = table_live(&core->desktops, s->row.desktop);
	const struct desktop *next = table_live(&core->desktops, s->row.next);

	if (s->row.login == 0)
		return;
	emit_tell(core, CORE_ACT_TELL_HANDOFF, s->row.login, code, "%s", text);
	struct core_action *a = &core->actions->items[core->actions->count - 1];
	a->session = s->object.id;
	a->ms = ms > 0 ? (uint32_t)ms : 0;
	a->from_mib = d ? d->row.memory_mib : 0;
	a->memory_mib = next ? next->row.memory_mib : a->from_mib;
}

void move_tell(struct core *core, const struct session *s)
{
	bool waits = s->row.move == MOVE_ANNOUNCE && core->config.handoff_grace_ms > 0;
	int64_t left = waits ? s->clock.deadline_ms - core->now_ms : 0;
	char text[CORE_TEXT_MAX];

	snprintf(text, sizeof(text),
		"Your desktop moves to another one %s. Your files stay; open programs are closed. "
		"Please save your work.",
		reason(s));
	if (s->row.move == MOVE_ANNOUNCE || s->row.move == MOVE_PREPARE)
		tell(core, s, "announced", left, text);
	else if (s->row.state == SESSION_MOVING || s->row.move == MOVE_CLAIM)
		tell(core, s, "moving", 0, "Your desktop is being moved.");
}

/* Nobody has claimed it yet. */
static bool unclaimed(const struct desktop *d)
{
	return d->row.state == DESKTOP_BOOTING || d->row.state == DESKTOP_STANDBY;
}

static void replace(struct core *core, struct session *s, struct desktop *old, struct server *to,
	uint32_t memory_mib)
{
	if (s->row.next == old->object.id)
		s->row.next = 0;
	else
		s->row.desktop = 0;
	desktop_drop(core, old);
	struct desktop *new = desktop_find(core, to, memory_mib, s);
	emit_audit(core, "replaced", s->object.id, new->object.id,
		"desktop %u, which nobody had claimed, by one of %u MiB", (unsigned)old->object.id,
		memory_mib);
	if (s->row.state == SESSION_WAITING)
		timer_after(core, &s->object, give_ms(core));
	session_advance(core, s);
	move_advance(core, s);
}

static void begin(struct core *core, struct session *s, struct server *to, uint32_t memory_mib,
	enum core_move_why why, bool breaks)
{
	struct desktop *d = move_target(core, s);
	bool shrink = d->row.live && memory_mib < d->row.memory_mib && core->config.shrink_ms > 0;

	if (unclaimed(d)) {
		replace(core, s, d, to, memory_mib);
		return;
	}
	d->left = true;
	placement_remove(&core->placement, &d->place);
	move_state(core, s, shrink ? MOVE_SHRINK : MOVE_ANNOUNCE);
	s->row.move_why = why;
	s->row.move_breaks = breaks;
	desktop_find(core, to, memory_mib, s);
	if (!shrink) {
		move_announce(core, s);
		return;
	}
	step(core, s, MOVE_SHRINK); /* said with its new desktop */
	timer_after(core, &s->clock, (int64_t)core->config.shrink_ms + SHRINK_MS);
	resize_ask(core, d, memory_mib);
}

void move_announce(struct core *core, struct session *s)
{
	uint32_t grace = s->row.login != 0 ? core->config.handoff_grace_ms : 0;

	step(core, s, MOVE_ANNOUNCE);
	timer_after(core, &s->clock, grace);
	move_tell(core, s);
	if (grace == 0)
		move_now(core, s);
}

void move_now(struct core *core, struct session *s)
{
	if (s->row.move != MOVE_ANNOUNCE)
		return;
	step(core, s, MOVE_PREPARE);
	timer_after(core, &s->clock, core->config.boot_timeout_ms);
	move_advance(core, s);
}

static void quiesce(struct core *core, struct session *s, struct desktop *d, struct desktop *next)
{
	timer_set(core, &s->clock, 0);
	session_state(core, s, SESSION_MOVING);
	timer_after(core, &s->object, core->config.claim_timeout_ms);
	step(core, s, MOVE_QUIESCE);
	desktop_put(core, next); /* pinned */
	move_tell(core, s);
	desktop_release(core, d);
}

void move_advance(struct core *core, struct session *s)
{
	struct desktop *d = table_live(&core->desktops, s->row.desktop);
	struct desktop *next = table_live(&core->desktops, s->row.next);
	const struct server *server = d ? table_live(&core->servers, d->row.server) : NULL;

	if (s->row.move != MOVE_PREPARE || !next || !server || !server->row.up)
		return;
	if (s->row.move_breaks || next->row.state == DESKTOP_STANDBY)
		quiesce(core, s, d, next);
}

void move_hurry(struct core *core, struct session *s)
{
	struct desktop *d = table_live(&core->desktops, s->row.desktop);
	struct desktop *next = table_live(&core->desktops, s->row.next);

	if (d && next)
		quiesce(core, s, d, next);
}

void move_released(struct core *core, struct session *s)
{
	if (s->row.move == MOVE_QUIESCE)
		step(core, s, MOVE_DETACH);
}

/* From here on the session has the new desktop, and the old one goes its own way. */
static void forward(struct core *core, struct session *s)
{
	struct desktop *old = table_live(&core->desktops, s->row.desktop);
	const struct desktop *next = table_live(&core->desktops, s->row.next);

	timer_set(core, &s->clock, 0);
	s->way.ticket_live = false; /* it goes with its desktop */
	way_close(core, s);
	if (old) {
		old->row.session = 0;
		emit_desktop(core, old);
	}
	s->row.desktop = next ? s->row.next : 0;
	s->row.next = 0;
	core->policy.stale = true;
	s->tries = 0;
	s->avoid = 0;
	s->percent = 0;
	step(core, s, MOVE_CLAIM);
	if (!next) {
		session_state(core, s, SESSION_PLACING);
		timer_after(core, &s->object, core->config.boot_timeout_ms);
		session_place(core, s);
		return;
	}
	session_state(core, s, SESSION_WAITING);
	timer_after(core, &s->object, give_ms(core));
	session_advance(core, s);
}

void move_lease_ended(struct core *core, struct session *s)
{
	if (s->row.state == SESSION_MOVING)
		forward(core, s);
}

void move_claimed(struct core *core, struct session *s)
{
	if (s->row.move != MOVE_CLAIM)
		return;
	step(core, s, MOVE_SWITCH);
	if (s->row.login == 0)
		move_done(core, s);
}

void move_done(struct core *core, struct session *s)
{
	struct desktop *d = table_live(&core->desktops, s->row.desktop);

	if (s->row.move != MOVE_SWITCH)
		return;
	finish(core, s, "done", s->row.login ? "the viewer shows it" : "nobody looks");
	if (d)
		desktop_put(core, d);
}

void move_take_back(struct core *core, struct server *server)
{
	while (server->place.used > server->place.capacity) {
		struct desktop *last = NULL;
		EACH(desktop, d, &core->desktops)
		{
			if (d->held && d->place.server == &server->place)
				last = d;
		}
		struct session *s = last ? table_live(&core->sessions, last->row.session) : NULL;
		if (!s)
			return;
		if (s->row.next == last->object.id && move_running(s)) {
			move_undo(core, s, "somebody else's desktop stays where it is");
		} else if (s->row.next == last->object.id) {
			s->row.next = 0; /* another one is sought once the volume is there */
			desktop_drop(core, last);
		} else {
			s->row.desktop = 0;
			core->policy.stale = true;
			session_state(core, s, SESSION_PLACING);
			desktop_drop(core, last);
		}
	}
}

/* The old desktop counts again. */
static void stay(struct core *core, struct session *s)
{
	struct desktop *d = table_live(&core->desktops, s->row.desktop);
	struct desktop *next = table_live(&core->desktops, s->row.next);

	s->row.next = 0;
	if (next)
		desktop_drop(core, next);
	if (!d)
		return;
	struct server *server = table_live(&core->servers, d->row.server);
	COPY(s->row.image.id, d->row.image);
	s->row.image.live = d->row.live;
	d->left = false;
	desktop_put(core, d);
	if (server)
		move_take_back(core, server);
}

void move_undo(struct core *core, struct session *s, const char *why)
{
	bool announced = s->row.move != MOVE_SHRINK;

	if (!move_running(s))
		return;
	finish(core, s, "undone", why);
	timer_after(core, &s->clock, REST_MS);
	stay(core, s);
	if (announced)
		tell(core, s, "cancelled", 0, "Your desktop stays as it is.");
}

void move_in_place(struct core *core, struct session *s)
{
	timer_set(core, &s->clock, 0);
	finish(core, s, "done", "it was made smaller in place");
	stay(core, s);
}

void move_next_lost(struct core *core, struct session *s, const char *why)
{
	s->row.next = 0;
	emit_session(core, s);
	move_undo(core, s, why); /* or another one is sought once the volume is there */
}

void move_old_lost(struct core *core, struct session *s, const char *why)
{
	const struct volume *v = table_live(&core->volumes, s->row.volume);
	struct desktop *next = table_live(&core->desktops, s->row.next);

	emit_audit(core, "desktop-failed", s->object.id, s->row.desktop, "%s", why);
	timer_set(core, &s->clock, 0);
	session_state(core, s, SESSION_MOVING);
	timer_after(core, &s->object, core->config.claim_timeout_ms);
	step(core, s, MOVE_DETACH);
	if (next)
		desktop_put(core, next); /* pinned */
	move_tell(core, s);
	if (v && v->row.desktop == 0)
		forward(core, s);
}

void move_stop(struct core *core, struct session *s, const char *why)
{
	struct desktop *next = table_live(&core->desktops, s->row.next);

	timer_set(core, &s->clock, 0);
	s->row.next = 0;
	if (s->row.move != MOVE_NONE)
		finish(core, s, "ended", why);
	if (next)
		desktop_drop(core, next);
}

void move_clock(struct core *core, struct session *s)
{
	struct desktop *d = table_live(&core->desktops, s->row.desktop);

	switch (s->row.move) {
	case MOVE_SHRINK:
		move_announce(core, s);
		break;
	case MOVE_ANNOUNCE:
		move_now(core, s);
		break;
	case MOVE_PREPARE:
		if (s->turns++ < TURNS)
			timer_after(core, &s->clock, core->config.boot_timeout_ms);
		else
			move_undo(core, s, "the new desktop was not ready in time");
		break;
	default: /* the end of its rest */
		core->room = true;
		if (d)
			desktop_put(core, d);
		break;
	}
}

void move_plan(struct core *core, const struct placement_plan *plan, enum core_move_why why)
{
	const struct desktop *d = TREE_ENTRY(plan->handoff, struct desktop, place);
	struct session *s = table_live(&core->sessions, d->row.session);

	begin(core, s, TREE_ENTRY(plan->handoff_to, struct server, place),
		tier_size_mib(&core->placement.tiers, plan->handoff_tier), why,
		plan->break_before_make);
}

void move_settle(struct core *core)
{
	struct placement_plan plan;

	policy_refresh(core);
	while (placement_settle(&core->placement, &plan)) {
		move_plan(core, &plan, MOVE_WHY_LOSS);
		policy_refresh(core);
	}
}

/* The first of those who are still on servers that are being drained; NULL while one is under way.
 */
static struct session *next_drained(struct core *core)
{
	struct session *first = NULL;

	EACH(session, s, &core->sessions)
	{
		const struct desktop *d = move_target(core, s);
		if (s->row.move != MOVE_NONE && s->row.move_why == MOVE_WHY_DRAIN)
			return NULL;
		if (d && d->place.server && d->place.server->state == PLACEMENT_DRAINING &&
			d->place.kind == PLACEMENT_MOVABLE &&
			(!first || s->row.sequence < first->row.sequence))
			first = s;
	}
	return first;
}

void move_drain(struct core *core)
{
	struct session *s = core->placement.draining > 0 ? next_drained(core) : NULL;
	struct desktop *d = s ? move_target(core, s) : NULL;
	struct placement_constraint asked;
	struct placement_plan plan;

	if (!d)
		return;
	policy_refresh(core); /* somebody may have been placed in this step */
	placement_set_kind(&core->placement, &d->place, PLACEMENT_HELD);
	enum pool_answer answer = pool_plan(core, policy_constraint(core, s, &asked), &plan);
	placement_set_kind(&core->placement, &d->place, PLACEMENT_MOVABLE);
	if (answer != POOL_YES || !plan.keeps_reserve)
		return; /* looked at again when there is room */
	if (plan.handoff)
		move_plan(core, &plan, MOVE_WHY_LOSS);
	begin(core, s, TREE_ENTRY(plan.server, struct server, place),
		tier_size_mib(&core->placement.tiers, plan.tier), MOVE_WHY_DRAIN, false);
}

/* Slots of M_m that would be free, on all open servers, with `units` more taken on `to` and those
 * of `d` given back. */
static uint64_t slots_after(const struct core *core, const struct desktop *d,
	const struct server *to, uint64_t units, unsigned tier)
{
	const struct placement *p = &core->placement;
	const struct placement_server *from = d->place.server;
	unsigned shift = p->tiers.last - tier;
	uint64_t free = placement_server_free(&to->place);
	uint64_t slots = p->free_slots[tier] - (free >> shift);

	if (from == &to->place)
		return slots + ((free + d->place.units - units) >> shift);
	slots += (free - units) >> shift;
	if (from && from->state == PLACEMENT_OPEN)
		slots += ((placement_server_free(from) + d->place.units) >> shift) -
			 (placement_server_free(from) >> shift);
	return slots;
}

static bool keeps_reserve(const struct core *core, const struct desktop *d, const struct server *to,
	uint32_t memory_mib)
{
	const struct placement *p = &core->placement;
	unsigned tier = placement_target(p, (uint64_t)p->users + p->standby);
	uint64_t units = tier_units_of(&p->tiers, memory_mib);

	return p->free_slots[tier] == 0 || slots_after(core, d, to, units, tier) > 0;
}

/* Where an admin's move leads; NULL with a sentence in `why`. */
static struct server *admin_target(const struct core *core, const struct session *s,
	uint64_t server, uint32_t memory_mib, char *why, size_t size)
{
	const struct desktop *d = table_live(&core->desktops, s->row.desktop);
	uint64_t units = tier_units_of(&core->placement.tiers, memory_mib);
	struct server *best = NULL;
	bool room = false;

	EACH(server, to, &core->servers)
	{
		uint64_t free = placement_server_free(&to->place);
		bool stays = to->object.id == d->row.server && memory_mib == d->row.memory_mib &&
			     strcmp(s->row.image.id, d->row.image) == 0;
		if ((server != 0 ? to->object.id != server : stays) || !server_usable(to) ||
			free < units)
			continue;
		room = true;
		if (keeps_reserve(core, d, to, memory_mib) &&
			(!best || free < placement_server_free(&best->place)))
			best = to;
	}
	if (!best && room)
		snprintf(why, size,
			"a desktop of %u MiB would take the memory that hand-offs need; a smaller "
			"one, or "
			"one user less, leaves it",
			memory_mib);
	else if (!best)
		snprintf(why, size,
			"no server has %u MiB free in one piece beside the present desktop; "
			"\"carrel "
			"server list\" shows what is free",
			memory_mib);
	return best;
}

static bool movable(const struct core *core, const struct session *s, char *why, size_t size)
{
	const struct desktop *d = s ? table_live(&core->desktops, s->row.desktop) : NULL;

	if (!s)
		snprintf(why, size, "there is no such session; \"carrel session list\" shows them");
	else if (s->row.move != MOVE_NONE)
		snprintf(why, size, "%s is being moved already; wait until that is done",
			s->row.user);
	else if (!d || (s->row.state != SESSION_CONNECTED && s->row.state != SESSION_DISCONNECTED))
		snprintf(why, size, "%s has no running desktop yet; wait until it is there",
			s->row.user);
	else
		return true;
	return false;
}

/* The server it would go to, or NULL; the size in `memory_mib`. */
static struct server *admin_check(const struct core *core, const struct session *s, uint64_t server,
	uint32_t *memory_mib, char *why, size_t size)
{
	const struct tier_table *tiers = &core->placement.tiers;
	const struct server *wanted = table_live(&core->servers, server);

	if (!movable(core, s, why, size))
		return NULL;
	const struct desktop *d = table_live(&core->desktops, s->row.desktop);
	if (*memory_mib == 0)
		*memory_mib = d->row.memory_mib;
	if (tier_size_mib(tiers, tier_of(tiers, *memory_mib)) != *memory_mib)
		snprintf(why, size,
			"%u MiB is no size of a desktop; allowed are %u MiB and its halves down to "
			"%u "
			"MiB",
			*memory_mib, tiers->max_mib, tiers->min_mib);
	else if (wanted && !server_usable(wanted))
		snprintf(why, size, "server %s %s; name another one", wanted->row.name,
			wanted->row.up ? "is being drained" : "is down");
	else if (wanted && server == d->row.server && *memory_mib == d->row.memory_mib)
		snprintf(why, size, "the desktop of %s is of that size on %s already", s->row.user,
			wanted->row.name);
	else
		return admin_target(core, s, server, *memory_mib, why, size);
	return NULL;
}

/* The first of those whose version is over; NULL while one is under way. */
static struct session *next_outdated(struct core *core)
{
	struct session *first = NULL;

	EACH(session, s, &core->sessions)
	{
		const struct desktop *d = move_target(core, s);
		if (s->row.move != MOVE_NONE && s->row.move_why == MOVE_WHY_IMAGE)
			return NULL;
		if (d && d->place.server && d->place.kind == PLACEMENT_MOVABLE &&
			d->row.state == DESKTOP_ACTIVE && image_outdated(core, s) &&
			(!first || s->row.sequence < first->row.sequence))
			first = s;
	}
	return first;
}

void move_renew(struct core *core)
{
	struct session *s = core->channels.until_wall_ms != 0 ? next_outdated(core) : NULL;
	const struct desktop *d = s ? table_live(&core->desktops, s->row.desktop) : NULL;
	char why[CORE_TEXT_MAX];

	if (!d)
		return;
	struct core_image was = s->row.image;
	s->row.image = core->channels.stable;
	struct server *to = admin_target(core, s, 0, d->row.memory_mib, why, sizeof(why));
	if (!to)
		s->row.image = was; /* looked at again when there is room */
	else
		begin(core, s, to, d->row.memory_mib, MOVE_WHY_IMAGE, false);
}

bool core_move_check(const struct core *core, uint64_t session, uint64_t server,
	uint32_t memory_mib, char *why, size_t size)
{
	return admin_check(core, table_live(&core->sessions, session), server, &memory_mib, why,
		       size) != NULL;
}

void move_admin(struct core *core, struct session *s, const struct core_event *ev)
{
	uint32_t memory_mib = ev->memory_mib;
	char why[CORE_TEXT_MAX];
	struct server *to = admin_check(core, s, ev->server, &memory_mib, why, sizeof(why));

	if (to)
		begin(core, s, to, memory_mib, MOVE_WHY_ADMIN, false);
	else
		emit_audit(core, "not-moved", s->object.id, s->row.desktop, "%s", why);
}

uint32_t core_server_users(const struct core *core, uint64_t server)
{
	uint32_t users = 0;

	EACH(desktop, d, &core->desktops)
	{
		users += d->row.server == server && d->row.session != 0;
	}
	return users;
}

/* Before the allocator is built: which desktops count, which hand-offs go on. */
void move_load(struct core *core, struct session *s)
{
	struct desktop *d = table_live(&core->desktops, s->row.desktop);
	const struct desktop *next = table_live(&core->desktops, s->row.next);

	if (s->row.state == SESSION_MOVING && d) {
		d->left = true;
		if (next && (next->row.session != s->object.id || !unclaimed(next)))
			next = NULL;
		s->row.next = next ? s->row.next : 0;
	} else if (s->row.move != MOVE_CLAIM && s->row.move != MOVE_NONE) {
		s->row.next = 0;
		finish(core, s, s->row.move == MOVE_SWITCH ? "done" : "undone",
			"the broker was started again");
	}
}
