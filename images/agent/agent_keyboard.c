/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keyboard at which the user of this desktop sits. setxkbmap tells the X server, whose own
 * compiler makes the layout of the image's files; one runs at a time, and what is asked for
 * meanwhile comes after it. A layout that the image lacks leaves the one with which the server has
 * started, that of the image.
 */
#include "images/agent/agent.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define PROGRAM "/usr/bin/setxkbmap"

static bool same(const struct keyboard *a, const struct keyboard *b)
{
	return strcmp(a->layout, b->layout) == 0 && strcmp(a->variant, b->variant) == 0;
}

static void answer(struct agent *agent, const char *code, const char *message)
{
	if (agent->keyboard_id < 0)
		return;
	if (code)
		agent_say_failure(agent, agent->keyboard_id, code, message);
	else
		agent_say_ok(agent, agent->keyboard_id);
	agent->keyboard_id = -1;
}

static void answer_known(struct agent *agent)
{
	if (agent->keyboard_refused)
		answer(agent, "keyboard", "this image has no such layout: it keeps its own");
	else
		answer(agent, NULL, NULL);
}

static void run(struct agent *agent, const char *layout, const char *variant)
{
	char authority[128];
	char *arguments[] = {PROGRAM, "-layout", (char *)(uintptr_t)layout, "-variant",
		(char *)(uintptr_t)variant, NULL};
	char *environment[] = {"DISPLAY=" AGENT_X_DISPLAY, authority, NULL};

	snprintf(authority, sizeof(authority), "XAUTHORITY=%s", agent->x.authority);
	agent_log("keyboard layout=%s variant=%s", layout, variant);
	agent->keyboard_pid = agent_proc_run(arguments, environment, -1);
	if (agent->keyboard_pid < 0)
		answer(agent, "keyboard", "no process could be started for the layout");
}

/* The one that the X server had at first. */
static void run_own(struct agent *agent)
{
	if (agent->x.layout[0])
		run(agent, agent->x.layout, agent->x.variant);
	else
		answer_known(agent);
}

static void begin(struct agent *agent)
{
	if (!agent->keyboard_due || agent->keyboard_pid > 0 || !agent->x.connection ||
		agent->x.stopping)
		return;
	agent->keyboard_due = agent->keyboard_refused = false;
	if (agent->keyboard.layout[0])
		run(agent, agent->keyboard.layout, agent->keyboard.variant);
	else
		run_own(agent);
}

void agent_keyboard_request(struct agent *agent, const struct agent_request *request)
{
	answer(agent, "state", "another keyboard was asked for meanwhile");
	agent->keyboard_id = request->id;
	if (!same(&agent->keyboard, &request->keyboard)) {
		agent->keyboard = request->keyboard;
		agent->keyboard_due = true;
	} else if (!agent->keyboard_due && agent->keyboard_pid < 0) {
		answer_known(agent);
	}
	begin(agent);
}

void agent_keyboard_x_ready(struct agent *agent)
{
	/* A new server has the image's own again. */
	agent->keyboard_due = agent->keyboard.layout[0] != '\0';
	begin(agent);
}

void agent_keyboard_exited(struct agent *agent, int status)
{
	bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	agent->keyboard_pid = -1;
	/* A server that has ended meanwhile says nothing about layouts: it is told anew. */
	if (agent->keyboard_due || !agent->x.connection) {
		begin(agent);
		return;
	}
	agent_log("keyboard-told status=%d", status);
	if (!good && !agent->keyboard_refused) {
		agent->keyboard_refused = true;
		answer_known(agent);
		if (agent->keyboard.layout[0])
			run_own(agent);
		return;
	}
	answer_known(agent);
}
