/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options of `carrel plan` and `carrel simulate`, and what they mean: a struct plan_site, the
 * servers and sizes that both work on. Sizes are MiB, or have a suffix M, MiB, G or GiB.
 */
#ifndef CARREL_PLAN_ARGS_H
#define CARREL_PLAN_ARGS_H

#include <glib.h>

#include "broker/core/tier.h"

#define PLAN_SERVERS_MOST 1000000

#define PLAN_ERROR (plan_error_quark())
GQuark plan_error_quark(void);
enum plan_error {
	PLAN_ERROR_USAGE, /* what was asked makes no sense */
	PLAN_ERROR_FAILED /* it does, but could not be done */
};

/* As typed; NULL: not given. All owned. */
struct plan_args {
	char *servers, *max, *min, *standby, *host_reserve, *overhead;
	char *users, *fail, *seats, *chart, *trace;
	gboolean live;
};

struct plan_server {
	char *name; /* owned; NULL: it has none */
	uint32_t memory_mib;
	const char *away; /* "down", "draining", ...: counts as lost; NULL: it is there */
};

struct plan_site {
	GArray *servers; /* of struct plan_server */
	struct tier_table tiers;
	uint32_t overhead_mib, host_reserve_mib, standby;
};

/* Is the command plan or simulate? Other commands have options of the same names. */
gboolean plan_args_wanted(char *const *argv);
/* The group of options for the parser, which owns it; it fills `args`. */
GOptionGroup *plan_args_group(struct plan_args *args);
void plan_args_clear(struct plan_args *args);
/* The first option given that the command does not have, such as "--seats"; NULL: all is well. */
const char *plan_args_stray(const struct plan_args *args, const char *command);

/* "4096", "4GiB", "512m": 1 MiB or more. `what` begins the error. */
gboolean plan_size(const char *text, const char *what, uint32_t *mib, GError **error);
/* A plain number from `least` to `most`. */
gboolean plan_count(const char *text, const char *what, uint64_t least, uint64_t most,
	uint64_t *count, GError **error);
/* "4096,4096", "8x64GiB", "hall1=64GiB,hall2=32GiB" to an array of struct plan_server, or NULL. */
GArray *plan_servers(const char *text, GError **error);

/* The site that --servers, --max and the others describe, or NULL. */
struct plan_site *plan_site_new(const struct plan_args *args, GError **error);
/*
 * The same for servers known already, whose array is taken over; what the options do not say is
 * taken from `defaults`.
 */
struct plan_site *plan_site_of(const struct plan_args *args, GArray *servers,
	const struct plan_site *defaults, GError **error);
void plan_site_free(struct plan_site *site);

/* The index of the server that --fail or a trace means; false when there is none. */
gboolean plan_site_find(
	const struct plan_site *site, const char *name, size_t *index, GError **error);
const struct plan_server *plan_site_server(const struct plan_site *site, size_t index);
/* "server 3", "server 3 (hall1)"; the caller frees it. */
char *plan_server_text(const struct plan_site *site, size_t index);

#endif
