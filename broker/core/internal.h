/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of core share among themselves; nobody else includes this.
 *
 * Every object is its public row and, behind it, what need not survive a restart. Rows are found
 * by id; pointers between objects are looked up, not kept, except where the allocator needs them.
 *
 *   login.c    viewers: from the login to a session, roaming, being gone
 *   session.c  a user's presence: placing, waiting, claiming, connected, ended; a second try
 *   move.c     the hand-off of a session to another desktop; who is handed off, when, where to
 *   resize.c   a desktop that gives memory back in place
 *   way.c      ticket and forward: the way from a viewer to its desktop
 *   desktop.c  one VM from its start to its certain end
 *   volume.c   a user's disk and its lease
 *   volume_work.c  what is done to one that nobody has: snapshots, checks, ...
 *   server.c   up, down, lost, fenced, drained, reconciled
 *   pool.c     standby desktops
 *   image.c    the versions of the image, and who gets which
 *   queue.c    who waits for room, in which order, for how long
 *   policy.c   groups and reservations: what they ask of an admission
 *   load.c     from the store's rows back to a running state
 *   transitions.c  the tables of what may follow what; check.c  the invariants
 */
#ifndef CARREL_CORE_INTERNAL_H
#define CARREL_CORE_INTERNAL_H

#include "broker/core/core.h"
#include "broker/core/placement.h"

/* Waits that are not configured, ms. */
#define AUTH_MS 60000     /* carrel-authd's answer */
#define WAY_MS 20000      /* ticket and forward both answered */
#define WAY_RETRY_MS 1000 /* pause before they are asked for again */
#define WAY_TRIES 3
#define DETACH_MS 30000      /* the hypervisor's answer to a detach */
#define DESTROY_MS 30000     /* until a destroy is asked for again */
#define DESTROYS_STUCK 3     /* asked for so often, a VM counts as one that stays */
#define POOL_BACKOFF_MS 5000 /* after the first failed boot; doubles */
#define POOL_BACKOFF_MAX 600000
#define LOGINS_PER_CLIENT 4 /* under way at once */
#define SHRINK_MS 10000     /* beyond the configured time: the answer */
#define REST_MS 60000       /* a session whose hand-off was undone is left alone for so long */
#define FENCE_MS 180000     /* the answer to a fence */
#define FENCE_RETRY_MS 30000
#define TURNS 20 /* how often who waits for memory that is promised to him has his wait renewed */
#define WORK_RETRY_MS 10000 /* until work on a volume is asked for again */
#define FORWARD_PORTS 8
#define DESKTOP_TRIES 2         /* desktops that a login may use up */
#define QUEUE_TELL_MS 60000     /* how often who waits is told again */
#define QUEUE_RECENT_MS 3600000 /* ends of sessions that the estimate counts */
#define QUEUE_ENDS 16           /* of them, at most the last so many */
#define QUEUE_ENDS_LEAST 3      /* and at least so many, else there is no estimate */

enum object_kind {
	OBJECT_SERVER,
	OBJECT_DESKTOP,
	OBJECT_VOLUME,
	OBJECT_SESSION,
	OBJECT_LOGIN,
	OBJECT_POOL,
	OBJECT_IMAGE, /* when sessions on other versions are handed off */
	OBJECT_MOVE,  /* struct session.clock */
	OBJECT_KINDS
};

/* The head of every object: its id and its one deadline. */
struct object {
	uint64_t id;
	enum object_kind kind;
	bool dead;              /* taken off the tables at the start of the next step */
	uint64_t persisted;     /* the step in which its row was last put among the actions */
	int64_t deadline_ms;    /* 0 = none */
	struct tree_node timer; /* in core.timers while a deadline is set */
};

/* Objects of one kind by rising id. */
struct table {
	struct object **items; /* owned, as are the objects */
	size_t count, capacity;
};

struct server {
	struct object object;
	struct core_server row;
	struct placement_server place;
	uint64_t started; /* units of the desktops whose VM is, or may be, there */
	unsigned held;    /* desktops placed here that wait for room */
	unsigned booting; /* VMs asked for whose agents have not reported */
	bool blocked;     /* desktop_kick: who is first in turn does not fit yet */
	bool shrunk;      /* more is used than there is since its capacity fell */
};

