/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carrel plan: what each number of users gets, and what happens when a server fails. */
#include "broker/ctl/plan.h"
#include "broker/ctl/chart.h"
#include "broker/ctl/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void request_clear(struct plan_request *request)
{
	plan_site_free(request->site);
	plan_seats_free(request->seats);
}

static uint64_t capacity_of(const struct plan_site *site)
{
	struct plan_run *run = plan_run_new(site, 0);
	uint64_t capacity = placement_capacity(&plan_run_planner(run)->placement);

	plan_run_free(run);
	return capacity;
}

static gboolean find_fail(struct plan_request *request, const char *name, GError **error)
{
	if (!plan_site_find(request->site, name, &request->fail, error)) {
		g_prefix_error(error, "--fail: ");
		return FALSE;
	}
	const struct plan_server *server = plan_site_server(request->site, request->fail);
	if (server->away) {
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
			"--fail: %s is %s already and counts as lost", server->name, server->away);
		return FALSE;
	}
	request->fails = TRUE;
	return TRUE;
}

static gboolean set_rows(struct plan_request *request, const struct plan_args *args, GError **error)
{
	uint64_t users;

	request->rows = request->capacity;
	if (args->users) {
		if (!plan_count(args->users, "--users", 1, UINT32_MAX, &users, error))
			return FALSE;
		request->rows = MIN(users, request->capacity);
	}
	if (request->rows <= PLAN_USERS_MOST)
		return TRUE;
	g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
		"that are %" G_GUINT64_FORMAT
		" users, a row for each; ask for fewer with --users, at most %d",
		request->rows, PLAN_USERS_MOST);
	return FALSE;
}

static gboolean request_fill(struct plan_request *request, const struct context *context,
	const struct plan_args *args, GError **error)
{
	uint64_t seats;

	if (args->chart && !chart_format_known(args->chart)) {
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
			"--chart: \"%.200s\" ends neither in .svg nor in .png", args->chart);
		return FALSE;
	}
	request->site =
		args->live ? plan_site_live(context, args, error) : plan_site_new(args, error);
	if (!request->site)
		return FALSE;
	if (args->fail && !find_fail(request, args->fail, error))
		return FALSE;
	request->capacity = capacity_of(request->site);
	request->chart = args->chart;
	request->whole = !args->seats || args->users;
	if (!set_rows(request, args, error))
		return FALSE;
	if (args->seats) {
		if (!plan_count(args->seats, "--seats", 1, UINT32_MAX, &seats, error))
			return FALSE;
		request->seats = plan_seats_new(request->site, seats);
	}
	return TRUE;
}

static int failed(const GError *error)
{
	fprintf(stderr, "carrel: %s\n", error->message);
	return g_error_matches(error, PLAN_ERROR, PLAN_ERROR_USAGE) ? EXIT_USAGE : EXIT_FAILED;
}

int command_plan(const struct context *context)
{
	struct plan_request request = {0};
	g_autoptr(GError) error = NULL;
	int status = EXIT_DONE;

	if (!request_fill(&request, context, context->plan, &error) ||
		(request.chart && !chart_write(&request, &error))) {
		request_clear(&request);
		return failed(error);
	}
	if (context->json)
		plan_print_json(&request);
	else
		plan_print_text(&request);
	if (request.chart && !context->json)
		printf("\nThe chart is in %s.\n", request.chart);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "carrel: cannot write the answer: %s\n", g_strerror(errno));
		status = EXIT_FAILED;
	}
	request_clear(&request);
	return status;
}
