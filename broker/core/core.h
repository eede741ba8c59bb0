/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The broker's decisions: core_step(state, event) -> new state + actions, and nothing else.
 *
 * No I/O, clock, randomness, logging, main loop or thread in this folder. Time comes in the event.
 * Events come from the API, the libvirt workers, the agents, the helpers and from timers; whoever
 * calls core_step carries out the actions in their order, having first written the rows that
 * CORE_ACT_PERSIST_* name to the store in one transaction (an intent is in the store before its
 * effect is begun). Each effect's result comes back as an event. Equal states and equal events give
 * equal actions, so a test replays anything from a seed.
 *
 *   login -> session -> desktop -> server
 *                    -> volume
 *
 * A *login* is one viewer's attempt and, after it, its connection (its event stream). A *session*
 * is a user's presence; it outlives its viewer: a second login of the same user takes the session
 * over and the first viewer is told so. A *desktop* is one VM; it belongs to at most one session in
 * its life and is destroyed after it. A *volume* is a user's disk; it is leased to at most one
 * desktop, and the lease ends only when the disk is known to be out of the VM or the VM is known to
 * be gone.
 *
 * What core relies on:
 *  - each effect that has result events gets one of them, once, or CORE_EV_SERVER_DOWN of its
 *    server comes: then nothing is known of it, and the reconcile before CORE_EV_SERVER_UP tells.
 *    Whatever is lost all the same is bounded by a deadline. A VM that cannot be destroyed now is
 *    no event: core asks again;
 *  - a failure is reported as certain only when it is (DESKTOP_START_FAILED, flag of
 *    VOLUME_ATTACH_FAILED): memory and leases are given on at once;
 *  - what one agent says comes in the order in which it was said;
 *  - RELEASE may be said twice (after a lost connection); an agent that has released says so
 *    again. A RELEASE_FAILED of code "unreachable" means only that it was not said.
 * Duplicates, late events, and events about unknown ids change nothing.
 *
 * A session ends at once: its viewer is told and its row is closed, while its desktop goes on to
 * release, detach and destroy by itself. So a user has one session at most, and a new one of his
 * may wait for the volume that his last desktop still has. A session's row begins at PLACING.
 *
 * After a restart logins are forgotten and sessions are DISCONNECTED, with the forwards that the
 * store has. CORE_EV_RESUME gives a session back to a viewer whose token the caller has kept and
 * checked; it is answered by a new TELL_READY.
 *
 * A *hand-off* moves a running session to another desktop, smaller as a rule, with its volume and
 * its viewer: enum core_move has the steps, move.c the essay. What an admission needs moved is
 * moved by itself; the caller moves somebody by CORE_EV_SESSION_MOVE.
 *
 * A server that is down for `lost_ms` is *lost*: its users are admitted again on the others, once
 * it is certain that its VMs do not run any more. That is said by CORE_EV_SERVER_FENCED, and by
 * nothing else: the volumes stay leased until then.
 *
 * Who waits for room stays in PLACING, in the *queue*: first come, first served. The queue, as
 * logins, does not survive a restart; nor does the *policy* (groups, and the reservations that are
 * in force), which the caller keeps and tells by CORE_EV_POLICY whenever it changes.
 * docs/policy.md.
 */
#ifndef CARREL_CORE_H
#define CARREL_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CORE_NAME_MAX 96 /* bytes with the terminator: user, server, image names */
#define CORE_TEXT_MAX 256
#define CORE_MAC_MAX 18  /* "52:54:00:77:00:01" */
#define CORE_ADDR_MAX 46 /* text of an IPv4 or IPv6 address */

enum core_desktop_state {
	DESKTOP_BOOTING,  /* the VM is asked for or runs; its agent has not reported */
	DESKTOP_STANDBY,  /* booted, anonymous */
	DESKTOP_CLAIMING, /* promised to a session: volume, claim */
	DESKTOP_ACTIVE,   /* the session's programs run */
	DESKTOP_DRAINING, /* the session ends: release, detach, destroy */
	DESKTOP_GONE,     /* destroyed, certain */
	DESKTOP_FAILED,   /* to be destroyed; not yet certain */
};

