/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/plan.h"

#include <string.h>

struct plan_run {
	struct planner planner;
	struct planner_server *servers; /* owned */
	struct planner_user *users;     /* owned; u1 is the first */
	uint64_t rows, come;
	GArray *moves, *again; /* owned; of the last outcome */
};

static uint64_t number_of(const struct plan_run *run, const struct planner_user *user)
{
	return (uint64_t)(user - run->users) + 1;
}

static void on_handoff(void *data, const struct planner_step *step)
{
	struct plan_run *run = data;
	const struct plan_move move = {
		.user = number_of(run, step->user),
		.from = step->from,
		.to = step->to,
		.from_mib = step->from_mib,
		.size_mib = step->size_mib,
		.break_before_make = step->break_before_make,
	};

	g_array_append_val(run->moves, move);
}

static void on_again(void *data, struct planner_user *user, bool admitted)
{
	struct plan_run *run = data;
	const struct plan_again again = {.user = number_of(run, user), .admitted = admitted};

	g_array_append_val(run->again, again);
}

struct plan_run *plan_run_new(const struct plan_site *site, uint64_t rows)
{
	struct plan_run *run = g_new0(struct plan_run, 1);
	const struct planner_watch watch = {on_handoff, on_again, run};

	run->rows = rows;
	run->servers = g_new0(struct planner_server, site->servers->len);
	run->users = g_new0(struct planner_user, rows);
	run->moves = g_array_new(FALSE, FALSE, sizeof(struct plan_move));
	run->again = g_array_new(FALSE, FALSE, sizeof(struct plan_again));
	planner_init(&run->planner, &site->tiers, site->standby, run->servers, site->servers->len,
		&watch);
	for (guint i = 0; i < site->servers->len; i++) {
		const struct plan_server *server = plan_site_server(site, i);
		planner_server_init(&run->planner, i, server->memory_mib, site->host_reserve_mib,
			!server->away);
	}
	return run;
}

void plan_run_free(struct plan_run *run)
{
	if (!run)
		return;
	g_array_unref(run->moves);
	g_array_unref(run->again);
	g_free(run->users);
	g_free(run->servers);
	g_free(run);
}

const struct planner *plan_run_planner(const struct plan_run *run)
{
	return &run->planner;
}

static void begin(struct plan_run *run)
{
	g_array_set_size(run->moves, 0);
	g_array_set_size(run->again, 0);
}

static void end(struct plan_run *run, struct plan_outcome *outcome)
{
	*outcome = (struct plan_outcome){
		.users = run->planner.placement.users,
		.tier = planner_tier(&run->planner),
		.free_mib = planner_free_mib(&run->planner),
		.moves = run->moves,
		.again = run->again,
		.refused = run->come - run->planner.placement.users,
	};
	memcpy(outcome->counts, run->planner.counts, sizeof(outcome->counts));
}

gboolean plan_run_next(struct plan_run *run, struct plan_outcome *outcome)
{
	begin(run);
	if (run->come == run->rows ||
		planner_arrive(&run->planner, &run->users[run->come]) != PLACEMENT_ADMIT)
		return FALSE;
	run->come++;
	end(run, outcome);
	return TRUE;
}

void plan_run_fail(struct plan_run *run, size_t server, struct plan_outcome *outcome)
{
	begin(run);
	planner_lose(&run->planner, &run->servers[server], true);
	/* Now, and not when they came: who comes after them may shrink them once more. */
	for (guint i = 0; i < run->again->len; i++) {
		struct plan_again *again = &g_array_index(run->again, struct plan_again, i);
		const struct placement_desktop *desktop = &run->users[again->user - 1].desktop;

		if (again->admitted) {
			again->server = desktop->server->id;
			again->size_mib =
				tier_size_mib(&run->planner.placement.tiers, desktop->tier);
		}
	}
	end(run, outcome);
	planner_undo(&run->planner);
}

static gint by_size(gconstpointer a, gconstpointer b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left > right ? -1 : left < right;
}

struct plan_seats *plan_seats_new(const struct plan_site *site, uint64_t users)
{
	struct plan_seats *seats = g_new0(struct plan_seats, 1);
	g_autoptr(GArray) sizes = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	const uint32_t reserve = site->host_reserve_mib, max = site->tiers.max_mib;

	for (guint i = 0; i < site->servers->len; i++)
		if (!plan_site_server(site, i)->away)
			g_array_append_val(sizes, plan_site_server(site, i)->memory_mib);
	g_array_sort(sizes, by_size);
	const uint32_t *mib = (const uint32_t *)(const void *)sizes->data;
	seats->users = users;
	seats->given_min_mib =
		planner_min_for(mib, sizes->len, reserve, max, site->overhead_mib, users, false);
	seats->given_min_one_lost_mib =
		planner_min_for(mib, sizes->len, reserve, max, site->overhead_mib, users, true);
	seats->equal = g_array_new(FALSE, FALSE, sizeof(struct plan_seats_equal));
	for (guint i = 0; i < sizes->len; i++) {
		if (i && mib[i] == mib[i - 1])
			continue;
		const uint64_t n = planner_servers_for(&site->tiers, mib[i], reserve, users, 0);
		const uint64_t n1 = planner_servers_for(&site->tiers, mib[i], reserve, users, 1);
		const struct plan_seats_equal equal = {
			.server_mib = mib[i],
			.servers = n,
			.servers_one_lost = n1,
			.min_mib = planner_min_for_equal(
				mib[i], n, 0, reserve, max, site->overhead_mib, users),
			.min_one_lost_mib = planner_min_for_equal(
				mib[i], n1, 1, reserve, max, site->overhead_mib, users),
		};
		g_array_append_val(seats->equal, equal);
	}
	return seats;
}

void plan_seats_free(struct plan_seats *seats)
{
	if (!seats)
		return;
	g_array_unref(seats->equal);
	g_free(seats);
}
