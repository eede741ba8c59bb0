/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The allocator: the published table row by row, every reachable state of small worlds, and long
 * random runs on unequal ones. struct world carries out the plans as a broker would, the new
 * desktop before the old one goes, and checks the promises after each step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "broker/core/placement.h"

#define SERVERS 24
#define DESKTOPS 512

struct world {
	struct placement p;
	struct placement_server servers[SERVERS];
	struct placement_desktop desktops[DESKTOPS];
	unsigned server_count;
	uint64_t sequence;
	bool departures; /* somebody has left: only the weaker promises hold */
	unsigned handoffs;
	unsigned smaller; /* admissions below their tier, for lack of a whole slot */
};

static void world_check(struct world *w)
{
	unsigned users = 0;
	uint64_t slots[TIER_MAX] = {0}, free_slots[TIER_MAX] = {0}, used[SERVERS] = {0};

	for (unsigned i = 0; i < DESKTOPS; i++) {
		struct placement_desktop *d = &w->desktops[i];
		if (d->server) {
			used[d->server - w->servers] += d->units;
			users += d->kind != PLACEMENT_HELD && d->server->state != PLACEMENT_LOST;
		}
	}
	for (unsigned i = 0; i < w->server_count; i++) {
		struct placement_server *s = &w->servers[i];
		assert_int_equal(used[i], s->used);
		assert_true(s->used <= s->capacity);
		for (unsigned m = 0; s->state == PLACEMENT_OPEN && m <= w->p.tiers.last; m++) {
			uint64_t units = tier_units(&w->p.tiers, m);
			slots[m] += s->capacity / units;
			free_slots[m] += (s->capacity - s->used) / units;
		}
	}
	assert_int_equal(users, w->p.users);
	for (unsigned m = 0; m <= w->p.tiers.last; m++) {
		assert_int_equal(slots[m], w->p.slots[m]);
		assert_int_equal(free_slots[m], w->p.free_slots[m]);
	}
}

static void world_init(struct world *w, const uint32_t *mib, unsigned count, uint32_t max,
	uint32_t min, uint32_t standby)
{
	struct tier_table tiers;

	memset(w, 0, sizeof(*w));
	assert_true(tier_table_init(&tiers, max, min, 0));
	placement_init(&w->p, &tiers, standby);
	w->server_count = count;
	for (unsigned i = 0; i < count; i++) {
		placement_server_init(&w->servers[i], i);
		placement_server_set(
			&w->p, &w->servers[i], tier_capacity(&tiers, mib[i], 0), PLACEMENT_OPEN);
	}
}

static struct placement_desktop *unused(struct world *w)
{
	for (unsigned i = 0; i < DESKTOPS; i++) {
		if (!w->desktops[i].server)
			return &w->desktops[i];
	}
	fail_msg("the test's world is too small");
	return NULL;
}

static void handoff(struct world *w, const struct placement_plan *plan)
{
	struct placement_desktop *old = plan->handoff, *new = unused(w);
	uint32_t size = tier_size_mib(&w->p.tiers, plan->tier);
	uint64_t sequence = old->sequence;

	assert_true(old->tier < plan->tier);
	for (unsigned i = 0; i < DESKTOPS; i++) { /* the last-connected larger one */
		const struct placement_desktop *d = &w->desktops[i];
		if (d->server && d->server->state == PLACEMENT_OPEN && d->tier < plan->tier)
			assert_true(d->sequence <= sequence);
	}
	if (plan->break_before_make)
		placement_remove(&w->p, old);
	placement_put(&w->p, new, plan->handoff_to, size, sequence, PLACEMENT_HELD);
	world_check(w); /* the middle: both count */
	placement_remove(&w->p, old);
	placement_set_kind(&w->p, new, PLACEMENT_MOVABLE);
	world_check(w);
	w->handoffs++;
}

