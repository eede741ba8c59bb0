/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work on a volume that nobody has: snapshots, restoring, checks, growing, ... One at a time for a
 * volume, and while it lasts the volume is given to nobody (session_advance).
 *
 * Whole or nothing. What changes the contents is done to a copy of a new number, which never had
 * another use; when it is complete the row names it, in one transaction of the store, and only then
 * the older copies are swept away. So whatever fails, and at whatever moment, the volume is the
 * whole old one or the whole new one; a try of which nothing is known is followed by one that
 * begins anew, with a new number, on any server. A deletion alone can be half-done, and is said
 * again. A server that was asked and is lost is not waited for: carreld has ended its worker by
 * then, so that of what it did at most one call of libvirt goes on, and that one touches nothing
 * that counts.
 *
 * What is called off stays a work (CANCEL) until its server has answered, so that nobody gets a
 * volume that is still read. The answer alone says how it ended: one that was over by then counts.
 *
 * Snapshots by policy are made one after the other, each as soon as its volume is free and no
 * session of its user wants it.
 */
#include <stdio.h>
#include <string.h>

#include "broker/core/internal.h"

const char *volume_work_words(enum core_volume_work work)
{
	static const char *const words[VOLUME_WORK_COUNT] = {
		[VOLUME_WORK_NONE] = "ready",
		[VOLUME_WORK_SNAPSHOT] = "being copied for a snapshot",
		[VOLUME_WORK_RESTORE] = "being restored",
		[VOLUME_WORK_CHECK] = "being checked",
		[VOLUME_WORK_REPAIR] = "being repaired",
		[VOLUME_WORK_GROW] = "being made larger",
		[VOLUME_WORK_EXPORT] = "being exported",
		[VOLUME_WORK_IMPORT] = "being imported",
		[VOLUME_WORK_DELETE] = "being deleted",
		[VOLUME_WORK_CANCEL] = "left as it is: what was being done to it is called off",
	};

	return (unsigned)work < VOLUME_WORK_COUNT ? words[work] : "?";
}

/* Does it end with new contents? */
static bool makes_copy(enum core_volume_work work)
{
	return work == VOLUME_WORK_RESTORE || work == VOLUME_WORK_REPAIR ||
	       work == VOLUME_WORK_IMPORT;
}

static bool was_made(const struct volume *v)
{
	return v->row.state == VOLUME_READY || v->row.state == VOLUME_BROKEN;
}

static bool why_leased(const struct core *core, const struct volume *v, char *why, size_t size)
{
	const struct session *s = session_of_user(core, v->row.user);
	const struct desktop *d = table_live(&core->desktops, v->row.desktop);
	const struct server *server = d ? table_get(&core->servers, d->row.server) : NULL;
	const char *name = server ? server->row.name : "?";

	if (s)
		snprintf(why, size,
			"%s is logged in (%s%s): \"carrel session end %s\" first, or wait until "
			"the session is over",
			v->row.user, d ? "on server " : "waiting for a desktop", d ? name : "",
			v->row.user);
	else
		snprintf(why, size,
			"%s's last desktop, on server %s, is still being put away; try again in a "
			"moment, \"carrel desktop list\" shows it",
			v->row.user, name);
	return false;
}

/* A growth is over in a moment, and half a deletion is none. */
static bool can_cancel(const struct volume *v, char *why, size_t size)
{
	switch (v->row.work) {
	case VOLUME_WORK_SNAPSHOT:
	case VOLUME_WORK_RESTORE:
	case VOLUME_WORK_CHECK:
	case VOLUME_WORK_REPAIR:
	case VOLUME_WORK_EXPORT:
	case VOLUME_WORK_IMPORT:
		return true;
	case VOLUME_WORK_NONE:
		snprintf(why, size,
			"nothing is being done to %s's home: there is nothing to call off",
			v->row.user);
		return false;
	default:
		snprintf(why, size, "%s's home is %s: that cannot be called off", v->row.user,
			volume_work_words(v->row.work));
		return false;
	}
}

