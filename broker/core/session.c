/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A user's presence, from the first login to the end.
 *
 * A session needs two things before its desktop can be claimed: a booted desktop and a volume that
 * is ready and nobody's. Both are sought at once (session_place, volume_want), each reports when it
 * is there, and session_advance, called at each such report, claims when both are. Nothing here
 * remembers "which comes first": the state of the two objects says what is missing.
 *
 *  - The desktop may fail, in any of several ways; each ends in session_retry, which takes another
 *    one once, on another server if there is one, and then gives up with a text.
 *  - The volume may still be in the user's last desktop, which is being put away. Waiting for it is
 *    waiting for volume_free. The session before this one is over already: a session ends when its
 *    viewer is told so, and the desktop finds its own way to its end (desktop.c).
 *  - Memory may be all taken, though somebody is just leaving: the session stays in PLACING, and
 *    session_room tries again when a desktop is gone.
 *  - The viewer may change at any moment: a login elsewhere takes the session over where it stands
 *    (session_take). It may also go: a session that has no desktop of its own yet ends with it, one
 *    that is being claimed goes on, and is DISCONNECTED when it is there.
 *
 * Each of these waits has a deadline, the session's own or that of its desktop.
 */
#include <stdio.h>
#include <string.h>

#include "broker/core/internal.h"

struct session *session_of_user(const struct core *core, const char *user)
{
	EACH(session, s, &core->sessions)
	{
		if (strcmp(s->row.user, user) == 0)
			return s;
	}
	return NULL;
}

static void session_link(struct core *core, struct session *s, struct login *l)
{
	l->session = s->object.id;
	s->row.login = l->object.id;
	s->position = 0;
	core->policy.stale = true;
	COPY(s->row.seat, l->seat);
	emit_session(core, s);
}

struct session *session_new(struct core *core, struct login *l, const struct core_event *ev)
{
	uint64_t id = ++core->counters.session;
	struct session *s = table_add(&core->sessions, sizeof(*s), OBJECT_SESSION, id);
	struct volume *v = volume_of_user(core, ev->user);

	emit_counters(core);
	s->row.id = id;
	s->row.sequence = id;
	s->row.state = SESSION_PLACING;
	s->row.uid = ev->uid;
	s->row.gid = ev->gid;
	s->row.started_wall_ms = core->wall_ms;
	COPY(s->row.user, ev->user);
	COPY(s->row.full_name, ev->full_name);
	if (!v)
		v = volume_new(core, ev->user, ev->uid);
	s->row.volume = v->object.id;
	session_link(core, s, l);
	return s;
}

/* Says to the viewer where the session stands. */
static void session_show(struct core *core, struct session *s)
{
	const struct desktop *d = table_live(&core->desktops, s->row.desktop);
	const struct volume *v = table_live(&core->volumes, s->row.volume);

	if (s->queued)
		return; /* queue_tell does, at the end of the step */
	if (s->row.state == SESSION_MOVING)
		emit_stage(core, s, "waiting", 10, "Your desktop is being moved");
	else if (s->row.state == SESSION_PLACING)
		emit_stage(core, s, "placing", 10, "Looking for a desktop");
	else if (s->row.state == SESSION_CLAIMING)
		emit_stage(core, s, "claiming", 60, "Opening your home");
	else if (v && v->row.work != VOLUME_WORK_NONE)
		emit_stage(
			core, s, "waiting", 15, "Your home is %s", volume_work_words(v->row.work));
	else if (d && d->held)
		emit_stage(core, s, "waiting", 15, "Room is being made for your desktop");
	else if (d && d->row.state == DESKTOP_BOOTING)
		emit_stage(core, s, "starting", 20, "Starting your desktop");
	else if (v && v->row.state != VOLUME_READY)
		emit_stage(core, s, "waiting", 50, "Making your home");
	else
		emit_stage(core, s, "waiting", 50, "Your last desktop is being put away");
}

/* Any up server but the one to be avoided on which a desktop of that tier fits. */
static struct server *another_server(struct core *core, const struct session *s,
	const struct placement_constraint *c, unsigned tier)
{
	struct server *best = NULL;

	EACH(server, server, &core->servers)
	{
		uint64_t free = placement_server_free(&server->place);
		if (server->object.id != s->avoid && server_usable(server) &&
			placement_leaves_kept(&core->placement, c, &server->place, tier) &&
			(!best || free < placement_server_free(&best->place)))
			best = server;
	}
	return best;
}

static bool somebody_leaves(struct core *core)
{
	EACH(desktop, d, &core->desktops)
	{
		const struct server *server = table_get(&core->servers, d->row.server);
		if ((desktop_leaving(d) || d->left) && server && server_usable(server))
			return true;
	}
	return false;
}

