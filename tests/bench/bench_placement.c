/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What does a decision of the allocator cost? JSON on stdout.
 *
 *	bench_placement [ADMISSIONS]	how many are measured at each number of servers
 *
 * Unequal servers of about 128 units, sizes 128 to 1: eight tiers, and with the smallest desktops
 * about 128 users a server. Two loads. *Tides* swing across each tier's threshold in turn, from an
 * eighth of its users below to an eighth above, who come in one tide and leave at random in the
 * next. *Floods* go from nobody to the last user, so that nearly each admission costs a hand-off. A
 * decision is an admission with all that it asks for: the plan, the hand-off's two desktops, the
 * new one. The throughput counts admissions alone; the time of the tides' departures, as many, is
 * in it all the same.
 *
 * The peer is a scan of all servers for each question (tests/sim/tiers/scan.c). It sees the same
 * users, and its plans must be the same; so the run is a test as well, and fails if one is not.
 *
 * Growth is the mean cost at 1,000 servers over that at 10; log_n is what it may be.
 * Throughput is by the process's CPU time, so that a busy machine does not show in it; single
 * decisions are by the clock, less what reading the clock costs.
 */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/core/placement.h"
#include "tests/sim/tiers/scan.h"

#define LAST_TIER 7
#define UNITS_LEAST 96
#define UNITS_MOST 160
#define SWING 8 /* a tide goes from an eighth below a threshold to an eighth above it */
#define SWING_LEAST 8
#define ADMISSIONS 400000
#define PEER_UNITS 4000000u /* the peer's admissions times servers: it is slow on many */
/* Decisions a second at 1,000 servers; and from 10 to 1,000 the cost grows by log n at most. */
#define GOAL 1000000.0

struct bench {
	bool peer;
	unsigned server_count, desktop_count;
	struct placement p;
	struct placement_server *servers;
	struct placement_desktop *desktops;
	struct scan scan;
	struct scan_server *scan_servers;
	struct scan_desktop *scan_desktops;
	int *spare; /* desktops that are nowhere, a stack */
	unsigned spare_count;
	int *live;       /* desktops that are somewhere, in any order */
	unsigned *place; /* of each desktop, in `live` */
	unsigned users;
	uint64_t handoffs, sequence, random, plans; /* `plans` is a hash of all of them */
};

static uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static void *need(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory) {
		fprintf(stderr, "bench_placement: out of memory\n");
		exit(1);
	}
	return memory;
}

static void bench_init(struct bench *b, unsigned servers, bool peer)
{
	struct tier_table tiers;

	*b = (struct bench){.peer = peer, .server_count = servers, .random = servers};
	if (!tier_table_init(&tiers, 1u << LAST_TIER, 1, 0))
		abort();
	b->desktop_count = servers * UNITS_MOST + 1;
	b->servers = need(servers, sizeof(b->servers[0]));
	b->scan_servers = need(servers, sizeof(b->scan_servers[0]));
	b->desktops = need(peer ? 1 : b->desktop_count, sizeof(b->desktops[0]));
	b->scan_desktops = need(b->desktop_count, sizeof(b->scan_desktops[0]));
	b->spare = need(b->desktop_count, sizeof(b->spare[0]));
	b->live = need(b->desktop_count, sizeof(b->live[0]));
	b->place = need(b->desktop_count, sizeof(b->place[0]));
	placement_init(&b->p, &tiers, 0);
	scan_init(&b->scan, &tiers, 0, b->scan_servers, (int)servers, b->scan_desktops,
		(int)b->desktop_count);
	for (unsigned i = 0; i < servers; i++) {
		uint64_t units =
			UNITS_LEAST + random_next(&b->random) % (UNITS_MOST - UNITS_LEAST + 1);
		placement_server_init(&b->servers[i], i);
		placement_server_set(&b->p, &b->servers[i], units, PLACEMENT_OPEN);
		b->scan_servers[i].capacity = units;
		b->scan_servers[i].state = PLACEMENT_OPEN;
	}
	for (unsigned i = b->desktop_count; i-- > 0;)
		b->spare[b->spare_count++] = (int)i;
}

static void bench_clear(struct bench *b)
{
	free(b->servers);
	free(b->scan_servers);
	free(b->desktops);
	free(b->scan_desktops);
	free(b->spare);
	free(b->live);
	free(b->place);
}

static void put(struct bench *b, int server, unsigned tier, uint64_t sequence,
	enum placement_kind kind, unsigned place)
{
	int desktop = b->spare[--b->spare_count];

	if (b->peer)
		scan_put(&b->scan, desktop, server, tier, sequence, kind);
	else
		placement_put(&b->p, &b->desktops[desktop], &b->servers[server],
			tier_size_mib(&b->p.tiers, tier), sequence, kind);
	b->live[place] = desktop;
	b->place[desktop] = place;
}

