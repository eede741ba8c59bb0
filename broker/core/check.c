/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The invariants, each as a sentence that would be wrong. */
#include <string.h>

#include "broker/core/internal.h"

static const char *check_desktop(const struct core *core, const struct desktop *d)
{
	const struct session *s = table_live(&core->sessions, d->row.session);
	const struct volume *v = table_live(&core->volumes, d->volume);
	enum core_desktop_state state = d->row.state;
	bool mine = s && (s->row.desktop == d->object.id || s->row.next == d->object.id);
	bool pooled = d->pool.linked;

	if (state == DESKTOP_GONE)
		return "a desktop that is gone is still there";
	if (d->held && (state != DESKTOP_BOOTING || d->volume != 0))
		return "a desktop without a VM has come further than booting";
	if (pooled && (d->row.session != 0 || d->place.server ||
			      (state != DESKTOP_BOOTING && state != DESKTOP_STANDBY)))
		return "a desktop of the pool is somebody's";
	if (state < DESKTOP_DRAINING && !mine && !pooled)
		return "a desktop is nobody's and not in the pool";
	if ((state == DESKTOP_CLAIMING || state == DESKTOP_ACTIVE) &&
		(!v || v->row.desktop != d->object.id))
		return "a desktop is in use without a volume's lease";
	if (d->volume != 0 && (!v || v->row.desktop != d->object.id))
		return "a desktop thinks that it has a volume";
	if (d->object.deadline_ms == 0 && state != DESKTOP_STANDBY && state != DESKTOP_ACTIVE)
		return "a desktop waits without a deadline";
	if (desktop_counts(d) != (d->place.server != NULL) &&
		table_live(&core->servers, d->row.server))
		return "the allocator does not know of a desktop";
	if (d->left && state < DESKTOP_DRAINING && (!mine || !s->row.next))
		return "a desktop that nobody leaves counts for nothing";
	if (d->booting && (state != DESKTOP_BOOTING || d->held))
		return "a desktop boots that is not booting";
	return NULL;
}

static const char *check_volume(const struct core *core, const struct volume *v)
{
	const struct desktop *d = table_live(&core->desktops, v->row.desktop);

	if (v->work_server != 0 && v->row.work == VOLUME_WORK_NONE)
		return "a server works on a volume that needs no work";
	if (v->row.copy > v->row.last_copy)
		return "a volume's copy has a number that was never given";
	if (v->row.desktop == 0)
		return v->row.attached ? "a volume is attached without a lease" : NULL;
	if (v->row.work != VOLUME_WORK_NONE)
		return "a volume is worked on while it is leased";
	if (!d)
		return "a volume is leased to a desktop that is not there";
	if (d->volume != v->object.id)
		return "a volume is leased to a desktop that has another one";
	if (d->row.state < DESKTOP_CLAIMING || d->row.state == DESKTOP_GONE)
		return "a volume is leased to a desktop that nobody has claimed";
	if (v->row.state != VOLUME_READY && v->row.state != VOLUME_BROKEN)
		return "a volume is leased that was never made";
	if (v->create_server != 0)
		return "a volume is being made while it is leased";
	return NULL;
}

static const char *check_session_desktop(const struct core *core, const struct session *s)
{
	const struct desktop *d = table_live(&core->desktops, s->row.desktop);
	const struct volume *v = table_live(&core->volumes, s->row.volume);

	if (!v)
		return "a session has no volume";
	if ((s->row.state == SESSION_PLACING) != (d == NULL))
		return "a session that is placed has no desktop, or one that is not has one";
	if (!d)
		return NULL;
	if (d->row.session != s->object.id)
		return "a session's desktop is another session's";
	const struct desktop *target = move_target(core, s);
	if (target && (s->row.state != SESSION_MOVING || s->row.next != 0) &&
		strcmp(target->row.image, s->row.image.id) != 0)
		return "a session's desktop runs another version than the session is to have";
	if (s->row.state == SESSION_MOVING)
		return d->row.state == DESKTOP_DRAINING || d->row.state == DESKTOP_FAILED
			       ? NULL
			       : "a session is moved out of a desktop that works";
	if (s->row.state == SESSION_WAITING)
		return d->row.state <= DESKTOP_STANDBY ? NULL
						       : "a session waits for a desktop in use";
	if (v->row.desktop != d->object.id)
		return "a session's volume is not leased to its desktop";
	if (d->row.state != (s->row.state == SESSION_CLAIMING ? DESKTOP_CLAIMING : DESKTOP_ACTIVE))
		return "a session and its desktop are in states that do not go together";
	return NULL;
}

