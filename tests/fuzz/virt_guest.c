/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a guest answers by its guest agent, in any order with what carreld asks and with the time.
 */
#include "broker/virt/guest_agent.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/virt/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t sync_number;
static unsigned sends;

/* A line is one command, whatever the guest has said before. */
static void on_send(void *user, const char *line)
{
	const char *text = *line == '\xff' ? line + 1 : line;
	json_t *message = lines_object(text, strlen(text) - 1);
	json_t *arguments = json_object_get(message, "arguments");

	(void)user;
	if (!message || strchr(text, '\n') != text + strlen(text) - 1 ||
		!json_is_string(json_object_get(message, "execute")) || ++sends > 100000)
		abort();
	if (json_is_integer(json_object_get(arguments, "id")))
		sync_number = json_integer_value(json_object_get(arguments, "id"));
	json_decref(message);
}

/* What carreld hears can be sent, and is an answer or an event. */
static void on_say(void *user, json_t *message)
{
	char *text = json_dumps(message, 0);

	(void)user;
	if (!text || (!json_is_string(json_object_get(message, "event")) &&
			     !json_is_integer(json_object_get(message, "id"))))
		abort();
	free(text);
	json_decref(message);
}

/* Lines; the first byte of each says what it is. */
static void step(struct guest_agent *agent, const char *text, size_t length, gint64 *now)
{
	static const char claim[] = "{\"op\":\"claim\",\"id\":1,\"user\":\"a\",\"full_name\":\"\","
				    "\"uid\":1,\"gid\":1,\"volume\":\"vol-1\"}";
	g_autofree char *number =
		g_strdup_printf("\xff{\"return\":%" G_GINT64_FORMAT "}", sync_number);
	json_t *message = NULL;

	switch (*text) {
	case 'S':
		guest_agent_line(agent, number, strlen(number), *now);
		break;
	case 'C':
		message = json_loads(claim, 0, NULL);
		break;
	case 'R':
		message = json_loads("{\"op\":\"release\",\"id\":2}", 0, NULL);
		break;
	case 'T':
		*now = MAX(*now, guest_agent_deadline(agent));
		guest_agent_tick(agent, *now);
		break;
	case 'O':
		guest_agent_open(agent, *now);
		break;
	case 'L':
		guest_agent_too_long(agent, *now);
		break;
	default:
		guest_agent_line(agent, text, length, *now);
		break;
	}
	if (message)
		guest_agent_ask(agent, message, *now);
	json_decref(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct guest_agent_calls calls = {.send = on_send, .say = on_say};
	struct guest_agent *agent = guest_agent_new("win@20260301.1", &calls);
	const char *text = (const char *)data, *end = text + size;
	gint64 now = 1;

	sends = 0;
	guest_agent_open(agent, now);
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((stop ? stop : end) - text);

		if (length)
			step(agent, text, length, &now);
		text += length + 1;
	}
	guest_agent_free(agent);
	return 0;
}
