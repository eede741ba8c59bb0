/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one function that everything goes through. A step is: the event is handed to the file whose
 * objects it is about; that one changes states and adds actions, and calls its neighbours where one
 * thing follows from another; at the end, what memory came free is given to who waits for it, and
 * the pool of standby desktops is set right. Objects that came to their end stay readable until the
 * next step begins, so that the caller can write their last rows.
 *
 * internal.h says which file has what; transitions.c is the shortest way to an overview.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/core/internal.h"

enum handler {
	BY_CORE,
	BY_SERVER,
	BY_LOGIN,
	BY_SESSION,
	BY_DESKTOP,
	BY_VOLUME,
	BY_WORK,
	BY_WAY,
	BY_IMAGE
};

static const struct {
	const char *name;
	enum handler handler;
} events[CORE_EV_COUNT] = {
	[CORE_EV_TICK] = {"tick", BY_CORE},
	[CORE_EV_CONFIG] = {"config", BY_CORE},
	[CORE_EV_IMAGE_TEST] = {"image-test", BY_IMAGE},
	[CORE_EV_IMAGE_PROMOTE] = {"image-promote", BY_IMAGE},
	[CORE_EV_IMAGE_ROLLBACK] = {"image-rollback", BY_IMAGE},
	[CORE_EV_POLICY] = {"policy", BY_CORE},
	[CORE_EV_VOLUME_SNAPSHOTS] = {"volume-snapshots", BY_WORK},
	[CORE_EV_SERVER_ADDED] = {"server-added", BY_SERVER},
	[CORE_EV_SERVER_REMOVED] = {"server-removed", BY_SERVER},
	[CORE_EV_SERVER_DRAIN] = {"server-drain", BY_SERVER},
	[CORE_EV_SERVER_UP] = {"server-up", BY_SERVER},
	[CORE_EV_SERVER_DOWN] = {"server-down", BY_SERVER},
	[CORE_EV_RECONCILE_DESKTOP] = {"reconcile-desktop", BY_SERVER},
	[CORE_EV_RECONCILE_DONE] = {"reconcile-done", BY_SERVER},
	[CORE_EV_SERVER_FENCED] = {"server-fenced", BY_SERVER},
	[CORE_EV_FENCE_FAILED] = {"fence-failed", BY_SERVER},
	[CORE_EV_LOGIN] = {"login", BY_LOGIN},
	[CORE_EV_AUTHENTICATED] = {"authenticated", BY_LOGIN},
	[CORE_EV_AUTH_FAILED] = {"auth-failed", BY_LOGIN},
	[CORE_EV_VIEWER_GONE] = {"viewer-gone", BY_LOGIN},
	[CORE_EV_RECONNECT] = {"reconnect", BY_LOGIN},
	[CORE_EV_FIRST_FRAME] = {"first-frame", BY_LOGIN},
	[CORE_EV_MOVE_NOW] = {"move-now", BY_LOGIN},
	[CORE_EV_LOGOUT] = {"logout", BY_LOGIN},
	[CORE_EV_SESSION_END] = {"session-end", BY_SESSION},
	[CORE_EV_SESSION_MOVE] = {"session-move", BY_SESSION},
	[CORE_EV_RESUME] = {"resume", BY_LOGIN},
	[CORE_EV_DESKTOP_STARTED] = {"desktop-started", BY_DESKTOP},
	[CORE_EV_DESKTOP_START_FAILED] = {"desktop-start-failed", BY_DESKTOP},
	[CORE_EV_DESKTOP_GONE] = {"desktop-gone", BY_DESKTOP},
	[CORE_EV_DESKTOP_DISCARD] = {"desktop-discard", BY_DESKTOP},
	[CORE_EV_DESKTOP_RESIZED] = {"desktop-resized", BY_DESKTOP},
	[CORE_EV_DESKTOP_RESIZE_FAILED] = {"desktop-resize-failed", BY_DESKTOP},
	[CORE_EV_AGENT_HELLO] = {"agent-hello", BY_DESKTOP},
	[CORE_EV_AGENT_PROGRESS] = {"agent-progress", BY_DESKTOP},
	[CORE_EV_CLAIMED] = {"claimed", BY_DESKTOP},
	[CORE_EV_CLAIM_FAILED] = {"claim-failed", BY_DESKTOP},
	[CORE_EV_RELEASED] = {"released", BY_DESKTOP},
	[CORE_EV_RELEASE_FAILED] = {"release-failed", BY_DESKTOP},
	[CORE_EV_GUEST_SESSION_ENDED] = {"guest-session-ended", BY_DESKTOP},
	[CORE_EV_VOLUME_CREATED] = {"volume-created", BY_VOLUME},
	[CORE_EV_VOLUME_CREATE_FAILED] = {"volume-create-failed", BY_VOLUME},
	[CORE_EV_VOLUME_REPAIRED] = {"volume-repaired", BY_VOLUME},
	[CORE_EV_VOLUME_WORK] = {"volume-work", BY_WORK},
	[CORE_EV_VOLUME_WORKED] = {"volume-worked", BY_WORK},
	[CORE_EV_VOLUME_ATTACHED] = {"volume-attached", BY_DESKTOP},
	[CORE_EV_VOLUME_ATTACH_FAILED] = {"volume-attach-failed", BY_DESKTOP},
	[CORE_EV_VOLUME_DETACHED] = {"volume-detached", BY_DESKTOP},
	[CORE_EV_VOLUME_DETACH_FAILED] = {"volume-detach-failed", BY_DESKTOP},
	[CORE_EV_TICKET_SET] = {"ticket-set", BY_WAY},
	[CORE_EV_TICKET_FAILED] = {"ticket-failed", BY_WAY},
	[CORE_EV_FORWARD_ADDED] = {"forward-added", BY_WAY},
	[CORE_EV_FORWARD_FAILED] = {"forward-failed", BY_WAY},
};

