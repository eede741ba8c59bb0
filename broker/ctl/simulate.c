/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carrel simulate: a trace of arrivals, departures and losses, as the daemon would decide them. */
#include "broker/ctl/simulate.h"
#include "broker/ctl/command.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct simulate {
	struct planner planner;
	struct planner_server *servers; /* owned */
	GHashTable *users;              /* connected ones, owned, by name */
	GPtrArray *gone;                /* owned; still named by the last outcome */
	GArray *steps, *again;          /* owned; of the last outcome */
};

static void user_free(gpointer data)
{
	struct simulate_user *user = data;

	g_free(user->name);
	free(user->json);
	g_free(user);
}

char *simulate_name_json(const char *name)
{
	json_t *text = json_string(name);
	char *json = json_dumps(text, JSON_ENCODE_ANY);

	json_decref(text);
	return json;
}

static struct simulate_user *user_new(const char *name)
{
	struct simulate_user *user = g_new0(struct simulate_user, 1);

	user->name = g_strdup(name);
	user->json = simulate_name_json(name);
	return user;
}

static void on_handoff(void *data, const struct planner_step *step)
{
	struct simulate *s = data;
	const struct simulate_step own = {
		.user = (struct simulate_user *)step->user,
		.from = step->from,
		.to = step->to,
		.from_mib = step->from_mib,
		.size_mib = step->size_mib,
		.break_before_make = step->break_before_make,
	};

	g_array_append_val(s->steps, own);
}

static void on_again(void *data, struct planner_user *user, bool admitted)
{
	struct simulate *s = data;
	const struct simulate_again again = {(struct simulate_user *)user, admitted};

	g_array_append_val(s->again, again);
}

struct simulate *simulate_new(const struct plan_site *site)
{
	struct simulate *s = g_new0(struct simulate, 1);
	const struct planner_watch watch = {on_handoff, on_again, s};

	s->servers = g_new0(struct planner_server, site->servers->len);
	s->users = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, user_free);
	s->gone = g_ptr_array_new_with_free_func(user_free);
	s->steps = g_array_new(FALSE, FALSE, sizeof(struct simulate_step));
	s->again = g_array_new(FALSE, FALSE, sizeof(struct simulate_again));
	planner_init(
		&s->planner, &site->tiers, site->standby, s->servers, site->servers->len, &watch);
	for (guint i = 0; i < site->servers->len; i++)
		planner_server_init(&s->planner, i, plan_site_server(site, i)->memory_mib,
			site->host_reserve_mib, true);
	return s;
}

void simulate_free(struct simulate *s)
{
	if (!s)
		return;
	g_array_unref(s->steps);
	g_array_unref(s->again);
	g_ptr_array_unref(s->gone);
	g_hash_table_unref(s->users);
	g_free(s->servers);
	g_free(s);
}

const struct planner *simulate_planner(const struct simulate *s)
{
	return &s->planner;
}

const char *simulate_result_name(enum simulate_result result)
{
	static const char *const names[] = {"admitted", "refused", "left", "lost", "returned"};

	return names[result];
}

/* Off the list of the connected; freed with the next event. */
static void retire(struct simulate *s, struct simulate_user *user)
{
	g_hash_table_steal(s->users, user->name);
	g_ptr_array_add(s->gone, user);
}

static void arrive(struct simulate *s, const char *name, struct simulate_outcome *outcome)
{
	struct simulate_user *user = user_new(name);

	outcome->why = planner_arrive(&s->planner, &user->planner);
	if (outcome->why != PLACEMENT_ADMIT) {
		outcome->result = SIMULATE_REFUSED;
		user_free(user);
		return;
	}
	g_hash_table_insert(s->users, user->name, user);
	outcome->result = SIMULATE_ADMITTED;
	outcome->user = user;
}

static void lose(
	struct simulate *s, struct planner_server *server, struct simulate_outcome *outcome)
{
	planner_lose(&s->planner, server, false);
	for (guint i = 0; i < s->again->len; i++) {
		const struct simulate_again *again =
			&g_array_index(s->again, struct simulate_again, i);

		if (!again->admitted)
			retire(s, again->user);
	}
	outcome->result = SIMULATE_LOST;
}

