/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Viewers. A login is authenticating, or belongs to one session, or is over. */
#include <string.h>

#include "broker/core/internal.h"

void login_over(struct core *core, uint64_t id)
{
	struct login *l = table_live(&core->logins, id);

	if (l)
		object_end(core, &l->object);
}

/* Logins of that client which have not got their desktop yet. */
static unsigned under_way(struct core *core, const char *client)
{
	unsigned count = 0;

	EACH(login, l, &core->logins)
	{
		const struct session *s = table_live(&core->sessions, l->session);
		if (strcmp(l->client, client) == 0 &&
			(l->authenticating || (s && s->row.state < SESSION_CONNECTED)))
			count++;
	}
	return count;
}

static struct login *login_new(struct core *core, const struct core_event *ev)
{
	struct login *l = table_add(&core->logins, sizeof(*l), OBJECT_LOGIN, ev->login);

	COPY(l->user, ev->user);
	COPY(l->client, ev->client);
	COPY(l->seat, ev->seat);
	return l;
}

static void login_begin(struct core *core, const struct core_event *ev)
{
	if (ev->login == 0 || table_get(&core->logins, ev->login))
		return;
	if (under_way(core, ev->client) >= LOGINS_PER_CLIENT) {
		emit_tell(core, CORE_ACT_TELL_REFUSED, ev->login, "too-many",
			"%u logins from this PC are under way already. Please wait for one of "
			"them.",
			LOGINS_PER_CLIENT);
		return;
	}
	struct login *l = login_new(core, ev);
	l->authenticating = true;
	timer_after(core, &l->object, AUTH_MS);
	emit(core, CORE_ACT_AUTHENTICATE)->login = ev->login;
}

static void login_authenticated(struct core *core, struct login *l, const struct core_event *ev)
{
	struct session *s = session_of_user(core, ev->user);

	if (!l->authenticating)
		return;
	l->authenticating = false;
	timer_set(core, &l->object, 0);
	if (s)
		session_take(core, s, l);
	else
		session_place(core, session_new(core, l, ev));
}

static void login_failed(struct core *core, struct login *l, const char *code, const char *text)
{
	if (!l->authenticating)
		return;
	emit_tell(core, CORE_ACT_TELL_REFUSED, l->object.id, code, "%s", text);
	login_over(core, l->object.id);
}

void login_deadline(struct core *core, struct login *l)
{
	login_failed(core, l, "unavailable",
		"The password could not be checked in time. Please try again.");
}

/* A viewer that was lost, or was on before the daemon's restart: its picture may never have
 * stopped. */
static void login_resume(struct core *core, const struct core_event *ev)
{
	struct session *s = table_live(&core->sessions, ev->session);

	if (ev->login == 0 || table_get(&core->logins, ev->login))
		return;
	if (!s || s->row.login != 0) {
		emit_tell(core, CORE_ACT_TELL_ENDED, ev->login, "expired",
			"This session is over. Please log in again.");
		return;
	}
	session_take(core, s, login_new(core, ev));
}

void login_event(struct core *core, const struct core_event *ev)
{
	struct login *l = table_live(&core->logins, ev->login);
	struct session *s = l ? table_live(&core->sessions, l->session) : NULL;

	if (ev->type == CORE_EV_LOGIN)
		login_begin(core, ev);
	else if (ev->type == CORE_EV_RESUME)
		login_resume(core, ev);
	if (!l)
		return;
	switch (ev->type) {
	case CORE_EV_AUTHENTICATED:
		login_authenticated(core, l, ev);
		break;
	case CORE_EV_AUTH_FAILED:
		login_failed(core, l, ev->code, ev->text);
		break;
	case CORE_EV_VIEWER_GONE:
		login_over(core, l->object.id);
		if (s)
			session_viewer_gone(core, s);
		break;
	case CORE_EV_RECONNECT:
		if (s && s->row.state == SESSION_CONNECTED)
			way_open(core, s, l);
		else if (s)
			move_tell(core, s);
		break;
	case CORE_EV_MOVE_NOW:
		if (s)
			move_now(core, s);
		break;
	case CORE_EV_FIRST_FRAME:
		if (s)
			way_first_frame(core, s);
		break;
	case CORE_EV_LOGOUT:
		if (s)
			session_end(core, s, "logout", "You have logged out.");
		break;
	default:
		break;
	}
}