enum core_session_state {
	SESSION_AUTHENTICATING,
	SESSION_PLACING,
	SESSION_WAITING, /* for a desktop to boot, or for its volume to be free */
	SESSION_CLAIMING,
	SESSION_CONNECTED,    /* its viewer has a ticket or shows the desktop */
	SESSION_DISCONNECTED, /* the desktop runs, no viewer */
	SESSION_MOVING,
	SESSION_ENDED,
};

enum core_volume_state {
	VOLUME_ABSENT,
	VOLUME_CREATING, /* intent stored; whatever lies in the pool under this name was never
			    attached */
	VOLUME_READY,
	VOLUME_BROKEN, /* refused by the agent's check; never attached again until an admin says so
			*/
};

/*
 * What an admin, or the policy of snapshots, has done to a volume that no desktop has. As long as
 * it is not over nobody gets the volume: a login waits. It is stored before it begins; after a
 * crash, of the broker or of the server that did it, it is begun anew, and nothing that it has left
 * half-done is ever the volume: what changes the contents makes a new copy in the pool, and the row
 * names the copy that counts.
 */
enum core_volume_work {
	VOLUME_WORK_NONE,
	VOLUME_WORK_SNAPSHOT, /* a copy is kept; text: its kind, "snap" or "daily" */
	VOLUME_WORK_RESTORE,  /* text: name of the snapshot whose contents it gets */
	VOLUME_WORK_CHECK,    /* looked at, nothing is changed */
	VOLUME_WORK_REPAIR,
	VOLUME_WORK_GROW,   /* to so many MiB */
	VOLUME_WORK_EXPORT, /* text: file */
	VOLUME_WORK_IMPORT, /* text: file whose contents it gets */
	VOLUME_WORK_DELETE, /* with its snapshots; the user's next login makes a new one */
	VOLUME_WORK_CANCEL, /* takes the place of one that is called off (`done` says which),
			       until nobody is at it any more */
	VOLUME_WORK_COUNT
};

/* Where a hand-off stands, stored with the session. "undone" and "driven on" say what becomes of it
 * when something fails there, a crash of the broker included. */
enum core_move {
	MOVE_NONE,
	MOVE_SHRINK,   /* tried in place first; nobody is told; undone */
	MOVE_ANNOUNCE, /* the user reads the notice, the new desktop boots; undone */
	MOVE_PREPARE,  /* the notice is over, the new desktop is not up yet; undone */
	MOVE_QUIESCE,  /* the agent ends the programs and unmounts; driven on */
	MOVE_DETACH,   /* the volume comes out of the old desktop; driven on */
	MOVE_CLAIM,    /* it goes into the new one, which the session has from here on; driven on */
	MOVE_SWITCH,   /* ticket, forward, and the viewer's first whole frame */
	MOVE_COUNT
};

/* Why somebody is moved; stored. */
enum core_move_why {
	MOVE_WHY_NONE,
	MOVE_WHY_ROOM,  /* room for another user */
	MOVE_WHY_LOSS,  /* a server was lost, or is being drained: the others have to do */
	MOVE_WHY_DRAIN, /* his own server is being drained */
	MOVE_WHY_ADMIN,
	MOVE_WHY_IMAGE, /* its version of the image is over */
	MOVE_WHY_COUNT
};

const char *core_move_name(enum core_move move);
const char *core_move_why_name(enum core_move_why why);
const char *core_desktop_state_name(enum core_desktop_state state);
const char *core_session_state_name(enum core_session_state state);
const char *core_volume_state_name(enum core_volume_state state);
const char *core_volume_work_name(enum core_volume_work work); /* "" for none */

struct core_config {
	uint32_t max_mib, min_mib; /* max = min * 2^L */
	uint32_t overhead_mib, host_reserve_mib;
	uint32_t standby;
	uint32_t queue; /* logins that may wait for room; 0 = they are refused */
	uint32_t volume_size_mib;
	uint32_t boot_timeout_ms, claim_timeout_ms, ticket_ms;
	uint32_t handoff_grace_ms; /* from the notice to the move; 0 = at once */
	uint32_t shrink_ms;        /* for a guest to give memory back in place */
	uint32_t lost_ms;          /* a server that is down for so long is lost; 0 = never */
	uint32_t boots;            /* desktops that boot on a server at once; 0 = half of its
				      processors */
	bool boot_reserve; /* a desktop is booted in the hand-off reserve; else only `standby` */
	bool fence;        /* CORE_ACT_FENCE can be carried out */
	int64_t disconnected_ms; /* life of a session without a viewer */
	uint16_t forward_port;   /* first of eight */
};