/* What makes an event impossible; NULL when nothing does. The caller frees it. */
static char *impossible(const struct simulate *s, const struct trace_event *event)
{
	gboolean known = g_hash_table_contains(s->users, event->name);

	if (event->kind == TRACE_ARRIVES)
		return known ? g_strdup_printf("%s is connected already", event->name) : NULL;
	if (event->kind == TRACE_LEAVES)
		return known ? NULL
			     : g_strdup_printf("%s is not connected, so cannot leave", event->name);
	if (event->server >= s->planner.server_count)
		return g_strdup_printf("there is no server %s: indexes go from 0 to %zu",
			event->name, s->planner.server_count - 1);
	gboolean lost = s->servers[event->server].place.state == PLACEMENT_LOST;
	if (event->kind == TRACE_LOST && lost)
		return g_strdup_printf("server %s is lost already", event->name);
	if (event->kind == TRACE_RETURNS && !lost)
		return g_strdup_printf("server %s is not lost, so cannot return", event->name);
	return NULL;
}

gboolean simulate_play(struct simulate *s, const struct trace_event *event,
	struct simulate_outcome *outcome, GError **error)
{
	g_autofree char *why = impossible(s, event);

	if (why) {
		g_set_error_literal(error, PLAN_ERROR, PLAN_ERROR_USAGE, why);
		return FALSE;
	}
	g_array_set_size(s->steps, 0);
	g_array_set_size(s->again, 0);
	g_ptr_array_set_size(s->gone, 0);
	*outcome = (struct simulate_outcome){.steps = s->steps, .again = s->again};
	if (event->kind == TRACE_ARRIVES) {
		arrive(s, event->name, outcome);
	} else if (event->kind == TRACE_LEAVES) {
		struct simulate_user *user = g_hash_table_lookup(s->users, event->name);

		planner_leave(&s->planner, &user->planner);
		retire(s, user);
		outcome->result = SIMULATE_LEFT;
	} else if (event->kind == TRACE_LOST) {
		lose(s, &s->servers[event->server], outcome);
	} else {
		planner_return(&s->planner, &s->servers[event->server]);
		outcome->result = SIMULATE_RETURNED;
	}
	return TRUE;
}

gboolean simulate_trace(const struct plan_site *site, FILE *trace, const char *name, FILE *out,
	gboolean json, GError **error)
{
	struct simulate *s = simulate_new(site);
	struct trace_event event;
	struct simulate_outcome outcome;
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	gboolean ok = TRUE;

	for (uint64_t number = 1; ok && (length = getline(&line, &size, trace)) >= 0; number++) {
		ok = trace_parse(line, (gsize)length, &event, error);
		if (ok && event.kind != TRACE_NOTHING) {
			ok = simulate_play(s, &event, &outcome, error);
			if (ok)
				simulate_print(out, json, s, &event, &outcome);
		}
		if (!ok)
			g_prefix_error(error, "%s:%" G_GUINT64_FORMAT ": ", name, number);
	}
	if (ok && ferror(trace)) {
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_FAILED, "cannot read the trace %s: %s",
			name, g_strerror(errno));
		ok = FALSE;
	}
	free(line);
	simulate_free(s);
	return ok;
}

static gboolean run(const struct context *context, const struct plan_args *args, GError **error)
{
	struct plan_site *site;
	gboolean input = !g_strcmp0(args->trace, "-"), ok;
	FILE *trace;

	if (!args->trace) {
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_USAGE,
			"--trace is missing: the file with the trace, or - for standard input");
		return FALSE;
	}
	site = plan_site_new(args, error);
	if (!site)
		return FALSE;
	trace = input ? stdin : fopen(args->trace, "re");
	if (!trace) {
		g_set_error(error, PLAN_ERROR, PLAN_ERROR_FAILED, "cannot read the trace %s: %s",
			args->trace, g_strerror(errno));
		plan_site_free(site);
		return FALSE;
	}
	ok = simulate_trace(
		site, trace, input ? "standard input" : args->trace, stdout, context->json, error);
	if (!input)
		fclose(trace);
	plan_site_free(site);
	return ok;
}

int command_simulate(const struct context *context)
{
	g_autoptr(GError) error = NULL;
	gboolean ok = run(context, context->plan, &error);
	gboolean written = !fflush(stdout) && !ferror(stdout);

	if (!ok) {
		fprintf(stderr, "carrel: %s\n", error->message);
		return g_error_matches(error, PLAN_ERROR, PLAN_ERROR_USAGE) ? EXIT_USAGE
									    : EXIT_FAILED;
	}
	if (!written) {
		fprintf(stderr, "carrel: cannot write the answer: %s\n", g_strerror(errno));
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}
