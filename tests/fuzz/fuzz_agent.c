/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the agents in the desktops say to carreld, through their workers. The broker around agent.c
 * is played here: one desktop with a claim under way; any event that comes out must be about it.
 */
#include "broker/daemon/agent.h"
#include "broker/daemon/seats.h"
#include "broker/daemon/worker.h"
#include "broker/shared/log.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DESKTOP 7

static struct core_desktop desktop = {.id = DESKTOP, .server = 1, .image = "lite@20260301.1"};
static struct core_session session = {
	.id = 3, .user = "alice", .seat = "52:54:00:77:00:01", .desktop = DESKTOP};
static unsigned claimed;

void broker_post(struct broker *broker, const struct core_event *event)
{
	(void)broker;
	if (event->desktop != DESKTOP || memchr(event->text, 0, sizeof(event->text)) == NULL ||
		memchr(event->user, 0, sizeof(event->user)) == NULL || event->percent > 100)
		abort();
	/* A question is answered once. */
	if ((event->type == CORE_EV_CLAIMED || event->type == CORE_EV_CLAIM_FAILED) &&
		++claimed > 1)
		abort();
}

struct worker *worker_get(struct broker *broker, guint64 server)
{
	(void)server;
	return (struct worker *)broker;
}

void worker_call_aside(
	struct worker *worker, json_t *request, helper_answer_func func, gpointer data)
{
	(void)worker;
	(void)func;
	json_decref(request);
	g_free(data);
}

gboolean helper_ok(const json_t *answer)
{
	return json_is_true(json_object_get(answer, "ok"));
}

const char *helper_code(const json_t *answer)
{
	const char *code = json_string_value(json_object_get(answer, "code"));

	return code ? code : "internal";
}

const char *helper_message(const json_t *answer)
{
	const char *message = json_string_value(json_object_get(answer, "message"));

	return message ? message : "no message";
}

const struct core_desktop *core_desktop_get(const struct core *core, uint64_t id)
{
	(void)core;
	return id == DESKTOP ? &desktop : NULL;
}

const struct core_session *core_session_get(const struct core *core, uint64_t id)
{
	(void)core;
	return id == session.id ? &session : NULL;
}

const char *seats_keyboard(const struct seats *seats, const char *mac)
{
	(void)seats;
	if (strcmp(mac, session.seat) != 0)
		abort();
	return "de";
}

void seats_keyboard_refused(
	struct seats *seats, const char *mac, const char *keyboard, const char *image)
{
	(void)seats;
	if (strcmp(mac, session.seat) != 0 || (*keyboard && strcmp(keyboard, "de") != 0) ||
		(*image && strcmp(image, desktop.image) != 0))
		abort();
}

void log_event(enum log_level level, const char *event, ...)
{
	(void)level;
	(void)event;
}

const char *log_fmt(const char *format, ...)
{
	return format;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct broker broker = {0};
	struct agents *agents = agents_new(&broker);
	const struct core_action claim = {.desktop = DESKTOP, .session = 3, .volume = 5};
	g_auto(GStrv) lines = NULL;
	g_autofree char *text = g_strndup((const char *)data, size);

	claimed = 0;
	broker.agents = agents;
	agent_claim(agents, &claim);
	lines = g_strsplit(text, "\n", -1);
	for (unsigned i = 0; lines[i]; i++) {
		json_t *message = json_loads(lines[i], JSON_DECODE_ANY, NULL);
		/* Half of them as the string that a worker may hand on unparsed. */
		json_t *whole = i & 1 ? json_string(lines[i]) : json_incref(message);

		agent_received(agents, DESKTOP, whole);
		json_decref(whole);
		json_decref(message);
	}
	agents_free(agents);
	return 0;
}