static const char *const action_names[CORE_ACT_COUNT] = {
	[CORE_ACT_PERSIST_SERVER] = "persist-server",
	[CORE_ACT_PERSIST_DESKTOP] = "persist-desktop",
	[CORE_ACT_PERSIST_SESSION] = "persist-session",
	[CORE_ACT_PERSIST_VOLUME] = "persist-volume",
	[CORE_ACT_PERSIST_CHANNELS] = "persist-channels",
	[CORE_ACT_PERSIST_COUNTERS] = "persist-counters",
	[CORE_ACT_AUTHENTICATE] = "authenticate",
	[CORE_ACT_DESKTOP_START] = "desktop-start",
	[CORE_ACT_DESKTOP_DESTROY] = "desktop-destroy",
	[CORE_ACT_DESKTOP_RESIZE] = "desktop-resize",
	[CORE_ACT_FENCE] = "fence",
	[CORE_ACT_VOLUME_CREATE] = "volume-create",
	[CORE_ACT_VOLUME_ATTACH] = "volume-attach",
	[CORE_ACT_VOLUME_DETACH] = "volume-detach",
	[CORE_ACT_VOLUME_WORK] = "volume-work",
	[CORE_ACT_VOLUME_CANCEL] = "volume-cancel",
	[CORE_ACT_VOLUME_SWEEP] = "volume-sweep",
	[CORE_ACT_CLAIM] = "claim",
	[CORE_ACT_RELEASE] = "release",
	[CORE_ACT_TICKET_SET] = "ticket-set",
	[CORE_ACT_TICKET_CLEAR] = "ticket-clear",
	[CORE_ACT_FORWARD_ADD] = "forward-add",
	[CORE_ACT_FORWARD_DEL] = "forward-del",
	[CORE_ACT_TELL_STAGE] = "tell-stage",
	[CORE_ACT_TELL_READY] = "tell-ready",
	[CORE_ACT_TELL_HANDOFF] = "tell-handoff",
	[CORE_ACT_TELL_REFUSED] = "tell-refused",
	[CORE_ACT_TELL_MOVED] = "tell-moved",
	[CORE_ACT_TELL_ENDED] = "tell-ended",
	[CORE_ACT_AUDIT] = "audit",
};

const char *core_event_name(enum core_event_type type)
{
	return (unsigned)type < CORE_EV_COUNT ? events[type].name : "?";
}

const char *core_action_name(enum core_action_type type)
{
	return (unsigned)type < CORE_ACT_COUNT ? action_names[type] : "?";
}

struct core *core_new(const struct core_config *config)
{
	struct core *core = calloc(1, sizeof(*core));