/* A version of an image. */
struct core_image {
	char id[CORE_NAME_MAX]; /* "name@version"; empty = none */
	bool live;              /* its desktops are shrunk in place first */
};

/* Which versions of the desktops' image are used by whom; stored. Every server that counts as up
 * has all of them. */
struct core_channels {
	struct core_image stable;   /* what new sessions get */
	struct core_image testing;  /* the one that is tried out, or is next */
	struct core_image previous; /* the way back */
	uint32_t canary; /* logins that must still reach their first frame on `stable`; when one
			    does not, `previous` is stable again */
	int64_t until_wall_ms; /* sessions on other versions are handed off to `stable` from then
				  on; 0 = they stay until they end */
	char returned[CORE_NAME_MAX]; /* the version last taken back; empty = none since the last
					 promotion */
	char reason[CORE_TEXT_MAX];   /* why */
};

/*
 * Who is meant by a group or a reservation: names of users, and MAC addresses (lower case) of
 * seats, which have a ':'. In both '*' stands for any text and '?' for any byte. All pointers are
 * borrowed.
 */
struct core_members {
	const char *const *patterns;
	size_t count;
};

struct core_group {
	struct core_members members;
	uint32_t min_mib, max_mib; /* sizes of desktops; 0 = not limited */
};

/* One that is in force now. */
struct core_reservation {
	uint64_t id;
	struct core_members members;
	uint32_t seats;
	uint32_t min_mib; /* of each seat; 0 = the smallest */
};

/* Who gets another version than the stable one. */
struct core_trial {
	struct core_members members;
	struct core_image image;
};

struct core_policy {
	const struct core_group *groups;
	size_t group_count;
	const struct core_reservation *reservations;
	size_t reservation_count;
	const struct core_trial *trials; /* the first that names somebody holds */
	size_t trial_count;
};

/* Rows; the store keeps the fields of each, the daemon reads them through the getters below. */
struct core_server {
	uint64_t id;
	char name[CORE_NAME_MAX];
	uint32_t memory_mib; /* of the host, as last seen; capacity is this less the host reserve */
	uint32_t cpus;       /* not stored */
	bool up;             /* not stored: connected, image present, reconciled */
	bool lost;           /* not stored: down for too long */
	bool draining;
};

struct core_desktop {
	uint64_t id; /* VM name is "carrel-d<id>" */
	uint64_t server;
	uint64_t session; /* 0 = none (booting for the pool, standby) */
	uint32_t memory_mib;
	enum core_desktop_state state;
	uint16_t vnc_port;            /* 0 = not known yet */
	char vnc_host[CORE_ADDR_MAX]; /* address of the server on which the VNC port listens */
	char image[CORE_NAME_MAX];
	bool live;           /* shrunk in place first */
	int64_t deadline_ms; /* not stored; 0 = none */
};

struct core_volume {
	uint64_t id; /* serial of the disk in the guest is "vol-<id>" */
	char user[CORE_NAME_MAX];
	uint32_t uid;
	uint32_t size_mib;
	enum core_volume_state state;
	uint64_t desktop;   /* the lease; 0 = free */
	bool attached;      /* the disk is, or may be, in the VM of the lease */
	uint32_t copy;      /* its name in the pool: "home-<id>" for 0, else "home-<id>.<copy>" */
	uint32_t last_copy; /* the last number that was given; none is given twice */
	bool changed;       /* a desktop had it since its last snapshot */
	bool due;           /* a snapshot is to be made as soon as it is free */
	int64_t snapshot_wall_ms; /* when the last one was made; 0 = never */
	enum core_volume_work work;
	uint32_t work_number; /* rises with each */
	uint32_t work_mib;
	char work_text[CORE_TEXT_MAX];
	enum core_volume_work done; /* the last one that is over: what became of it */
	uint32_t done_number;
	char done_code[32]; /* "" = good; "damaged" = so was the volume found */
	char done_text[CORE_TEXT_MAX];
};

