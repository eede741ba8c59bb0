/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every state that small worlds can reach, by people who come and leave in any order, and in some
 * worlds by servers that are lost, drained and return.
 *
 * A state is what lies on each server: how many desktops of each size. The order of connection is
 * not in it, though it decides who is handed off. It decides nothing else, so instead of keeping it
 * each step is tried with each class (server, size) of larger desktops as that of the last
 * connected. This visits at least the states that some order of connection reaches, with each
 * decision that some order leads to; what holds in all of them holds for every order, however long
 * the history. Equal servers are not folded into one: their ids decide between equals.
 *
 * At a loss the users on the server are gone and those who are left are settled. Admitting them
 * again is nothing but arrivals, and every state's arrivals are tried.
 *
 *	tier_states [all]	with `all` also the worlds that take minutes
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/tiers/lab.h"

#define SERVERS_MAX 4
#define TIERS_MAX 5
#define SERVER_BITS 15 /* of a state's key: what lies on it, and two bits of the server's state */
#define CONTENTS_MAX (1u << (SERVER_BITS - 2))

struct world {
	uint32_t capacity[SERVERS_MAX];
	unsigned servers, last; /* sizes 2^last .. 1 */
	uint32_t standby;
	bool troubles; /* servers are lost, drained, and return */
	bool slow;     /* takes minutes: only when asked for */
	size_t states; /* how many there are */
};

static const struct world worlds[] = {
	/* S in 1..3 equal servers that hold one largest desktop each, L in 0..3 */
	{{1}, 1, 0, 0, false, false, 2},
	{{2}, 1, 1, 0, false, false, 3},
	{{4}, 1, 2, 0, false, false, 7},
	{{8}, 1, 3, 0, false, false, 23},
	{{1, 1}, 2, 0, 0, false, false, 4},
	{{2, 2}, 2, 1, 0, false, false, 11},
	{{4, 4}, 2, 2, 0, false, false, 75},
	{{8, 8}, 2, 3, 0, false, false, 1053},
	{{1, 1, 1}, 3, 0, 0, false, false, 8},
	{{2, 2, 2}, 3, 1, 0, false, false, 45},
	{{4, 4, 4}, 3, 2, 0, false, false, 736},
	{{8, 8, 8}, 3, 3, 0, false, false, 34149},
	/* the same with troubles */
	{{8}, 1, 3, 0, true, false, 47},
	{{4, 4}, 2, 2, 0, true, false, 319},
	{{8, 8}, 2, 3, 0, true, false, 4341},
	{{1, 1, 1}, 3, 0, 0, true, false, 125},
	{{2, 2, 2}, 3, 1, 0, true, false, 492},
	{{4, 4, 4}, 3, 2, 0, true, false, 6936},
	{{8, 8, 8}, 3, 3, 0, true, true, 330601},
	{{4, 4, 4, 4}, 4, 2, 0, true, true, 150534},
	{{16, 16}, 2, 4, 0, true, true, 144884},
	/* unequal ones, and servers that sizes do not divide */
	{{3, 5}, 2, 2, 0, true, false, 240},
	{{12, 7}, 2, 3, 0, true, false, 7811},
	{{5, 2, 1}, 3, 2, 0, true, false, 859},
	{{7, 6, 5}, 3, 2, 0, false, false, 4466},
	{{7, 6, 5}, 3, 2, 0, true, true, 53165},
	{{8, 3, 2}, 3, 3, 0, true, false, 6993},
	{{13, 3, 3}, 3, 3, 0, false, false, 3036},
	{{5, 3, 2, 1}, 4, 2, 0, true, true, 12639},
	/* with standby */
	{{4, 4, 4}, 3, 2, 1, true, false, 6074},
	{{8, 8}, 2, 3, 2, true, false, 2954},
};

/* All ways to fill one server, by counts of each tier. */
static struct {
	uint8_t counts[TIERS_MAX];
} contents[CONTENTS_MAX];
static unsigned content_count;

static struct {
	uint64_t *keys; /* keys + 1; 0 = empty */
	size_t capacity, count;
	uint64_t *queue;
} seen;

static struct lab lab;

