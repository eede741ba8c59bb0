/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The boot plan: what is read is written as the same plan, and no option gets through that says
 * what is booted. */
#include "images/store/bootplan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bootplan *plan = bootplan_parse((const char *)data, size, NULL), *again;
	g_autofree char *options = g_strndup((const char *)data, size);

	if (bootplan_kernel_check(options, NULL) &&
		(strpbrk(options, "\"'\n\t") || strstr(options, "carrel.") == options ||
			strstr(options, " carrel.") || strstr(options, "root=") == options ||
			strstr(options, " init=") || strstr(options, " ip=")))
		abort();
	if (!plan)
		return 0;
	g_autofree char *text = bootplan_text(plan);
	again = bootplan_parse(text, strlen(text), NULL);
	if (!again)
		abort();
	g_autofree char *second = bootplan_text(again);
	g_autoptr(GArray) variants = bootplan_variants(plan);
	if (strcmp(text, second) != 0)
		abort();
	for (guint i = 0; i < plan->seats->len; i++) {
		const struct bootplan_seat *seat =
			&g_array_index(plan->seats, struct bootplan_seat, i);

		if (bootplan_variant_of(variants, seat) < 0 && (seat->version || seat->kernel[0]))
			abort();
	}
	bootplan_free(again);
	bootplan_free(plan);
	return 0;
}