struct core_session {
	uint64_t id;
	char user[CORE_NAME_MAX];
	char full_name[CORE_NAME_MAX];
	uint32_t uid, gid;
	enum core_session_state state;
	uint64_t desktop, volume;
	uint64_t next; /* desktop that a hand-off leads to, up to MOVE_DETACH; 0 = none */
	enum core_move move;
	enum core_move_why move_why;
	bool move_breaks;  /* no room for both: the old desktop goes first */
	uint64_t login;    /* the viewer that has it now; 0 = none; not stored */
	uint64_t sequence; /* order of connection, for "last connected" */
	int64_t started_wall_ms;
	char client[CORE_ADDR_MAX]; /* client whose forward is open; empty = none */
	char seat[CORE_MAC_MAX];
	uint16_t forward_port;   /* 0 = no forward */
	struct core_image image; /* what its desktop runs, also the one it is handed off to;
				    not stored: its desktop says it */
	int64_t deadline_ms;     /* not stored; 0 = none */
};

enum core_event_type {
	/* The fields each event uses stand behind it; all use now_ms and wall_ms. */
	CORE_EV_TICK,             /* a deadline has come */
	CORE_EV_CONFIG,           /* config */
	CORE_EV_POLICY,           /* policy: all of it, as it is from now on */
	CORE_EV_VOLUME_SNAPSHOTS, /* the moment of the daily ones has come */
	/* channels; every server that is up has the version */
	CORE_EV_IMAGE_TEST,     /* image: the testing one; without an id there is none any more */
	CORE_EV_IMAGE_PROMOTE,  /* image, number=logins that it must prove itself at, until_wall_ms
				 */
	CORE_EV_IMAGE_ROLLBACK, /* text=why */
	/* servers */
	CORE_EV_SERVER_ADDED,      /* text=name; core assigns the id (core_server_by_name) */
	CORE_EV_SERVER_REMOVED,    /* server; refused by the API while it has desktops */
	CORE_EV_SERVER_DRAIN,      /* server, flag */
	CORE_EV_SERVER_UP,         /* server, memory_mib, cpus; follows the reconcile of it */
	CORE_EV_SERVER_DOWN,       /* server, text=reason */
	CORE_EV_RECONCILE_DESKTOP, /* server, desktop, flag=running, vnc_port, vnc_host: found on
				      the server; memory_mib */
	CORE_EV_RECONCILE_DONE,    /* server: what was not found there is gone */
	CORE_EV_SERVER_FENCED,     /* server, which is down: it is certain that none of its VMs runs
				      (its power is off). Of this outage: a word about an earlier
				      one, late or said twice, must not be passed on */
	CORE_EV_FENCE_FAILED,      /* server, text; asked for again after a while */
	/* viewers */
	CORE_EV_LOGIN,         /* login, user, client, seat */
	CORE_EV_AUTHENTICATED, /* login, user (canonical), full_name, uid, gid */
	CORE_EV_AUTH_FAILED,   /* login, code ("denied", "unavailable"), text */
	CORE_EV_VIEWER_GONE,   /* login: its event stream is closed */
	CORE_EV_RECONNECT,     /* login: asks for a new ticket */
	CORE_EV_FIRST_FRAME,   /* login: the desktop is on the screen */
	CORE_EV_MOVE_NOW,      /* login: the user does not wait for the end of the notice */
	CORE_EV_LOGOUT,        /* login: the user ends the session at the viewer */
	CORE_EV_SESSION_END,   /* session: an admin ends it */
	CORE_EV_SESSION_MOVE, /* session, server (0 = the best), memory_mib (0 = as it is): an admin
				 moves it; core_move_check says beforehand whether that can be */
	CORE_EV_RESUME,       /* login (a new id), session, client, seat: a viewer that was on
				 before the daemon's restart is heard of again */
	/* desktops */
	CORE_EV_DESKTOP_STARTED,      /* desktop, vnc_port, vnc_host */
	CORE_EV_DESKTOP_START_FAILED, /* desktop, code, text: certain that no VM runs */
	CORE_EV_DESKTOP_GONE,         /* desktop, text: the VM is off, certain */
	CORE_EV_DESKTOP_DISCARD,      /* desktop: an admin destroys it; its session ends */
	CORE_EV_DESKTOP_RESIZED, /* desktop, memory_mib: the rest is the host's again, certain */
	CORE_EV_DESKTOP_RESIZE_FAILED, /* desktop, code, text: it has its old size */
	CORE_EV_AGENT_HELLO, /* desktop, user ("" = nobody has claimed), flag=session is running */
	CORE_EV_AGENT_PROGRESS,      /* desktop, text=stage, percent */
	CORE_EV_CLAIMED,             /* desktop */
	CORE_EV_CLAIM_FAILED,        /* desktop, code, text */
	CORE_EV_RELEASED,            /* desktop: programs ended, volume unmounted */
	CORE_EV_RELEASE_FAILED,      /* desktop, code, text */
	CORE_EV_GUEST_SESSION_ENDED, /* desktop: the user logged out inside */
	/* volumes */
	CORE_EV_VOLUME_CREATED,       /* volume, server (0 = not said) */
	CORE_EV_VOLUME_CREATE_FAILED, /* volume, server (0 = not said), code, text */
	CORE_EV_VOLUME_REPAIRED,      /* volume: an admin says that a broken one is whole again */
	CORE_EV_VOLUME_WORK, /* volume, work, text, memory_mib: is begun, if core_volume_work_check
				allows it */
	CORE_EV_VOLUME_WORKED,   /* volume, number of the question; flag=good, copy, memory_mib (0 =
				    the   size it had), code, text. With code "unreachable" it is not
				    known   what has become of it, and it is asked for again */
	CORE_EV_VOLUME_ATTACHED, /* volume, desktop */
	CORE_EV_VOLUME_ATTACH_FAILED, /* volume, desktop, code, text, flag=certain that it is not
					 attached */
	CORE_EV_VOLUME_DETACHED,      /* volume, desktop: certain */
	CORE_EV_VOLUME_DETACH_FAILED, /* volume, desktop, code, text */
	/* way to the desktop */
	CORE_EV_TICKET_SET,     /* session, desktop, number of the question */
	CORE_EV_TICKET_FAILED,  /* session, desktop, number, code, text */
	CORE_EV_FORWARD_ADDED,  /* session, number */
	CORE_EV_FORWARD_FAILED, /* session, number, code, text */
	CORE_EV_COUNT
};