	if (!core)
		abort();
	core->config = *config;
	core->pool_timer.kind = OBJECT_POOL;
	core->image_timer.kind = OBJECT_IMAGE;
	server_config(core);
	return core;
}

void core_free(struct core *core)
{
	if (!core)
		return;
	table_clear(&core->servers);
	table_clear(&core->desktops);
	table_clear(&core->volumes);
	table_clear(&core->sessions);
	table_clear(&core->logins);
	policy_clear(&core->policy);
	free(core);
}

static void deadline_of(struct core *core, struct object *object)
{
	switch (object->kind) {
	case OBJECT_DESKTOP:
		desktop_deadline(core, (struct desktop *)(void *)object);
		break;
	case OBJECT_SESSION:
		session_deadline(core, (struct session *)(void *)object);
		break;
	case OBJECT_LOGIN:
		login_deadline(core, (struct login *)(void *)object);
		break;
	case OBJECT_SERVER:
		server_deadline(core, (struct server *)(void *)object);
		break;
	case OBJECT_VOLUME:
		volume_work_deadline(core, (struct volume *)(void *)object);
		break;
	case OBJECT_MOVE:
		move_clock(core, TREE_ENTRY(object, struct session, clock));
		break;
	case OBJECT_IMAGE:
		image_due(core);
		break;
	default: /* the pool's: pool_balance looks again */
		break;
	}
}

static void tick(struct core *core)
{
	struct tree_node *node;

	while ((node = tree_first(&core->timers)) && node->key <= (uint64_t)core->now_ms) {
		struct object *object = TREE_ENTRY(node, struct object, timer);
		timer_set(core, object, 0);
		deadline_of(core, object);
	}
}

int64_t core_next_deadline(const struct core *core)
{
	const struct tree_node *node = tree_first(&core->timers);

	return node ? (int64_t)node->key : INT64_MAX;
}

void core_settle(struct core *core)
{
	/* The pool may free memory in its turn, by taking back what was never started. */
	do {
		if (core->settle) {
			core->settle = false;
			move_settle(core);
		}
		while (core->room) {
			core->room = false;
			policy_refresh(core);
			desktop_kick(core);
			session_room(core);
			move_drain(core);
			move_renew(core);
		}
		policy_refresh(core);
		pool_balance(core);
		if (core->works) {
			core->works = false;
			volume_work_kick(core);
		}
	} while (core->room || core->settle || core->works);
	queue_tell(core);
}

void core_begin(struct core *core, int64_t now_ms, struct core_actions *actions)
{
	actions->count = 0;
	core->actions = actions;
	core->now_ms = now_ms;
	core->step++;
	if (core->any_dead) {
		table_sweep(core, &core->logins);
		table_sweep(core, &core->sessions);
		table_sweep(core, &core->desktops);
		core->any_dead = false;
	}
}

static void core_event(struct core *core, const struct core_event *ev)
{
	if (ev->type == CORE_EV_TICK) {
		tick(core);
	} else if (ev->type == CORE_EV_CONFIG && ev->config) {
		core->config = *ev->config;
		server_config(core);
	} else if (ev->type == CORE_EV_POLICY && ev->policy) {
		policy_set(core, ev->policy);
	}
}

void core_step(struct core *core, const struct core_event *ev, struct core_actions *actions)
{
	core_begin(core, ev->now_ms, actions);
	core->wall_ms = ev->wall_ms;
	if ((unsigned)ev->type < CORE_EV_COUNT) {
		struct session *s = table_live(&core->sessions, ev->session);
		switch (events[ev->type].handler) {
		case BY_CORE:
			core_event(core, ev);
			break;
		case BY_SERVER:
			server_event(core, ev);
			break;
		case BY_LOGIN:
			login_event(core, ev);
			break;
		case BY_SESSION:
			if (s && ev->type == CORE_EV_SESSION_MOVE)
				move_admin(core, s, ev);
			else if (s)
				session_end(core, s, "admin",
					"An administrator has ended your session.");
			break;
		case BY_IMAGE:
			image_event(core, ev);
			break;
		case BY_DESKTOP:
			desktop_event(core, ev);
			break;
		case BY_VOLUME:
			volume_event(core, ev);
			break;
		case BY_WORK:
			volume_work_event(core, ev);
			break;
		case BY_WAY:
			way_event(core, ev);
			break;
		}
	}
	core_settle(core);
	core->actions = NULL;
}