/* The least sufficient free space, the lower server between equals: by looking at all. */
static const struct placement_server *naive_fit(const struct world *w, unsigned tier)
{
	const struct placement_server *best = NULL;

	for (unsigned i = 0; i < w->server_count; i++) {
		const struct placement_server *s = &w->servers[i];
		if (s->state == PLACEMENT_OPEN &&
			placement_server_free(s) >= tier_units(&w->p.tiers, tier) &&
			(!best || placement_server_free(s) < placement_server_free(best)))
			best = s;
	}
	return best;
}

static enum placement_result arrive(struct world *w)
{
	struct placement_plan plan = placement_next(&w->p);
	uint64_t users = w->p.users + 1;
	unsigned target = placement_target(&w->p, users + w->p.standby);

	if (plan.result != PLACEMENT_ADMIT) {
		assert_true(users > placement_capacity(&w->p));
		return plan.result;
	}
	if (!w->departures)
		assert_int_equal(plan.tier, target);
	assert_true(plan.tier >= target);
	w->smaller += plan.tier > target;
	assert_true(plan.keeps_reserve);
	if (plan.handoff) {
		assert_ptr_equal(plan.handoff_to, naive_fit(w, plan.tier));
		assert_false(plan.break_before_make);
		handoff(w, &plan);
	}
	assert_ptr_equal(plan.server, naive_fit(w, plan.tier));
	placement_put(&w->p, unused(w), plan.server, tier_size_mib(&w->p.tiers, plan.tier),
		++w->sequence, PLACEMENT_MOVABLE);
	world_check(w);
	if (users < placement_capacity(&w->p))
		assert_true(w->p.free_slots[plan.tier] >= 1);
	if (!w->departures) {
		unsigned smallest = 0, largest = TIER_MAX;
		for (unsigned i = 0; i < DESKTOPS; i++) {
			if (w->desktops[i].server) {
				unsigned tier = w->desktops[i].tier;
				smallest = tier > smallest ? tier : smallest;
				largest = tier < largest ? tier : largest;
			}
		}
		if (w->p.standby == 0)
			assert_true(smallest - largest <= 1);
	}
	return PLACEMENT_ADMIT;
}

static void leave(struct world *w, struct placement_desktop *d)
{
	w->departures = true;
	placement_remove(&w->p, d);
	world_check(w);
}

static void row(const struct world *w, char *text, size_t size)
{
	size_t length = 0;
	uint64_t free_units = 0;

	for (unsigned m = 0; m <= w->p.tiers.last; m++) {
		unsigned count = 0;
		for (unsigned i = 0; i < DESKTOPS; i++)
			count += w->desktops[i].server && w->desktops[i].tier == m;
		if (count)
			length += (size_t)snprintf(text + length, size - length, "%ux%u ", count,
				tier_size_mib(&w->p.tiers, m));
	}
	for (unsigned i = 0; i < w->server_count; i++)
		free_units += placement_server_free(&w->servers[i]);
	snprintf(text + length, size - length, "free %u",
		(unsigned)(free_units * w->p.tiers.min_mib));
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
	static const uint32_t mib[] = {4096, 4096};
	struct world w;
	char text[200];

	(void)state;
	world_init(&w, mib, 2, 4096, 512, 0);
	for (unsigned m = 0; m < 4; m++)
		assert_int_equal(placement_threshold(&w.p, m), (2 << m) - 1);
	for (unsigned i = 0; i < 16; i++) {
		w.handoffs = 0;
		assert_int_equal(arrive(&w), PLACEMENT_ADMIT);
		row(&w, text, sizeof(text));
		assert_string_equal(text, rows[i]);
		assert_int_equal(w.handoffs, handoffs[i]);
	}
	assert_int_equal(arrive(&w), PLACEMENT_FULL);
}

