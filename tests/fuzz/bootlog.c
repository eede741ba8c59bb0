/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Log lines with what PCs had written into them, and the boot ledger fed with them. */
#include "broker/daemon/boots.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_auto(GStrv) lines = g_strsplit(text, "\n", 200);
	struct boots *boots = boots_new();
	gint64 now = 1;

	for (char **at = lines; *at; at++, now += 40000) {
		struct bootlog_line line;
		if (bootlog_dnsmasq(*at, &line) || bootlog_http(*at, &line)) {
			if (!memchr(line.file, 0, sizeof line.file) ||
				(line.mac[0] && strlen(line.mac) != 17))
				abort();
			boots_line(boots, &line, 1, now);
			boots_form(boots, line.mac, now);
		}
	}
	json_t *list = boots_troubles(boots, now + BOOTS_STUCK_MS + 1);
	char *json = json_dumps(list, 0);
	if (!json)
		abort(); /* not UTF-8, say */
	free(json);
	json_decref(list);
	boots_free(boots);
	return 0;
}
