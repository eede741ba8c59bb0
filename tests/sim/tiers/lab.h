/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A world for the allocator: it carries out each plan as a broker would, the new desktop before the
 * old one goes, and checks every promise of property.h at each step, the middle of a hand-off
 * included. What is true is taken from the plain scan, which is told the same and keeps no sums.
 *
 * Desktop i and server i of the allocator are those of the scan. Sizes are units: min is 1 MiB.
 */
#ifndef CARREL_TESTS_SIM_TIERS_LAB_H
#define CARREL_TESTS_SIM_TIERS_LAB_H

#include "broker/core/placement.h"
#include "tests/sim/tiers/property.h"
#include "tests/sim/tiers/scan.h"

#define LAB_SERVERS 24
#define LAB_DESKTOPS 640

struct lab {
	struct placement p;
	struct placement_server servers[LAB_SERVERS];
	struct placement_desktop desktops[LAB_DESKTOPS];
	struct scan scan;
	struct scan_server scan_servers[LAB_SERVERS];
	struct scan_desktop scan_desktops[LAB_DESKTOPS];
	unsigned server_count, desktop_count;
	int spare[LAB_DESKTOPS]; /* desktops that are nowhere, a stack */
	unsigned spare_count;
	uint64_t sequence;
	/* What may be promised. */
	bool arrivals_only;
	bool rough;       /* some desktops are pinned or on their way out */
	bool divides;     /* N_m = 2 N_(m-1): sizes divide every server */
	bool shuffle;     /* now and then the state is built anew in another order */
	bool broken;      /* a promise was; go no further */
	const char *name; /* of the world, for the report; borrowed */
	uint64_t seed;
	/* What happened. */
	unsigned handoffs, breaks, refused;
	unsigned smaller;       /* admissions below their tier, for lack of a slot of its size */
	unsigned smaller_moved; /* of them, with a hand-off */
	uint64_t decisions;
};

/* A world of servers with those capacities (units), sizes 2^last units to 1. */
void lab_init(
	struct lab *lab, const uint32_t *capacity, unsigned count, unsigned last, uint32_t standby);
/* Nobody there, all servers open. */
void lab_clear(struct lab *lab);

int lab_put(
	struct lab *lab, int server, unsigned tier, uint64_t sequence, enum placement_kind kind);
void lab_take(struct lab *lab, int desktop);
void lab_set_kind(struct lab *lab, int desktop, enum placement_kind kind);
void lab_set_server(struct lab *lab, int server, enum placement_server_state state);

/* The checked steps. */
enum placement_result lab_arrive(struct lab *lab, uint64_t sequence);
void lab_leave(struct lab *lab, int desktop);
/* Returns how many users lost their desktop; they are gone, and to be admitted again. */
unsigned lab_lose(struct lab *lab, int server);
void lab_drain(struct lab *lab, int server);
/* An ordinary hand-off away from a server that is drained; false when there is no room. */
bool lab_move(struct lab *lab, int desktop);
void lab_return(struct lab *lab, int server);

bool lab_is_user(const struct lab *lab, int desktop);
/* On stderr: what the world looks like. */
void lab_print(const struct lab *lab);

#endif