static void test_standby_shrinks_earlier(void **state)
{
	static const uint32_t mib[] = {4096, 4096};
	struct world w;
	char text[200];

	(void)state;
	world_init(&w, mib, 2, 4096, 512, 1);
	arrive(&w); /* as if it were the second user */
	row(&w, text, sizeof(text));
	assert_string_equal(text, "1x2048 free 6144");
	for (unsigned i = 1; i < 16; i++)
		assert_int_equal(arrive(&w), PLACEMENT_ADMIT);
	assert_int_equal(arrive(&w), PLACEMENT_FULL);
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
	static const uint32_t mib[] = {100, 4096};
	struct world w;

	(void)state;
	world_init(&w, mib, 1, 4096, 512, 0);
	assert_int_equal(placement_next(&w.p).result, PLACEMENT_NO_SERVER);
	world_init(&w, mib, 2, 4096, 512, 0);
	placement_server_set(&w.p, &w.servers[1], 8, PLACEMENT_LOST);
	assert_int_equal(placement_next(&w.p).result, PLACEMENT_NO_SERVER);
	placement_server_set(&w.p, &w.servers[1], 8, PLACEMENT_OPEN);
	assert_int_equal(placement_next(&w.p).result, PLACEMENT_ADMIT);
}

/* A state of a small world: the desktops in order of connection, as digits (server, tier). */
#define STATE_MAX 24

struct seen {
	char (*keys)[STATE_MAX + 1];
	size_t count, capacity;
};

static size_t hash(const char *key, size_t capacity)
{
	size_t h = 1469598103u;

	while (*key)
		h = (h ^ (unsigned char)*key++) * 1099511628211u;
	return (h ^ (h >> 29)) & (capacity - 1);
}

static bool seen_add(struct seen *seen, const char *key)
{
	size_t i = hash(key, seen->capacity);

	while (seen->keys[i][0]) {
		if (strcmp(seen->keys[i], key) == 0)
			return false;
		i = (i + 1) & (seen->capacity - 1);
	}
	assert_true(seen->count < seen->capacity / 2);
	strcpy(seen->keys[i], key);
	seen->count++;
	return true;
}

static void state_key(const struct world *w, char *key)
{
	uint64_t last = 0;
	size_t length = 0;

	key[length++] = '.';
	for (;;) {
		const struct placement_desktop *next = NULL;
		for (unsigned i = 0; i < STATE_MAX; i++) {
			const struct placement_desktop *d = &w->desktops[i];
			if (d->server && d->sequence > last &&
				(!next || d->sequence < next->sequence))
				next = d;
		}
		if (!next)
			break;
		key[length++] = (char)('A' + (next->server - w->servers) * 8 + next->tier);
		last = next->sequence;
		assert_true(length < STATE_MAX);
	}
	key[length] = '\0';
}

static void state_load(struct world *w, const struct world *empty, const char *key)
{
	const struct tier_table tiers = empty->p.tiers;

	memset(w->desktops, 0, sizeof(w->desktops));
	placement_init(&w->p, &tiers, 0);
	w->server_count = empty->server_count;
	w->departures = true;
	w->sequence = 0;
	for (unsigned i = 0; i < w->server_count; i++) {
		placement_server_init(&w->servers[i], i);
		placement_server_set(
			&w->p, &w->servers[i], empty->servers[i].capacity, PLACEMENT_OPEN);
	}
	for (unsigned i = 0; key[i + 1]; i++) {
		unsigned code = (unsigned)(key[i + 1] - 'A');
		placement_put(&w->p, &w->desktops[i], &w->servers[code / 8],
			tier_size_mib(&tiers, code % 8), ++w->sequence, PLACEMENT_MOVABLE);
	}
}

/* Visits every state that arrivals and departures can reach, up to `limit` of them. */
static size_t explore(const uint32_t *mib, unsigned count, uint32_t max, uint32_t min, size_t limit)
{
	static struct world empty, w;
	struct seen seen = {.capacity = 1 << 20};
	char(*queue)[STATE_MAX + 1] = calloc(limit + 64, STATE_MAX + 1);
	char key[STATE_MAX + 1];
	size_t head = 0, tail = 0;

	seen.keys = calloc(seen.capacity, STATE_MAX + 1);
	world_init(&empty, mib, count, max, min, 0);
	state_key(&empty, key);
	seen_add(&seen, key);
	strcpy(queue[tail++], key);
	while (head < tail && tail < limit) {
		const char *from = queue[head++];
		size_t users = strlen(from) - 1;
		for (size_t i = 0; i <= users; i++) {
			state_load(&w, &empty, from);
			if (i == users)
				arrive(&w);
			else
				leave(&w, &w.desktops[i]);
			state_key(&w, key);
			if (seen_add(&seen, key) && tail < limit)
				strcpy(queue[tail++], key);
		}
	}
	free(queue);
	free(seen.keys);
	return head;
}

