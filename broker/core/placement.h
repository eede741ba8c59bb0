/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The allocator: on which server does the next user's desktop go, how large is it, and who is
 * handed off to a smaller one for it. placement.c has the essay.
 *
 * The daemon, the planner and the simulator call the same functions. All structs live inside the
 * caller's own; nothing here allocates. A decision costs O(log servers + log desktops) expected.
 *
 * Groups and reservations come in as a struct placement_constraint, and as the smallest size that a
 * user who is on may have (placement_set_smallest). Without them every plan is the plain one; with
 * them capacity is never exceeded, what is kept for others is never given away, and the hand-off
 * reserve is kept where possible. docs/policy.md has the rules.
 */
#ifndef CARREL_CORE_PLACEMENT_H
#define CARREL_CORE_PLACEMENT_H

#include "broker/core/tier.h"
#include "broker/core/tree.h"

enum placement_server_state {
	PLACEMENT_LOST,     /* counts for nothing, nor do the users on it */
	PLACEMENT_OPEN,     /* takes desktops */
	PLACEMENT_DRAINING, /* its capacity is lost, its users still count: they will be moved */
};

struct placement_desktop;

struct placement_server {
	uint64_t id;         /* the caller's; decides between equals, the lower first */
	uint64_t capacity;   /* units */
	uint64_t used;       /* units, of all desktops put here */
	uint32_t user_count; /* of them, the users' */
	enum placement_server_state state;
	struct placement_desktop *first; /* borrowed; all desktops put here */
	struct tree_node node;           /* in placement.by_free while open */
};

enum placement_kind {
	PLACEMENT_HELD,    /* takes memory, is no user: a desktop that is going away, or the
			      new one in the middle of a hand-off */
	PLACEMENT_PINNED,  /* a user whose desktop cannot be handed off now */
	PLACEMENT_MOVABLE, /* a user */
};

struct placement_desktop {
	struct placement_server *server; /* borrowed; NULL = not put anywhere */
	uint64_t sequence;               /* order of connection; unique */
	uint64_t units;
	unsigned tier;
	unsigned smallest; /* tier of the smallest size he may be handed off to; L = any */
	enum placement_kind kind;
	struct placement_desktop *next, *previous; /* borrowed; on the same server */
	struct tree_node node;                     /* in placement.movable[tier] */
};

struct placement {
	struct tier_table tiers;
	uint32_t standby;              /* k: plans as if k more users were there */
	uint32_t users;                /* on open and draining servers */
	uint32_t draining;             /* of them, on draining servers */
	uint64_t slots[TIER_MAX];      /* N_m, of the open servers */
	uint64_t free_slots[TIER_MAX]; /* slots of size M_m that are free now on open servers */
	struct tree by_free;           /* open servers by free units */
	struct tree movable[TIER_MAX]; /* movable users on open servers, by sequence */
	/* On account of users with a smallest size; all zero and empty without any: */
	uint64_t extra[TIER_MAX];                /* slots of M_m that they take beyond one each */
	struct tree bounded[TIER_MAX][TIER_MAX]; /* instead of movable: by tier, smallest */
};

enum placement_result {
	PLACEMENT_ADMIT,
	PLACEMENT_FULL,      /* there are as many users as the open servers hold */
	PLACEMENT_NO_ROOM,   /* fewer, but desktops that are going away still take the memory */
	PLACEMENT_NO_SERVER, /* no server is open, or none holds even one smallest desktop */
};

struct placement_plan {
	enum placement_result result;
	unsigned tier;                       /* size of the new desktop */
	struct placement_server *server;     /* where it goes, once the hand-off is done */
	struct placement_desktop *handoff;   /* first hand this one off to the same tier; or NULL */
	struct placement_server *handoff_to; /* where to */
	unsigned handoff_tier;  /* its new size; that of the new user too, unless he has limits */
	bool keeps_reserve;     /* after it all a slot of that size is free, or none is asked for */
	bool break_before_make; /* no room for both: the old desktop must go first (settle only) */
};

