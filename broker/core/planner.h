/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens when users come and go and servers fail: the allocator's plans (placement.h), each
 * carried out at once and in memory. `carrel plan` and `carrel simulate` are this and words.
 *
 * The decisions are those of the daemon because they are made by the same functions. Nothing here
 * allocates: servers and users live inside the caller's structs.
 */
#ifndef CARREL_CORE_PLANNER_H
#define CARREL_CORE_PLANNER_H

#include <stddef.h>

#include "broker/core/placement.h"

struct planner_server {
	struct placement_server place; /* its id is the server's index */
	uint32_t usable_mib;           /* memory less the host reserve */
};

/* Zeroed by the caller before its first use; it stays at its address while connected. */
struct planner_user {
	struct placement_desktop desktop; /* desktop.server is NULL while not connected */
	struct tree_node order;           /* in planner.users while connected, by sequence */
	/* What planner_undo puts back. */
	bool touched;
	struct placement_desktop before;
	struct planner_user *next_touched; /* borrowed */
};

/* A hand-off in its middle: both desktops take memory, or none does when it breaks before it makes.
 */
struct planner_step {
	struct planner_user *user;
	uint64_t from, to; /* indexes of servers */
	uint32_t from_mib, size_mib;
	bool break_before_make;
};

/* Whom to tell while it happens. Each function may be NULL; none may call the planner. */
struct planner_watch {
	void (*handoff)(void *data, const struct planner_step *step);
	/* A lost server's user has been admitted again, or refused. */
	void (*again)(void *data, struct planner_user *user, bool admitted);
	void *data; /* borrowed */
};

struct planner {
	struct placement placement;
	struct planner_server *servers; /* borrowed */
	size_t server_count;
	struct planner_watch watch;
	struct tree users;         /* connected ones, by order of connection */
	uint64_t counts[TIER_MAX]; /* of desktops, by tier */
	uint64_t usable_mib;       /* of the open servers */
	uint64_t sequence;         /* of the last connection */
	/* A loss on trial. */
	bool trial;
	struct planner_server *lost;  /* borrowed */
	struct planner_user *touched; /* borrowed; the first of a chain */
};

/* No server yet, nobody connected. The tables are copied; `servers` has `count` of them. */
void planner_init(struct planner *p, const struct tier_table *tiers, uint32_t standby,
	struct planner_server *servers, size_t count, const struct planner_watch *watch);
/* Sets up one server of them all, before anything else; `open` false: it is away, as if lost. */
void planner_server_init(
	struct planner *p, size_t index, uint32_t memory_mib, uint32_t host_reserve_mib, bool open);

/* A user comes: a hand-off at most, and a desktop; or nothing when the result says so. */
enum placement_result planner_arrive(struct planner *p, struct planner_user *user);
/* A connected user goes. */
void planner_leave(struct planner *p, struct planner_user *user);
/*
 * A server that is open is lost: the users left are settled, then its own are admitted again in
 * the order in which they had connected. They connect anew: from then on they are the last. On
 * trial: planner_undo has to be the next that is called.
 */
void planner_lose(struct planner *p, struct planner_server *server, bool trial);
/* Takes a loss on trial back, as if it had never been. */
void planner_undo(struct planner *p);
/* A server that was lost is there again, empty. */
void planner_return(struct planner *p, struct planner_server *server);

/* The user who connected next after `user` (NULL: the first), or NULL. */
struct planner_user *planner_next_user(const struct planner *p, const struct planner_user *user);
/* The tier that the present number of users asks for. */
unsigned planner_tier(const struct planner *p);
/* Memory that no desktop takes, MiB; of all open servers, of one (0 when it is lost). */
uint64_t planner_free_mib(const struct planner *p);
uint64_t planner_server_free_mib(const struct planner *p, const struct planner_server *server);
/* Memory of the open servers that desktops of a tier cannot use since sizes do not divide, MiB. */
uint64_t planner_waste_mib(const struct planner *p, unsigned tier);

/*
 * The smallest number of equal servers that serve so many users, with `spare` of them lost; 0 when
 * such a server does not hold even the smallest desktop.
 */
uint64_t planner_servers_for(const struct tier_table *tiers, uint32_t memory_mib,
	uint32_t host_reserve_mib, uint64_t users, uint64_t spare);
/*
 * The largest min, max / 2^L, with which these servers serve so many users; `one_lost`: even when
 * the largest of them is lost. 0 when no size does.
 */
uint32_t planner_min_for(const uint32_t *memory_mib, size_t count, uint32_t host_reserve_mib,
	uint32_t max_mib, uint32_t overhead_mib, uint64_t users, bool one_lost);
/* The same for `count` equal servers, of which `spare` are lost. */
uint32_t planner_min_for_equal(uint32_t memory_mib, uint64_t count, uint64_t spare,
	uint32_t host_reserve_mib, uint32_t max_mib, uint32_t overhead_mib, uint64_t users);

#endif
