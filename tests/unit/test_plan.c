/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The planner and what stands on it: that a simulated trace is what the allocator's functions give
 * when they are called directly, that a loss on trial leaves nothing behind, that no server is ever
 * over-full, and that the numbers of servers and the sizes for N seats are the smallest and the
 * largest.
 */
#include "broker/ctl/plan.h"
#include "broker/ctl/simulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SERVERS 6
#define USERS 64

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static struct plan_site *site_of(
	const char *servers, uint32_t max, uint32_t min, uint32_t overhead, uint32_t standby)
{
	struct plan_site *site = g_new0(struct plan_site, 1);

	site->servers = plan_servers(servers, NULL);
	site->overhead_mib = overhead;
	site->standby = standby;
	assert_non_null(site->servers);
	assert_true(tier_table_init(&site->tiers, max, min, overhead));
	return site;
}

static struct plan_site *random_site(uint64_t *seed)
{
	g_autoptr(GString) list = g_string_new(NULL);
	uint32_t servers = 1 + (uint32_t)(random_next(seed) % SERVERS);
	uint32_t min = 1 + (uint32_t)(random_next(seed) % 3);

	for (uint32_t i = 0; i < servers; i++)
		g_string_append_printf(
			list, "%s%u", i ? "," : "", 1 + (unsigned)(random_next(seed) % (20 * min)));
	return site_of(list->str, min << (random_next(seed) % 5), min,
		(uint32_t)(random_next(seed) % 2), (uint32_t)(random_next(seed) % 3));
}

/* The allocator used directly: one desktop a user, slow and plain. */
struct direct {
	struct placement p;
	struct placement_server servers[SERVERS];
	struct placement_desktop desktops[USERS]; /* by user */
	uint64_t sequence;
	char log[4096]; /* the hand-offs of the last event */
};

static void direct_init(struct direct *d, const struct plan_site *site)
{
	memset(d, 0, sizeof(*d));
	placement_init(&d->p, &site->tiers, site->standby);
	for (guint i = 0; i < site->servers->len; i++) {
		placement_server_init(&d->servers[i], i);
		placement_server_set(&d->p, &d->servers[i],
			tier_capacity(&site->tiers, plan_site_server(site, i)->memory_mib, 0),
			PLACEMENT_OPEN);
	}
}

static void note(char *log, size_t size, unsigned user, uint64_t from, uint64_t to, uint32_t mib,
	bool breaks)
{
	size_t used = strlen(log);

	g_snprintf(log + used, size - used, "%u %d>%d %u%s;", user, (int)from, (int)to, mib,
		breaks ? "!" : "");
}

static void direct_handoff(struct direct *d, const struct placement_plan *plan)
{
	struct placement_desktop *desktop = plan->handoff;
	uint32_t size = tier_size_mib(&d->p.tiers, plan->tier);
	uint64_t sequence = desktop->sequence;

	note(d->log, sizeof(d->log), (unsigned)(desktop - d->desktops), desktop->server->id,
		plan->handoff_to->id, size, plan->break_before_make);
	placement_remove(&d->p, desktop);
	placement_put(&d->p, desktop, plan->handoff_to, size, sequence, PLACEMENT_MOVABLE);
}

static bool direct_arrive(struct direct *d, unsigned user)
{
	struct placement_plan plan = placement_next(&d->p);

	if (plan.result != PLACEMENT_ADMIT)
		return false;
	if (plan.handoff)
		direct_handoff(d, &plan);
	placement_put(&d->p, &d->desktops[user], plan.server, tier_size_mib(&d->p.tiers, plan.tier),
		++d->sequence, PLACEMENT_MOVABLE);
	return true;
}

static void direct_lose(struct direct *d, struct placement_server *server)
{
	unsigned order[USERS], count = 0;
	struct placement_plan plan;

	placement_server_set(&d->p, server, server->capacity, PLACEMENT_LOST);
	while (placement_settle(&d->p, &plan))
		direct_handoff(d, &plan);
	for (unsigned user = 0; user < USERS; user++) {
		if (d->desktops[user].server != server)
			continue;
		unsigned at = count++;
		for (; at > 0 && d->desktops[order[at - 1]].sequence > d->desktops[user].sequence;
			at--)
			order[at] = order[at - 1];
		order[at] = user;
	}
	for (unsigned i = 0; i < count; i++)
		placement_remove(&d->p, &d->desktops[order[i]]);
	for (unsigned i = 0; i < count; i++)
		direct_arrive(d, order[i]);
}

