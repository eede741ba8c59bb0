/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lines that the agent sends; docs/protocols.md, "Agent channel". */
#include "images/agent/agent.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = {
	[AGENT_STANDBY] = "standby",
	[AGENT_CLAIMING] = "claiming",
	[AGENT_ACTIVE] = "active",
	[AGENT_RELEASING] = "releasing",
};

/* Takes the reference; NULL (no memory) sends nothing. */
static void say(struct agent *agent, json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);

	if (text)
		agent_port_send(&agent->port, text);
	free(text);
	json_decref(json);
}

void agent_say_hello(struct agent *agent)
{
	say(agent, json_pack("{s:s, s:s, s:s, s:s, s:s}", "event", "hello", "agent", CARREL_VERSION,
			   "image", agent->image, "state", state_names[agent->state], "user",
			   agent->claim.user));
	if (agent->session_ended && agent->state == AGENT_ACTIVE)
		agent_say_event(agent, "session-ended");
}

void agent_say_event(struct agent *agent, const char *event)
{
	say(agent, json_pack("{s:s}", "event", event));
}

void agent_say_progress(struct agent *agent, const char *stage, int percent)
{
	agent_log("progress stage=%s ms=%lld", stage, (long long)(agent_now_ms() - agent->started));
	say(agent, json_pack("{s:s, s:I, s:s, s:i}", "event", "progress", "id",
			   (json_int_t)agent->claim.id, "stage", stage, "percent", percent));
}

void agent_say_ok(struct agent *agent, int64_t id)
{
	say(agent, json_pack("{s:I, s:b}", "id", (json_int_t)id, "ok", 1));
}

void agent_say_failure(struct agent *agent, int64_t id, const char *code, const char *message)
{
	say(agent, json_pack("{s:I, s:b, s:s, s:s}", "id", (json_int_t)id, "ok", 0, "code", code,
			   "message", message));
}

static json_int_t meminfo_mib(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoll(at + strlen(key), NULL, 10) / 1024 : 0;
}

void agent_say_status(struct agent *agent, int64_t idle_ms)
{
	char text[4096] = "";
	FILE *file = fopen("/proc/meminfo", "re");
	json_t *json;

	if (file) {
		text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
		fclose(file);
	}
	json = json_pack("{s:I, s:b, s:I, s:I, s:I}", "id", (json_int_t)agent->status_id, "ok", 1,
		"memory_total_mib", meminfo_mib(text, "MemTotal:"), "memory_available_mib",
		meminfo_mib(text, "MemAvailable:"), "idle_ms", (json_int_t)idle_ms);
	agent->status_id = -1;
	agent_timer_set(agent, TIMER_STATUS, 0);
	say(agent, json);
}