static void refuse_full(struct core *core, struct session *s)
{
	const struct core_config *config = &core->config;
	struct core_tier_status status;
	char text[CORE_TEXT_MAX];
	int n;

	core_tier_status(core, &status);
	n = snprintf(text, sizeof(text), "All desktops are taken: %u users are connected.",
		core->placement.users);
	if (status.kept_seats > 0)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " %u are kept for a class.",
			status.kept_seats);
	if (config->queue > 0)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " %u wait in the queue already.",
			core->queue_length);
	snprintf(text + n, sizeof(text) - (size_t)n,
		" There will be room when one of them logs out or the administrator adds a "
		"server.");
	session_refuse(core, s, "full", text);
}

/* He stays in PLACING; session_room tries again. */
static void session_wait(struct core *core, struct session *s)
{
	if (s->object.deadline_ms == 0)
		timer_after(core, &s->object, core->config.boot_timeout_ms);
	session_show(core, s);
}

/* Is there one that may be back in a moment? */
static bool server_away(const struct core *core)
{
	EACH(server, server, &core->servers)
	{
		if (!server->row.up && !server->row.lost)
			return true;
	}
	return false;
}

/* There is no room: queue, or wait for who is just leaving, or say so. */
static void session_no_room(struct core *core, struct session *s, enum placement_result result)
{
	/* His session was up, or he had been promised a desktop on a server that is away: that is
	 * not given up for a moment without it. */
	if (s->row.move != MOVE_NONE || (s->tries > 0 && server_away(core))) {
		session_wait(core, s);
	} else if (result == PLACEMENT_NO_SERVER && placement_capacity(&core->placement) > 0) {
		session_refuse(core, s, "no-server",
			"No server is large enough for the desktop that your group or class is to "
			"get. Please tell the administrator.");
	} else if (s->queued) {
		return; /* also while no server answers */
	} else if (result == PLACEMENT_NO_SERVER) {
		session_refuse(core, s, "no-server",
			"No server for desktops is available. Please tell the administrator.");
	} else if (core->config.queue > 0) {
		if (!queue_enter(core, s))
			refuse_full(core, s);
	} else if (somebody_leaves(core)) {
		session_wait(core, s);
	} else {
		refuse_full(core, s);
	}
}

static void refuse_damaged(struct core *core, struct session *s)
{
	session_refuse(core, s, "volume-damaged",
		"Your home is damaged and is not opened, so that nothing in it is lost. The "
		"administrator can repair it.");
}

/* The desktop of a plan whose hand-off, if it has one, is on its way. */
static void session_give(struct core *core, struct session *s, const struct placement_constraint *c,
	const struct placement_plan *plan)
{
	uint32_t size = tier_size_mib(&core->placement.tiers, plan->tier);
	struct server *server = TREE_ENTRY(plan->server, struct server, place);
	struct desktop *d = pool_take(core, s, c, size, plan->handoff ? server : NULL, s->avoid);

	if (d) {
		desktop_assign(core, d, s);
		return;
	}
	struct server *other = s->avoid == server->object.id && !plan->handoff
				       ? another_server(core, s, c, plan->tier)
				       : NULL;
	desktop_new(core, other ? other : server, size, s, &s->row.image);
}

void session_place(struct core *core, struct session *s)
{
	const struct volume *v = table_live(&core->volumes, s->row.volume);
	struct placement_constraint asked;
	const struct placement_constraint *c;
	struct placement_plan plan;

	policy_refresh(core);
	session_state(core, s, SESSION_PLACING);
	if (v->row.state == VOLUME_BROKEN && v->row.work == VOLUME_WORK_NONE) {
		refuse_damaged(core, s);
		return;
	}
	image_choose(core, s);
	if (s->row.image.id[0] == '\0') {
		session_refuse(core, s, "desktop-failed",
			"No desktop image is published. The administrator has to publish one.");
		return;
	}
	c = policy_constraint(core, s, &asked);
	if (queue_holds(core, s)) {
		bool any = placement_capacity(&core->placement) > 0;
		session_no_room(core, s, any ? PLACEMENT_FULL : PLACEMENT_NO_SERVER);
		return;
	}
	enum pool_answer answer = pool_plan(core, c, &plan);
	if (answer == POOL_SOON)
		session_wait(core, s);
	else if (answer == POOL_NO)
		session_no_room(core, s, plan.result);
	if (answer != POOL_YES)
		return;
	queue_leave(core, s);
	if (plan.handoff)
		move_plan(core, &plan, MOVE_WHY_ROOM);
	session_give(core, s, c, &plan);
	session_state(core, s, SESSION_WAITING);
	timer_after(core, &s->object, give_ms(core));
	session_advance(core, s);
}

