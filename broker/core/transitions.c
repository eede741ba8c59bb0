/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What may follow what. Every change of a state goes through here, and core_check reports the first
 * one that these tables do not allow. A state "follows itself" when its row is written again.
 */
#include "broker/core/internal.h"

#define TO(state) (1u << (state))

/*
 *              +--------------------------- no use any more ----------------------------+
 *              |                                                                        v
 *   BOOTING --> STANDBY --> CLAIMING --> ACTIVE --> DRAINING (release, detach, destroy) --> GONE
 *      |           |            |           |           |                               ^
 *      +-----------+------------+-----------+-----------+--> FAILED (destroy) ----------+
 */
static const unsigned desktop_next[] = {
	[DESKTOP_BOOTING] =
		TO(DESKTOP_STANDBY) | TO(DESKTOP_DRAINING) | TO(DESKTOP_FAILED) | TO(DESKTOP_GONE),
	[DESKTOP_STANDBY] =
		TO(DESKTOP_CLAIMING) | TO(DESKTOP_DRAINING) | TO(DESKTOP_FAILED) | TO(DESKTOP_GONE),
	[DESKTOP_CLAIMING] =
		TO(DESKTOP_ACTIVE) | TO(DESKTOP_DRAINING) | TO(DESKTOP_FAILED) | TO(DESKTOP_GONE),
	[DESKTOP_ACTIVE] = TO(DESKTOP_DRAINING) | TO(DESKTOP_FAILED) | TO(DESKTOP_GONE),
	[DESKTOP_DRAINING] = TO(DESKTOP_FAILED) | TO(DESKTOP_GONE),
	[DESKTOP_FAILED] = TO(DESKTOP_GONE),
	[DESKTOP_GONE] = 0,
};

/*
 * A session's row begins at PLACING: before it a login only has somebody's word for who he is.
 *
 *   PLACING <--> WAITING --> CLAIMING --> CONNECTED <--> DISCONNECTED --> ENDED
 *    ^  ^           ^ ^         |           |  |              |
 *    |  +-----------|-+---------+           |  |              |
 *    +--------------|-----------------------+  |     (its server is lost)
 *    +--------------+------------- MOVING <----+--------------+     (ENDED follows any)
 */
static const unsigned session_next[] = {
	[SESSION_AUTHENTICATING] = TO(SESSION_PLACING) | TO(SESSION_ENDED),
	[SESSION_PLACING] = TO(SESSION_WAITING) | TO(SESSION_ENDED),
	[SESSION_WAITING] = TO(SESSION_PLACING) | TO(SESSION_CLAIMING) | TO(SESSION_ENDED),
	[SESSION_CLAIMING] = TO(SESSION_PLACING) | TO(SESSION_CONNECTED) |
			     TO(SESSION_DISCONNECTED) | TO(SESSION_ENDED),
	[SESSION_CONNECTED] = TO(SESSION_DISCONNECTED) | TO(SESSION_MOVING) | TO(SESSION_PLACING) |
			      TO(SESSION_ENDED),
	[SESSION_DISCONNECTED] = TO(SESSION_CONNECTED) | TO(SESSION_MOVING) | TO(SESSION_ENDED),
	[SESSION_MOVING] = TO(SESSION_WAITING) | TO(SESSION_PLACING) | TO(SESSION_ENDED),
	[SESSION_ENDED] = 0,
};

/*
 * A hand-off, beside its session's state. Any step is followed by NONE when the session ends, and
 * those up to PREPARE when it is undone; DETACH follows them at once when the old machine dies.
 *
 *   NONE --> SHRINK --> ANNOUNCE --> PREPARE --> QUIESCE --> DETACH --> CLAIM --> SWITCH --> NONE
 *     |                  ^   (in place: NONE)                                       (or without
 *     +------------------+                                                          a viewer)
 */
static const unsigned move_next[] = {
	[MOVE_NONE] = TO(MOVE_SHRINK) | TO(MOVE_ANNOUNCE),
	[MOVE_SHRINK] = TO(MOVE_ANNOUNCE) | TO(MOVE_QUIESCE) | TO(MOVE_DETACH) | TO(MOVE_NONE),
	[MOVE_ANNOUNCE] = TO(MOVE_PREPARE) | TO(MOVE_QUIESCE) | TO(MOVE_DETACH) | TO(MOVE_NONE),
	[MOVE_PREPARE] = TO(MOVE_QUIESCE) | TO(MOVE_DETACH) | TO(MOVE_NONE),
	[MOVE_QUIESCE] = TO(MOVE_DETACH) | TO(MOVE_CLAIM) | TO(MOVE_NONE),
	[MOVE_DETACH] = TO(MOVE_CLAIM) | TO(MOVE_NONE),
	[MOVE_CLAIM] = TO(MOVE_SWITCH) | TO(MOVE_NONE),
	[MOVE_SWITCH] = TO(MOVE_NONE),
};

