/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A site on which a trace is played; what `carrel simulate` prints is made of this. */
#ifndef CARREL_SIMULATE_H
#define CARREL_SIMULATE_H

#include "broker/core/planner.h"
#include "broker/ctl/plan_args.h"
#include "broker/ctl/simulate_trace.h"

#include <stdio.h>

enum simulate_result {
	SIMULATE_ADMITTED,
	SIMULATE_REFUSED,
	SIMULATE_LEFT,
	SIMULATE_LOST,
	SIMULATE_RETURNED
};

struct simulate_user {
	struct planner_user planner; /* the first member */
	char *name;                  /* owned */
	char *json;                  /* owned by malloc; the name as a JSON string */
};

struct simulate_step {
	struct simulate_user *user; /* borrowed */
	uint64_t from, to;
	uint32_t from_mib, size_mib;
	gboolean break_before_make;
};

struct simulate_again {
	struct simulate_user *user; /* borrowed */
	gboolean admitted;
};

/* What an event did; the arrays are borrowed until the next one. */
struct simulate_outcome {
	enum simulate_result result;
	enum placement_result why;        /* of SIMULATE_REFUSED */
	const struct simulate_user *user; /* who was admitted; else NULL */
	GArray *steps;                    /* of struct simulate_step */
	GArray *again;                    /* of struct simulate_again: the lost server's users */
};

struct simulate;

/* The site is borrowed. */
struct simulate *simulate_new(const struct plan_site *site);
void simulate_free(struct simulate *s);
const struct planner *simulate_planner(const struct simulate *s);
const char *simulate_result_name(enum simulate_result result);
/* A name as a JSON string, with its quotation marks; the caller frees it with free(). */
char *simulate_name_json(const char *name);
/* Plays one event that is not TRACE_NOTHING; FALSE, and nothing has happened, when it cannot be. */
gboolean simulate_play(struct simulate *s, const struct trace_event *event,
	struct simulate_outcome *outcome, GError **error);

/*
 * Plays a whole trace and prints what each line did as it goes. On a mistake in a line the error
 * is "NAME:LINE: why" and nothing is printed for that line or after it.
 */
gboolean simulate_trace(const struct plan_site *site, FILE *trace, const char *name, FILE *out,
	gboolean json, GError **error);

/* simulate_print.c */
void simulate_print(FILE *out, gboolean json, const struct simulate *s,
	const struct trace_event *event, const struct simulate_outcome *outcome);

#endif