struct desktop {
	struct object object;
	struct core_desktop row;
	struct placement_desktop place; /* put while it is some session's, and until it is gone, but
					   for one that is `left` */
	uint64_t units;                 /* what its VM takes */
	bool held;    /* not asked for yet: others have to go, or to boot, first */
	bool booting; /* counts in server.booting */
	bool framed;  /* its user has seen it */
	bool left;    /* its session is being handed off: its memory is given away already */
	bool hello;   /* its agent has reported */
	bool heard;   /* and has said who it is since its server's connection was lost: */
	bool anonymous, works; /* nobody; with a session that runs */
	bool unsure;           /* the server's connection was lost: reconciling will tell */
	bool seen;             /* found while reconciling */
	bool released;         /* the agent has given the volume back */
	bool claim_sent;       /* the agent was told the user's name */
	bool claim_unsure;     /* it may not have heard it */
	bool attach_unsure;    /* nor may the disk be there (claimed before a restart) */
	bool release_unsure;   /* nor the word to release */
	unsigned destroys;     /* how often it was asked for */
	uint64_t volume;       /* whose lease names this desktop; 0 = none */
	struct tree_node pool; /* in core.pool while it is nobody's and of use */
};

struct volume {
	struct object object;
	struct core_volume row;
	uint64_t create_server; /* where creation is under way; 0 = nowhere */
	uint64_t avoid;         /* where it failed last */
	uint64_t work_server;   /* where its work is under way; 0 = nowhere */
	uint32_t questions;     /* of its work; answers to earlier ones do not count */
};

/* Where a viewer's ticket and forward stand. */
struct way {
	uint32_t number;      /* of the last question; answers to earlier ones do not count */
	bool ticket, forward; /* asked for and not answered */
	bool failed;          /* one of the answers was bad */
	bool told;            /* the viewer knows */
	bool ticket_live;     /* a ticket may be valid: to be cleared */
	unsigned tries;
};

struct session {
	struct object object;
	struct core_session row;
	struct way way;
	struct object clock;        /* of its hand-off; without one: the end of its rest */
	unsigned turns;             /* waits renewed */
	bool readmit;               /* its server was lost, it has not been placed again yet */
	unsigned tries;             /* desktops used up */
	unsigned volume_tries;      /* creations that failed */
	uint64_t avoid;             /* server of the desktop that failed; 0 = none */
	unsigned percent;           /* last shown */
	bool queued;                /* waits for room */
	uint32_t position, minutes; /* in the queue, as the viewer was told; position 0 = not yet */
	uint64_t reservation;       /* whose seat it takes; 0 = none */
};

/* Copies of a core_policy; texts owned. */
struct members {
	char **patterns;
	size_t count;
};

struct policy_group {
	struct members members;
	uint32_t min_mib, max_mib;
};

struct policy_reservation {
	uint64_t id;
	struct members members;
	uint32_t seats, min_mib;
	uint32_t filled; /* by members who have a desktop */
};

struct policy_trial {
	struct members members;
	struct core_image image;
};

struct policy {
	struct policy_group *groups; /* owned */
	size_t group_count;
	struct policy_reservation *reservations; /* owned */
	size_t reservation_count;
	struct policy_trial *trials; /* owned */
	size_t trial_count;
	bool stale; /* who fills a seat, and who has a smallest size, is to be found out again */
};

struct login {
	struct object object;
	bool authenticating;
	uint64_t session; /* 0 while authenticating */
	char user[CORE_NAME_MAX], client[CORE_ADDR_MAX], seat[CORE_MAC_MAX];
};

struct core {
	struct core_config config;
	struct core_counters counters;
	struct placement placement;
	struct table servers, desktops, volumes, sessions, logins;
	struct tree timers;
	struct tree pool; /* standby desktops, booting ones too, by id */
	struct core_channels channels;
	struct object image_timer; /* its deadline is channels.until_wall_ms */
	struct object pool_timer;  /* its deadline is the end of the back-off */
	unsigned pool_failures;
	struct policy policy;
	unsigned queue_length;
	int64_t ends[QUEUE_ENDS]; /* now_ms of the last sessions that gave their desktop back */
	unsigned end_count;       /* how many there were; the last is ends[(end_count-1) % ...] */
	bool any_dead;
	bool room;   /* memory came free in this step, or somebody can be handed off now */
	bool works;  /* work on a volume, or a snapshot that is due, may be begun */
	bool settle; /* a server was lost, or its drain began or was called off */
	uint64_t step;
	uint64_t counters_persisted;
	uint32_t way_number; /* of the last question for a ticket and a forward */
	int64_t now_ms, wall_ms;
	struct core_actions *actions; /* borrowed, during a step */
	const char *violation;        /* the first transition that was not allowed */
};