const char *core_event_name(enum core_event_type type);

struct core_event {
	enum core_event_type type;
	int64_t now_ms;  /* CLOCK_BOOTTIME, ms: deadlines */
	int64_t wall_ms; /* CLOCK_REALTIME, ms: records only, never compared */
	uint64_t server, desktop, session, volume, login;
	uint32_t memory_mib, cpus, uid, gid, percent, number;
	uint32_t copy;
	enum core_volume_work work;
	uint16_t vnc_port;
	bool flag;
	char user[CORE_NAME_MAX], full_name[CORE_NAME_MAX];
	char client[CORE_ADDR_MAX], vnc_host[CORE_ADDR_MAX];
	char seat[CORE_MAC_MAX];
	char code[32];
	char text[CORE_TEXT_MAX];
	struct core_image image;
	int64_t until_wall_ms;
	const struct core_config *config; /* borrowed, for CORE_EV_CONFIG; copied by core */
	const struct core_policy *policy; /* borrowed, for CORE_EV_POLICY; copied by core */
};

enum core_action_type {
	/* rows to be written, all of one step in one transaction, before any effect of that step */
	CORE_ACT_PERSIST_SERVER,   /* server (a removed one: delete the row) */
	CORE_ACT_PERSIST_DESKTOP,  /* desktop (one in state GONE: delete the row) */
	CORE_ACT_PERSIST_SESSION,  /* session (one in state ENDED: keep as history) */
	CORE_ACT_PERSIST_VOLUME,   /* volume (one that is not there any more: delete the row) */
	CORE_ACT_PERSIST_CHANNELS, /* core_channels() */
	CORE_ACT_PERSIST_COUNTERS, /* core_counters(): ids are never given twice */
	/* effects */
	CORE_ACT_AUTHENTICATE,  /* login: the daemon has the password and gives it to carrel-authd,
				   once */
	CORE_ACT_DESKTOP_START, /* desktop, server, memory_mib */
	CORE_ACT_DESKTOP_DESTROY, /* desktop, server */
	CORE_ACT_DESKTOP_RESIZE, /* desktop, server, memory_mib, ms: smaller, in place, within ms */
	CORE_ACT_FENCE,          /* server: switch its power off */
	CORE_ACT_VOLUME_CREATE,  /* volume, server */
	CORE_ACT_VOLUME_ATTACH,  /* volume, desktop, server */
	CORE_ACT_VOLUME_DETACH,  /* volume, desktop, server */
	CORE_ACT_VOLUME_WORK, /* volume, server, number: what its row says; new contents become copy
				 last_copy */
	CORE_ACT_VOLUME_CANCEL, /* volume, server, number: that question's work is wanted no more */
	CORE_ACT_VOLUME_SWEEP,  /* volume, server: older copies than its own can go */
	CORE_ACT_CLAIM,         /* desktop, session, volume: to the agent */
	CORE_ACT_RELEASE,       /* desktop: to the agent */
	CORE_ACT_TICKET_SET, /* session, desktop, server, number: the daemon makes the secret, core
				never sees it */
	CORE_ACT_TICKET_CLEAR, /* session, desktop, server */
	CORE_ACT_FORWARD_ADD,  /* session, number, client, port -> vnc_host:vnc_port */
	CORE_ACT_FORWARD_DEL,  /* client, port */
	/* words for a viewer; the daemon puts them on the login's event stream */
	CORE_ACT_TELL_STAGE, /* login, code=stage, percent, text; of stage "queued" position and
				minutes too */
	CORE_ACT_TELL_READY, /* login, session, port, server: the daemon adds host, ticket, TLS name
			      */
	CORE_ACT_TELL_HANDOFF, /* login, session, code, ms, from_mib, memory_mib, text. Code is
				  "announced" (ms until it begins), "moving" (the picture stands
				  still and takes no input until the next TELL_READY's first frame),
				  "cancelled" (all stays as it was) */
	CORE_ACT_TELL_REFUSED, /* login, code, text; the login is over */
	CORE_ACT_TELL_MOVED,   /* login, text=where to; the login is over: another seat has the
				  session */
	CORE_ACT_TELL_ENDED,   /* login, code, text; the login is over */
	CORE_ACT_AUDIT,        /* code, text, with the ids: one log line */
	CORE_ACT_COUNT
};