/* The same state, and the same hand-offs on the way. */
static void compare(const struct direct *d, const struct simulate *s, const struct plan_site *site,
	const struct simulate_outcome *outcome)
{
	const struct planner *p = simulate_planner(s);
	unsigned users = 0;
	uint64_t last = 0, free_mib = 0;
	char log[sizeof(d->log)] = "";

	for (guint i = 0; i < outcome->steps->len; i++) {
		const struct simulate_step *step =
			&g_array_index(outcome->steps, struct simulate_step, i);
		note(log, sizeof(log), (unsigned)atoi(step->user->name), step->from, step->to,
			step->size_mib, step->break_before_make);
	}
	assert_string_equal(log, d->log);
	for (struct planner_user *u = planner_next_user(p, NULL); u; u = planner_next_user(p, u)) {
		const struct placement_desktop *other =
			&d->desktops[atoi(((struct simulate_user *)u)->name)];
		assert_non_null(other->server);
		assert_int_equal(other->server->id, u->desktop.server->id);
		assert_int_equal(other->tier, u->desktop.tier);
		assert_true(u->desktop.sequence > last);
		last = u->desktop.sequence;
		users++;
	}
	assert_int_equal(users, d->p.users);
	for (guint i = 0; i < site->servers->len; i++) {
		uint64_t expect = 0;
		if (d->servers[i].state == PLACEMENT_OPEN)
			expect = plan_site_server(site, i)->memory_mib -
				 d->servers[i].used * site->tiers.unit_mib;
		assert_int_equal(planner_server_free_mib(p, &p->servers[i]), expect);
		free_mib += expect;
	}
	assert_int_equal(planner_free_mib(p), free_mib);
}

static void random_event(struct direct *d, const struct plan_site *site, uint64_t *seed,
	struct trace_event *event, enum simulate_result *expect)
{
	unsigned dice = (unsigned)(random_next(seed) % 100);
	unsigned user = (unsigned)(random_next(seed) % USERS);
	size_t server = random_next(seed) % site->servers->len;

	*event = (struct trace_event){0};
	d->log[0] = '\0';
	if (dice < 90) {
		g_snprintf(event->name, sizeof(event->name), "%u", user);
		event->kind = d->desktops[user].server ? TRACE_LEAVES : TRACE_ARRIVES;
		*expect = SIMULATE_LEFT;
		if (event->kind == TRACE_LEAVES)
			placement_remove(&d->p, &d->desktops[user]);
		else
			*expect = direct_arrive(d, user) ? SIMULATE_ADMITTED : SIMULATE_REFUSED;
		return;
	}
	event->server = server;
	g_snprintf(event->name, sizeof(event->name), "%zu", server);
	if (d->servers[server].state == PLACEMENT_OPEN) {
		event->kind = TRACE_LOST;
		*expect = SIMULATE_LOST;
		direct_lose(d, &d->servers[server]);
	} else {
		event->kind = TRACE_RETURNS;
		*expect = SIMULATE_RETURNED;
		placement_server_set(
			&d->p, &d->servers[server], d->servers[server].capacity, PLACEMENT_OPEN);
	}
}

static void test_a_trace_is_the_allocator(void **state)
{
	uint64_t seed = 4101842887655102017u;
	static struct direct d;
	unsigned handoffs = 0, refused = 0;

	(void)state;
	for (unsigned run = 0; run < 300; run++) {
		struct plan_site *site = random_site(&seed);
		struct simulate *s = simulate_new(site);

		direct_init(&d, site);
		for (unsigned i = 0; i < 200; i++) {
			struct trace_event event;
			struct simulate_outcome outcome;
			enum simulate_result expect;

			random_event(&d, site, &seed, &event, &expect);
			assert_true(simulate_play(s, &event, &outcome, NULL));
			assert_int_equal(outcome.result, expect);
			compare(&d, s, site, &outcome);
			handoffs += outcome.steps->len;
			refused += outcome.result == SIMULATE_REFUSED;
		}
		simulate_free(s);
		plan_site_free(site);
	}
	/* Otherwise little was compared. */
	assert_true(handoffs > 1000 && refused > 1000);
}

struct watcher {
	struct planner *planner;
	unsigned handoffs, breaks;
};

/* The middle of a hand-off: no server is over-full, and both desktops are in the sum. */
static void check_middle(void *data, const struct planner_step *step)
{
	struct watcher *w = data;
	const struct planner *p = w->planner;
	const struct placement_server *to = &p->servers[step->to].place;
	bool both = step->user->desktop.server == &p->servers[step->from].place;

	assert_int_equal(both, !step->break_before_make);
	assert_true(to->used >= tier_units_of(&p->placement.tiers, step->size_mib));
	for (size_t i = 0; i < p->server_count; i++)
		assert_true(p->servers[i].place.used <= p->servers[i].place.capacity);
	w->handoffs++;
	w->breaks += step->break_before_make;
}