bool core_volume_work_check(const struct core *core, uint64_t volume, enum core_volume_work work,
	uint32_t mib, char *why, size_t size)
{
	const struct volume *v = table_live(&core->volumes, volume);

	if (!v || work <= VOLUME_WORK_NONE || work >= VOLUME_WORK_COUNT) {
		snprintf(why, size, "there is no such volume; \"carrel volume list\" shows them");
		return false;
	}
	if (!was_made(v)) {
		snprintf(why, size, "%s's home has not been made yet: the first login makes it",
			v->row.user);
		return false;
	}
	if (work == VOLUME_WORK_CANCEL)
		return can_cancel(v, why, size);
	if (v->row.work != VOLUME_WORK_NONE) {
		snprintf(why, size,
			"%s's home is %s; \"carrel volume show %s\" shows how far it is",
			v->row.user, volume_work_words(v->row.work), v->row.user);
		return false;
	}
	if (v->row.desktop != 0 || session_of_user(core, v->row.user))
		return why_leased(core, v, why, size);
	if (work == VOLUME_WORK_GROW && mib <= v->row.size_mib) {
		snprintf(why, size,
			"%s's home has %u MiB, and homes are never made smaller: give a larger "
			"size",
			v->row.user, v->row.size_mib);
		return false;
	}
	return true;
}

/* Nobody is at it any more. */
static void is_free(struct core *core, struct volume *v)
{
	struct session *s = session_of_user(core, v->row.user);

	v->row.work = VOLUME_WORK_NONE;
	v->work_server = 0;
	core->works = true;
	emit_volume(core, v);
	if (s)
		session_advance(core, s);
}

static void failed(
	struct core *core, struct volume *v, enum core_volume_work work, const char *code)
{
	if (work == VOLUME_WORK_SNAPSHOT)
		v->row.due = false; /* the next day's is another try */
	/* How much of it is left is not known, but for one that is in use: nothing was deleted. */
	if (work == VOLUME_WORK_DELETE && strcmp(code, "busy") != 0)
		volume_state(core, v, VOLUME_BROKEN);
}

static void cancelled(struct core *core, struct volume *v)
{
	timer_set(core, &v->object, 0);
	emit_audit(core, "volume-work-cancelled", 0, 0, "%s of %s's home",
		core_volume_work_name(v->row.done), v->row.user);
	failed(core, v, v->row.done, v->row.done_code);
	is_free(core, v);
}

/* Asks a server for the work that the row names; without one it stays for the next that is up. */
static void ask(struct core *core, struct volume *v)
{
	struct server *server = server_any_up(core, v->avoid);

	timer_set(core, &v->object, 0);
	if (v->row.work == VOLUME_WORK_CANCEL) {
		cancelled(core, v); /* who was at it is gone */
		return;
	}
	if (!server)
		return;
	if (makes_copy(v->row.work))
		v->row.last_copy++;
	v->work_server = server->object.id;
	v->questions++;
	emit_volume(core, v);
	struct core_action *a = emit(core, CORE_ACT_VOLUME_WORK);
	a->volume = v->object.id;
	a->server = server->object.id;
	a->number = v->questions;
}

static void begin(struct core *core, struct volume *v, enum core_volume_work work, uint32_t mib,
	const char *text)
{
	v->row.work = work;
	v->row.work_number++;
	v->row.work_mib = mib;
	v->avoid = 0;
	COPY(v->row.work_text, text);
	emit_volume(core, v);
	emit_audit(core, "volume-work", 0, 0, "%s: %s of %s's home", core_volume_work_name(work),
		text, v->row.user);
	ask(core, v);
}

/* What has been done becomes known with the answer; until then this is what a crash leaves. */
static void cancel(struct core *core, struct volume *v)
{
	v->row.done = v->row.work;
	v->row.done_number = v->row.work_number;
	COPY(v->row.done_code, "cancelled");
	snprintf(v->row.done_text, sizeof(v->row.done_text),
		"the %s was called off; the home is as it was", core_volume_work_name(v->row.work));
	v->row.work = VOLUME_WORK_CANCEL;
	emit_audit(core, "volume-work", 0, 0, "cancel: %s of %s's home",
		core_volume_work_name(v->row.done), v->row.user);
	if (v->work_server == 0) {
		cancelled(core, v);
		return;
	}
	emit_volume(core, v);
	struct core_action *a = emit(core, CORE_ACT_VOLUME_CANCEL);
	a->volume = v->object.id;
	a->server = v->work_server;
	a->number = v->questions;
}

/* Who came while it was being deleted gets a new one. */
static void deleted(struct core *core, struct volume *v)
{
	struct session *s = session_of_user(core, v->row.user);
	char user[CORE_NAME_MAX];
	uint32_t uid = v->row.uid;

	COPY(user, v->row.user);
	emit_volume(core, v);
	table_remove(core, &core->volumes, &v->object);
	if (!s)
		return;
	s->row.volume = volume_new(core, user, uid)->object.id;
	emit_session(core, s);
	session_advance(core, s);
}

static void sweep(struct core *core, const struct volume *v, uint64_t server)
{
	struct core_action *a = emit(core, CORE_ACT_VOLUME_SWEEP);

	a->volume = v->object.id;
	a->server = server;
}

