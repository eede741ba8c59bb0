/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One VM, from the decision to start it to the certainty that it is gone.
 *
 * Two things are kept apart here that are easily mixed up: what a desktop is *for* and whether its
 * VM *exists*. A session may lose interest in a desktop at once; the VM may go on existing for as
 * long as its server does not answer, and as long as it may exist it takes memory, may have the
 * user's disk open, and must not be forgotten. So there are three ways out:
 *
 *   desktop_release   orderly: the agent ends the programs and unmounts (RELEASE), the hypervisor
 *                     takes the disk out (DETACH), the VM goes (DESTROY);
 *   desktop_destroy   the VM goes, whatever it does. Asked for again until it is certain;
 *   desktop_gone      it is certain. Only here does the memory come free, and here at the latest
 *                     the lease of the volume ends.
 *
 * A desktop that has its place but not yet its memory, because standby desktops in the way are
 * still being destroyed, is *held*: it has a row and no VM. desktop_kick starts it when it fits.
 *
 * When a server's connection is lost its desktops become *unsure*; nothing is concluded from
 * silence. The list that is taken before the server counts as up again says which ones still run.
 */
#include <stdio.h>
#include <string.h>

#include "broker/core/internal.h"

static struct server *server_of(const struct core *core, const struct desktop *d)
{
	return table_live(&core->servers, d->row.server);
}

/* The session that this desktop is for, or NULL: it may have ended, or have taken another one. */
static struct session *session_of(const struct core *core, const struct desktop *d)
{
	struct session *s = table_live(&core->sessions, d->row.session);

	return s && (s->row.desktop == d->object.id || s->row.next == d->object.id) ? s : NULL;
}

static void pool_leave(struct core *core, struct desktop *d)
{
	tree_remove(&core->pool, &d->pool);
}

static void unhold(struct core *core, struct desktop *d)
{
	struct server *server = server_of(core, d);

	if (d->held && server)
		server->held--;
	d->held = false;
}

static void boot_over(struct core *core, struct desktop *d)
{
	struct server *server = server_of(core, d);

	if (!d->booting)
		return;
	d->booting = false;
	core->room = true; /* of processors */
	if (server)
		server->booting--;
}

/* Asks for the VM when there is room for it, and a processor; else it stays held. */
static bool desktop_start(struct core *core, struct desktop *d)
{
	struct server *server = server_of(core, d);
	struct session *s = session_of(core, d);

	if (!server->row.up || server_room(server) < d->units ||
		server->booting >= server_boots(core, server))
		return false;
	unhold(core, d);
	server->started += d->units;
	server->booting++;
	d->booting = true;
	timer_after(core, &d->object, core->config.boot_timeout_ms);
	if (s && s->row.state == SESSION_WAITING)
		timer_after(core, &s->object, give_ms(core));
	emit_desktop(core, d);
	struct core_action *a = emit(core, CORE_ACT_DESKTOP_START);
	a->desktop = d->object.id;
	a->server = d->row.server;
	a->session = d->row.session;
	a->memory_mib = d->row.memory_mib;
	return true;
}

struct desktop *desktop_new(struct core *core, struct server *server, uint32_t memory_mib,
	struct session *s, const struct core_image *image)
{
	uint64_t id = ++core->counters.desktop;
	struct desktop *d = table_add(&core->desktops, sizeof(*d), OBJECT_DESKTOP, id);

	emit_counters(core);
	d->row.id = id;
	d->row.server = server->object.id;
	d->row.memory_mib = memory_mib;
	d->row.state = DESKTOP_BOOTING;
	COPY(d->row.image, image->id);
	d->row.live = image->live;
	d->units = tier_units_of(&core->placement.tiers, memory_mib);
	d->held = true;
	server->held++;
	timer_after(core, &d->object, core->config.boot_timeout_ms);
	if (s)
		desktop_assign(core, d, s);
	else
		tree_insert(&core->pool, &d->pool, id, id);
	emit_desktop(core, d);
	if (s && server_room(server) < d->units)
		pool_make_room(core, server);
	if (server->held == 1)
		desktop_start(core, d); /* else others are first: desktop_kick */
	return d;
}

