/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdio.h>

#include "tests/sim/tiers/property.h"

static const struct {
	const char *name, *says;
} properties[PROPERTY_COUNT] = {
	[PROPERTY_CAPACITY] = {"capacity",
		"no server ever holds more than it has, both VMs of a hand-off counted"},
	[PROPERTY_BOOKS] = {"books", "the sums kept are the sums of what is there"},
	[PROPERTY_OPEN_ONLY] = {"open-only",
		"only open servers take desktops, only their users are handed off for others"},
	[PROPERTY_ADMITTED] = {"admitted", "while n' <= N_L nobody is refused"},
	[PROPERTY_FULL] = {"full", "beyond N_L everybody is refused"},
	[PROPERTY_TIER] = {"tier",
		"the new user's size is the smallest m with n' <= U_m, else the next with a slot"},
	[PROPERTY_RESERVE] = {"reserve",
		"after an admission below N_L a slot of its size is free, and the plan says so"},
	[PROPERTY_ONE_HANDOFF] = {"one-handoff", "after one hand-off no second one is needed"},
	[PROPERTY_NO_NEEDLESS_HANDOFF] = {"no-needless-handoff",
		"nobody is handed off where the user and the reserve have room"},
	[PROPERTY_LAST_CONNECTED] = {"last-connected",
		"who is handed off is the last-connected with a larger desktop"},
	[PROPERTY_SMALLEST_SUFFICIENT] = {"smallest-sufficient",
		"each desktop goes where the least sufficient space is free"},
	[PROPERTY_MAKE_BEFORE_BREAK] = {"make-before-break",
		"nothing breaks before it makes but at a loss, where no slot of the size is free"},
	[PROPERTY_ONE_BREAK_A_LOSS] = {"one-break-a-loss",
		"a loss or a drain breaks one hand-off at most"},
	[PROPERTY_SETTLED] = {"settled",
		"after a loss a slot of the present size is free, or nobody has more than it"},
	[PROPERTY_RETURN_ADDS] = {"return-adds",
		"a server that returns adds its slots, and nobody moves"},
	[PROPERTY_ONE_HALVING] = {"one-halving",
		"on arrivals alone two sizes differ by at most one halving"},
	[PROPERTY_ONE_HANDOFF_INSIDE_A_TIER] = {"one-handoff-inside-a-tier",
		"on arrivals alone the first of a tier costs none, each other one hand-off"},
	[PROPERTY_PURE] = {"pure", "the same state gives the same plan, however it came about"},
	[PROPERTY_CHANGES_NOTHING] = {"changes-nothing", "a decision leaves the state as it is"},
	[PROPERTY_SAME_AS_SCAN] = {"same-as-scan", "the plan is that of the plain reading"},
};

static struct {
	uint64_t checks, broken;
} counts[PROPERTY_COUNT];

const char *property_name(enum property property)
{
	return properties[property].name;
}

bool property_check(enum property property, bool holds)
{
	counts[property].checks++;
	return !holds && counts[property].broken++ == 0;
}

uint64_t property_broken(void)
{
	uint64_t broken = 0;

	for (unsigned i = 0; i < PROPERTY_COUNT; i++)
		broken += counts[i].broken;
	return broken;
}

bool property_report(void)
{
	for (unsigned i = 0; i < PROPERTY_COUNT; i++)
		printf("%-26s %11" PRIu64 " checks %8" PRIu64 " broken  %s\n", properties[i].name,
			counts[i].checks, counts[i].broken, properties[i].says);
	return property_broken() == 0;
}
