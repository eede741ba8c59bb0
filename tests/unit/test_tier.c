/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The allocator's arithmetic, the published table row by row, and the cases that have a name. What
 * holds in every state is searched for in tests/sim/tiers; its world carries the plans out here
 * too, and checks each promise at each step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/sim/tiers/lab.h"

static struct lab lab;

static void start(const uint32_t *capacity, unsigned count, unsigned last, uint32_t standby)
{
	lab_init(&lab, capacity, count, last, standby);
}

static enum placement_result arrive(void)
{
	enum placement_result result = lab_arrive(&lab, lab.sequence + 1);

	assert_false(lab.broken);
	return result;
}

static void arrive_many(uint64_t users)
{
	while (scan_users(&lab.scan) < users)
		assert_int_equal(arrive(), PLACEMENT_ADMIT);
}

static void leave(int desktop)
{
	lab_leave(&lab, desktop);
	assert_false(lab.broken);
}

/* "2x1024 1x512 free 512", with what a unit is in MiB. */
static void row(char *text, size_t size, unsigned unit_mib)
{
	size_t length = 0;
	uint64_t free_units = 0;

	for (unsigned m = 0; m <= lab.scan.tiers.last; m++) {
		unsigned count = 0;
		for (int i = 0; i < (int)lab.desktop_count; i++)
			count += lab_is_user(&lab, i) && lab.scan_desktops[i].tier == m;
		if (count)
			length += (size_t)snprintf(text + length, size - length, "%ux%u ", count,
				tier_size_mib(&lab.scan.tiers, m) * unit_mib);
	}
	for (unsigned i = 0; i < lab.server_count; i++)
		free_units += scan_free(&lab.scan_servers[i]);
	snprintf(text + length, size - length, "free %u", (unsigned)free_units * unit_mib);
}

static void test_table_3(void **state)
{
	static const char *const rows[] = {
		"1x4096 free 4096",
		"1x4096 1x2048 free 2048",
		"3x2048 free 2048",
		"3x2048 1x1024 free 1024",
		"2x2048 3x1024 free 1024",
		"1x2048 5x1024 free 1024",
		"7x1024 free 1024",
		"7x1024 1x512 free 512",
		"6x1024 3x512 free 512",
		"5x1024 5x512 free 512",
		"4x1024 7x512 free 512",
		"3x1024 9x512 free 512",
		"2x1024 11x512 free 512",
		"1x1024 13x512 free 512",
		"15x512 free 512",
		"16x512 free 0",
	};
	static const unsigned handoffs[] = {0, 0, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0};
	static const uint32_t units[] = {8, 8}; /* of 512 MiB */
	char text[200];

	(void)state;
	start(units, 2, 3, 0);
	lab.arrivals_only = true;
	for (unsigned m = 0; m < 4; m++)
		assert_int_equal(placement_threshold(&lab.p, m), (2 << m) - 1);
	for (unsigned i = 0; i < 16; i++) {
		lab.handoffs = 0;
		assert_int_equal(arrive(), PLACEMENT_ADMIT);
		row(text, sizeof(text), 512);
		assert_string_equal(text, rows[i]);
		assert_int_equal(lab.handoffs, handoffs[i]);
	}
	assert_int_equal(arrive(), PLACEMENT_FULL);
}

static void test_standby_shrinks_earlier(void **state)
{
	static const uint32_t units[] = {8, 8};
	char text[200];

	(void)state;
	start(units, 2, 3, 1);
	arrive(); /* as if it were the second user */
	row(text, sizeof(text), 512);
	assert_string_equal(text, "1x2048 free 6144");
	arrive_many(16);
	assert_int_equal(arrive(), PLACEMENT_FULL);
}

static void test_overhead_keeps_halving_exact(void **state)
{
	struct tier_table t;

	(void)state;
	assert_true(tier_table_init(&t, 4096, 512, 128));
	assert_int_equal(t.last, 3);
	assert_int_equal(tier_capacity(&t, 6144, 1024), 8); /* 5120 / 640 */
	assert_int_equal(tier_capacity(&t, 6143, 1024), 7);
	assert_int_equal(tier_capacity(&t, 1024, 1024), 0);
	assert_int_equal(tier_capacity(&t, 512, 1024), 0);
	for (unsigned m = 0; m < 3; m++)
		assert_int_equal(tier_units(&t, m), 2 * tier_units(&t, m + 1));
	assert_int_equal(tier_units_of(&t, 4096), tier_units(&t, 0));
	assert_int_equal(tier_units_of(&t, 1000), 2);
	assert_int_equal(tier_of(&t, 1000), 3);
	assert_int_equal(tier_of(&t, 100), 3);
	assert_int_equal(tier_of(&t, 9999), 0);
	assert_false(tier_table_init(&t, 4096, 500, 0));
	assert_false(tier_table_init(&t, 4096, 0, 0));
	assert_false(tier_table_init(&t, 512, 1024, 0));
	assert_true(tier_table_init(&t, 512, 512, 0));
	assert_int_equal(t.last, 0);
}