struct desktop *desktop_find(
	struct core *core, struct server *server, uint32_t memory_mib, struct session *s)
{
	struct desktop *d = pool_take(core, s, NULL, memory_mib, server, 0);

	if (!d)
		return desktop_new(core, server, memory_mib, s, &s->row.image);
	desktop_assign(core, d, s);
	return d;
}

bool desktop_leaving(const struct desktop *d)
{
	return d->row.state == DESKTOP_DRAINING || d->row.state == DESKTOP_FAILED;
}

bool desktop_counts(const struct desktop *d)
{
	return d->row.session != 0 && !d->left &&
	       (!desktop_leaving(d) || d->destroys >= DESTROYS_STUCK);
}

void desktop_put(struct core *core, struct desktop *d)
{
	struct server *server = server_of(core, d);
	const struct session *s = table_live(&core->sessions, d->row.session);

	if (!server)
		return;
	if (!desktop_counts(d)) {
		placement_remove(&core->placement, &d->place);
		core->room = true; /* it can be promised to somebody; he starts when it is free */
		return;
	}
	if (d->place.server)
		placement_set_kind(&core->placement, &d->place, move_kind(core, d));
	else
		placement_put(&core->placement, &d->place, &server->place, d->row.memory_mib,
			s ? s->row.sequence : d->row.session, move_kind(core, d));
}

void desktop_assign(struct core *core, struct desktop *d, struct session *s)
{
	pool_leave(core, d);
	d->row.session = s->object.id;
	if (move_running(s))
		s->row.next = d->object.id;
	else
		s->row.desktop = d->object.id;
	core->policy.stale = true;
	emit_desktop(core, d);
	emit_session(core, s);
	desktop_put(core, d);
}

void desktop_unassign(struct core *core, struct desktop *d)
{
	placement_remove(&core->placement, &d->place);
	d->row.session = 0;
	tree_insert(&core->pool, &d->pool, d->object.id, d->object.id);
	emit_desktop(core, d);
	core->room = true;
}

void desktop_drop(struct core *core, struct desktop *d)
{
	enum core_desktop_state state = d->row.state;

	if (!d->held && (state == DESKTOP_BOOTING || state == DESKTOP_STANDBY))
		desktop_unassign(core, d);
	else
		desktop_destroy(core, d, false);
}

static void send_attach(struct core *core, struct desktop *d)
{
	struct core_action *a = emit(core, CORE_ACT_VOLUME_ATTACH);

	d->attach_unsure = false;
	a->volume = d->volume;
	a->desktop = d->object.id;
	a->server = d->row.server;
	a->session = d->row.session;
}

void desktop_claim(struct core *core, struct desktop *d, struct volume *v)
{
	desktop_state(core, d, DESKTOP_CLAIMING);
	timer_after(core, &d->object, core->config.claim_timeout_ms);
	v->row.desktop = d->object.id;
	v->row.attached = true;
	v->row.changed = true;
	d->volume = v->object.id;
	desktop_put(core, d);
	emit_volume(core, v);
	send_attach(core, d);
}

static void ask_destroy(struct core *core, struct desktop *d)
{
	struct server *server = server_of(core, d);

	timer_after(core, &d->object, DESTROY_MS);
	if (++d->destroys == DESTROYS_STUCK && server) {
		desktop_put(core, d);
		move_take_back(core, server);
	}
	if (!server || !server->row.up)
		return; /* asked for when it is back */
	struct core_action *a = emit(core, CORE_ACT_DESKTOP_DESTROY);
	a->desktop = d->object.id;
	a->server = d->row.server;
}

void desktop_destroy(struct core *core, struct desktop *d, bool failed)
{
	pool_leave(core, d);
	boot_over(core, d);
	if (d->held) {
		desktop_gone(core, d, "never started");
		return;
	}
	if (failed && d->row.state != DESKTOP_FAILED)
		desktop_state(core, d, DESKTOP_FAILED);
	else if (d->row.state != DESKTOP_DRAINING && d->row.state != DESKTOP_FAILED)
		desktop_state(core, d, DESKTOP_DRAINING);
	desktop_put(core, d);
	ask_destroy(core, d);
}

