/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The allocator's promises, each under a name of its own. A check counts; the first time a promise
 * is broken the report shows how. The mutants of tests/mutants name the promise that must break.
 */
#ifndef CARREL_TESTS_SIM_TIERS_PROPERTY_H
#define CARREL_TESTS_SIM_TIERS_PROPERTY_H

#include <stdbool.h>
#include <stdint.h>

enum property {
	PROPERTY_CAPACITY,
	PROPERTY_BOOKS,
	PROPERTY_OPEN_ONLY,
	PROPERTY_ADMITTED,
	PROPERTY_FULL,
	PROPERTY_TIER,
	PROPERTY_RESERVE,
	PROPERTY_ONE_HANDOFF,
	PROPERTY_NO_NEEDLESS_HANDOFF,
	PROPERTY_LAST_CONNECTED,
	PROPERTY_SMALLEST_SUFFICIENT,
	PROPERTY_MAKE_BEFORE_BREAK,
	PROPERTY_ONE_BREAK_A_LOSS,
	PROPERTY_SETTLED,
	PROPERTY_RETURN_ADDS,
	PROPERTY_ONE_HALVING,
	PROPERTY_ONE_HANDOFF_INSIDE_A_TIER,
	PROPERTY_PURE,
	PROPERTY_CHANGES_NOTHING,
	PROPERTY_SAME_AS_SCAN,
	PROPERTY_COUNT
};

const char *property_name(enum property property);

/* True when the promise was broken now for the first time: say where. */
bool property_check(enum property property, bool holds);
/* Broken promises so far, of all. */
uint64_t property_broken(void);
/* Prints a line for each; true when none is broken. */
bool property_report(void);

#endif
