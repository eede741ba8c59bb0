/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CSV files: what is read is whole records in the order of their lines, else an error says where.
 */
#include "broker/ctl/csv.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const columns[] = {"mac", "name", NULL};
	static const char *const optional[] = {"language", NULL};
	g_autoptr(GError) error = NULL;
	json_t *list = csv_parse((const char *)data, size, columns, optional, &error);
	json_int_t before = 1;
	size_t i;
	const json_t *item;

	if (!list != !!error || (error && !g_str_has_prefix(error->message, "line ")))
		abort();
	json_array_foreach (list, i, item) {
		json_int_t line = json_integer_value(json_object_get(item, "line"));

		if (line <= before || json_object_size(item) < 3 || json_object_size(item) > 4 ||
			!json_is_string(json_object_get(item, "mac")) ||
			!json_is_string(json_object_get(item, "name")))
			abort();
		before = line;
	}
	json_decref(list);
	return 0;
}
