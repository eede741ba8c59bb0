/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Admission under groups and reservations: that without them the answer is the plain allocator's to
 * the last field, and, in long random runs with them, what docs/policy.md promises. Plans are
 * carried out as a broker would, the new desktop of a hand-off before the old one goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "broker/core/placement.h"

#define SERVERS 6
#define DESKTOPS 96

struct world {
	struct placement p;
	struct placement_server servers[SERVERS];
	struct placement_desktop desktops[DESKTOPS];
	unsigned server_count;
	uint64_t sequence, random;
};

static uint64_t dice(struct world *w, uint64_t below)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (w->random >> 33) % below;
}

static void world_init(struct world *w, uint64_t seed, unsigned last, unsigned standby)
{
	struct tier_table tiers;

	memset(w, 0, sizeof(*w));
	w->random = seed;
	assert_true(tier_table_init(&tiers, 256u << last, 256, 0));
	placement_init(&w->p, &tiers, standby);
	w->server_count = 1 + (unsigned)dice(w, SERVERS);
	for (unsigned i = 0; i < w->server_count; i++) {
		placement_server_init(&w->servers[i], i + 1);
		placement_server_set(&w->p, &w->servers[i], dice(w, 3u << last), PLACEMENT_OPEN);
	}
}

static struct placement_desktop *unused(struct world *w)
{
	for (unsigned i = 0; i < DESKTOPS; i++) {
		if (!w->desktops[i].server)
			return &w->desktops[i];
	}
	return NULL;
}

static void check_capacity(const struct world *w)
{
	for (unsigned i = 0; i < w->server_count; i++)
		assert_true(w->servers[i].used <= w->servers[i].capacity);
}

static void put(struct world *w, struct placement_desktop *d, struct placement_server *server,
	unsigned tier, unsigned smallest)
{
	placement_put(&w->p, d, server, tier_size_mib(&w->p.tiers, tier), ++w->sequence,
		PLACEMENT_MOVABLE);
	placement_set_smallest(&w->p, d, smallest);
	check_capacity(w);
}

static void hand_off(struct world *w, const struct placement_plan *plan)
{
	struct placement_desktop old = *plan->handoff, *d = plan->handoff;
	struct placement_desktop *new = unused(w);

	assert_true(plan->handoff_tier > old.tier);
	assert_true(plan->handoff_tier <= old.smallest);
	placement_put(&w->p, new, plan->handoff_to, tier_size_mib(&w->p.tiers, plan->handoff_tier),
		old.sequence, PLACEMENT_HELD);
	check_capacity(w);
	placement_remove(&w->p, d);
	placement_set_kind(&w->p, new, PLACEMENT_MOVABLE);
	placement_set_smallest(&w->p, new, old.smallest);
}

static void leave(struct world *w)
{
	struct placement_desktop *d = &w->desktops[dice(w, DESKTOPS)];

	placement_remove(&w->p, d);
}

/* Placed in fact, largest first, on copies of what is free: independent of the formula. */
static bool seats_fit(const struct world *w, const uint32_t *kept)
{
	uint64_t free[SERVERS];

	for (unsigned i = 0; i < w->server_count; i++)
		free[i] = placement_server_free(&w->servers[i]);
	for (unsigned m = 0; m <= w->p.tiers.last; m++) {
		for (uint32_t n = 0; n < kept[m]; n++) {
			unsigned i = 0;
			while (i < w->server_count && free[i] < tier_units(&w->p.tiers, m))
				i++;
			if (i == w->server_count)
				return false;
			free[i] -= tier_units(&w->p.tiers, m);
		}
	}
	return true;
}

