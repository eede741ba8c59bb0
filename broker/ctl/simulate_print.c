/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/plan.h"
#include "broker/ctl/simulate.h"

#include <stdlib.h>

#define U64 "%" G_GUINT64_FORMAT

static const char sign_of[] = {
	[TRACE_ARRIVES] = '+', [TRACE_LEAVES] = '-', [TRACE_LOST] = '!', [TRACE_RETURNS] = '*'};

static void print_again(FILE *out, const char *member, const GArray *list, gboolean admitted)
{
	const char *comma = "";

	fprintf(out, ",\"%s\":[", member);
	for (guint i = 0; i < list->len; i++) {
		const struct simulate_again *again = &g_array_index(list, struct simulate_again, i);

		if (again->admitted != admitted)
			continue;
		fprintf(out, "%s%s", comma, again->user->json);
		comma = ",";
	}
	putc(']', out);
}

static void print_json(FILE *out, const struct planner *p, const struct trace_event *event,
	const char *name_json, const struct simulate_outcome *outcome)
{
	const char *comma = "";

	/* The name's own quotation mark ends up behind the sign. */
	fprintf(out, "{\"event\":\"%c %s,\"result\":\"%s\",\"steps\":[", sign_of[event->kind],
		name_json + 1, simulate_result_name(outcome->result));
	for (guint i = 0; i < outcome->steps->len; i++) {
		const struct simulate_step *step =
			&g_array_index(outcome->steps, struct simulate_step, i);

		fprintf(out,
			"%s{\"handoff\":%s,\"from\":" U64 ",\"to\":" U64
			",\"size_mib\":%u,\"break_before_make\":%s}",
			i ? "," : "", step->user->json, step->from, step->to, step->size_mib,
			step->break_before_make ? "true" : "false");
	}
	fprintf(out, "]");
	if (outcome->result == SIMULATE_LOST) {
		print_again(out, "again", outcome->again, TRUE);
		print_again(out, "refused", outcome->again, FALSE);
	}
	fprintf(out, ",\"desktops\":[");
	for (struct planner_user *u = planner_next_user(p, NULL); u; u = planner_next_user(p, u)) {
		fprintf(out, "%s{\"user\":%s,\"server\":" U64 ",\"size_mib\":%u}", comma,
			((struct simulate_user *)u)->json, u->desktop.server->id,
			tier_size_mib(&p->placement.tiers, u->desktop.tier));
		comma = ",";
	}
	fprintf(out, "],\"free_mib\":[");
	for (size_t i = 0; i < p->server_count; i++)
		fprintf(out, "%s" U64, i ? "," : "", planner_server_free_mib(p, &p->servers[i]));
	fprintf(out, "]}\n");
}

static void print_users(FILE *out, const char *before, const GArray *list, gboolean admitted)
{
	const char *comma = before;

	for (guint i = 0; i < list->len; i++) {
		const struct simulate_again *again = &g_array_index(list, struct simulate_again, i);

		if (again->admitted != admitted)
			continue;
		fprintf(out, "%s%s", comma, again->user->name);
		comma = ", ";
	}
}

/* The decision on the first line, the state after it on the second. */
static void print_text(FILE *out, const struct planner *p, const struct trace_event *event,
	const struct simulate_outcome *outcome)
{
	const struct tier_table *tiers = &p->placement.tiers;
	g_autofree char *desktops = plan_desktops_text(tiers, p->counts);

	fprintf(out, "%c %s: %s", sign_of[event->kind], event->name,
		simulate_result_name(outcome->result));
	if (outcome->user)
		fprintf(out, ", %u MiB on server " U64,
			tier_size_mib(tiers, outcome->user->planner.desktop.tier),
			outcome->user->planner.desktop.server->id);
	if (outcome->result == SIMULATE_REFUSED && outcome->why == PLACEMENT_FULL)
		fprintf(out,
			": %u users are connected, as many as the servers hold; somebody has "
			"to leave, or a server to return",
			p->placement.users);
	else if (outcome->result == SIMULATE_REFUSED)
		fprintf(out, ": no server is left that holds a desktop");
	print_users(out, "; again: ", outcome->again, TRUE);
	print_users(out, "; refused: ", outcome->again, FALSE);
	for (guint i = 0; i < outcome->steps->len; i++) {
		const struct simulate_step *step =
			&g_array_index(outcome->steps, struct simulate_step, i);

		fprintf(out,
			"\n    %s is handed off from %u MiB on server " U64
			" to %u MiB on server " U64 "%s",
			step->user->name, step->from_mib, step->from, step->size_mib, step->to,
			step->break_before_make ? ", stopped first" : "");
	}
	fprintf(out, "\n    users %u, tier %u, desktops %s, free " U64 " MiB\n", p->placement.users,
		planner_tier(p), desktops, planner_free_mib(p));
}

void simulate_print(FILE *out, gboolean json, const struct simulate *s,
	const struct trace_event *event, const struct simulate_outcome *outcome)
{
	if (!json) {
		print_text(out, simulate_planner(s), event, outcome);
		return;
	}
	char *name = simulate_name_json(event->name);
	print_json(out, simulate_planner(s), event, name, outcome);
	free(name);
}