static void test_every_state(void **state)
{
	static const struct {
		uint32_t mib[3];
		unsigned servers;
		uint32_t max;
	} worlds[] = {
		{{1}, 1, 1},
		{{2}, 1, 2},
		{{4}, 1, 4},
		{{8}, 1, 8},
		{{1, 1}, 2, 1},
		{{2, 2}, 2, 2},
		{{4, 4}, 2, 4},
		{{2, 2, 2}, 3, 2},
		{{1, 1, 1}, 3, 1},
		{{3}, 1, 2},
		{{3, 5}, 2, 4},
		{{1, 6}, 2, 4},
		{{7, 1}, 2, 8},
		{{3, 3, 2}, 3, 2},
		{{5, 2, 1}, 3, 4},
		{{4, 4, 4}, 3, 4}, /* too many states for a quick test: the first of them */
		{{8, 8}, 2, 8},
	};
	size_t states = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++)
		states += explore(worlds[i].mib, worlds[i].servers, worlds[i].max, 1, 20000);
	print_message("%zu states\n", states);
	assert_true(states > 5000);
}

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static struct placement_desktop *random_desktop(struct world *w, uint64_t *seed)
{
	unsigned start = (unsigned)(random_next(seed) % DESKTOPS);

	for (unsigned i = 0; i < DESKTOPS; i++) {
		struct placement_desktop *d = &w->desktops[(start + i) % DESKTOPS];
		if (d->server)
			return d;
	}
	return NULL;
}

/* A server is lost: who is left is settled, its users are admitted again in their order. */
static void lose(struct world *w, struct placement_server *lost)
{
	struct placement_plan plan;
	unsigned broken = 0, back = 0, homeless = 0;

	w->departures = true;
	placement_server_set(&w->p, lost, lost->capacity, PLACEMENT_LOST);
	world_check(w);
	while (placement_settle(&w->p, &plan)) {
		broken += plan.break_before_make;
		handoff(w, &plan);
	}
	assert_true(broken <= 1);
	while (lost->first) {
		placement_remove(&w->p, lost->first);
		homeless++;
	}
	uint64_t room =
		placement_capacity(&w->p) > w->p.users ? placement_capacity(&w->p) - w->p.users : 0;
	for (unsigned i = 0; i < homeless; i++)
		back += arrive(w) == PLACEMENT_ADMIT;
	assert_int_equal(back, homeless < room ? homeless : room);
}

static void test_random_worlds(void **state)
{
	uint64_t seed = 88172645463325252u;
	static struct world w;

	(void)state;
	for (unsigned run = 0; run < 300; run++) {
		uint32_t mib[SERVERS], count = 1 + (uint32_t)(random_next(&seed) % SERVERS);
		uint32_t last = (uint32_t)(random_next(&seed) % 5), total = 0;
		for (unsigned i = 0; i < count; i++) {
			mib[i] = (uint32_t)(random_next(&seed) % 20);
			total += mib[i];
		}
		world_init(&w, mib, count, 1u << last, 1, (uint32_t)(random_next(&seed) % 3));
		for (unsigned step = 0; step < 400; step++) {
			struct placement_desktop *d = random_desktop(&w, &seed);
			struct placement_server *s = &w.servers[random_next(&seed) % count];
			/* Tides, so that full and empty hours come in turn. */
			unsigned chance = (step / 60) % 2 ? 30 : 75,
				 dice = (unsigned)(random_next(&seed) % 100);
			if (dice < chance)
				arrive(&w);
			else if (dice < 97 && d)
				leave(&w, d);
			else if (s->state == PLACEMENT_OPEN)
				lose(&w, s);
			else
				placement_server_set(&w.p, s, s->capacity, PLACEMENT_OPEN);
		}
	}
}