static void test_nothing_asked_is_the_plain_plan(void **state)
{
	static struct world w;
	unsigned admitted = 0, handoffs = 0, refused = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 3000; seed++) {
		world_init(&w, seed, (unsigned)(seed % 5), (unsigned)(seed / 7 % 3));
		for (unsigned step = 0; step < 60; step++) {
			const struct placement_constraint nothing = {.smallest = TIER_MAX};
			struct placement_plan a = placement_next(&w.p), x, y;
			struct placement_plan b = placement_next_for(&w.p, &nothing);
			struct placement_plan c = placement_next_for(&w.p, NULL);

			assert_memory_equal(&a, &c, sizeof(a));
			assert_int_equal(a.result, b.result);
			assert_ptr_equal(a.server, b.server);
			assert_ptr_equal(a.handoff, b.handoff);
			assert_ptr_equal(a.handoff_to, b.handoff_to);
			for (unsigned t = 0; t <= w.p.tiers.last; t++) {
				bool fits = placement_without_handoff(&w.p, t, &x);
				assert_int_equal(
					fits, placement_without_handoff_for(&w.p, &nothing, t, &y));
				assert_ptr_equal(x.server, y.server);
				assert_true(!fits || x.tier == y.tier);
			}
			refused += a.result != PLACEMENT_ADMIT;
			if (dice(&w, 20) == 0) {
				struct placement_server *s = &w.servers[dice(&w, w.server_count)];
				placement_server_set(&w.p, s, s->capacity,
					(enum placement_server_state)dice(&w, 3));
				continue;
			}
			if (a.result == PLACEMENT_ADMIT && dice(&w, 100) < 70) {
				assert_int_equal(a.tier, b.tier);
				assert_int_equal(a.keeps_reserve, b.keeps_reserve);
				assert_int_equal(a.handoff_tier, b.handoff_tier);
				assert_true(!a.handoff || a.handoff_tier == a.tier);
				if (a.handoff)
					hand_off(&w, &a);
				handoffs += a.handoff != NULL;
				put(&w, unused(&w), a.server, a.tier, TIER_MAX);
				admitted++;
			} else {
				leave(&w);
			}
		}
	}
	assert_true(admitted > 10000 && handoffs > 1000 && refused > 1000);
}

static struct placement_constraint any_constraint(struct world *w, const uint32_t *kept)
{
	struct placement_constraint c = {.smallest = TIER_MAX};

	if (dice(w, 3) == 0)
		c.smallest = (unsigned)dice(w, w->p.tiers.last + 1);
	if (dice(w, 3) == 0)
		c.largest = (unsigned)dice(w, w->p.tiers.last + 1);
	memcpy(c.kept, kept, sizeof(c.kept));
	return c;
}

static void check_size(
	const struct world *w, const struct placement_constraint *c, const struct placement_plan *p)
{
	assert_true(p->tier <= w->p.tiers.last);
	assert_true(p->tier <= c->smallest);
	assert_true(p->tier >= c->largest || p->tier == c->smallest);
}

/* Carries a plan out; what is kept for others must still fit if it did before. */
static void admit(
	struct world *w, const struct placement_constraint *c, const struct placement_plan *plan)
{
	bool fitted = seats_fit(w, c->kept);

	if (plan->handoff)
		hand_off(w, plan);
	put(w, unused(w), plan->server, plan->tier, c->smallest);
	if (fitted && !c->member)
		assert_true(seats_fit(w, c->kept));
}

static void test_random_constraints(void **state)
{
	static struct world w;
	unsigned admitted = 0, handoffs = 0, refused = 0, members = 0, unkept = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 4000; seed++) {
		uint32_t kept[TIER_MAX] = {0};

		world_init(&w, seed, (unsigned)(seed % 4), (unsigned)(seed / 7 % 2));
		for (unsigned step = 0; step < 60; step++) {
			unsigned tier = (unsigned)dice(&w, w.p.tiers.last + 1);
			struct placement_constraint c;
			struct placement_plan plan;

			if (dice(&w, 12) == 0)
				kept[tier] = (uint32_t)dice(&w, 4);
			c = any_constraint(&w, kept);
			if (kept[tier] > 0 && dice(&w, 3) == 0) {
				c.member = true;
				c.smallest = tier;
				c.kept[tier]--;
			}
			plan = placement_next_for(&w.p, &c);
			if (dice(&w, 100) < 30) {
				leave(&w);
				continue;
			}
			/* With hand-offs half of the time, as a caller that has none else. */
			if (plan.result == PLACEMENT_ADMIT && (!plan.handoff || dice(&w, 2))) {
				check_size(&w, &c, &plan);
				handoffs += plan.handoff != NULL;
				admit(&w, &c, &plan);
			} else if (placement_without_handoff_for(&w.p, &c, plan.tier, &plan)) {
				check_size(&w, &c, &plan);
				assert_null(plan.handoff);
				assert_true(
					placement_leaves_kept(&w.p, &c, plan.server, plan.tier));
				admit(&w, &c, &plan);
			} else {
				/* A member is kept out only when nothing of his size is left. */
				unsigned f =
					c.smallest < w.p.tiers.last ? c.smallest : w.p.tiers.last;
				assert_true(!c.member || w.p.free_slots[f] == 0);
				unkept += w.p.free_slots[f] > 0;
				refused++;
				continue;
			}
			admitted++;
			if (c.member) {
				members++;
				kept[tier]--;
			}
		}
	}
	assert_true(admitted > 10000 && handoffs > 300 && refused > 1000 && members > 1000);
	assert_true(unkept > 100); /* seats were kept from somebody, though there was room */
}