const char *core_action_name(enum core_action_type type);

struct core_action {
	enum core_action_type type;
	uint64_t server, desktop, session, volume, login;
	uint32_t memory_mib, from_mib, percent;
	uint32_t ms, number;
	uint32_t position, minutes; /* in the queue; minutes 0 = no estimate yet */
	uint16_t port, vnc_port;
	char client[CORE_ADDR_MAX], vnc_host[CORE_ADDR_MAX];
	char code[32];
	char text[CORE_TEXT_MAX];
};

/* A growing list, owned by the caller, used again from step to step. */
struct core_actions {
	struct core_action *items;
	size_t count, capacity;
};

void core_actions_clear(struct core_actions *actions); /* frees; the struct is empty after it */

struct core;

/* `config` is copied. Never NULL. */
struct core *core_new(const struct core_config *config);
void core_free(struct core *core);

/*
 * Loading at the start, before the first event: rows as the store has them. Servers are down,
 * sessions are without a viewer, until events say otherwise.
 */
void core_load_server(struct core *core, const struct core_server *row);
void core_load_desktop(struct core *core, const struct core_desktop *row);
void core_load_volume(struct core *core, const struct core_volume *row);
void core_load_session(struct core *core, const struct core_session *row);

void core_load_channels(struct core *core, const struct core_channels *channels);

/* The last id given of each kind. Rows of what is gone are deleted, so the rows cannot tell. */
struct core_counters {
	uint64_t server, desktop, volume, session;
};
void core_load_counters(struct core *core, const struct core_counters *counters);
struct core_counters core_counters(const struct core *core);

/* After the rows and counters: rebuilds links and counters, arms deadlines from now_ms; its actions
 * are carried out too. */
void core_load_done(struct core *core, int64_t now_ms, struct core_actions *actions);