/* What a good end changes. */
static void succeed(struct core *core, struct volume *v, enum core_volume_work work,
	const struct core_event *ev)
{
	bool sound = work == VOLUME_WORK_RESTORE || work == VOLUME_WORK_REPAIR ||
		     work == VOLUME_WORK_IMPORT ||
		     (work == VOLUME_WORK_CHECK && ev->code[0] == '\0');

	if (work == VOLUME_WORK_SNAPSHOT) {
		v->row.changed = v->row.due = false;
		v->row.snapshot_wall_ms = core->wall_ms;
	}
	if (makes_copy(work) && ev->copy != v->row.copy && ev->copy <= v->row.last_copy) {
		v->row.copy = ev->copy;
		v->row.changed = true;
		sweep(core, v, v->work_server);
	}
	if (ev->memory_mib != 0)
		v->row.size_mib = ev->memory_mib;
	if (sound && v->row.state == VOLUME_BROKEN)
		volume_state(core, v, VOLUME_READY);
}

static void worked(struct core *core, struct volume *v, const struct core_event *ev)
{
	enum core_volume_work work = v->row.work;

	if (work == VOLUME_WORK_NONE || v->work_server == 0 || ev->number != v->questions)
		return;
	if (work == VOLUME_WORK_CANCEL && !ev->flag) {
		cancelled(core, v);
		return;
	}
	if (work == VOLUME_WORK_CANCEL)
		work = v->row.done; /* it was over before */
	if (!ev->flag && strcmp(ev->code, "unreachable") == 0) {
		v->avoid = v->work_server;
		v->work_server = 0;
		timer_after(core, &v->object, WORK_RETRY_MS);
		return;
	}
	emit_audit(core, ev->flag ? "volume-work-done" : "volume-work-failed", 0, 0,
		"%s of %s's home: %s", core_volume_work_name(work), v->row.user,
		ev->text[0] ? ev->text : ev->code);
	core->works = true;
	if (ev->flag && work == VOLUME_WORK_DELETE) {
		deleted(core, v);
		return;
	}
	v->row.done = work;
	v->row.done_number = v->row.work_number;
	COPY(v->row.done_code, ev->flag || ev->code[0] ? ev->code : "failed");
	COPY(v->row.done_text, ev->text);
	if (ev->flag)
		succeed(core, v, work, ev);
	else
		failed(core, v, work, ev->code);
	is_free(core, v);
}

static void all_due(struct core *core)
{
	EACH(volume, v, &core->volumes)
	{
		if (v->row.state != VOLUME_READY || !v->row.changed || v->row.due)
			continue;
		v->row.due = true;
		emit_volume(core, v);
	}
	core->works = true;
}

void volume_work_event(struct core *core, const struct core_event *ev)
{
	struct volume *v = table_live(&core->volumes, ev->volume);
	char why[CORE_TEXT_MAX];

	if (ev->type == CORE_EV_VOLUME_SNAPSHOTS)
		all_due(core);
	else if (v && ev->type == CORE_EV_VOLUME_WORKED)
		worked(core, v, ev);
	else if (!v || !core_volume_work_check(
			       core, ev->volume, ev->work, ev->memory_mib, why, sizeof(why)))
		return;
	else if (ev->work == VOLUME_WORK_CANCEL)
		cancel(core, v);
	else
		begin(core, v, ev->work, ev->memory_mib, ev->text);
}

void volume_work_server_down(struct core *core, uint64_t server)
{
	EACH(volume, v, &core->volumes)
	{
		if (v->work_server != server)
			continue;
		v->avoid = server;
		v->work_server = 0;
		timer_after(core, &v->object, WORK_RETRY_MS);
	}
}

void volume_work_deadline(struct core *core, struct volume *v)
{
	if (v->row.work != VOLUME_WORK_NONE && v->work_server == 0)
		ask(core, v);
}

void volume_work_kick(struct core *core)
{
	struct volume *next = NULL;
	bool any = false;

	EACH(volume, v, &core->volumes)
	{
		/* After a restart, or when no server was up. */
		if (v->row.work != VOLUME_WORK_NONE && v->work_server == 0 &&
			v->object.deadline_ms == 0)
			ask(core, v);
		any |= v->row.work == VOLUME_WORK_SNAPSHOT;
		if (!next && v->row.due && v->row.work == VOLUME_WORK_NONE &&
			v->row.state == VOLUME_READY && v->row.desktop == 0 &&
			!session_of_user(core, v->row.user))
			next = v;
	}
	if (!any && next && server_any_up(core, 0))
		begin(core, next, VOLUME_WORK_SNAPSHOT, 0, "daily");
}
