/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan for people. The two long tables are written row by row, in columns whose widths are
 * known beforehand: from the number of digits that the largest figure can have.
 */
#include "broker/ctl/plan.h"
#include "broker/ctl/table.h"

#include <stdio.h>
#include <string.h>

#define U64 "%" G_GUINT64_FORMAT

struct widths {
	int users, free, size, server, moved, desktops;
};

static int digits_of(uint64_t number)
{
	int n = 1;

	while (number /= 10)
		n++;
	return n;
}

static void cell_number(struct table *table, uint64_t number)
{
	g_autofree char *text = g_strdup_printf(U64, number);

	table_cell(table, text);
}

static void print_and_free(struct table *table)
{
	g_autofree char *text = table_text(table);

	fputs(text, stdout);
	table_free(table);
}

/* "2 x 4096, 8192 (hall3)": equal neighbours together. */
static void print_server_list(const struct plan_site *site)
{
	const char *comma = "";

	for (guint i = 0, next; i < site->servers->len; i = next) {
		const struct plan_server *server = plan_site_server(site, i);

		for (next = i + 1; next < site->servers->len && !server->name; next++)
			if (plan_site_server(site, next)->name ||
				plan_site_server(site, next)->memory_mib != server->memory_mib)
				break;
		printf("%s", comma);
		if (next - i > 1)
			printf("%u x ", next - i);
		printf("%u", server->memory_mib);
		if (server->name)
			printf(" (%s%s%s)", server->name, server->away ? ", " : "",
				server->away ? server->away : "");
		comma = ", ";
	}
	printf(" MiB\n");
}

static void print_head(const struct plan_request *request, const struct planner *planner)
{
	const struct plan_site *site = request->site;
	uint64_t waste = planner_waste_mib(planner, site->tiers.last);

	printf("servers   %u: ", site->servers->len);
	print_server_list(site);
	printf("desktops  %u MiB halved down to %u MiB\n", site->tiers.max_mib,
		site->tiers.min_mib);
	if (site->host_reserve_mib || site->overhead_mib)
		printf("kept      %u MiB of each server for itself; %u MiB beside each smallest "
		       "desktop\n",
			site->host_reserve_mib, site->overhead_mib);
	if (site->standby)
		printf("standby   %u: desktops shrink as if so many more users were there\n",
			site->standby);
	printf("capacity  " U64 " user%s", request->capacity, request->capacity == 1 ? "" : "s");
	if (request->capacity == 0)
		printf(": no server holds even one desktop of %u MiB", site->tiers.min_mib);
	printf("\nwasted    " U64 " MiB that no desktop of %u MiB fits into\n\n", waste,
		site->tiers.min_mib);
}

/* How far each size goes: the last user who comes while it is the target. */
static void print_tiers(const struct planner *planner)
{
	static const char *const headers[] = {
		">TIER", ">SIZE MiB", ">SLOTS", ">THRESHOLD", "FOR USERS", ">WASTED MiB", NULL};
	const struct placement *p = &planner->placement;
	struct table *table = table_new(headers);
	uint64_t from = 1;

	for (unsigned m = 0; m <= p->tiers.last; m++) {
		int64_t last = m == p->tiers.last ? (int64_t)p->slots[m]
						  : placement_threshold(p, m) - p->standby;
		g_autofree char *threshold =
			g_strdup_printf("%" G_GINT64_FORMAT, placement_threshold(p, m));
		g_autofree char *users = NULL;

		if (last > (int64_t)placement_capacity(p))
			last = (int64_t)placement_capacity(p);
		if (last < (int64_t)from)
			users = g_strdup("none");
		else if (last == (int64_t)from)
			users = g_strdup_printf(U64, from);
		else
			users = g_strdup_printf(U64 " to %" G_GINT64_FORMAT, from, last);
		if (last >= (int64_t)from)
			from = (uint64_t)last + 1;
		cell_number(table, m);
		cell_number(table, tier_size_mib(&p->tiers, m));
		cell_number(table, p->slots[m]);
		table_cell(table, threshold);
		table_cell(table, users);
		cell_number(table, planner_waste_mib(planner, m));
	}
	print_and_free(table);
}