void session_advance(struct core *core, struct session *s)
{
	struct desktop *d = table_live(&core->desktops, s->row.desktop);
	struct volume *v = table_live(&core->volumes, s->row.volume);
	const struct server *server = d ? table_live(&core->servers, d->row.server) : NULL;

	if (s->row.state != SESSION_WAITING)
		return;
	if (v->row.state == VOLUME_BROKEN && v->row.work == VOLUME_WORK_NONE) {
		refuse_damaged(core, s);
		return;
	}
	if (v->row.state != VOLUME_READY)
		volume_want(core, v);
	if (server && server->row.up && d->row.state == DESKTOP_STANDBY &&
		v->row.state == VOLUME_READY && v->row.desktop == 0 &&
		v->row.work == VOLUME_WORK_NONE) {
		timer_set(core, &s->object, 0);
		session_state(core, s, SESSION_CLAIMING);
		desktop_claim(core, d, v);
	}
	session_show(core, s);
}

void session_retry(
	struct core *core, struct session *s, struct desktop *d, const char *code, const char *why)
{
	char text[CORE_TEXT_MAX];

	s->row.desktop = 0;
	core->policy.stale = true;
	s->tries++;
	if (s->row.login == 0 && s->row.move == MOVE_NONE) {
		session_close(core, s);
		return;
	}
	emit_audit(core, "desktop-failed", s->object.id, d->object.id, "%s", why);
	const struct volume *v = table_live(&core->volumes, s->row.volume);
	if (v->row.state == VOLUME_BROKEN) {
		refuse_damaged(core, s);
		return;
	}
	if (s->tries >= DESKTOP_TRIES) {
		snprintf(text, sizeof(text),
			"Your desktop could not be started (%.120s). Please try again, or tell the "
			"administrator.",
			why);
		session_refuse(core, s, code, text);
		return;
	}
	s->avoid = d->row.server;
	s->percent = 0;
	timer_set(core, &s->object, 0);
	session_place(core, s);
}

void session_close(struct core *core, struct session *s)
{
	struct desktop *d = table_live(&core->desktops, s->row.desktop);
	bool had_desktop = s->row.state >= SESSION_CONNECTED;

	login_over(core, s->row.login);
	s->row.login = 0;
	way_close(core, s);
	queue_leave(core, s);
	move_stop(core, s, "the session is over");
	session_state(core, s, SESSION_ENDED);
	object_end(core, &s->object);
	core->policy.stale = core->works = true;
	if (had_desktop)
		queue_ended(core);
	if (!d)
		return;
	if (d->row.state <= DESKTOP_CLAIMING)
		desktop_drop(core, d);
	else if (d->row.state == DESKTOP_ACTIVE)
		desktop_release(core, d);
}

void session_end(struct core *core, struct session *s, const char *code, const char *text)
{
	emit_tell(core, CORE_ACT_TELL_ENDED, s->row.login, code, "%s", text);
	emit_audit(core, "session-ended", s->object.id, s->row.desktop, "%s", code);
	session_close(core, s);
}

void session_refuse(struct core *core, struct session *s, const char *code, const char *text)
{
	emit_tell(core, CORE_ACT_TELL_REFUSED, s->row.login, code, "%s", text);
	emit_audit(core, "login-refused", s->object.id, s->row.desktop, "%s", code);
	session_close(core, s);
}

void session_take(struct core *core, struct session *s, struct login *l)
{
	/* A forward without a viewer is one that a restart has kept, perhaps with its picture. */
	bool same = s->row.login == 0 && strcmp(s->row.client, l->client) == 0;

	if (s->row.login != 0) {
		emit_tell(core, CORE_ACT_TELL_MOVED, s->row.login, "moved",
			"You have logged in at another place; your desktop is there now.");
		login_over(core, s->row.login);
	}
	session_link(core, s, l);
	switch (s->row.state) {
	case SESSION_CONNECTED:
	case SESSION_DISCONNECTED:
		if (!same)
			way_close(core, s);
		session_state(core, s, SESSION_CONNECTED);
		way_open(core, s, l);
		break;
	case SESSION_MOVING:
		way_close(core, s);
		move_tell(core, s);
		session_show(core, s);
		break;
	default:
		move_tell(core, s); /* a viewer that shows the old picture still */
		session_show(core, s);
		break;
	}
}

/* The desktop runs and nobody looks. */
static void session_alone(struct core *core, struct session *s)
{
	way_close(core, s);
	session_state(core, s, SESSION_DISCONNECTED);
	move_done(core, s);
	move_now(core, s); /* nobody reads the notice */
	if (core->config.disconnected_ms > 0)
		timer_after(core, &s->object, core->config.disconnected_ms);
	else
		session_end(core, s, "expired", "The session has ended with its viewer.");
}