/* core.c: a step's beginning, and its end */
void core_begin(struct core *core, int64_t now_ms, struct core_actions *actions);
void core_settle(struct core *core);

/* table.c: objects of one kind, and the clock */
void *table_get(const struct table *table, uint64_t id); /* the dead too */
void *table_live(const struct table *table, uint64_t id);
void *table_next(const struct table *table, uint64_t after); /* the dead are passed over */
/* A new zeroed object of `size` bytes whose first member is a struct object. Aborts when memory is
 * out. */
void *table_add(struct table *table, size_t size, enum object_kind kind, uint64_t id);
void table_remove(struct core *core, struct table *table, struct object *object);
void table_clear(struct table *table);
void table_sweep(struct core *core, struct table *table);
void timer_set(struct core *core, struct object *object, int64_t deadline_ms); /* 0 = none */
void timer_after(struct core *core, struct object *object, int64_t ms);
/* How long a session waits for its desktop to boot and to open its user's home. */
int64_t give_ms(const struct core *core);

#define EACH(type, var, table_)                                                                    \
	for (struct type *var = table_next((table_), 0); var;                                      \
		var = table_next((table_), var->object.id))

/* emit.c: actions */
struct core_action *emit(struct core *core, enum core_action_type type);
void emit_server(struct core *core, struct server *s); /* the row, once a step */
void emit_desktop(struct core *core, struct desktop *d);
void emit_volume(struct core *core, struct volume *v);
void emit_session(struct core *core, struct session *s);
void emit_counters(struct core *core);
void emit_tell(struct core *core, enum core_action_type type, uint64_t login, const char *code,
	const char *format, ...) __attribute__((format(printf, 5, 6)));
void emit_stage(struct core *core, struct session *s, const char *stage, unsigned percent,
	const char *format, ...) __attribute__((format(printf, 5, 6)));
void emit_audit(struct core *core, const char *code, uint64_t session, uint64_t desktop,
	const char *format, ...) __attribute__((format(printf, 5, 6)));
void core_copy_text(char *to, size_t size, const char *from);
#define COPY(to, from) core_copy_text((to), sizeof(to), (from))

/* transitions.c: set a state, persist the row; a transition that the tables lack is a violation */
void desktop_state(struct core *core, struct desktop *d, enum core_desktop_state next);
void session_state(struct core *core, struct session *s, enum core_session_state next);
void move_state(struct core *core, struct session *s, enum core_move next);
void volume_state(struct core *core, struct volume *v, enum core_volume_state next);

/* login.c */
void login_event(struct core *core, const struct core_event *ev);
void login_deadline(struct core *core, struct login *l);
void login_over(struct core *core, uint64_t id); /* forgets it; the last word has been told */

/* session.c */
struct session *session_of_user(const struct core *core, const char *user);
struct session *session_new(struct core *core, struct login *l, const struct core_event *ev);
void session_take(struct core *core, struct session *s, struct login *l); /* roams to this viewer */
void session_place(struct core *core, struct session *s);
void session_advance(struct core *core, struct session *s);
/* Its desktop is no use: another one, or the end. `d` is on its way out already. */
void session_retry(
	struct core *core, struct session *s, struct desktop *d, const char *code, const char *why);
void session_end(struct core *core, struct session *s, const char *code, const char *text);
void session_refuse(struct core *core, struct session *s, const char *code, const char *text);
void session_viewer_gone(struct core *core, struct session *s);
void session_started(struct core *core, struct session *s); /* claimed */
void session_deadline(struct core *core, struct session *s);
void session_close(struct core *core, struct session *s); /* the end, without a word */
void session_room(struct core *core);                     /* memory came free: who waits for it? */
void session_lost(struct core *core, struct server *server); /* its users are admitted again */