static void test_no_server(void **state)
{
	static const uint32_t units[] = {0, 8};

	(void)state;
	start(units, 1, 3, 0);
	assert_int_equal(placement_next(&lab.p).result, PLACEMENT_NO_SERVER);
	start(units, 2, 3, 0);
	lab_lose(&lab, 1);
	assert_int_equal(placement_next(&lab.p).result, PLACEMENT_NO_SERVER);
	lab_return(&lab, 1);
	assert_int_equal(arrive(), PLACEMENT_ADMIT);
}

/* Of `count` servers that hold at least `crowd` smallest desktops, one such desktop leaves each. */
static void thin_out(unsigned count, unsigned crowd)
{
	for (int server = 0; server < (int)lab.server_count && count > 0; server++) {
		int small = SCAN_NONE;
		unsigned smalls = 0;
		for (int i = 0; i < (int)lab.desktop_count; i++) {
			const struct scan_desktop *d = &lab.scan_desktops[i];
			if (d->server == server && d->tier == lab.scan.tiers.last) {
				small = i;
				smalls++;
			}
		}
		if (smalls >= crowd) {
			leave(small);
			count--;
		}
	}
	assert_int_equal(count, 0);
}

/* Leaves `keep` desktops on a server. */
static void clear_out(int server, unsigned keep)
{
	for (int i = 0; i < (int)lab.desktop_count; i++) {
		if (lab.scan_desktops[i].server != server)
			continue;
		if (keep > 0)
			keep--;
		else
			leave(i);
	}
}

/*
 * The case of placement.c's essay: small desktops spread so thinly, beside two large ones of an
 * emptier hour, that no server has a slot of the tier's size, though there are fewer users than the
 * tier has slots. Sizes 4, 2, 1 on twenty servers of 4; thresholds 19, 39, 79.
 */
static void test_thinly_spread(void **state)
{
	uint32_t units[20];

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		units[i] = 4;
	start(units, 20, 2, 0);
	arrive_many(79);
	/* Seventeen small ones stay: two on each of eight servers, one on the ninth. */
	for (int i = 0; i < 20; i++)
		clear_out(i, i < 8 ? 2 : i == 8 ? 1 : 0);
	assert_int_equal(lab.p.users, 17);
	arrive_many(39); /* two of size 4, twenty of size 2 */
	thin_out(6, 2);
	arrive_many(47); /* six of size 2, eight of size 1 */
	lab.handoffs = 0;
	thin_out(9, 2);
	assert_int_equal(lab.p.users, 38);
	assert_int_equal(placement_target(&lab.p, 39), 1);
	assert_int_equal(lab.p.free_slots[1], 0);
	assert_int_equal(lab.smaller, 0);
	assert_int_equal(arrive(), PLACEMENT_ADMIT);
	assert_int_equal(lab.smaller, 1);
	assert_int_equal(lab.handoffs, 0);
}

static void test_draining_users_count(void **state)
{
	static const uint32_t units[] = {8, 8};

	(void)state;
	start(units, 2, 3, 0);
	arrive_many(8);
	lab_drain(&lab, 0);
	assert_int_equal(lab.p.users, 8);
	assert_int_equal(placement_capacity(&lab.p), 8);
	assert_int_equal(placement_next(&lab.p).result, PLACEMENT_FULL);
	lab_return(&lab, 0);
	assert_int_equal(arrive(), PLACEMENT_ADMIT);
}

/* The last user does not take the room of those who must come in from a drained server. */
static void test_last_user_beside_a_drain(void **state)
{
	static const uint32_t units[] = {3, 5};
	int drained;

	(void)state;
	start(units, 2, 2, 0);
	drained = lab_put(&lab, 1, 1, ++lab.sequence, PLACEMENT_MOVABLE);
	lab_put(&lab, 0, 1, ++lab.sequence, PLACEMENT_MOVABLE);
	lab_drain(&lab, 1);
	assert_int_equal(placement_capacity(&lab.p), 3);
	assert_int_equal(arrive(), PLACEMENT_ADMIT); /* number 3 of 3, at the price of a hand-off */
	assert_int_equal(lab.handoffs, 1);
	assert_true(lab_move(&lab, drained));
	assert_false(lab.broken);
	assert_int_equal(lab.breaks, 0);
}

/* More users than the open servers hold, and one of these is full of one large desktop. */
static void test_drain_settles_the_others(void **state)
{
	static const uint32_t units[] = {2, 4};

	(void)state;
	start(units, 2, 1, 0);
	lab_put(&lab, 0, 0, ++lab.sequence, PLACEMENT_MOVABLE);
	for (unsigned i = 0; i < 2; i++)
		lab_put(&lab, 1, 1, ++lab.sequence, PLACEMENT_MOVABLE);
	lab_drain(&lab, 1);
	assert_false(lab.broken);
	assert_int_equal(lab.breaks, 1);
	assert_int_equal(lab.p.free_slots[1], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_3),
		cmocka_unit_test(test_standby_shrinks_earlier),
		cmocka_unit_test(test_overhead_keeps_halving_exact),
		cmocka_unit_test(test_no_server),
		cmocka_unit_test(test_thinly_spread),
		cmocka_unit_test(test_draining_users_count),
		cmocka_unit_test(test_last_user_beside_a_drain),
		cmocka_unit_test(test_drain_settles_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