void session_viewer_gone(struct core *core, struct session *s)
{
	s->row.login = 0;
	if (s->row.move == MOVE_NONE &&
		(s->row.state == SESSION_PLACING || s->row.state == SESSION_WAITING))
		session_close(core, s);
	else if (s->row.state == SESSION_CONNECTED)
		session_alone(core, s);
	else
		emit_session(core, s);
}

void session_started(struct core *core, struct session *s)
{
	const struct login *l = table_live(&core->logins, s->row.login);

	if (l) {
		session_state(core, s, SESSION_CONNECTED);
		move_claimed(core, s);
		way_open(core, s, l);
	} else {
		move_claimed(core, s);
		session_alone(core, s);
	}
}

/* It had a desktop on a server that is lost: it is to be placed as if its user connected now. */
static void session_uproot(struct core *core, struct session *s, struct desktop *d)
{
	move_stop(core, s, "its server is lost");
	s->way.ticket_live = false;
	way_close(core, s);
	s->row.desktop = 0;
	s->tries = 0;
	s->percent = 0;
	s->readmit = true;
	core->policy.stale = true; /* his seat, if he had one */
	session_state(core, s, SESSION_PLACING);
	timer_after(core, &s->object, core->config.boot_timeout_ms);
	emit_audit(core, "readmitted", s->object.id, d->object.id, "its server is lost");
	desktop_destroy(core, d, true);
}

void session_lost(struct core *core, struct server *server)
{
	EACH(session, s, &core->sessions)
	{
		struct desktop *d = table_live(&core->desktops, s->row.desktop);
		if (!d || d->row.server != server->object.id || d->row.state != DESKTOP_ACTIVE)
			continue;
		if (s->row.state == SESSION_DISCONNECTED)
			session_end(core, s, "failed", "The server of your desktop has failed.");
		else if (move_running(s))
			desktop_fail(core, d, "desktop-failed", "its server is lost");
		else
			session_uproot(core, s, d);
	}
	for (;;) {
		struct session *first = NULL;
		EACH(session, s, &core->sessions)
		{
			if (s->readmit && (!first || s->row.sequence < first->row.sequence))
				first = s;
		}
		if (!first)
			return;
		first->readmit = false;
		first->row.sequence = ++core->counters.session;
		emit_counters(core);
		session_place(core, first);
	}
}

static void session_waited(struct core *core, struct session *s)
{
	const struct volume *v = table_live(&core->volumes, s->row.volume);
	const struct desktop *holder = table_live(&core->desktops, v->row.desktop);
	const struct server *server = holder ? table_get(&core->servers, holder->row.server) : NULL;
	const struct desktop *d = table_live(&core->desktops, s->row.desktop);
	char text[CORE_TEXT_MAX];

	/* What is promised to him, or his session itself, is not given up while others move. */
	if (((d && d->held) || s->row.move != MOVE_NONE) && s->turns++ < TURNS) {
		timer_after(core, &s->object, core->config.boot_timeout_ms);
		if (s->row.state == SESSION_PLACING)
			session_place(core, s);
		return;
	}
	if (s->row.state == SESSION_PLACING) {
		session_refuse(core, s, "full",
			"All desktops are taken, and none came free in time. Please try again.");
	} else if (v->row.desktop != 0) {
		snprintf(text, sizeof(text),
			"Your home is still in your last desktop, on server %s, which does not "
			"answer. Please tell the administrator.",
			server ? server->row.name : "?");
		session_refuse(core, s, "volume-failed", text);
	} else if (v->row.work != VOLUME_WORK_NONE) {
		snprintf(text, sizeof(text),
			"Your home is %s, which takes its time. Please try again in a while.",
			volume_work_words(v->row.work));
		session_refuse(core, s, "volume-failed", text);
	} else if (v->row.state != VOLUME_READY) {
		session_refuse(core, s, "volume-failed",
			"Your home could not be made in time. Please tell the administrator.");
	} else {
		session_refuse(core, s, "desktop-failed",
			"Your desktop was not ready in time. Please try again.");
	}
}

void session_deadline(struct core *core, struct session *s)
{
	switch (s->row.state) {
	case SESSION_PLACING:
	case SESSION_WAITING:
		if (s->queued)
			queue_deadline(core, s);
		else
			session_waited(core, s);
		break;
	case SESSION_CONNECTED:
		way_deadline(core, s);
		break;
	case SESSION_DISCONNECTED:
		session_end(core, s, "expired", "The session was left for too long.");
		break;
	case SESSION_MOVING: /* its old desktop's deadlines, and its server's, drive it on */
		timer_after(core, &s->object, core->config.claim_timeout_ms);
		break;
	default:
		break;
	}
}

void session_room(struct core *core)
{
	EACH(session, s, &core->sessions)
	{
		if (s->row.state == SESSION_PLACING)
			session_place(core, s);
		else if (s->row.state == SESSION_WAITING)
			volume_want(core, table_live(&core->volumes, s->row.volume));
	}
}
