/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules of memory tiers once more, written down as plainly as they can be: no tree and no sums
 * kept, each question answered by looking at every server. Two uses: an oracle, whose plans the
 * product's must equal, and the peer that the benchmark measures the product against.
 *
 * Servers and desktops are known by their index in the caller's arrays; server i has the id i.
 */
#ifndef CARREL_TESTS_SIM_TIERS_SCAN_H
#define CARREL_TESTS_SIM_TIERS_SCAN_H

#include "broker/core/placement.h"

#define SCAN_NONE (-1)

struct scan_server {
	uint64_t capacity, used; /* units */
	uint32_t users;
	enum placement_server_state state;
};

struct scan_desktop {
	int server; /* SCAN_NONE = nowhere */
	uint64_t sequence, units;
	unsigned tier;
	enum placement_kind kind;
	int earlier, later; /* neighbours in the order of connection, of the same tier */
};

struct scan {
	struct tier_table tiers;
	uint32_t standby;
	struct scan_server *servers;   /* borrowed */
	struct scan_desktop *desktops; /* borrowed */
	int server_count;
	int earliest[TIER_MAX], latest[TIER_MAX]; /* desktops put, SCAN_NONE = none is */
};

struct scan_plan {
	enum placement_result result;
	unsigned tier;
	int server, handoff, handoff_to; /* SCAN_NONE = none */
	bool keeps_reserve, break_before_make;
};

/* What there is of a tier, by looking at every open server. */
struct scan_slots {
	uint64_t all, free;
};

/* All servers lost and without capacity, all desktops nowhere. */
void scan_init(struct scan *scan, const struct tier_table *tiers, uint32_t standby,
	struct scan_server *servers, int server_count, struct scan_desktop *desktops,
	int desktop_count);
void scan_put(struct scan *scan, int desktop, int server, unsigned tier, uint64_t sequence,
	enum placement_kind kind);
void scan_set_kind(struct scan *scan, int desktop, enum placement_kind kind);
void scan_remove(struct scan *scan, int desktop);

uint64_t scan_free(const struct scan_server *server);
uint64_t scan_users(const struct scan *scan);
struct scan_slots scan_slots(const struct scan *scan, unsigned tier);
/* Must a slot stay free after the admission of that many? The last user takes the reserve, unless
   users of a drained server must still come in. */
bool scan_asks_reserve(const struct scan *scan, uint64_t users);
unsigned scan_target(const struct scan *scan, uint64_t users);
int scan_best_fit(const struct scan *scan, unsigned tier);
int scan_last_larger(const struct scan *scan, unsigned tier);

struct scan_plan scan_next(const struct scan *scan);
bool scan_without_handoff(const struct scan *scan, unsigned tier, struct scan_plan *plan);
bool scan_settle(const struct scan *scan, struct scan_plan *plan);

#endif
