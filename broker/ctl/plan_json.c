/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan as JSON, a row a line. It is written as it is computed and not built in memory first:
 * the rows of a large site name each desktop, which together are gigabytes.
 */
#include "broker/ctl/plan.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define CHUNK 1024

/* "4096," over and over, by tier. */
struct repeated {
	GString *text[TIER_MAX]; /* owned */
	size_t length[TIER_MAX]; /* of one */
	unsigned tiers;
};

static void repeated_init(struct repeated *repeated, const struct tier_table *tiers)
{
	repeated->tiers = tiers->last + 1;
	for (unsigned m = 0; m < repeated->tiers; m++) {
		g_autofree char *one = g_strdup_printf("%u,", tier_size_mib(tiers, m));

		repeated->length[m] = strlen(one);
		repeated->text[m] = g_string_new(NULL);
		for (unsigned i = 0; i < CHUNK; i++)
			g_string_append(repeated->text[m], one);
	}
}

static void repeated_clear(struct repeated *repeated)
{
	for (unsigned m = 0; m < repeated->tiers; m++)
		g_string_free(repeated->text[m], TRUE);
}

/* The desktops from large to small. */
static void print_desktops(const struct repeated *repeated, const uint64_t *counts)
{
	uint64_t left = 0;

	for (unsigned m = 0; m < repeated->tiers; m++)
		left += counts[m];
	for (unsigned m = 0; m < repeated->tiers; m++) {
		for (uint64_t n = counts[m]; n > 0;) {
			uint64_t now = n < CHUNK ? n : CHUNK;
			size_t length = (size_t)now * repeated->length[m];

			n -= now;
			left -= now;
			/* No comma after the last of all. */
			fwrite(repeated->text[m]->str, 1, left ? length : length - 1, stdout);
		}
	}
}

static void print_moves(const GArray *moves)
{
	printf(",\"moved\":[");
	for (guint i = 0; i < moves->len; i++) {
		const struct plan_move *move = &g_array_index(moves, struct plan_move, i);

		printf("%s{\"user\":\"u%" G_GUINT64_FORMAT "\",\"from\":%" G_GUINT64_FORMAT
		       ",\"to\":%" G_GUINT64_FORMAT
		       ",\"from_mib\":%u,\"size_mib\":%u,\"break_before_make\":%s}",
			i ? "," : "", move->user, move->from, move->to, move->from_mib,
			move->size_mib, move->break_before_make ? "true" : "false");
	}
	putchar(']');
}

static void print_again(const GArray *list)
{
	const char *comma = "";

	printf(",\"again\":[");
	for (guint i = 0; i < list->len; i++) {
		const struct plan_again *again = &g_array_index(list, struct plan_again, i);

		if (!again->admitted)
			continue;
		printf("%s{\"user\":\"u%" G_GUINT64_FORMAT "\",\"server\":%" G_GUINT64_FORMAT
		       ",\"size_mib\":%u}",
			comma, again->user, again->server, again->size_mib);
		comma = ",";
	}
	printf("],\"refused\":[");
	comma = "";
	for (guint i = 0; i < list->len; i++) {
		const struct plan_again *again = &g_array_index(list, struct plan_again, i);

		if (again->admitted)
			continue;
		printf("%s\"u%" G_GUINT64_FORMAT "\"", comma, again->user);
		comma = ",";
	}
	putchar(']');
}

static void print_outcome(const struct repeated *repeated, const struct plan_outcome *outcome)
{
	printf("{\"users\":%" G_GUINT64_FORMAT ",\"tier\":%u,\"desktops_mib\":[", outcome->users,
		outcome->tier);
	print_desktops(repeated, outcome->counts);
	printf("],\"free_mib\":%" G_GUINT64_FORMAT ",\"handoffs\":%u", outcome->free_mib,
		outcome->moves->len);
	print_moves(outcome->moves);
}

static void print_value(const char *member, json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	printf(",\n\"%s\":%s", member, text);
	free(text);
	json_decref(value);
}