static void list_contents(unsigned tier, unsigned last, uint64_t room, uint8_t *counts)
{
	if (tier > last) {
		if (content_count == CONTENTS_MAX)
			abort();
		memcpy(contents[content_count++].counts, counts, TIERS_MAX);
		return;
	}
	for (uint64_t n = 0; n << (last - tier) <= room; n++) {
		counts[tier] = (uint8_t)n;
		list_contents(tier + 1, last, room - (n << (last - tier)), counts);
	}
	counts[tier] = 0;
}

static int compare_contents(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(contents[0]));
}

static uint64_t save(void)
{
	uint8_t counts[SERVERS_MAX][TIERS_MAX] = {0};
	uint64_t key = 0;

	for (unsigned i = 0; i < lab.desktop_count; i++) {
		const struct scan_desktop *d = &lab.scan_desktops[i];
		if (d->server != SCAN_NONE)
			counts[d->server][d->tier]++;
	}
	for (unsigned i = 0; i < lab.server_count; i++) {
		const char *found = bsearch(
			counts[i], contents, content_count, sizeof(contents[0]), compare_contents);
		if (!found)
			abort();
		uint64_t index = (uint64_t)(found - (const char *)contents) / sizeof(contents[0]);
		key = key << SERVER_BITS | index << 2 | lab.scan_servers[i].state;
	}
	return key;
}

/* A class of desktops: server * TIERS_MAX + tier. */
#define NO_CLASS (SERVERS_MAX * TIERS_MAX)

/* Sets the world to a state in which one of `last` is the last connected. */
static void load(uint64_t key, unsigned last)
{
	lab_clear(&lab);
	for (unsigned i = 0; i < lab.server_count; i++) {
		unsigned shift = SERVER_BITS * (lab.server_count - 1 - i);
		unsigned code = (unsigned)(key >> shift) & ((1u << SERVER_BITS) - 1);
		for (unsigned m = 0; m <= lab.scan.tiers.last; m++) {
			for (unsigned n = contents[code >> 2].counts[m]; n > 0; n--) {
				uint64_t sequence = ++lab.sequence;
				if (i * TIERS_MAX + m == last && n == 1)
					sequence += LAB_DESKTOPS;
				lab_put(&lab, (int)i, m, sequence, PLACEMENT_MOVABLE);
			}
		}
		if ((code & 3) != PLACEMENT_OPEN)
			lab_set_server(&lab, (int)i, (enum placement_server_state)(code & 3));
	}
	lab.sequence += LAB_DESKTOPS;
}

/* A desktop of that class in the state that is loaded, SCAN_NONE = there is none. */
static int one_of(unsigned class)
{
	for (int i = 0; i < (int)lab.desktop_count; i++) {
		const struct scan_desktop *d = &lab.scan_desktops[i];
		if (d->server != SCAN_NONE && (unsigned)d->server * TIERS_MAX + d->tier == class)
			return i;
	}
	return SCAN_NONE;
}