static void some_cell(struct table *table, uint64_t number)
{
	if (number)
		cell_number(table, number);
	else
		table_cell(table, "none");
}

static void print_seats(const struct plan_request *request)
{
	static const char *const headers[] = {">SERVER MiB", ">SERVERS", ">LARGEST MIN MiB",
		">WITH ONE LOST: SERVERS", ">LARGEST MIN MiB", NULL};
	const struct plan_seats *seats = request->seats;
	struct table *table = table_new(headers);

	printf("\nFor " U64 " users, equal servers with desktops down to %u MiB:\n", seats->users,
		request->site->tiers.min_mib);
	for (guint i = 0; i < seats->equal->len; i++) {
		const struct plan_seats_equal *e =
			&g_array_index(seats->equal, struct plan_seats_equal, i);

		cell_number(table, e->server_mib);
		some_cell(table, e->servers);
		some_cell(table, e->min_mib);
		some_cell(table, e->servers_one_lost);
		some_cell(table, e->min_one_lost_mib);
	}
	print_and_free(table);
	printf("The servers as given serve them ");
	if (seats->given_min_mib)
		printf("with --min %u or less", seats->given_min_mib);
	else
		printf("with no --min");
	if (seats->given_min_one_lost_mib)
		printf(", with the largest of them lost with --min %u or less.\n",
			seats->given_min_one_lost_mib);
	else
		printf(", with the largest of them lost with none.\n");
}

char *plan_desktops_text(const struct tier_table *tiers, const uint64_t *counts)
{
	GString *out = g_string_new(NULL);

	for (unsigned m = 0; m <= tiers->last; m++) {
		if (!counts[m])
			continue;
		g_string_append_printf(out, "%s%u", out->len ? ", " : "", tier_size_mib(tiers, m));
		if (counts[m] > 1)
			g_string_append_printf(out, " x" U64, counts[m]);
	}
	if (!out->len)
		g_string_append(out, "none");
	return g_string_free(out, FALSE);
}

static struct widths widths_of(const struct plan_request *request, const struct planner *planner)
{
	struct widths w = {
		.users = MAX(5, digits_of(request->rows)),
		.free = MAX(8, digits_of(planner->usable_mib)),
		.size = digits_of(request->site->tiers.max_mib),
		.server = digits_of(request->site->servers->len),
	};

	/* "u7 1024 > 512, 0 > 1"; "1024 x15, 512 x16" */
	w.moved = MAX(5, w.size * 2 + w.server * 2 + digits_of(request->rows) + 10);
	w.desktops = MAX(8, 2 * (w.size + digits_of(request->rows)) + 6);
	return w;
}

static void print_rows(const struct plan_request *request)
{
	struct plan_run *run = plan_run_new(request->site, request->rows);
	const struct widths w = widths_of(request, plan_run_planner(run));
	struct plan_outcome outcome;

	printf("\n%*s  TIER  %*s  %-*s  %s\n", w.users, "USERS", w.free, "FREE MiB", w.desktops,
		"DESKTOPS MiB", "HANDED OFF (MiB, server)");
	while (plan_run_next(run, &outcome)) {
		g_autofree char *desktops =
			plan_desktops_text(&request->site->tiers, outcome.counts);
		int pad = outcome.moves->len ? w.desktops : 0;

		printf("%*" G_GUINT64_FORMAT "  %4u  %*" G_GUINT64_FORMAT "  %-*s", w.users,
			outcome.users, outcome.tier, w.free, outcome.free_mib, pad, desktops);
		for (guint i = 0; i < outcome.moves->len; i++) {
			const struct plan_move *move =
				&g_array_index(outcome.moves, struct plan_move, i);

			printf("  u" U64 " %u > %u, " U64 " > " U64, move->user, move->from_mib,
				move->size_mib, move->from, move->to);
		}
		putchar('\n');
	}
	plan_run_free(run);
}

/* "2048 > 1024: u9-u7, u3; refused: u5": users under labels, neighbours as a range. */
struct who {
	GString *out; /* owned */
	char label[48];
	gboolean open; /* from first to last is not written yet */
	uint64_t first, last;
};