/* Of `count` servers that hold at least `crowd` smallest desktops, one such desktop leaves each. */
static void thin_out(struct world *w, unsigned count, unsigned crowd)
{
	for (unsigned i = 0; i < w->server_count && count > 0; i++) {
		struct placement_desktop *small = NULL;
		unsigned smalls = 0;
		for (struct placement_desktop *d = w->servers[i].first; d; d = d->next) {
			if (d->tier == w->p.tiers.last) {
				small = d;
				smalls++;
			}
		}
		if (smalls >= crowd) {
			leave(w, small);
			count--;
		}
	}
	assert_int_equal(count, 0);
}

static void arrive_many(struct world *w, unsigned users)
{
	while (w->p.users < users)
		assert_int_equal(arrive(w), PLACEMENT_ADMIT);
}

/*
 * The case of placement.c's essay: small desktops spread so thinly, beside two large ones of an
 * emptier hour, that no server has a slot of the tier's size, though there are fewer users than the
 * tier has slots. Sizes 4, 2, 1 on twenty servers of 4; thresholds 19, 39, 79.
 */
static void test_thinly_spread(void **state)
{
	static struct world w;
	uint32_t mib[20];

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		mib[i] = 4;
	world_init(&w, mib, 20, 4, 1, 0);
	arrive_many(&w, 79);
	/* Seventeen small ones stay: two on each of eight servers, one on the ninth. */
	for (unsigned i = 0; i < 20; i++) {
		unsigned keep = i < 8 ? 2 : i == 8 ? 1 : 0;
		struct placement_desktop *next;
		for (struct placement_desktop *d = w.servers[i].first; d; d = next) {
			next = d->next;
			if (keep > 0)
				keep--;
			else
				leave(&w, d);
		}
	}
	assert_int_equal(w.p.users, 17);
	arrive_many(&w, 39); /* two of size 4, twenty of size 2 */
	thin_out(&w, 6, 2);
	arrive_many(&w, 47); /* six of size 2, eight of size 1 */
	w.handoffs = 0;
	thin_out(&w, 9, 2);
	assert_int_equal(w.p.users, 38);
	assert_int_equal(placement_target(&w.p, 39), 1);
	assert_int_equal(w.p.free_slots[1], 0);
	assert_int_equal(w.smaller, 0);
	assert_int_equal(arrive(&w), PLACEMENT_ADMIT);
	assert_int_equal(w.smaller, 1);
	assert_int_equal(w.handoffs, 0);
}

static void test_draining_users_count(void **state)
{
	static const uint32_t mib[] = {4096, 4096};
	struct world w;

	(void)state;
	world_init(&w, mib, 2, 4096, 512, 0);
	for (unsigned i = 0; i < 8; i++)
		arrive(&w);
	placement_server_set(&w.p, &w.servers[0], w.servers[0].capacity, PLACEMENT_DRAINING);
	assert_int_equal(w.p.users, 8);
	assert_int_equal(placement_capacity(&w.p), 8);
	assert_int_equal(placement_next(&w.p).result, PLACEMENT_FULL);
	placement_server_set(&w.p, &w.servers[0], w.servers[0].capacity, PLACEMENT_OPEN);
	world_check(&w);
	assert_int_equal(arrive(&w), PLACEMENT_ADMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_3),
		cmocka_unit_test(test_standby_shrinks_earlier),
		cmocka_unit_test(test_overhead_keeps_halving_exact),
		cmocka_unit_test(test_no_server),
		cmocka_unit_test(test_every_state),
		cmocka_unit_test(test_random_worlds),
		cmocka_unit_test(test_thinly_spread),
		cmocka_unit_test(test_draining_users_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
