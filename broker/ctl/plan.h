/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table behind `carrel plan`: users u1, u2, ... come one by one; after each of them one may
 * ask what the loss of a server would do, which changes nothing. The decisions are made by
 * broker/core/planner.h; text, JSON and chart only show the outcomes.
 */
#ifndef CARREL_PLAN_H
#define CARREL_PLAN_H

#include "broker/core/planner.h"
#include "broker/ctl/plan_args.h"

#define PLAN_USERS_MOST 10000000

/* A user who is handed off. */
struct plan_move {
	uint64_t user;     /* 5 is u5 */
	uint64_t from, to; /* indexes of servers */
	uint32_t from_mib, size_mib;
	gboolean break_before_make;
};

/* A user of the lost server. */
struct plan_again {
	uint64_t user;
	gboolean admitted;
	uint64_t server; /* these two when admitted: in the end */
	uint32_t size_mib;
};

struct plan_outcome {
	uint64_t users; /* connected */
	unsigned tier;  /* that their number asks for */
	uint64_t counts[TIER_MAX];
	uint64_t free_mib;
	GArray *moves; /* of struct plan_move; borrowed, until the next outcome */
	GArray *again; /* of struct plan_again; the same */
	uint64_t refused;
};

struct plan_run;

/* All servers that are there, nobody connected. The site is borrowed. */
struct plan_run *plan_run_new(const struct plan_site *site, uint64_t rows);
void plan_run_free(struct plan_run *run);
const struct planner *plan_run_planner(const struct plan_run *run);
/* One user more; FALSE when the rows are done. */
gboolean plan_run_next(struct plan_run *run, struct plan_outcome *outcome);
/* What the loss of that server would do now. */
void plan_run_fail(struct plan_run *run, size_t server, struct plan_outcome *outcome);

/* One server size of --seats. */
struct plan_seats_equal {
	uint32_t server_mib;
	uint64_t servers, servers_one_lost; /* 0: no number of them does */
	uint32_t min_mib, min_one_lost_mib; /* largest, with that number; 0: none */
};

struct plan_seats {
	uint64_t users;
	GArray *equal;                                  /* by distinct size, largest first */
	uint32_t given_min_mib, given_min_one_lost_mib; /* of the servers as given; 0: none */
};

/* What was asked for. */
struct plan_request {
	struct plan_site *site;   /* owned */
	uint64_t rows;            /* of the table */
	uint64_t capacity;        /* N_L */
	gboolean fails;           /* --fail */
	size_t fail;              /* the index */
	struct plan_seats *seats; /* owned; NULL: not asked for */
	gboolean whole;           /* a table of rows is wanted by people too */
	const char *chart;        /* borrowed; NULL: none */
};

struct plan_seats *plan_seats_new(const struct plan_site *site, uint64_t users);
void plan_seats_free(struct plan_seats *seats);

/* plan_live.c: the servers that carreld has, sizes from its configuration. NULL on errors. */
struct context;
struct plan_site *plan_site_live(
	const struct context *context, const struct plan_args *args, GError **error);

/* plan_text.c, plan_json.c: the answer on standard output. */
void plan_print_text(const struct plan_request *request);
void plan_print_json(const struct plan_request *request);
/* "2048 x1, 1024 x3"; the caller frees it. */
char *plan_desktops_text(const struct tier_table *tiers, const uint64_t *counts);

#endif