/* move.c */
/* The desktop that the session is placed on: the one it is being handed off to, else its own. */
struct desktop *move_target(const struct core *core, const struct session *s);
enum placement_kind move_kind(const struct core *core, const struct desktop *d);
bool move_running(const struct session *s); /* its desktop works, the hand-off can be undone */
/* Carries the hand-off of a plan out: at once for a desktop that nobody has claimed yet. */
void move_plan(struct core *core, const struct placement_plan *plan, enum core_move_why why);
void move_admin(struct core *core, struct session *s, const struct core_event *ev);
void move_announce(struct core *core, struct session *s);
void move_advance(struct core *core, struct session *s); /* something it waits for may be there */
void move_undo(struct core *core, struct session *s, const char *why);
void move_in_place(struct core *core, struct session *s); /* it was shrunk: no hand-off */
void move_now(struct core *core, struct session *s);
void move_hurry(struct core *core, struct session *s); /* the old desktop is of no use any more */
void move_tell(struct core *core, const struct session *s); /* again, to a viewer that came on */
void move_next_lost(struct core *core, struct session *s, const char *why);
void move_old_lost(struct core *core, struct session *s, const char *why);
void move_released(struct core *core, struct session *s);    /* by the old desktop's agent */
void move_lease_ended(struct core *core, struct session *s); /* the volume is nobody's */
void move_claimed(struct core *core, struct session *s);     /* by the new desktop's agent */
void move_done(struct core *core, struct session *s);        /* the viewer shows it, or is gone */
void move_stop(struct core *core, struct session *s, const char *why);
void move_clock(struct core *core, struct session *s);
/* More was promised on the server than it has, since somebody stays or it has less: the last
 * promises go. */
void move_take_back(struct core *core, struct server *server);
void move_settle(struct core *core); /* after a loss, a drain, the end of one */
void move_drain(struct core *core);  /* the next user of a server that is being drained */
void move_renew(struct core *core);  /* the next user of a version that is over */
void move_load(struct core *core, struct session *s);

/* resize.c */
void resize_ask(struct core *core, struct desktop *d, uint32_t memory_mib);
void resize_event(struct core *core, struct desktop *d, const struct core_event *ev);
void resize_found(struct core *core, struct desktop *d, uint32_t memory_mib); /* its VM's size */

/* way.c */
void way_open(struct core *core, struct session *s, const struct login *l);
void way_close(struct core *core, struct session *s);
void way_event(struct core *core, const struct core_event *ev);
void way_deadline(struct core *core, struct session *s);
void way_server_up(struct core *core, struct session *s); /* some server is */
void way_first_frame(struct core *core, struct session *s);

/* desktop.c */
/* For a session, whose image it gets, or for the pool: then of `image`. */
struct desktop *desktop_new(struct core *core, struct server *server, uint32_t memory_mib,
	struct session *s, const struct core_image *image);
/* For a session that is being handed off it becomes `next`, else `desktop`. */
void desktop_assign(struct core *core, struct desktop *d, struct session *s);
void desktop_unassign(struct core *core, struct desktop *d); /* back to the pool, unclaimed */
/* Takes one from the pool or starts one, on that server, for a session. */
struct desktop *desktop_find(
	struct core *core, struct server *server, uint32_t memory_mib, struct session *s);
void desktop_drop(struct core *core, struct desktop *d); /* its session does not want it */
bool desktop_leaving(const struct desktop *d);           /* on its way out */
bool desktop_counts(const struct desktop *d);            /* for the allocator */
void desktop_put(struct core *core, struct desktop *d);  /* tells the allocator of it */
void desktop_claim(struct core *core, struct desktop *d, struct volume *v);
void desktop_release(struct core *core, struct desktop *d);
void desktop_destroy(struct core *core, struct desktop *d, bool failed);
void desktop_gone(struct core *core, struct desktop *d, const char *why);
/* It is of no use any more: it goes, and its session finds out. */
void desktop_fail(struct core *core, struct desktop *d, const char *code, const char *why);
void desktop_event(struct core *core, const struct core_event *ev);
void desktop_deadline(struct core *core, struct desktop *d);
void desktop_kick(struct core *core); /* starts what is held, where there is room now */
void desktop_server_down(struct core *core, struct desktop *d);
void desktop_server_up(struct core *core, struct desktop *d);
void desktop_found(struct core *core, struct desktop *d, const struct core_event *ev);