static void who_flush(struct who *who)
{
	uint64_t between = who->first > who->last ? who->first - who->last : who->last - who->first;

	if (who->open)
		g_string_append_printf(who->out, "u" U64, who->first);
	if (who->open && between)
		g_string_append_printf(who->out, "%su" U64, between > 1 ? "-" : ", ", who->last);
	who->open = FALSE;
}

static void who_add(struct who *who, const char *label, uint64_t user)
{
	gboolean same = !strcmp(who->label, label);

	if (same && who->open &&
		((who->first <= who->last && user == who->last + 1) ||
			(who->first >= who->last && user == who->last - 1))) {
		who->last = user;
		return;
	}
	who_flush(who);
	if (same)
		g_string_append(who->out, ", ");
	else
		g_string_append_printf(who->out, "%s%s: ", who->out->len ? "; " : "", label);
	g_strlcpy(who->label, label, sizeof(who->label));
	who->open = TRUE;
	who->first = who->last = user;
}

/* Who is handed off, who gets what again, who is refused. The caller frees it. */
static char *who_text(const struct plan_outcome *outcome)
{
	struct who who = {.out = g_string_new(NULL)};
	char label[sizeof(who.label)];

	for (guint i = 0; i < outcome->moves->len; i++) {
		const struct plan_move *move = &g_array_index(outcome->moves, struct plan_move, i);

		g_snprintf(label, sizeof(label), "%u > %u", move->from_mib, move->size_mib);
		who_add(&who, label, move->user);
		if (move->break_before_make) {
			who_flush(&who);
			g_string_append(who.out, " (stops first)");
		}
	}
	for (guint i = 0; i < outcome->again->len; i++) {
		const struct plan_again *again =
			&g_array_index(outcome->again, struct plan_again, i);

		if (again->admitted)
			g_snprintf(label, sizeof(label), "again %u", again->size_mib);
		else
			g_strlcpy(label, "refused", sizeof(label));
		who_add(&who, label, again->user);
	}
	who_flush(&who);
	if (!who.out->len)
		g_string_append(who.out, "nobody is touched");
	return g_string_free(who.out, FALSE);
}

static void print_fail_rows(const struct plan_request *request)
{
	struct plan_run *run = plan_run_new(request->site, request->rows);
	const struct widths w = widths_of(request, plan_run_planner(run));
	g_autofree char *server = plan_server_text(request->site, request->fail);
	struct plan_outcome outcome;

	printf("\nIf %s of %u MiB is lost at so many users:\n", server,
		plan_site_server(request->site, request->fail)->memory_mib);
	printf("%*s  SERVED  REFUSED  TIER  %*s  %-*s  %s\n", w.users, "USERS", w.free, "FREE MiB",
		w.desktops, "DESKTOPS MiB", "WHO (MiB)");
	while (plan_run_next(run, &outcome)) {
		uint64_t users = outcome.users;

		plan_run_fail(run, request->fail, &outcome);
		g_autofree char *desktops =
			plan_desktops_text(&request->site->tiers, outcome.counts);
		printf("%*" G_GUINT64_FORMAT "  %6" G_GUINT64_FORMAT "  %7" G_GUINT64_FORMAT
		       "  %4u  %*" G_GUINT64_FORMAT "  %-*s  ",
			w.users, users, outcome.users, outcome.refused, outcome.tier, w.free,
			outcome.free_mib, w.desktops, desktops);
		g_autofree char *who = who_text(&outcome);
		puts(who);
	}
	plan_run_free(run);
}

void plan_print_text(const struct plan_request *request)
{
	struct plan_run *run = plan_run_new(request->site, 0);

	print_head(request, plan_run_planner(run));
	print_tiers(plan_run_planner(run));
	plan_run_free(run);
	if (request->seats)
		print_seats(request);
	if (request->whole && request->rows)
		print_rows(request);
	if (request->fails && request->rows)
		print_fail_rows(request);
	if (request->whole && request->rows == request->capacity && request->rows)
		printf("\nUser " U64 " takes the reserve; the next one is refused.\n",
			request->capacity);
}