static bool server_answers(const struct core *core, const struct desktop *d)
{
	const struct server *server = server_of(core, d);

	return server && server->row.up;
}

static void send_release(struct core *core, struct desktop *d)
{
	timer_after(core, &d->object, core->config.claim_timeout_ms);
	d->release_unsure = !server_answers(core, d);
	if (d->release_unsure)
		return; /* said when the agent is heard of again */
	struct core_action *a = emit(core, CORE_ACT_RELEASE);
	a->desktop = d->object.id;
	a->server = d->row.server;
}

void desktop_release(struct core *core, struct desktop *d)
{
	desktop_state(core, d, DESKTOP_DRAINING);
	desktop_put(core, d);
	send_release(core, d);
}

/* Is it, or may it be, that the agent has not heard the word yet? Then what the user has written
 * last may not be on his volume, and the VM is not destroyed before the agent had its chance. */
static bool release_pending(const struct desktop *d)
{
	return d->row.state == DESKTOP_DRAINING && d->release_unsure && !d->released &&
	       d->destroys == 0;
}

/* The session that a dead or useless desktop leaves behind. Called when `d` is on its way out. */
static void session_after(struct core *core, struct desktop *d, struct session *s, bool had_user,
	const char *code, const char *why)
{
	char text[CORE_TEXT_MAX];

	if (s && s->row.next == d->object.id) {
		move_next_lost(core, s, why);
		return;
	}
	/* A session that is being moved waits for its volume, whatever becomes of its desktop. */
	if (!s || s->row.desktop != d->object.id || s->row.state == SESSION_MOVING)
		return;
	if (had_user && move_running(s)) {
		move_old_lost(core, s, why);
		return;
	}
	if (!had_user) {
		session_retry(core, s, d, code, why);
		return;
	}
	snprintf(
		text, sizeof(text), "Your desktop has stopped (%.150s). Please log in again.", why);
	s->row.desktop = 0;
	session_end(core, s, "failed", text);
}

void desktop_fail(struct core *core, struct desktop *d, const char *code, const char *why)
{
	struct session *s = session_of(core, d);
	bool had_user = d->row.state == DESKTOP_ACTIVE;

	if (d->row.session == 0 && d->row.state == DESKTOP_BOOTING)
		pool_result(core, false);
	desktop_destroy(core, d, true);
	session_after(core, d, s, had_user, code, why);
}

void desktop_gone(struct core *core, struct desktop *d, const char *why)
{
	struct server *server = server_of(core, d);
	struct session *s = session_of(core, d);
	enum core_desktop_state was = d->row.state;
	struct volume *v = table_live(&core->volumes, d->volume);

	if (was == DESKTOP_BOOTING && d->row.session == 0 && !d->held)
		pool_result(core, false);
	pool_leave(core, d);
	boot_over(core, d);
	if (server && !d->held)
		server->started -= d->units;
	unhold(core, d);
	placement_remove(&core->placement, &d->place);
	if (server && server->shrunk && server->started <= server->place.capacity) {
		server->shrunk = false;
		move_take_back(core, server);
	}
	desktop_state(core, d, DESKTOP_GONE);
	object_end(core, &d->object);
	core->room = true;
	if (v && v->row.desktop == d->object.id)
		volume_free(core, v);
	session_after(core, d, s, was == DESKTOP_ACTIVE, "desktop-failed", why);
}

static void check_booted(struct core *core, struct desktop *d)
{
	struct session *s = session_of(core, d);

	if (d->row.state != DESKTOP_BOOTING || !d->hello || d->row.vnc_port == 0)
		return;
	timer_set(core, &d->object, 0);
	desktop_state(core, d, DESKTOP_STANDBY);
	boot_over(core, d);
	if (d->row.session == 0)
		pool_result(core, true);
	if (s) {
		session_advance(core, s);
		move_advance(core, s);
	}
}

static void set_vnc(struct core *core, struct desktop *d, const struct core_event *ev)
{
	if (ev->vnc_port == 0)
		return;
	d->row.vnc_port = ev->vnc_port;
	COPY(d->row.vnc_host, ev->vnc_host);
	emit_desktop(core, d);
}

