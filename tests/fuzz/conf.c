/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carrel.conf: any bytes give a configuration, or problems that name what is wrong. */
#include "broker/shared/conf.h"
#include "tests/unit/links.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GPtrArray *problems = conf_problems_new();
	GArray *links = links_of_boot_server();
	struct conf *conf = conf_parse("fuzz", (const char *)data, size, links, problems);

	if ((conf == NULL) != (problems->len > 0))
		abort();
	for (guint i = 0; i < problems->len; i++)
		if (!*((const struct conf_problem *)problems->pdata[i])->text)
			abort();
	for (int id = 0; conf && id < CONF_COUNT; id++)
		if (!conf_string(conf, (enum conf_id)id))
			abort();
	if (conf) {
		g_auto(GStrv) words = conf_command(conf, CONF_SERVER_FENCE);

		if (!words != !*conf_string(conf, CONF_SERVER_FENCE) || (words && *words[0] != '/'))
			abort();
	}
	conf_free(conf);
	g_array_unref(links);
	g_ptr_array_unref(problems);
	return 0;
}