static json_t *tiers_json(const struct planner *planner)
{
	json_t *list = json_array();
	const struct placement *p = &planner->placement;

	for (unsigned m = 0; m <= p->tiers.last; m++)
		json_array_append_new(
			list, json_pack("{s:I, s:I, s:I, s:I, s:I}", "m", (json_int_t)m, "size_mib",
				      (json_int_t)tier_size_mib(&p->tiers, m), "slots",
				      (json_int_t)p->slots[m], "threshold",
				      (json_int_t)placement_threshold(p, m), "waste_mib",
				      (json_int_t)planner_waste_mib(planner, m)));
	return list;
}

static json_t *servers_json(const struct plan_site *site, const struct planner *planner)
{
	json_t *list = json_array();

	for (guint i = 0; i < site->servers->len; i++) {
		const struct plan_server *server = plan_site_server(site, i);
		const struct planner_server *place = &planner->servers[i];
		uint64_t used = place->place.capacity * site->tiers.unit_mib;
		json_t *item = json_pack("{s:I, s:I, s:I, s:I, s:I, s:s}", "index", (json_int_t)i,
			"memory_mib", (json_int_t)server->memory_mib, "usable_mib",
			(json_int_t)place->usable_mib, "capacity",
			(json_int_t)place->place.capacity, "waste_mib",
			(json_int_t)(place->usable_mib - used), "state",
			server->away ? server->away : "up");

		if (server->name)
			json_object_set_new(item, "name", json_string(server->name));
		json_array_append_new(list, item);
	}
	return list;
}

/* null for 0, which means that there is none. */
static json_t *some(uint64_t number)
{
	return number ? json_integer((json_int_t)number) : json_null();
}

static json_t *seats_json(const struct plan_seats *seats)
{
	json_t *equal = json_array();

	for (guint i = 0; i < seats->equal->len; i++) {
		const struct plan_seats_equal *e =
			&g_array_index(seats->equal, struct plan_seats_equal, i);

		json_array_append_new(equal,
			json_pack("{s:I, s:o, s:o, s:{s:o, s:o}}", "server_mib",
				(json_int_t)e->server_mib, "servers", some(e->servers), "min_mib",
				some(e->min_mib), "one_lost", "servers", some(e->servers_one_lost),
				"min_mib", some(e->min_one_lost_mib)));
	}
	return json_pack("{s:I, s:o, s:{s:o, s:{s:o}}}", "users", (json_int_t)seats->users, "equal",
		equal, "given", "min_mib", some(seats->given_min_mib), "one_lost", "min_mib",
		some(seats->given_min_one_lost_mib));
}

void plan_print_json(const struct plan_request *request)
{
	const struct plan_site *site = request->site;
	struct plan_run *run = plan_run_new(site, request->rows);
	const struct planner *planner = plan_run_planner(run);
	struct repeated repeated = {0};
	struct plan_outcome outcome;
	const char *comma = "";
	char *tiers;
	json_t *list = tiers_json(planner);

	repeated_init(&repeated, &site->tiers);
	tiers = json_dumps(list, JSON_COMPACT);
	printf("{\"tiers\":%s", tiers);
	free(tiers);
	json_decref(list);
	print_value("capacity", json_integer((json_int_t)request->capacity));
	print_value("standby", json_integer((json_int_t)site->standby));
	print_value("waste_mib",
		json_integer((json_int_t)planner_waste_mib(planner, site->tiers.last)));
	print_value("servers", servers_json(site, planner));
	if (request->fails)
		print_value("fail", json_integer((json_int_t)request->fail));
	if (request->seats)
		print_value("seats", seats_json(request->seats));
	printf(",\n\"rows\":[");
	while (plan_run_next(run, &outcome)) {
		printf("%s\n", comma);
		print_outcome(&repeated, &outcome);
		if (request->fails) {
			plan_run_fail(run, request->fail, &outcome);
			printf(",\"fail\":");
			print_outcome(&repeated, &outcome);
			print_again(outcome.again);
			putchar('}');
		}
		putchar('}');
		comma = ",";
	}
	printf("\n]}\n");
	repeated_clear(&repeated);
	plan_run_free(run);
}