static void desktop_claimed(struct core *core, struct desktop *d)
{
	struct session *s = session_of(core, d);

	if (d->row.state != DESKTOP_CLAIMING || !d->claim_sent || !s)
		return;
	timer_set(core, &d->object, 0);
	desktop_state(core, d, DESKTOP_ACTIVE);
	core->room = true; /* he can be handed off now */
	session_started(core, s);
	desktop_put(core, d);
}

static void send_claim(struct core *core, struct desktop *d)
{
	struct session *s = session_of(core, d);
	struct core_action *a = emit(core, CORE_ACT_CLAIM);

	d->claim_sent = true;
	d->claim_unsure = false;
	a->desktop = d->object.id;
	a->server = d->row.server;
	a->session = d->row.session;
	a->volume = d->volume;
	if (s)
		emit_stage(core, s, "claiming", 65, "Opening your home");
}

/* The orderly way out, for what is mounted still; a hand-off goes on, from its release on. */
static void desktop_agent_lost(struct core *core, struct desktop *d)
{
	struct session *s = session_of(core, d);

	image_failed(core, d, "its session's programs have stopped");
	if (s && move_running(s))
		move_hurry(core, s);
	else if (s)
		session_end(core, s, "failed",
			"The programs of your desktop have stopped. Please log in again.");
}

/* What follows from who the agent says it is. */
static void desktop_heard(struct core *core, struct desktop *d)
{
	if (d->row.state == DESKTOP_BOOTING && !d->anonymous) {
		desktop_fail(core, d, "desktop-failed", "it belongs to somebody else already");
	} else if (d->row.state == DESKTOP_BOOTING) {
		d->hello = true;
		check_booted(core, d);
	} else if (d->row.state == DESKTOP_CLAIMING && d->attach_unsure) {
		/* Claimed before a restart; to attach what is attached already does no harm. */
		d->claim_sent = !d->anonymous;
		if (d->anonymous)
			send_attach(core, d);
		else if (d->works)
			desktop_claimed(core, d);
	} else if (d->row.state == DESKTOP_CLAIMING && d->claim_sent) {
		/* The connection was lost while it was being claimed: did it hear the claim? */
		if (!d->anonymous && d->works)
			desktop_claimed(core, d);
		else if (d->anonymous && d->claim_unsure)
			send_claim(core, d);
	} else if (release_pending(d)) {
		if (d->anonymous)
			desktop_destroy(core, d, false);
		else
			send_release(core, d);
	} else if (d->row.state == DESKTOP_ACTIVE && !d->works) {
		/* The agent was started again: the programs of the session have ended with it. */
		desktop_agent_lost(core, d);
	}
}

static void desktop_hello(struct core *core, struct desktop *d, const struct core_event *ev)
{
	d->heard = true;
	d->anonymous = ev->user[0] == '\0';
	d->works = ev->flag;
	desktop_heard(core, d);
}

static void desktop_progress(struct core *core, struct desktop *d, const struct core_event *ev)
{
	struct session *s = session_of(core, d);
	unsigned percent = ev->percent < 100 ? ev->percent : 100;

	if (s && s->row.next == d->object.id)
		return; /* its user works in another one */
	if (s && d->row.state == DESKTOP_CLAIMING)
		emit_stage(core, s, "claiming", 65 + percent * 3 / 10, "%s", ev->text);
	else if (s && d->row.state == DESKTOP_BOOTING)
		emit_stage(core, s, "starting", 20 + percent * 3 / 10, "%s", ev->text);
}

static void desktop_claim_failed(struct core *core, struct desktop *d, const struct core_event *ev)
{
	struct volume *v = table_live(&core->volumes, d->volume);

	if (d->row.state != DESKTOP_CLAIMING || !d->claim_sent)
		return;
	if (strcmp(ev->code, "volume-damaged") == 0 && v) {
		COPY(v->row.done_code, "damaged");
		COPY(v->row.done_text, ev->text);
		v->row.done = VOLUME_WORK_NONE;
		volume_state(core, v, VOLUME_BROKEN);
		emit_audit(core, "volume-damaged", d->row.session, d->object.id, "%s", ev->text);
	}
	if (strncmp(ev->code, "volume", 6) != 0)
		image_failed(core, d, ev->text[0] ? ev->text : ev->code);
	desktop_fail(core, d,
		strncmp(ev->code, "volume", 6) == 0 ? "volume-failed" : "desktop-failed",
		ev->text[0] ? ev->text : ev->code);
}