static const char *check_move(const struct core *core, const struct session *s)
{
	static const unsigned states[MOVE_COUNT] = {
		[MOVE_NONE] = ~(1u << SESSION_MOVING),
		[MOVE_SHRINK] = 1u << SESSION_CONNECTED | 1u << SESSION_DISCONNECTED,
		[MOVE_ANNOUNCE] = 1u << SESSION_CONNECTED | 1u << SESSION_DISCONNECTED,
		[MOVE_PREPARE] = 1u << SESSION_CONNECTED | 1u << SESSION_DISCONNECTED,
		[MOVE_QUIESCE] = 1u << SESSION_MOVING,
		[MOVE_DETACH] = 1u << SESSION_MOVING,
		[MOVE_CLAIM] =
			1u << SESSION_PLACING | 1u << SESSION_WAITING | 1u << SESSION_CLAIMING,
		[MOVE_SWITCH] = 1u << SESSION_CONNECTED,
	};
	const struct desktop *next = table_live(&core->desktops, s->row.next);

	if (!(states[s->row.move] & 1u << s->row.state))
		return "a session's hand-off and its state do not go together";
	if (s->row.next != 0 && (s->row.move < MOVE_SHRINK || s->row.move > MOVE_DETACH))
		return "a session has two desktops, and no hand-off";
	if (s->row.next != 0 &&
		(!next || next->row.session != s->object.id || next->row.state > DESKTOP_STANDBY))
		return "a hand-off leads nowhere";
	if (move_running(s) && (s->row.next == 0 || s->clock.deadline_ms == 0))
		return "a hand-off that can be undone has no desktop or no end";
	return NULL;
}

static const char *check_session(const struct core *core, const struct session *s)
{
	const struct login *l = table_live(&core->logins, s->row.login);
	enum core_session_state state = s->row.state;

	EACH(session, other, &core->sessions)
	{
		if (other == s)
			continue;
		if (strcmp(other->row.user, s->row.user) == 0)
			return "a user has two sessions";
		if (s->row.forward_port != 0 && other->row.forward_port == s->row.forward_port &&
			strcmp(other->row.client, s->row.client) == 0)
			return "two sessions have the same forward";
	}
	if (state == SESSION_ENDED)
		return "a session that has ended is still there";
	if (s->queued && state != SESSION_PLACING)
		return "a session that has been placed is in the queue";
	if (s->row.login != 0 && (!l || l->session != s->object.id))
		return "a session's viewer is not its own";
	if (l && state == SESSION_DISCONNECTED)
		return "a disconnected session has a viewer";
	if (!l && state != SESSION_DISCONNECTED && state != SESSION_CLAIMING &&
		s->row.move == MOVE_NONE)
		return "a session that needs a viewer has none";
	if (s->row.forward_port != 0 && state != SESSION_CONNECTED &&
		state != SESSION_DISCONNECTED && state != SESSION_MOVING)
		return "a session has a forward before it has a desktop";
	if ((s->row.forward_port != 0) != (s->row.client[0] != '\0'))
		return "a forward has no client";
	if (s->object.deadline_ms == 0 && state != SESSION_CLAIMING &&
		!(state == SESSION_CONNECTED && s->way.told))
		return "a session waits without a deadline";
	const char *broken = check_move(core, s);
	return broken ? broken : check_session_desktop(core, s);
}

static const char *check_server(const struct core *core, const struct server *s)
{
	uint64_t started = 0, placed = 0;
	unsigned held = 0, booting = 0;

	EACH(desktop, d, &core->desktops)
	{
		if (d->row.server != s->object.id)
			continue;
		started += d->held ? 0 : d->units;
		placed += d->place.server ? d->units : 0;
		held += d->held;
		booting += d->booting;
	}
	if (started != s->started || held != s->held || booting != s->booting)
		return "a server's used memory is miscounted";
	if (placed != s->place.used)
		return "the allocator's used memory is miscounted";
	if (held > 0 && placed > s->place.capacity && !s->shrunk)
		return "more is promised on a server than it has";
	if (started > s->place.capacity && !s->shrunk)
		return "a server's capacity is exceeded";
	return NULL;
}

static const char *check_login(const struct core *core, const struct login *l)
{
	const struct session *s = table_live(&core->sessions, l->session);

	if (l->authenticating)
		return l->object.deadline_ms != 0 ? NULL : "a login waits without a deadline";
	return s && s->row.login == l->object.id ? NULL : "a login is nobody's";
}

static const char *check_policy(const struct core *core)
{
	unsigned queued = 0;

	EACH(session, s, &core->sessions)
	{
		queued += s->queued;
	}
	if (queued != core->queue_length)
		return "the queue is miscounted";
	for (size_t i = 0; i < core->policy.reservation_count; i++) {
		const struct policy_reservation *r = &core->policy.reservations[i];
		uint32_t filled = 0;
		EACH(session, s, &core->sessions)
		{
			filled += s->reservation == r->id;
		}
		if (filled != r->filled || filled > r->seats)
			return "a reservation's seats are miscounted";
	}
	return NULL;
}

#define CHECK_ALL(type, table)                                                                     \
	EACH(type, type##_, &core->table)                                                          \
	{                                                                                          \
		const char *broken = check_##type(core, type##_);                                  \
		if (broken)                                                                        \
			return broken;                                                             \
	}

const char *core_check(const struct core *core)
{
	if (core->violation)
		return core->violation;
	CHECK_ALL(server, servers)
	CHECK_ALL(desktop, desktops)
	CHECK_ALL(volume, volumes)
	CHECK_ALL(session, sessions)
	CHECK_ALL(login, logins)
	return check_policy(core);
}