/* One server of 8 units, largest 4, smallest 1: the examples of docs/policy.md. */
static struct world small;

static int small_setup(void **state)
{
	struct tier_table tiers;

	(void)state;
	memset(&small, 0, sizeof(small));
	assert_true(tier_table_init(&tiers, 1024, 256, 0));
	placement_init(&small.p, &tiers, 0);
	small.server_count = 1;
	placement_server_init(&small.servers[0], 1);
	placement_server_set(&small.p, &small.servers[0], 8, PLACEMENT_OPEN);
	return 0;
}

static void test_sizes(void **state)
{
	struct placement_constraint c = {.smallest = TIER_MAX, .largest = 2};
	struct placement_plan plan = placement_next_for(&small.p, &c);

	(void)state;
	assert_int_equal(plan.tier, 2); /* the tier is 1024 MiB, his largest 256 */
	c = (struct placement_constraint){.smallest = 0};
	for (unsigned i = 0; i < 2; i++) {
		plan = placement_next_for(&small.p, &c);
		assert_int_equal(plan.result, PLACEMENT_ADMIT);
		assert_int_equal(plan.tier, 0);
		put(&small, unused(&small), plan.server, plan.tier, c.smallest);
	}
	/* Two of 1024 take the 8 slots of 256; nobody of them is handed off for a third. */
	assert_int_equal(placement_next_for(&small.p, NULL).result, PLACEMENT_FULL);
	assert_int_equal(placement_target_for(&small.p, NULL, 0), 2);
}

static void test_who_has_a_smallest_size_is_passed_over(void **state)
{
	struct placement_plan plan;

	(void)state;
	put(&small, unused(&small), &small.servers[0], 0, TIER_MAX);
	put(&small, unused(&small), &small.servers[0], 1, 1);
	plan = placement_next_for(&small.p, NULL);
	assert_int_equal(plan.result, PLACEMENT_ADMIT);
	assert_ptr_equal(plan.handoff, &small.desktops[0]);
}

static void test_kept_seats(void **state)
{
	struct placement_constraint other = {.smallest = TIER_MAX, .kept = {[1] = 3}};
	struct placement_constraint member = {.smallest = 1, .member = true, .kept = {[1] = 2}};
	struct placement_plan plan = placement_next_for(&small.p, &other);

	(void)state;
	/* Three of 512 are kept of the four: another user has 256, and 256 in reserve. */
	assert_int_equal(plan.result, PLACEMENT_ADMIT);
	assert_int_equal(plan.tier, 2);
	assert_true(plan.keeps_reserve);
	put(&small, unused(&small), plan.server, 2, TIER_MAX);
	put(&small, unused(&small), &small.servers[0], 2, TIER_MAX);
	assert_int_equal(placement_next_for(&small.p, &other).result, PLACEMENT_FULL);
	assert_false(placement_without_handoff_for(&small.p, &other, 2, &plan));
	assert_false(placement_leaves_kept(&small.p, &other, &small.servers[0], 2));
	plan = placement_next_for(&small.p, &member);
	assert_int_equal(plan.result, PLACEMENT_ADMIT);
	assert_int_equal(plan.tier, 1);
}

static void test_too_large_for_every_server(void **state)
{
	struct placement_constraint c = {.smallest = 0};

	(void)state;
	placement_server_set(&small.p, &small.servers[0], 3, PLACEMENT_OPEN);
	assert_int_equal(placement_next_for(&small.p, &c).result, PLACEMENT_NO_SERVER);
	assert_int_equal(placement_next_for(&small.p, NULL).result, PLACEMENT_ADMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_asked_is_the_plain_plan),
		cmocka_unit_test(test_random_constraints),
		cmocka_unit_test_setup(test_sizes, small_setup),
		cmocka_unit_test_setup(test_who_has_a_smallest_size_is_passed_over, small_setup),
		cmocka_unit_test_setup(test_kept_seats, small_setup),
		cmocka_unit_test_setup(test_too_large_for_every_server, small_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