/* RELEASED: the agent has unmounted. The disk comes out of a running VM before the VM goes, so that
 * the lease can end although the server may be slow to end the VM. */
static void desktop_released(struct core *core, struct desktop *d)
{
	const struct volume *v = table_live(&core->volumes, d->volume);

	if (d->row.state != DESKTOP_DRAINING || d->released || d->destroys > 0)
		return;
	d->released = true;
	struct session *s = session_of(core, d);
	if (s)
		move_released(core, s);
	if (!v || v->row.desktop != d->object.id) {
		desktop_destroy(core, d, false);
		return;
	}
	timer_after(core, &d->object, DETACH_MS);
	struct core_action *a = emit(core, CORE_ACT_VOLUME_DETACH);
	a->volume = v->object.id;
	a->desktop = d->object.id;
	a->server = d->row.server;
}

static void desktop_session_ended(struct core *core, struct desktop *d)
{
	struct session *s = session_of(core, d);

	if (s && d->row.state == DESKTOP_ACTIVE)
		session_end(core, s, "logout", "You have logged out.");
}

static void desktop_volume_event(struct core *core, struct desktop *d, const struct core_event *ev)
{
	struct volume *v = table_live(&core->volumes, ev->volume);
	bool attaching = d->row.state == DESKTOP_CLAIMING && !d->claim_sent;

	if (!v || v->row.desktop != d->object.id)
		return;
	if (ev->type == CORE_EV_VOLUME_ATTACHED && attaching) {
		send_claim(core, d);
	} else if (ev->type == CORE_EV_VOLUME_ATTACH_FAILED && attaching) {
		if (ev->flag)
			volume_free(core, v);
		desktop_fail(core, d, "volume-failed", ev->text[0] ? ev->text : ev->code);
	} else if (ev->type == CORE_EV_VOLUME_DETACHED && desktop_leaving(d) && d->released) {
		volume_free(core, v);
		if (d->destroys == 0)
			desktop_destroy(core, d, false);
	} else if (ev->type == CORE_EV_VOLUME_DETACH_FAILED && desktop_leaving(d) &&
		   d->destroys == 0) {
		desktop_destroy(core, d, false);
	}
}

/* An admin's word: it goes at once, with all that is in it. */
static void desktop_discard(struct core *core, struct desktop *d)
{
	struct session *s = session_of(core, d);

	emit_audit(core, "desktop-discarded", d->row.session, d->object.id, "by an administrator");
	if (s && s->row.next == d->object.id)
		desktop_fail(core, d, "desktop-failed", "an administrator has destroyed it");
	else if (s)
		session_end(core, s, "admin", "An administrator has ended your desktop.");
	if (!d->object.dead)
		desktop_destroy(core, d, false);
}

