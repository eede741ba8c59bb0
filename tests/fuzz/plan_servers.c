/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --servers and sizes: any text gives servers that the planner can work on, or a sentence. */
#include "broker/ctl/plan.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void plan(GArray *servers)
{
	struct plan_site site = {.servers = servers};
	struct plan_outcome outcome;

	if (servers->len > 1000)
		return;
	if (!tier_table_init(&site.tiers, 4096, 512, 0))
		abort();
	struct plan_run *run = plan_run_new(&site, 20);
	while (plan_run_next(run, &outcome))
		if (outcome.free_mib > plan_run_planner(run)->usable_mib)
			abort();
	plan_run_free(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_autoptr(GError) error = NULL;
	g_autoptr(GError) size_error = NULL;
	uint32_t mib = 0;
	GArray *servers = plan_servers(text, &error);

	if (!servers == !error || (servers && servers->len == 0))
		abort();
	if (plan_size(text, "--max", &mib, &size_error) ? mib == 0 : !size_error)
		abort();
	if (servers) {
		for (guint i = 0; i < servers->len; i++)
			if (!g_array_index(servers, struct plan_server, i).memory_mib)
				abort();
		plan(servers);
		g_array_unref(servers);
	}
	return 0;
}