/* READY only ever comes from CREATING: what was once handed out is never made again. */
static const unsigned volume_next[] = {
	[VOLUME_ABSENT] = TO(VOLUME_CREATING),
	[VOLUME_CREATING] = TO(VOLUME_READY),
	[VOLUME_READY] = TO(VOLUME_BROKEN),
	[VOLUME_BROKEN] = TO(VOLUME_READY),
};

static void check(
	struct core *core, const unsigned *table, unsigned from, unsigned to, const char *violation)
{
	if (from != to && !(table[from] & TO(to)) && !core->violation)
		core->violation = violation;
}

void desktop_state(struct core *core, struct desktop *d, enum core_desktop_state next)
{
	check(core, desktop_next, d->row.state, next, "a desktop's transition is not in the table");
	d->row.state = next;
	emit_desktop(core, d);
}

void session_state(struct core *core, struct session *s, enum core_session_state next)
{
	check(core, session_next, s->row.state, next, "a session's transition is not in the table");
	s->row.state = next;
	emit_session(core, s);
}

void move_state(struct core *core, struct session *s, enum core_move next)
{
	check(core, move_next, s->row.move, next, "a hand-off's step is not in the table");
	s->row.move = next;
	emit_session(core, s);
}

void volume_state(struct core *core, struct volume *v, enum core_volume_state next)
{
	check(core, volume_next, v->row.state, next, "a volume's transition is not in the table");
	v->row.state = next;
	emit_volume(core, v);
}

static const char *const desktop_names[] = {
	[DESKTOP_BOOTING] = "booting",
	[DESKTOP_STANDBY] = "standby",
	[DESKTOP_CLAIMING] = "claiming",
	[DESKTOP_ACTIVE] = "active",
	[DESKTOP_DRAINING] = "draining",
	[DESKTOP_GONE] = "gone",
	[DESKTOP_FAILED] = "failed",
};

static const char *const session_names[] = {
	[SESSION_AUTHENTICATING] = "authenticating",
	[SESSION_PLACING] = "placing",
	[SESSION_WAITING] = "waiting",
	[SESSION_CLAIMING] = "claiming",
	[SESSION_CONNECTED] = "connected",
	[SESSION_DISCONNECTED] = "disconnected",
	[SESSION_MOVING] = "moving",
	[SESSION_ENDED] = "ended",
};

static const char *const volume_names[] = {
	[VOLUME_ABSENT] = "absent",
	[VOLUME_CREATING] = "creating",
	[VOLUME_READY] = "ready",
	[VOLUME_BROKEN] = "broken",
};

static const char *const work_names[VOLUME_WORK_COUNT] = {
	[VOLUME_WORK_NONE] = "",
	[VOLUME_WORK_SNAPSHOT] = "snapshot",
	[VOLUME_WORK_RESTORE] = "restore",
	[VOLUME_WORK_CHECK] = "check",
	[VOLUME_WORK_REPAIR] = "repair",
	[VOLUME_WORK_GROW] = "grow",
	[VOLUME_WORK_EXPORT] = "export",
	[VOLUME_WORK_IMPORT] = "import",
	[VOLUME_WORK_DELETE] = "delete",
	[VOLUME_WORK_CANCEL] = "cancel",
};

static const char *const move_names[MOVE_COUNT] = {
	[MOVE_NONE] = "none",
	[MOVE_SHRINK] = "shrink",
	[MOVE_ANNOUNCE] = "announce",
	[MOVE_PREPARE] = "prepare",
	[MOVE_QUIESCE] = "quiesce",
	[MOVE_DETACH] = "detach",
	[MOVE_CLAIM] = "claim",
	[MOVE_SWITCH] = "switch",
};

static const char *const move_why_names[MOVE_WHY_COUNT] = {
	[MOVE_WHY_NONE] = "none",
	[MOVE_WHY_ROOM] = "room",
	[MOVE_WHY_LOSS] = "loss",
	[MOVE_WHY_DRAIN] = "drain",
	[MOVE_WHY_ADMIN] = "admin",
	[MOVE_WHY_IMAGE] = "image",
};

#define NAME(names, i) ((size_t)(i) < sizeof(names) / sizeof(*(names)) ? (names)[i] : "?")

const char *core_desktop_state_name(enum core_desktop_state state)
{
	return NAME(desktop_names, state);
}

const char *core_session_state_name(enum core_session_state state)
{
	return NAME(session_names, state);
}

const char *core_volume_state_name(enum core_volume_state state)
{
	return NAME(volume_names, state);
}

const char *core_volume_work_name(enum core_volume_work work)
{
	return NAME(work_names, work);
}

const char *core_move_name(enum core_move move)
{
	return NAME(move_names, move);
}

const char *core_move_why_name(enum core_move_why why)
{
	return NAME(move_why_names, why);
}
