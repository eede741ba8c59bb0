/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Users' disks.
 *
 * Making one is the only moment at which anything is written over what lies in the pool under its
 * name, so the order is strict: CREATING is in the store before it begins; READY comes only with
 * the answer of the one server that was asked; and nobody is asked again as long as that server may
 * still be at it. Once READY a volume is never made again.
 */
#include <stdio.h>
#include <string.h>

#include "broker/core/internal.h"

#define VOLUME_TRIES 2

struct volume *volume_of_user(const struct core *core, const char *user)
{
	EACH(volume, v, &core->volumes)
	{
		if (strcmp(v->row.user, user) == 0)
			return v;
	}
	return NULL;
}

struct volume *volume_new(struct core *core, const char *user, uint32_t uid)
{
	uint64_t id = ++core->counters.volume;
	struct volume *v = table_add(&core->volumes, sizeof(*v), OBJECT_VOLUME, id);

	emit_counters(core);
	v->row.id = id;
	v->row.uid = uid;
	v->row.size_mib = core->config.volume_size_mib;
	v->row.state = VOLUME_ABSENT;
	COPY(v->row.user, user);
	emit_volume(core, v);
	return v;
}

void volume_want(struct core *core, struct volume *v)
{
	const struct session *s = session_of_user(core, v->row.user);
	const struct desktop *d = s ? table_live(&core->desktops, s->row.desktop) : NULL;
	struct server *server = d ? table_live(&core->servers, d->row.server) : NULL;

	if (v->create_server != 0 || v->row.state == VOLUME_READY || v->row.state == VOLUME_BROKEN)
		return;
	if (!server || !server->row.up || server->object.id == v->avoid)
		server = server_any_up(core, v->avoid);
	if (!server)
		return; /* the session's deadline bounds the wait */
	v->create_server = server->object.id;
	volume_state(core, v, VOLUME_CREATING);
	struct core_action *a = emit(core, CORE_ACT_VOLUME_CREATE);
	a->volume = v->object.id;
	a->server = server->object.id;
}

void volume_free(struct core *core, struct volume *v)
{
	struct desktop *d = table_live(&core->desktops, v->row.desktop);
	struct session *s = session_of_user(core, v->row.user);

	if (d)
		d->volume = 0;
	v->row.desktop = 0;
	v->row.attached = false;
	emit_volume(core, v);
	core->works = true;
	if (!s)
		return;
	move_lease_ended(core, s);
	session_advance(core, s);
}

static void create_failed(struct core *core, struct volume *v, const char *why)
{
	struct session *s = session_of_user(core, v->row.user);
	char text[CORE_TEXT_MAX];

	v->avoid = v->create_server;
	v->create_server = 0;
	emit_audit(core, "volume-create-failed", s ? s->object.id : 0, 0, "%s", why);
	if (!s || (s->row.state != SESSION_WAITING && s->row.state != SESSION_PLACING))
		return;
	if (++s->volume_tries < VOLUME_TRIES) {
		volume_want(core, v);
		return;
	}
	snprintf(text, sizeof(text),
		"Your home could not be made (%.120s). Please tell the administrator.", why);
	session_refuse(core, s, "volume-failed", text);
}

void volume_event(struct core *core, const struct core_event *ev)
{
	struct volume *v = table_live(&core->volumes, ev->volume);

	if (ev->type == CORE_EV_VOLUME_REPAIRED) {
		if (v && v->row.state == VOLUME_BROKEN && v->row.desktop == 0)
			volume_state(core, v, VOLUME_READY);
		return;
	}
	if (!v || v->row.state != VOLUME_CREATING || v->create_server == 0 ||
		(ev->server != 0 && ev->server != v->create_server))
		return;
	if (ev->type == CORE_EV_VOLUME_CREATE_FAILED) {
		create_failed(core, v, ev->text[0] ? ev->text : ev->code);
		return;
	}
	v->create_server = 0;
	volume_state(core, v, VOLUME_READY);
	struct session *s = session_of_user(core, v->row.user);
	if (s)
		session_advance(core, s);
}

void volume_server_down(struct core *core, uint64_t server)
{
	EACH(volume, v, &core->volumes)
	{
		if (v->create_server == server)
			create_failed(core, v, "the server went down");
	}
	volume_work_server_down(core, server);
}