static void test_the_middle_of_a_handoff_fits(void **state)
{
	uint64_t seed = 88172645463325252u;
	unsigned handoffs = 0, breaks = 0;

	(void)state;
	for (unsigned run = 0; run < 200; run++) {
		struct plan_site *site = random_site(&seed);
		struct planner_server servers[SERVERS] = {0};
		struct planner_user users[USERS] = {0};
		struct planner p;
		struct watcher w = {.planner = &p};
		const struct planner_watch watch = {.handoff = check_middle, .data = &w};

		planner_init(&p, &site->tiers, site->standby, servers, site->servers->len, &watch);
		for (guint i = 0; i < site->servers->len; i++)
			planner_server_init(&p, i, plan_site_server(site, i)->memory_mib, 0, true);
		for (unsigned i = 0; i < 200; i++) {
			struct planner_user *u = &users[random_next(&seed) % USERS];
			size_t s = random_next(&seed) % site->servers->len;

			if (random_next(&seed) % 12 == 0 && servers[s].place.state) {
				w.breaks = 0;
				planner_lose(&p, &servers[s], false);
				assert_true(w.breaks <= 1);
				breaks += w.breaks;
			} else if (random_next(&seed) % 6 == 0) {
				planner_return(&p, &servers[s]);
			} else if (u->desktop.server) {
				planner_leave(&p, u);
			} else {
				unsigned before = w.handoffs;
				planner_arrive(&p, u);
				assert_true(w.handoffs <= before + 1);
			}
		}
		handoffs += w.handoffs;
		plan_site_free(site);
	}
	assert_true(handoffs > 500 && breaks > 0);
}

static void outcome_text(
	const struct plan_outcome *outcome, const struct tier_table *tiers, GString *out)
{
	g_autofree char *desktops = plan_desktops_text(tiers, outcome->counts);

	g_string_append_printf(out, "%u %u %s %u;", (unsigned)outcome->users, outcome->tier,
		desktops, (unsigned)outcome->free_mib);
	for (guint i = 0; i < outcome->moves->len; i++) {
		const struct plan_move *move = &g_array_index(outcome->moves, struct plan_move, i);
		g_string_append_printf(out, "u%u %u>%u %u;", (unsigned)move->user,
			(unsigned)move->from, (unsigned)move->to, move->size_mib);
	}
	for (guint i = 0; i < outcome->again->len; i++) {
		const struct plan_again *again =
			&g_array_index(outcome->again, struct plan_again, i);
		g_string_append_printf(out, "u%u %d %u %u;", (unsigned)again->user, again->admitted,
			(unsigned)again->server, again->size_mib);
	}
}

/* The rows of a run; `fail` >= 0: with a loss on trial after each. */
static char *rows_text(const struct plan_site *site, uint64_t rows, int fail, GString *losses)
{
	struct plan_run *run = plan_run_new(site, rows);
	struct plan_outcome outcome;
	GString *out = g_string_new(NULL);

	while (plan_run_next(run, &outcome)) {
		outcome_text(&outcome, &site->tiers, out);
		if (fail < 0)
			continue;
		g_string_truncate(losses, 0);
		plan_run_fail(run, (size_t)fail, &outcome);
		outcome_text(&outcome, &site->tiers, losses);
		/* Twice the same: nothing of the first is left. */
		g_autoptr(GString) once_more = g_string_new(NULL);
		plan_run_fail(run, (size_t)fail, &outcome);
		outcome_text(&outcome, &site->tiers, once_more);
		assert_string_equal(losses->str, once_more->str);
	}
	plan_run_free(run);
	return g_string_free(out, FALSE);
}

static void test_a_loss_on_trial_leaves_nothing(void **state)
{
	uint64_t seed = 1181783497276652981u;

	(void)state;
	for (unsigned run = 0; run < 100; run++) {
		struct plan_site *site = random_site(&seed);
		int fail = (int)(random_next(&seed) % site->servers->len);
		g_autoptr(GString) losses = g_string_new(NULL);
		g_autofree char *plain = rows_text(site, 500, -1, NULL);
		g_autofree char *tried = rows_text(site, 500, fail, losses);

		assert_string_equal(plain, tried);
		plan_site_free(site);
	}
}

