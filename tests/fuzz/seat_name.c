/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How seats are written: what is read as a name means itself, and is read again as it was. */
#include "broker/daemon/seat_name.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	char name[SEAT_NAME_MAX], again[SEAT_NAME_MAX];
	struct seat_ref ref;
	g_autofree char *no_name = seat_name_read(text, name);
	g_autofree char *no_ref = seat_ref_read(text, &ref);

	if (!no_name) {
		g_autofree char *changed = seat_name_read(name, again);

		if (changed || strcmp(name, again) != 0 || no_ref || ref.kind != SEAT_REF_NAME ||
			!seat_ref_fits(&ref, "", name))
			abort();
	}
	if (!no_ref) {
		struct seat_ref second;
		g_autofree char *changed = seat_ref_read(ref.text, &second);

		if (changed || second.kind != ref.kind || strcmp(second.text, ref.text) != 0 ||
			seat_ref_fits(&ref, "", ""))
			abort();
		seat_ref_fits(&ref, "52:54:00:77:00:01", "room/17");
	}
	return 0;
}