static void take(struct bench *b, int desktop)
{
	if (b->peer)
		scan_remove(&b->scan, desktop);
	else
		placement_remove(&b->p, &b->desktops[desktop]);
	b->spare[b->spare_count++] = desktop;
}

static struct scan_plan plan(const struct bench *b)
{
	struct placement_plan p;

	if (b->peer)
		return scan_next(&b->scan);
	p = placement_next(&b->p);
	return (struct scan_plan){.result = p.result,
		.tier = p.tier,
		.server = p.server ? (int)(p.server - b->servers) : SCAN_NONE,
		.handoff = p.handoff ? (int)(p.handoff - b->desktops) : SCAN_NONE,
		.handoff_to = p.handoff_to ? (int)(p.handoff_to - b->servers) : SCAN_NONE};
}

static void admit(struct bench *b)
{
	struct scan_plan p = plan(b);

	b->plans = (b->plans ^ (p.tier + 8u * (unsigned)(p.server + 1) +
				       ((uint64_t)(unsigned)(p.handoff + 1) << 20) +
				       ((uint64_t)(unsigned)(p.handoff_to + 1) << 44))) *
		   UINT64_C(1099511628211);
	if (p.result != PLACEMENT_ADMIT) {
		fprintf(stderr, "bench_placement: refused with %u users\n", b->users);
		exit(1);
	}
	if (p.handoff != SCAN_NONE) {
		uint64_t sequence = b->peer ? b->scan_desktops[p.handoff].sequence
					    : b->desktops[p.handoff].sequence;
		int new = b->spare[b->spare_count - 1];
		b->handoffs++;
		put(b, p.handoff_to, p.tier, sequence, PLACEMENT_HELD, b->place[p.handoff]);
		take(b, p.handoff);
		if (b->peer)
			scan_set_kind(&b->scan, new, PLACEMENT_MOVABLE);
		else
			placement_set_kind(&b->p, &b->desktops[new], PLACEMENT_MOVABLE);
	}
	put(b, p.server, p.tier, ++b->sequence, PLACEMENT_MOVABLE, b->users++);
}

