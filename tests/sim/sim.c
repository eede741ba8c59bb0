/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim [RUNS [FIRST_SEED]]: that many lab days, each from one seed.
 * sim --replay SEED: one of them, with all that happens in it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

#ifdef __SANITIZE_ADDRESS__
#define DEFAULT_RUNS 2000 /* each takes five times as long */
#else
#define DEFAULT_RUNS 10000
#endif

static struct world world;

int main(int argc, char **argv)
{
	bool replay = argc == 3 && strcmp(argv[1], "--replay") == 0;
	uint64_t runs = !replay && argc > 1 ? strtoull(argv[1], NULL, 0) : DEFAULT_RUNS;
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	uint64_t steps = 0, readies = 0, refusals = 0, crashes = 0;
	uint64_t queued = 0, kept = 0, members = 0, moved = 0, shrunk = 0, fenced = 0, worked = 0;

	if (replay)
		runs = 1;
	for (uint64_t seed = first; seed < first + runs; seed++) {
		const char *broken = world_run(&world, seed, replay);
		if (broken) {
			fflush(stdout);
			fprintf(stderr,
				"sim: seed %" PRIu64 ", at %" PRId64 " ms: %s\n"
				"sim: replay with: %s --replay %" PRIu64 "\n",
				seed, world.now_ms, broken, argv[0], seed);
			return 1;
		}
		steps += world.steps;
		readies += world.readies;
		refusals += world.refusals;
		crashes += world.crashes;
		queued += world.queued;
		kept += world.kept;
		members += world.members;
		moved += world.moved;
		shrunk += world.shrunk;
		fenced += world.fenced;
		worked += world.worked;
	}
	world_clear(&world);
	printf("sim: %" PRIu64 " runs, %" PRIu64 " steps, %" PRIu64 " times ready, %" PRIu64
	       " refused, %" PRIu64 " crashes of the broker\n"
	       "sim: %" PRIu64 " words to those who wait, %" PRIu64
	       " logins past kept seats, %" PRIu64 " to one\n"
	       "sim: %" PRIu64 " hand-offs done, %" PRIu64 " in place, %" PRIu64
	       " servers fenced, %" PRIu64 " works on volumes\n",
		runs, steps, readies, refusals, crashes, queued, kept, members, moved, shrunk,
		fenced, worked);
	if (!replay && runs >= 100 &&
		(readies == 0 || crashes == 0 || queued == 0 || kept == 0 || members == 0 ||
			moved == 0 || shrunk == 0 || fenced == 0 || worked == 0)) {
		fprintf(stderr, "sim: the runs have not tried what they are for\n");
		return 1;
	}
	return 0;
}