static void seen_add(uint64_t key)
{
	size_t i = (key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (seen.capacity - 1);

	while (seen.keys[i] && seen.keys[i] != key + 1)
		i = (i + 1) & (seen.capacity - 1);
	if (seen.keys[i])
		return;
	if (2 * seen.count == seen.capacity) {
		fprintf(stderr, "world \"%s\" has more states than the table holds\n", lab.name);
		exit(1);
	}
	seen.keys[i] = key + 1;
	seen.queue[seen.count++] = key;
}

static void reached(void)
{
	if (!lab.broken)
		seen_add(save());
}

enum step { ARRIVE, LEAVE, MOVE, LOSE, DRAIN, RETURN, STEPS };

/* Does one step, with its argument (a server, or a class of desktops), if the state has it. */
static void try_step(uint64_t key, enum step step, unsigned argument, unsigned last)
{
	enum placement_server_state state = PLACEMENT_OPEN;
	int desktop = SCAN_NONE;

	load(key, last);
	if (step == LEAVE || step == MOVE) {
		desktop = one_of(argument);
		if (desktop == SCAN_NONE)
			return;
		state = lab.scan_servers[lab.scan_desktops[desktop].server].state;
	} else if (step != ARRIVE) {
		state = lab.scan_servers[argument].state;
	}
	if (step == ARRIVE)
		lab_arrive(&lab, lab.sequence + 1);
	else if (step == LEAVE)
		lab_leave(&lab, desktop);
	else if (step == MOVE && state == PLACEMENT_DRAINING)
		lab_move(&lab, desktop);
	else if (step == LOSE && state != PLACEMENT_LOST)
		lab_lose(&lab, (int)argument);
	else if (step == DRAIN && state == PLACEMENT_OPEN)
		lab_drain(&lab, (int)argument);
	else if (step == RETURN && state != PLACEMENT_OPEN)
		lab_return(&lab, (int)argument);
	else
		return;
	reached();
}

/* All that can happen in a state. */
static void expand(const struct world *world, uint64_t key)
{
	unsigned lasts[NO_CLASS + 1], last_count = 0, classes[NO_CLASS], class_count = 0;

	load(key, NO_CLASS);
	for (unsigned class = 0; class < world->servers * TIERS_MAX; class ++) {
		if (one_of(class) == SCAN_NONE)
			continue;
		classes[class_count++] = class;
		if (class % TIERS_MAX < world->last)
			lasts[last_count++] = class;
	}
	if (last_count == 0)
		lasts[last_count++] = NO_CLASS;
	for (unsigned i = 0; i < class_count; i++)
		try_step(key, LEAVE, classes[i], NO_CLASS);
	for (unsigned l = 0; l < last_count; l++) {
		try_step(key, ARRIVE, 0, lasts[l]);
		for (unsigned i = 0; world->troubles && i < class_count; i++)
			try_step(key, MOVE, classes[i], lasts[l]);
		for (unsigned i = 0; world->troubles && i < world->servers; i++) {
			try_step(key, LOSE, i, lasts[l]);
			try_step(key, DRAIN, i, lasts[l]);
		}
	}
	for (unsigned i = 0; world->troubles && i < world->servers; i++)
		try_step(key, RETURN, i, NO_CLASS);
}

static void describe(const struct world *world, char *text, size_t size)
{
	size_t length = (size_t)snprintf(text, size, "servers");

	for (unsigned i = 0; i < world->servers; i++)
		length += (size_t)snprintf(
			text + length, size - length, "%s%u", i ? "," : " ", world->capacity[i]);
	snprintf(text + length, size - length, " max %u%s%s", 1u << world->last,
		world->standby ? " with standby" : "", world->troubles ? " with troubles" : "");
}

/* On arrivals alone there is one way only: nobody, one user, ..., N_L users, refused. */
static void arrivals_only(void)
{
	lab_clear(&lab);
	lab.arrivals_only = true;
	while (!lab.broken && lab_arrive(&lab, lab.sequence + 1) == PLACEMENT_ADMIT)
		;
	lab.arrivals_only = false;
}

static bool explore(const struct world *world)
{
	static uint8_t counts[TIERS_MAX];
	char name[120];
	uint64_t most = 0;

	for (unsigned i = 0; i < world->servers; i++)
		most = world->capacity[i] > most ? world->capacity[i] : most;
	content_count = 0;
	list_contents(0, world->last, most, counts);
	qsort(contents, content_count, sizeof(contents[0]), compare_contents);
	describe(world, name, sizeof(name));
	lab_init(&lab, world->capacity, world->servers, world->last, world->standby);
	lab.name = name;
	lab.shuffle = true;
	arrivals_only();
	memset(seen.keys, 0, seen.capacity * sizeof(seen.keys[0]));
	seen.count = 0;
	lab_clear(&lab);
	seen_add(save());
	for (size_t head = 0; head < seen.count; head++)
		expand(world, seen.queue[head]);
	printf("%-44s %8zu states, %10" PRIu64 " decisions, %u below their tier (%u moved)\n", name,
		seen.count, lab.decisions, lab.smaller, lab.smaller_moved);
	if (seen.count == world->states)
		return true;
	printf("%s: the test says that there are %zu states\n", name, world->states);
	return false;
}

int main(int argc, char **argv)
{
	bool all = argc > 1 && strcmp(argv[1], "all") == 0, good = true;

	setvbuf(stdout, NULL, _IOLBF, 0);
	seen.capacity = all ? (size_t)1 << 25 : (size_t)1 << 20;
	seen.keys = calloc(seen.capacity, sizeof(seen.keys[0]));
	seen.queue = calloc(seen.capacity / 2, sizeof(seen.queue[0]));
	if (!seen.keys || !seen.queue)
		return 1;
	for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
		if (all || !worlds[i].slow)
			good &= explore(&worlds[i]);
	}
	good &= property_report();
	free(seen.keys);
	free(seen.queue);
	return good ? 0 : 1;
}