/* A loss on trial at n users does what a real one does in a simulation of n arrivals. */
static void test_a_loss_on_trial_is_a_loss(void **state)
{
	struct plan_site *site = site_of("9,4,6", 4, 1, 0, 0);
	struct plan_run *run = plan_run_new(site, 100);
	struct plan_outcome outcome;

	(void)state;
	for (unsigned n = 1; plan_run_next(run, &outcome); n++) {
		struct simulate *s = simulate_new(site);
		struct trace_event event = {.kind = TRACE_ARRIVES};
		struct simulate_outcome real;
		unsigned refused = 0;

		for (unsigned i = 1; i <= n; i++) {
			g_snprintf(event.name, sizeof(event.name), "u%u", i);
			assert_true(simulate_play(s, &event, &real, NULL));
		}
		event = (struct trace_event){.kind = TRACE_LOST, .name = "0"};
		assert_true(simulate_play(s, &event, &real, NULL));
		for (guint i = 0; i < real.again->len; i++)
			refused += !g_array_index(real.again, struct simulate_again, i).admitted;
		plan_run_fail(run, 0, &outcome);
		assert_int_equal(outcome.refused, refused);
		assert_int_equal(outcome.refused, n > 10 ? n - 10 : 0);
		assert_int_equal(outcome.moves->len, real.steps->len);
		for (unsigned m = 0; m <= site->tiers.last; m++)
			assert_int_equal(outcome.counts[m], simulate_planner(s)->counts[m]);
		simulate_free(s);
	}
	plan_run_free(run);
	plan_site_free(site);
}

/* How many users really come in on the servers of `sizes`, with the `lost` first of them lost. */
static uint64_t served(const uint32_t *sizes, size_t count, size_t lost, uint32_t max, uint32_t min,
	uint32_t overhead)
{
	g_autoptr(GString) list = g_string_new(NULL);
	struct plan_outcome outcome;
	uint64_t users = 0;

	if (lost >= count)
		return 0;
	for (size_t i = lost; i < count; i++)
		g_string_append_printf(list, "%s%u", i > lost ? "," : "", sizes[i]);
	struct plan_site *site = site_of(list->str, max, min, overhead, 0);
	struct plan_run *run = plan_run_new(site, 1000);
	while (plan_run_next(run, &outcome))
		users = outcome.users;
	plan_run_free(run);
	plan_site_free(site);
	return users;
}

/* By trying: the first number of servers, the first size from above, with which all come in. */
static void test_seats_are_minimal(void **state)
{
	const uint32_t max = 16;

	(void)state;
	for (uint32_t size = 1; size <= 33; size += 4) {
		for (uint32_t overhead = 0; overhead <= 1; overhead++) {
			const uint32_t sizes[24] = {[0 ... 23] = size};
			struct tier_table tiers;
			assert_true(tier_table_init(&tiers, max, 4, overhead));
			for (uint64_t users = 1; users <= 12; users++) {
				for (size_t lost = 0; lost <= 1; lost++) {
					size_t n = 1;
					while (n < 24 &&
						served(sizes, n, lost, max, 4, overhead) < users)
						n++;
					uint64_t said =
						planner_servers_for(&tiers, size, 0, users, lost);
					assert_int_equal(said, n < 24 ? n : 0);
					if (!said)
						continue;
					uint32_t min = max;
					while (served(sizes, n, lost, max, min, overhead) < users)
						min /= 2;
					assert_int_equal(planner_min_for_equal(size, n, lost, 0,
								 max, overhead, users),
						min);
				}
			}
		}
	}
}

static void test_largest_min_of_unequal_servers(void **state)
{
	static const uint32_t sizes[] = {23, 17, 9}; /* the largest first */
	const uint32_t max = 16;

	(void)state;
	for (uint64_t users = 1; users <= 60; users++) {
		for (size_t lost = 0; lost <= 1; lost++) {
			uint32_t min = max;
			while (min && served(sizes, 3, lost, max, min, 0) < users)
				min /= 2;
			assert_int_equal(planner_min_for(sizes, 3, 0, max, 0, users, lost), min);
		}
	}
	/* 6 is halved once only: 3 is odd. */
	assert_int_equal(planner_min_for(sizes, 3, 0, 6, 0, 16, false), 0);
	assert_int_equal(planner_min_for(sizes, 3, 0, 6, 0, 15, false), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_trace_is_the_allocator),
		cmocka_unit_test(test_the_middle_of_a_handoff_fits),
		cmocka_unit_test(test_a_loss_on_trial_leaves_nothing),
		cmocka_unit_test(test_a_loss_on_trial_is_a_loss),
		cmocka_unit_test(test_seats_are_minimal),
		cmocka_unit_test(test_largest_min_of_unequal_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