static void leave(struct bench *b)
{
	unsigned place = (unsigned)(random_next(&b->random) % b->users);
	int desktop = b->live[place], last = b->live[--b->users];

	b->live[place] = last;
	b->place[last] = place;
	take(b, desktop);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static uint32_t percentile(const uint32_t *sorted, size_t count, unsigned percent)
{
	return sorted[count * percent / 100];
}

/* What it costs to read the clock twice. */
static uint32_t clock_cost(void)
{
	static uint32_t samples[1000];

	for (size_t i = 0; i < 1000; i++) {
		uint64_t start = now_ns(CLOCK_MONOTONIC);
		samples[i] = (uint32_t)(now_ns(CLOCK_MONOTONIC) - start);
	}
	qsort(samples, 1000, sizeof(samples[0]), compare);
	return percentile(samples, 1000, 50);
}

struct figures {
	uint64_t admissions, handoffs, cpu_ns, plans, users;
	uint32_t p50, p99;
};

/* An admission, and how long it took. */
static uint32_t timed_admit(struct bench *b, uint32_t clock)
{
	uint64_t before = now_ns(CLOCK_MONOTONIC), took;

	admit(b);
	took = now_ns(CLOCK_MONOTONIC) - before;
	return (uint32_t)(took > clock ? took - clock : 0);
}

/* Tides about the threshold of tier m, until `admissions` are measured. */
static void tides(
	struct bench *b, unsigned m, uint64_t admissions, uint32_t *samples, struct figures *f)
{
	uint64_t threshold = (uint64_t)placement_threshold(&b->p, m);
	uint64_t swing = threshold / SWING > SWING_LEAST ? threshold / SWING : SWING_LEAST;
	/* Beyond the last threshold nobody but the last user is admitted: stay below. */
	uint64_t low = m < LAST_TIER ? threshold - swing : threshold - 2 * swing;
	uint64_t start, handoffs, end = f->admissions + admissions;
	uint32_t clock = clock_cost();

	low = low > threshold ? 1 : low; /* few servers: the tide goes down to the first user */
	while (b->users > low)
		leave(b);
	while (b->users < low)
		admit(b);
	start = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	handoffs = b->handoffs;
	while (f->admissions < end) {
		while (b->users < low + 2 * swing && f->admissions < end) {
			if (samples)
				samples[f->admissions] = timed_admit(b, clock);
			else
				admit(b);
			f->admissions++;
		}
		while (b->users > low)
			leave(b);
	}
	f->cpu_ns += now_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
	f->handoffs += b->handoffs - handoffs;
	f->users = low + 2 * swing;
}

/* From nobody to the last user: nearly each one costs a hand-off. Then again. */
static void floods(struct bench *b, uint64_t admissions, uint32_t *samples, struct figures *f)
{
	uint64_t last = placement_capacity(&b->p), start, handoffs = b->handoffs;
	uint32_t clock = clock_cost();

	while (f->admissions < admissions) {
		while (b->users > 0)
			leave(b);
		start = now_ns(CLOCK_PROCESS_CPUTIME_ID);
		while (b->users < last && f->admissions < admissions) {
			if (samples)
				samples[f->admissions] = timed_admit(b, clock);
			else
				admit(b);
			f->admissions++;
		}
		f->cpu_ns += now_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
	}
	f->handoffs = b->handoffs - handoffs;
	f->users = last;
}

enum load { TIDES, FLOODS };

/* `samples` NULL: the throughput; else how long each admission took, ns. */
static struct figures measure(
	unsigned servers, bool peer, enum load load, uint64_t admissions, uint32_t *samples)
{
	struct figures f = {0};
	struct bench b;

	bench_init(&b, servers, peer);
	for (unsigned m = 0; load == TIDES && m <= LAST_TIER; m++)
		tides(&b, m, admissions / (LAST_TIER + 1), samples, &f);
	if (load == FLOODS)
		floods(&b, admissions, samples, &f);
	f.plans = b.plans;
	bench_clear(&b);
	if (samples) {
		qsort(samples, f.admissions, sizeof(samples[0]), compare);
		f.p50 = percentile(samples, f.admissions, 50);
		f.p99 = percentile(samples, f.admissions, 99);
	}
	return f;
}

static double per_decision(const struct figures *f)
{
	return (double)f->cpu_ns / (double)f->admissions;
}

static json_t *result(unsigned servers, bool peer, enum load load, uint64_t admissions, double *ns)
{
	uint32_t *samples = need(admissions, sizeof(samples[0]));
	struct figures all = measure(servers, peer, load, admissions, NULL);
	struct figures each = measure(servers, peer, load, admissions, samples);

	free(samples);
	*ns = per_decision(&all);
	return json_pack("{s:i,s:I,s:I,s:f,s:I,s:f,s:I,s:I}", "servers", (int)servers, "users",
		(json_int_t)all.users, "decisions", (json_int_t)all.admissions,
		"handoffs_per_decision", (double)all.handoffs / (double)all.admissions,
		"decisions_per_second", (json_int_t)(1e9 / *ns), "mean_ns", *ns, "p50_ns",
		(json_int_t)each.p50, "p99_ns", (json_int_t)each.p99);
}

/* The same few admissions by both: equal plans? */
static bool same_plans(unsigned servers, enum load load, uint64_t admissions)
{
	struct figures product = measure(servers, false, load, admissions, NULL);
	struct figures peer = measure(servers, true, load, admissions, NULL);

	return product.plans == peer.plans;
}

#define SIZES 3
static const unsigned sizes[SIZES] = {10, 100, 1000};

/* One load at all sizes, by both. */
static json_t *report_load(enum load load, uint64_t admissions, bool *same, bool *met)
{
	json_t *product = json_array(), *peer = json_array();
	double ns[SIZES], peer_ns[SIZES], log_n = log(sizes[SIZES - 1]) / log(sizes[0]);

	for (unsigned i = 0; i < SIZES; i++) {
		uint64_t few = PEER_UNITS / sizes[i];
		few = few < admissions ? few : admissions;
		json_array_append_new(product, result(sizes[i], false, load, admissions, &ns[i]));
		json_array_append_new(peer, result(sizes[i], true, load, few, &peer_ns[i]));
		*same &= same_plans(sizes[i], load, few);
	}
	*met &= 1e9 / ns[SIZES - 1] >= GOAL && ns[SIZES - 1] / ns[0] <= log_n;
	return json_pack("{s:o,s:o,s:{s:f,s:f,s:f}}", "placement", product, "scan", peer, "growth",
		"log_n", log_n, "placement", ns[SIZES - 1] / ns[0], "scan",
		peer_ns[SIZES - 1] / peer_ns[0]);
}

int main(int argc, char **argv)
{
	uint64_t admissions = argc > 1 ? strtoull(argv[1], NULL, 10) : ADMISSIONS;
	bool same = true, met = true;
	json_t *tide, *flood, *report;

	if (admissions < 1000) {
		fprintf(stderr, "bench_placement: measure 1000 admissions or more\n");
		return 2;
	}
	tide = report_load(TIDES, admissions, &same, &met);
	flood = report_load(FLOODS, admissions, &same, &met);
	report = json_pack("{s:i,s:o,s:o,s:b,s:{s:f,s:s,s:b}}", "tiers", LAST_TIER + 1, "tides",
		tide, "floods", flood, "same_plans", same, "goal", "decisions_per_second", GOAL,
		"growth", "log_n", "met", met);
	json_dumpf(report, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(4));
	printf("\n");
	json_decref(report);
	return same ? 0 : 1;
}