/* volume.c */
struct volume *volume_of_user(const struct core *core, const char *user);
struct volume *volume_new(struct core *core, const char *user, uint32_t uid);
void volume_want(struct core *core, struct volume *v); /* creates it if nobody is doing so */
void volume_free(struct core *core, struct volume *v); /* the lease ends */
void volume_event(struct core *core, const struct core_event *ev);
void volume_server_down(struct core *core, uint64_t server);

/* volume_work.c */
void volume_work_event(struct core *core, const struct core_event *ev);
void volume_work_server_down(struct core *core, uint64_t server);
void volume_work_deadline(struct core *core, struct volume *v);
void volume_work_kick(struct core *core); /* begins what can be begun */
/* "being restored", for a sentence about a home. */
const char *volume_work_words(enum core_volume_work work);

/* server.c */
void server_event(struct core *core, const struct core_event *ev);
void server_place(struct core *core, struct server *s);
void server_deadline(struct core *core, struct server *s);
unsigned server_boots(const struct core *core, const struct server *s); /* at once */
uint64_t server_room(const struct server *s); /* units not taken by any VM */
bool server_usable(const struct server *s);   /* up and not draining */
struct server *server_any_up(const struct core *core, uint64_t avoid); /* that one last */
void server_config(struct core *core); /* builds the allocator anew */
void object_end(struct core *core, struct object *object);

/* pool.c */
enum pool_answer {
	POOL_YES,
	POOL_SOON, /* it needs a hand-off of somebody who is just being claimed for */
	POOL_NO,
};
/* What an admission does now. `c` as policy_constraint gives it, NULL for a plain one. */
enum pool_answer pool_plan(
	const struct core *core, const struct placement_constraint *c, struct placement_plan *plan);
/* A standby desktop of that size for `s`, or NULL; `only` NULL: on any server but `avoid`. */
struct desktop *pool_take(struct core *core, const struct session *s,
	const struct placement_constraint *c, uint32_t memory_mib, const struct server *only,
	uint64_t avoid);
void pool_make_room(struct core *core, struct server *server);
void pool_result(struct core *core, bool booted);
void pool_balance(struct core *core);

/* policy.c */
void policy_set(struct core *core, const struct core_policy *policy); /* copied */
void policy_clear(struct policy *policy);
void policy_refresh(struct core *core);                                  /* when it is stale */
bool policy_seat_kept(const struct core *core, const struct session *s); /* for it, not taken */
/* What the admission of `s` is asked for (NULL: of a user in no group), in `c`; returns `c`, or
 * NULL where groups and reservations have nothing to say. */
const struct placement_constraint *policy_constraint(
	const struct core *core, const struct session *s, struct placement_constraint *c);
/* The same for the likeliest next one: a member of a class whose seats are not all taken. */
const struct placement_constraint *policy_next(
	const struct core *core, struct placement_constraint *c);

/* The version that a trial names for it, or NULL. */
const struct core_image *policy_trial(const struct core *core, const struct session *s);

/* image.c */
void image_event(struct core *core, const struct core_event *ev);
void image_due(struct core *core); /* sets the image_timer; is anybody to be handed off now? */
void image_choose(struct core *core, struct session *s);
bool image_outdated(const struct core *core, const struct session *s); /* and its time is over */
void image_succeeded(struct core *core, struct desktop *d);            /* its user sees it */
/* It fails its user, or would, and its image may be to blame; called before it is on its way out.
 */
void image_failed(struct core *core, const struct desktop *d, const char *why);

/* queue.c */
bool queue_holds(const struct core *core, const struct session *s); /* others are first */
bool queue_enter(struct core *core, struct session *s); /* or stays; false: it is too long */
void queue_leave(struct core *core, struct session *s);
void queue_ended(struct core *core);                       /* a session gave its desktop back */
void queue_tell(struct core *core);                        /* viewers whose position has changed */
void queue_deadline(struct core *core, struct session *s); /* is the estimate still the same? */

#endif
