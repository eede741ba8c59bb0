/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random days in random worlds: up to 24 unequal servers, users who come and leave in tides,
 * servers that are lost, drained and return. In every fourth run desktops are slow to go, or cannot
 * be handed off: then an admission may find no room, and the rest is promised all the same.
 *
 *	tier_runs [RUNS [FIRST_SEED]]
 *
 * Run i has the seed FIRST_SEED + i, so `tier_runs 1 SEED` is one run again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/tiers/lab.h"

#define RUNS 20000
#define LARGE_EVERY 25 /* runs with many large servers */

static struct lab lab;
static uint64_t state;

/* splitmix64: neighbouring seeds give runs that have nothing in common. */
static uint64_t random_below(uint64_t bound)
{
	uint64_t x = state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (x ^ (x >> 31)) % bound;
}

static int random_desktop(bool user)
{
	unsigned start = (unsigned)random_below(lab.desktop_count);

	for (unsigned i = 0; i < lab.desktop_count; i++) {
		int d = (int)((start + i) % lab.desktop_count);
		if (lab.scan_desktops[d].server != SCAN_NONE && lab_is_user(&lab, d) == user)
			return d;
	}
	return SCAN_NONE;
}

/* One who is drained and can be moved, the first connected of them. */
static int drained_desktop(void)
{
	int best = SCAN_NONE;

	for (int d = 0; d < (int)lab.desktop_count; d++) {
		const struct scan_desktop *desktop = &lab.scan_desktops[d];
		if (lab_is_user(&lab, d) && desktop->kind == PLACEMENT_MOVABLE &&
			lab.scan_servers[desktop->server].state == PLACEMENT_DRAINING &&
			(best == SCAN_NONE || desktop->sequence < lab.scan_desktops[best].sequence))
			best = d;
	}
	return best;
}

static int compare_sequences(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* A server is lost: its users are admitted again in the order in which they had connected. */
static void lose(int server)
{
	uint64_t sequences[LAB_DESKTOPS];
	size_t homeless = 0;
	bool keep = random_below(2) == 0; /* their place in the order, or a new one */

	for (int d = 0; d < (int)lab.desktop_count; d++) {
		if (lab.scan_desktops[d].server == server && lab_is_user(&lab, d))
			sequences[homeless++] = lab.scan_desktops[d].sequence;
	}
	qsort(sequences, homeless, sizeof(sequences[0]), compare_sequences);
	if (lab_lose(&lab, server) != homeless)
		abort();
	for (size_t i = 0; i < homeless && !lab.broken; i++)
		lab_arrive(&lab, keep ? sequences[i] : lab.sequence + 1);
}

static void server_trouble(void)
{
	int server = (int)random_below(lab.server_count);

	if (lab.scan_servers[server].state != PLACEMENT_OPEN && random_below(3) > 0)
		lab_return(&lab, server);
	else if (lab.scan_servers[server].state == PLACEMENT_OPEN && random_below(2) == 0)
		lab_drain(&lab, server);
	else if (lab.scan_servers[server].state != PLACEMENT_LOST)
		lose(server);
}

/* A desktop is on its way out, cannot be handed off, can again, or is gone at last. */
static void roughness(void)
{
	int d = random_desktop(random_below(2) == 0);

	if (d == SCAN_NONE)
		return;
	if (!lab_is_user(&lab, d))
		lab_leave(&lab, d);
	else
		lab_set_kind(&lab, d, (enum placement_kind)random_below(3));
}

static void event(unsigned chance)
{
	uint64_t dice = random_below(100);
	int d;

	if (dice < chance) {
		lab_arrive(&lab, lab.sequence + 1);
	} else if (dice < 95) {
		if (lab.rough && dice >= 85)
			roughness();
		else if ((d = random_desktop(true)) != SCAN_NONE)
			lab_leave(&lab, d);
	} else if (dice < 98) {
		server_trouble();
	} else if ((d = drained_desktop()) != SCAN_NONE) {
		lab_move(&lab, d);
	}
}

static void run(uint64_t seed)
{
	uint32_t capacity[LAB_SERVERS];
	bool large = seed % LARGE_EVERY == 0;
	unsigned last, count, most, events;

	state = seed;
	last = (unsigned)random_below(large ? 5 : 4);
	count = 1 + (unsigned)random_below(large ? LAB_SERVERS : 5);
	most = large ? 26 : 12;
	events = (unsigned)random_below(large ? 1500 : 250);
	for (unsigned i = 0; i < count; i++)
		capacity[i] = (uint32_t)random_below(most);
	if (random_below(4) == 0) { /* equal servers have more ties */
		for (unsigned i = 1; i < count; i++)
			capacity[i] = capacity[0];
	}
	lab_init(&lab, capacity, count, last,
		random_below(3) == 0 ? 1 + (unsigned)random_below(3) : 0);
	lab.name = "random";
	lab.seed = seed;
	lab.shuffle = true;
	lab.rough = seed % 4 == 3;
	lab.arrivals_only = !lab.rough;
	/* A first flood, to the last user and beyond; then tides. */
	for (unsigned n = (unsigned)random_below(lab.desktop_count); n > 0 && !lab.broken; n--)
		lab_arrive(&lab, lab.sequence + 1);
	for (unsigned i = 0; i < events && !lab.broken; i++)
		event(i / 40 % 2 ? 25 : 70);
}

int main(int argc, char **argv)
{
	uint64_t runs = argc > 1 ? strtoull(argv[1], NULL, 10) : RUNS;
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	uint64_t decisions = 0, handoffs = 0, breaks = 0, smaller = 0, smaller_moved = 0;

	for (uint64_t i = 0; i < runs; i++) {
		run(first + i);
		decisions += lab.decisions;
		handoffs += lab.handoffs;
		breaks += lab.breaks;
		smaller += lab.smaller;
		smaller_moved += lab.smaller_moved;
	}
	printf("%" PRIu64 " runs: %" PRIu64 " decisions, %" PRIu64 " hand-offs, %" PRIu64
	       " broke before they made (losses), %" PRIu64 " below their tier (%" PRIu64
	       " with a hand-off)\n",
		runs, decisions, handoffs, breaks, smaller, smaller_moved);
	return property_report() ? 0 : 1;
}