/* One step. `actions` is emptied first. An event about an id that core does not know changes
 * nothing. */
void core_step(struct core *core, const struct core_event *event, struct core_actions *actions);

/* The next moment (now_ms clock) at which CORE_EV_TICK is due; INT64_MAX when there is none. */
int64_t core_next_deadline(const struct core *core);

/* Getters: borrowed, valid until the next step; NULL when there is none. */
const struct core_server *core_server_get(const struct core *core, uint64_t id);
const struct core_server *core_server_by_name(const struct core *core, const char *name);
const struct core_desktop *core_desktop_get(const struct core *core, uint64_t id);
const struct core_volume *core_volume_get(const struct core *core, uint64_t id);
const struct core_volume *core_volume_by_user(const struct core *core, const char *user);
const struct core_session *core_session_get(const struct core *core, uint64_t id);
const struct core_channels *core_channels(const struct core *core);
const struct core_session *core_session_by_user(const struct core *core, const char *user);

/* Walks rows by rising id: pass 0 first, then the last id; NULL at the end. */
const struct core_server *core_server_next(const struct core *core, uint64_t after);
const struct core_desktop *core_desktop_next(const struct core *core, uint64_t after);
const struct core_volume *core_volume_next(const struct core *core, uint64_t after);
const struct core_session *core_session_next(const struct core *core, uint64_t after);

/* What a server's desktops take of it, and what it has for them, MiB. */
uint32_t core_server_capacity_mib(const struct core *core, uint64_t server);
uint32_t core_server_used_mib(const struct core *core, uint64_t server);

/* Users whose desktop is there, one they are being moved to or from included: a drained server is
 * empty at 0. */
uint32_t core_server_users(const struct core *core, uint64_t server);

/*
 * Can CORE_EV_SESSION_MOVE be done now? False with a sentence in `why` that names the reason and a
 * remedy. `server` 0 = where it fits best, `memory_mib` 0 = the size it has.
 */
bool core_move_check(const struct core *core, uint64_t session, uint64_t server,
	uint32_t memory_mib, char *why, size_t size);

/*
 * Can CORE_EV_VOLUME_WORK be done now? False with a sentence in `why` that names the reason and a
 * remedy. `mib` is the new size for VOLUME_WORK_GROW.
 */
bool core_volume_work_check(const struct core *core, uint64_t volume, enum core_volume_work work,
	uint32_t mib, char *why, size_t size);

/* Where the tiers stand; see tier.h. */
struct core_tier_status {
	uint32_t users, capacity_users;   /* now; the last that fits */
	uint32_t tier, tiers;             /* 0..tiers-1 */
	uint32_t size_mib;                /* of the tier */
	uint32_t threshold;               /* U_m */
	uint32_t reserve_server_free_mib; /* the largest free piece on one server */
	uint32_t kept_seats;              /* for reservations, not filled yet */
	uint32_t queued;
	uint32_t moving; /* hand-offs under way */
	/* What the next login, of a user in no group, would do: */
	uint32_t next_size_mib; /* 0 = it would be refused, or wait */
	bool next_waits;
	uint64_t next_server;
	uint64_t next_handoff;          /* session that is handed off first; 0 = none */
	uint64_t next_handoff_server;   /* where to */
	uint32_t next_handoff_size_mib; /* its new size */
};
void core_tier_status(const struct core *core, struct core_tier_status *status);

/* Who waits at that position (from 1 on); false when there are not so many. */
struct core_queue_entry {
	uint64_t session;
	uint32_t position;
	uint32_t minutes; /* of waiting that are left, as recent ends of sessions say; 0 = no
			     estimate yet */
};
bool core_session_queued(const struct core *core, uint64_t id);
bool core_queue_get(const struct core *core, uint32_t position, struct core_queue_entry *entry);

/* Seats of a reservation in force that are taken; 0 when it is not in force. */
uint32_t core_reservation_filled(const struct core *core, uint64_t id);

/* Does a pattern of core_members fit the text? */
bool core_pattern_match(const char *pattern, const char *text);

/*
 * Checks every invariant (capacity, leases, one session a user, links, allowed transitions so far).
 * Returns NULL, or a static text that names the first one broken. For tests and the debug build.
 */
const char *core_check(const struct core *core);

#endif
