/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carrel simulate: any bytes as a trace are played, or refused with the line's number. */
#include "broker/ctl/simulate.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct plan_server list[] = {{NULL, 4096, NULL}, {NULL, 3000, NULL}};
	g_autoptr(GError) error = NULL;
	struct plan_site site = {.standby = size % 3};

	if (size == 0)
		return 0;
	site.servers = g_array_new(FALSE, FALSE, sizeof(struct plan_server));
	g_array_append_vals(site.servers, list, 2);
	if (!tier_table_init(&site.tiers, 2048, 256, 0))
		abort();
	char *printed = NULL;
	size_t length = 0;
	FILE *in = fmemopen((void *)data, size, "r"), *out = open_memstream(&printed, &length);
	gboolean ok = simulate_trace(&site, in, "trace", out, data[0] & 1, &error);
	fclose(in);
	fclose(out);
	if (ok == (error != NULL) || (error && !g_str_has_prefix(error->message, "trace:")))
		abort();
	if (!g_utf8_validate_len(printed, length, NULL))
		abort();
	free(printed);
	g_array_unref(site.servers);
	return 0;
}