void desktop_event(struct core *core, const struct core_event *ev)
{
	struct desktop *d = table_live(&core->desktops, ev->desktop);

	if (!d || (d->held && ev->type != CORE_EV_DESKTOP_DISCARD))
		return;
	switch (ev->type) {
	case CORE_EV_DESKTOP_STARTED:
		if (d->row.state == DESKTOP_BOOTING && d->row.vnc_port == 0) {
			set_vnc(core, d, ev);
			check_booted(core, d);
		}
		break;
	case CORE_EV_DESKTOP_START_FAILED:
		if (d->row.vnc_port == 0)
			desktop_gone(core, d, ev->text[0] ? ev->text : ev->code);
		break;
	case CORE_EV_DESKTOP_GONE:
		image_failed(core, d, ev->text[0] ? ev->text : "its machine went off");
		desktop_gone(core, d, ev->text[0] ? ev->text : "its machine went off");
		break;
	case CORE_EV_DESKTOP_DISCARD:
		desktop_discard(core, d);
		break;
	case CORE_EV_DESKTOP_RESIZED:
	case CORE_EV_DESKTOP_RESIZE_FAILED:
		resize_event(core, d, ev);
		break;
	case CORE_EV_AGENT_HELLO:
		desktop_hello(core, d, ev);
		break;
	case CORE_EV_AGENT_PROGRESS:
		desktop_progress(core, d, ev);
		break;
	case CORE_EV_CLAIMED:
		desktop_claimed(core, d);
		break;
	case CORE_EV_CLAIM_FAILED:
		desktop_claim_failed(core, d, ev);
		break;
	case CORE_EV_RELEASED:
		desktop_released(core, d);
		break;
	case CORE_EV_RELEASE_FAILED:
		if (strcmp(ev->code, "unreachable") == 0)
			d->release_unsure = true;
		else if (d->row.state == DESKTOP_DRAINING && !d->released && d->destroys == 0)
			desktop_destroy(core, d, false);
		break;
	case CORE_EV_GUEST_SESSION_ENDED:
		desktop_session_ended(core, d);
		break;
	default:
		desktop_volume_event(core, d, ev);
		break;
	}
}

void desktop_deadline(struct core *core, struct desktop *d)
{
	char text[CORE_TEXT_MAX];

	switch (d->row.state) {
	case DESKTOP_BOOTING:
		if (d->held) {
			/* Who waits for it has a deadline of his own. */
			timer_after(core, &d->object, core->config.boot_timeout_ms);
			break;
		}
		snprintf(text, sizeof(text), "it did not report within %u s",
			core->config.boot_timeout_ms / 1000);
		image_failed(core, d, text);
		desktop_fail(core, d, "desktop-failed", text);
		break;
	case DESKTOP_CLAIMING:
		snprintf(text, sizeof(text), "your home was not open within %u s",
			core->config.claim_timeout_ms / 1000);
		image_failed(core, d, text);
		desktop_fail(core, d, "desktop-failed", text);
		break;
	case DESKTOP_DRAINING:
	case DESKTOP_FAILED:
		if (release_pending(d) && !server_answers(core, d))
			timer_after(core, &d->object, core->config.claim_timeout_ms);
		else
			desktop_destroy(core, d, false);
		break;
	default:
		break;
	}
}

void desktop_kick(struct core *core)
{
	EACH(server, server, &core->servers)
	{
		server->blocked = false;
	}
	/* In the order in which they were decided: move.c says why. */
	EACH(desktop, d, &core->desktops)
	{
		struct server *server = d->held ? server_of(core, d) : NULL;
		if (server && !server->blocked)
			server->blocked = !desktop_start(core, d);
	}
	EACH(server, server, &core->servers)
	{
		if (server->held > 0 && server->row.up)
			pool_make_room(core, server);
	}
}

void desktop_server_down(struct core *core, struct desktop *d)
{
	struct session *s = session_of(core, d);

	if (d->held) {
		desktop_gone(core, d, "its server is down");
		return;
	}
	d->unsure = true;
	d->seen = d->heard = false;
	d->claim_unsure = d->claim_sent;
	d->release_unsure = d->row.state == DESKTOP_DRAINING;
	/* Nobody has to wait for a desktop that may never report when there are other servers. */
	if (s && (d->row.state == DESKTOP_BOOTING || d->row.state == DESKTOP_STANDBY))
		desktop_fail(core, d, "desktop-failed", "its server is down");
}

void desktop_server_up(struct core *core, struct desktop *d)
{
	if (d->row.state == DESKTOP_FAILED || d->destroys > 0)
		desktop_destroy(core, d, false);
	else if (release_pending(d) && d->heard)
		desktop_heard(core, d); /* it has spoken before its server counted as up */
	else if (release_pending(d))
		timer_after(core, &d->object, core->config.claim_timeout_ms);
}

void desktop_found(struct core *core, struct desktop *d, const struct core_event *ev)
{
	d->seen = true;
	set_vnc(core, d, ev);
	resize_found(core, d, ev->memory_mib);
	if (d->row.state == DESKTOP_BOOTING)
		timer_after(core, &d->object, core->config.boot_timeout_ms);
	check_booted(core, d);
}
