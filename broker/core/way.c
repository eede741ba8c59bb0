/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way from a viewer to its desktop: a one-time ticket on the desktop and a forward for the
 * PC's address. Both are asked for at once; the viewer hears of it when both are there. Each asking
 * has a number, so that a late answer to an earlier one is not taken for one to the last.
 */
#include <stdio.h>
#include <string.h>

#include "broker/core/internal.h"

/* The lowest of the ports that this client has not got yet; 0 when it has all. */
static uint16_t free_port(struct core *core, const struct session *self, const char *client)
{
	unsigned taken = 0;

	EACH(session, s, &core->sessions)
	{
		unsigned offset = (unsigned)(s->row.forward_port - core->config.forward_port);
		if (s != self && s->row.forward_port != 0 && offset < FORWARD_PORTS &&
			strcmp(s->row.client, client) == 0)
			taken |= 1u << offset;
	}
	for (unsigned i = 0; i < FORWARD_PORTS; i++) {
		if (!(taken & (1u << i)))
			return (uint16_t)(core->config.forward_port + i);
	}
	return 0;
}

/* The desktop runs on; this viewer does not get to it. */
static void way_give_up(struct core *core, struct session *s, const char *code, const char *text)
{
	uint64_t login = s->row.login;

	emit_tell(core, CORE_ACT_TELL_REFUSED, login, code, "%s", text);
	login_over(core, login);
	session_viewer_gone(core, s);
}

/* His desktop goes on, as far as is known: the viewer waits until its server answers or is lost. */
static void way_wait(struct core *core, struct session *s)
{
	timer_after(core, &s->object, WAY_MS);
	emit_stage(core, s, "connecting", 95,
		"The server of your desktop does not answer. You are connected when it does, or "
		"get another desktop when it is lost.");
}

static void way_ask(struct core *core, struct session *s)
{
	const struct desktop *d = table_live(&core->desktops, s->row.desktop);
	const struct server *server = table_live(&core->servers, d->row.server);
	struct core_action *a;

	s->way.told = s->way.failed = false;
	if (!server->row.up) {
		s->way.ticket = s->way.forward = false;
		way_wait(core, s);
		return;
	}
	s->way.ticket_live = s->way.ticket = s->way.forward = true;
	s->way.number = ++core->way_number;
	a = emit(core, CORE_ACT_TICKET_SET);
	a->session = s->object.id;
	a->desktop = d->object.id;
	a->server = d->row.server;
	a->number = s->way.number;
	a = emit(core, CORE_ACT_FORWARD_ADD);
	a->session = s->object.id;
	a->number = s->way.number;
	a->port = s->row.forward_port;
	a->vnc_port = d->row.vnc_port;
	COPY(a->client, s->row.client);
	COPY(a->vnc_host, d->row.vnc_host);
	timer_after(core, &s->object, WAY_MS);
	emit_stage(core, s, "connecting", 95, "Connecting to your desktop");
}

void way_open(struct core *core, struct session *s, const struct login *l)
{
	if (s->row.forward_port == 0 || strcmp(s->row.client, l->client) != 0) {
		way_close(core, s);
		uint16_t port = free_port(core, s, l->client);
		if (port == 0) {
			way_give_up(core, s, "too-many",
				"This PC shows as many desktops as it can. Please end one of "
				"them.");
			return;
		}
		COPY(s->row.client, l->client);
		s->row.forward_port = port;
		emit_session(core, s);
	}
	s->way.tries = 0;
	way_ask(core, s);
}

void way_close(struct core *core, struct session *s)
{
	const struct desktop *d = table_live(&core->desktops, s->row.desktop);
	struct core_action *a;

	if (s->row.forward_port != 0) {
		a = emit(core, CORE_ACT_FORWARD_DEL);
		a->session = s->object.id;
		a->port = s->row.forward_port;
		COPY(a->client, s->row.client);
		s->row.forward_port = 0;
		s->row.client[0] = '\0';
		emit_session(core, s);
	}
	if (s->way.ticket_live && d) {
		a = emit(core, CORE_ACT_TICKET_CLEAR);
		a->session = s->object.id;
		a->desktop = d->object.id;
		a->server = d->row.server;
	}
	s->way.ticket_live = s->way.told = false;
	s->way.ticket = s->way.forward = false;
	if (s->row.state == SESSION_CONNECTED)
		timer_set(core, &s->object, 0);
}

static void way_failed(struct core *core, struct session *s, const char *why)
{
	char text[CORE_TEXT_MAX];

	if (++s->way.tries < WAY_TRIES) {
		timer_after(core, &s->object, WAY_RETRY_MS);
		return;
	}
	snprintf(text, sizeof(text),
		"Your desktop runs, but this PC could not be connected to it (%.100s). Please log "
		"in "
		"again, or tell the administrator.",
		why);
	way_give_up(core, s, "internal", text);
}

void way_event(struct core *core, const struct core_event *ev)
{
	struct session *s = table_live(&core->sessions, ev->session);
	bool ticket = ev->type == CORE_EV_TICKET_SET || ev->type == CORE_EV_TICKET_FAILED;
	bool good = ev->type == CORE_EV_TICKET_SET || ev->type == CORE_EV_FORWARD_ADDED;

	if (!s || ev->number != s->way.number)
		return;
	bool *pending = ticket ? &s->way.ticket : &s->way.forward;
	if (!*pending)
		return;
	*pending = false;
	s->way.failed |= !good;
	if (s->row.state != SESSION_CONNECTED || s->way.told || s->way.ticket || s->way.forward)
		return;
	if (s->way.failed) {
		way_failed(core, s, ev->text[0] ? ev->text : "refused");
		return;
	}
	s->way.told = true;
	timer_set(core, &s->object, 0);
	struct core_action *a = emit(core, CORE_ACT_TELL_READY);
	const struct desktop *d = table_live(&core->desktops, s->row.desktop);
	a->login = s->row.login;
	a->session = s->object.id;
	a->desktop = d->object.id;
	a->server = d->row.server;
	a->port = s->row.forward_port;
}

void way_server_up(struct core *core, struct session *s)
{
	if (s->row.state == SESSION_CONNECTED && !s->way.told && !s->way.ticket && !s->way.forward)
		way_ask(core, s);
}

void way_deadline(struct core *core, struct session *s)
{
	if (s->way.told)
		return;
	/* Either the pause before another try is over, or an answer is missing. */
	if (s->way.ticket || s->way.forward) {
		s->way.ticket = s->way.forward = false;
		way_failed(core, s, "no answer in time");
		return;
	}
	way_ask(core, s);
}

void way_first_frame(struct core *core, struct session *s)
{
	if (s->row.state != SESSION_CONNECTED || !s->way.ticket_live || !s->way.told)
		return;
	struct core_action *a = emit(core, CORE_ACT_TICKET_CLEAR);
	a->session = s->object.id;
	a->desktop = s->row.desktop;
	struct desktop *desktop = table_live(&core->desktops, s->row.desktop);
	a->server = desktop->row.server;
	s->way.ticket_live = false;
	image_succeeded(core, desktop);
	move_done(core, s);
	move_tell(core, s);
}
