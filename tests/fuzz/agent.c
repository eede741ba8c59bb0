/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent channel: bytes from the host, cut in two at a place that the input chooses. */
#include "images/agent/agent_msg.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void line(void *context, const char *text, size_t length)
{
	struct agent_request request;

	(void)context;
	if (!text || agent_msg_parse(text, length, &request))
		return;
	/* what was accepted can be a program's argument and the name of a file */
	if (strspn(request.keyboard.layout, "abcdefghijklmnopqrstuvwxyz") !=
			strlen(request.keyboard.layout) ||
		strpbrk(request.keyboard.variant, "/.()\"' \n;$") ||
		request.keyboard.variant[0] == '-')
		abort();
	if (request.op != AGENT_OP_CLAIM)
		return;
	/* what was accepted can be made a path, a passwd line and a sysfs comparison */
	if (!agent_msg_user_ok(request.user) || strchr(request.full_name, ':') ||
		strchr(request.full_name, '\n') || strchr(request.volume, '/') ||
		request.uid < 1000)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct agent_lines lines;
	size_t first = size ? data[0] % size : 0;

	agent_lines_init(&lines);
	agent_lines_feed(&lines, (const char *)data, first, line, NULL);
	agent_lines_feed(&lines, (const char *)data + first, size - first, line, NULL);
	agent_lines_feed(&lines, "\n", 1, line, NULL);
	return 0;
}