/* Empty; the tables are copied. */
void placement_init(struct placement *p, const struct tier_table *tiers, uint32_t standby);

/* Sets up a server as lost, with no capacity. */
void placement_server_init(struct placement_server *server, uint64_t id);
/*
 * Gives it a capacity (units) and a state; its desktops stay put. Costs O(desktops on it). A
 * capacity below what is used is no error: nothing more fits until enough has gone.
 */
void placement_server_set(struct placement *p, struct placement_server *server, uint64_t capacity,
	enum placement_server_state state);
uint64_t placement_server_free(const struct placement_server *server); /* units */

/* Puts a desktop, which is nowhere yet, on a server. The size need not be one of the tiers'. */
void placement_put(struct placement *p, struct placement_desktop *desktop,
	struct placement_server *server, uint32_t size_mib, uint64_t sequence,
	enum placement_kind kind);
void placement_set_kind(
	struct placement *p, struct placement_desktop *desktop, enum placement_kind kind);
/* Takes it away; nothing happens when it is nowhere. */
void placement_remove(struct placement *p, struct placement_desktop *desktop);

/* U_m; -1 when there is no slot at all. */
int64_t placement_threshold(const struct placement *p, unsigned tier);
/* N_L, the last user that fits. */
uint64_t placement_capacity(const struct placement *p);
/* The smallest m with users <= U_m, else L. */
unsigned placement_target(const struct placement *p, uint64_t users);

/*
 * What would the admission of one more user do? Changes nothing. A user of a drained server is
 * moved in the same way: his desktop there is set to held, he is admitted, the held one is removed
 * once the new one is up (or is set back, where there is no room).
 */
struct placement_plan placement_next(const struct placement *p);

/* What groups and reservations ask of one admission. */
struct placement_constraint {
	unsigned smallest;       /* tier of the smallest size the user takes; L or more = any */
	unsigned largest;        /* tier of the largest size he gets; 0 = any */
	bool member;             /* a seat is kept for him: he may have what is left of it */
	uint32_t kept[TIER_MAX]; /* seats kept for others, by the tier of their smallest size */
};

/*
 * The same under a constraint (NULL = none). At tier m a user whose smallest size is M_f > M_m
 * counts as the 2^(m-f) slots that he takes, and so does each kept seat. PLACEMENT_FULL and
 * PLACEMENT_NO_ROOM then also mean "but for what is kept", PLACEMENT_NO_SERVER that no open server
 * is large enough for the user's smallest size. With kept seats it may look at every server.
 */
struct placement_plan placement_next_for(
	const struct placement *p, const struct placement_constraint *constraint);

/* The tier that the users who are on, `more` of them besides, and the kept seats lead to. */
unsigned placement_target_for(
	const struct placement *p, const struct placement_constraint *constraint, unsigned more);

/* Says that a user's desktop is never to be handed off below M_tier; L = to any size. A desktop
 * that is smaller already stays as it is. To be said after placement_put. */
void placement_set_smallest(struct placement *p, struct placement_desktop *desktop, unsigned tier);

/* Would a desktop of M_tier on that server leave what the constraint keeps for others? */
bool placement_leaves_kept(const struct placement *p, const struct placement_constraint *constraint,
	const struct placement_server *server, unsigned tier);

/*
 * The same for a caller that cannot hand off now: the largest size, from `tier` on, of which a slot
 * would stay free; else the smallest. False when nothing fits.
 */
bool placement_without_handoff(
	const struct placement *p, unsigned tier, struct placement_plan *plan);
bool placement_without_handoff_for(const struct placement *p,
	const struct placement_constraint *constraint, unsigned tier, struct placement_plan *plan);

/*
 * After the loss of a server, after a drain begins and after one is called off: does somebody have
 * to be handed off so that the users of the open servers have their reserve? True and a plan
 * (server of a new user unused) if so; call again once it is carried out: one is enough.
 * Users with a smallest size are passed over.
 */
bool placement_settle(const struct placement *p, struct placement_plan *plan);

#endif
