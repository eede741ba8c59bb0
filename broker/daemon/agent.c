/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/agent.h"
#include "broker/daemon/seats.h"
#include "broker/daemon/worker.h"
#include "broker/shared/keyboard.h"
#include "broker/shared/log.h"

#include <string.h>

enum asked { ASKED_CLAIM, ASKED_RELEASE, ASKED_KEYBOARD };

/* A question that an agent has not answered. */
struct question {
	guint64 id; /* the key */
	guint64 desktop;
	enum asked asked;
	/* Of a keyboard: whose, and which one. */
	char seat[CORE_MAC_MAX], keyboard[KEYBOARD_MAX];
};

struct agents {
	struct broker *broker; /* borrowed */
	guint64 last_id;
	GHashTable *questions; /* id -> struct question, owned */
};

struct agents *agents_new(struct broker *broker)
{
	struct agents *agents = g_new0(struct agents, 1);

	agents->broker = broker;
	/* An answer to a question of an earlier carreld must not match one of this one. */
	agents->last_id = (guint64)(g_get_real_time() / 1000);
	agents->questions = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
	return agents;
}

void agents_free(struct agents *agents)
{
	if (!agents)
		return;
	g_hash_table_destroy(agents->questions);
	g_free(agents);
}

static void post(struct agents *agents, enum core_event_type type, guint64 desktop,
	const char *code, const char *text)
{
	struct core_event event = {.type = type, .desktop = desktop};

	g_strlcpy(event.code, code, sizeof(event.code));
	g_strlcpy(event.text, text, sizeof(event.text));
	broker_post(agents->broker, &event);
}

/* An image whose agent says that it cannot is what an admin can change. */
static void keyboard_refused(
	struct agents *agents, const struct question *question, const json_t *answer)
{
	static const char *const cannot[] = {"keyboard", "bad-request", NULL};
	const struct core_desktop *desktop =
		core_desktop_get(agents->broker->core, question->desktop);

	/* An older image, or one without our agent, has its own in any case; and of what was asked
	 * twice the second answer counts. */
	if (!question->keyboard[0] || !strcmp(helper_code(answer), "state"))
		return;
	log_event(LOG_WARN, "keyboard-refused", "desktop",
		log_fmt("d%" G_GUINT64_FORMAT, question->desktop), "seat", question->seat,
		"keyboard", question->keyboard, "image", desktop ? desktop->image : "", "code",
		helper_code(answer), "reason", helper_message(answer), NULL);
	if (desktop && g_strv_contains(cannot, helper_code(answer)))
		seats_keyboard_refused(
			agents->broker->seats, question->seat, question->keyboard, desktop->image);
}

static void failed(struct agents *agents, const struct question *question, const json_t *answer)
{
	if (question->asked == ASKED_KEYBOARD)
		keyboard_refused(agents, question, answer);
	else
		post(agents,
			question->asked == ASKED_RELEASE ? CORE_EV_RELEASE_FAILED
							 : CORE_EV_CLAIM_FAILED,
			question->desktop, helper_code(answer), helper_message(answer));
}

/* How to find the question again when the worker says whether it went out. */
struct sent {
	struct agents *agents; /* borrowed */
	guint64 id;
};

static void on_sent(const json_t *answer, gpointer data)
{
	struct sent *sent = data;
	struct question *question = g_hash_table_lookup(sent->agents->questions, &sent->id);

	if (helper_ok(answer) || !question)
		return;
	struct question lost = *question;
	g_hash_table_remove(sent->agents->questions, &sent->id);
	/* An unreachable server is told apart: what the agent does there is not known. */
	if (strcmp(helper_code(answer), "unreachable") != 0)
		failed(sent->agents, &lost, answer);
}

/* Returns the question, to be completed; NULL when there is nobody to ask. */
static struct question *ask(
	struct agents *agents, guint64 desktop_id, enum asked asked, json_t *message)
{
	const struct core_desktop *desktop = core_desktop_get(agents->broker->core, desktop_id);
	struct worker *worker = desktop ? worker_get(agents->broker, desktop->server) : NULL;
	struct question *question;
	struct sent *sent;
	guint64 id;

	if (!worker) {
		json_decref(message);
		return NULL;
	}
	question = g_new0(struct question, 1);
	question->id = ++agents->last_id;
	question->desktop = desktop_id;
	question->asked = asked;
	g_hash_table_insert(agents->questions, &question->id, question);
	sent = g_new0(struct sent, 1);
	sent->agents = agents;
	sent->id = id = question->id;
	json_object_set_new(message, "id", json_integer((json_int_t)question->id));
	worker_call_aside(worker,
		json_pack("{s:s, s:I, s:o}", "op", "agent-send", "desktop", (json_int_t)desktop_id,
			"message", message),
		on_sent, sent);
	/* The call may have failed at once, and the question with it. */
	return g_hash_table_lookup(agents->questions, &id);
}

static void tell_keyboard(struct agents *agents, guint64 desktop, const char *seat)
{
	const char *keyboard = seats_keyboard(agents->broker->seats, seat);
	struct question *question = ask(agents, desktop, ASKED_KEYBOARD,
		json_pack("{s:s, s:s}", "op", "keyboard", "keyboard", keyboard));

	if (!question)
		return;
	g_strlcpy(question->seat, seat, sizeof(question->seat));
	g_strlcpy(question->keyboard, keyboard, sizeof(question->keyboard));
}

void agent_keyboard(struct agents *agents, guint64 id)
{
	const struct core_session *session = core_session_get(agents->broker->core, id);

	if (session)
		tell_keyboard(agents, session->desktop, session->seat);
}

void agent_claim(struct agents *agents, const struct core_action *action)
{
	const struct core_session *session =
		core_session_get(agents->broker->core, action->session);

	if (!session)
		return;
	/* Before the session starts: a new desktop has the image's own. */
	if (*seats_keyboard(agents->broker->seats, session->seat))
		tell_keyboard(agents, action->desktop, session->seat);
	ask(agents, action->desktop, ASKED_CLAIM,
		json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "op", "claim", "user", session->user,
			"full_name", session->full_name, "uid", (json_int_t)session->uid, "gid",
			(json_int_t)session->gid, "volume",
			log_fmt("vol-%" G_GUINT64_FORMAT, action->volume)));
}

void agent_release(struct agents *agents, const struct core_action *action)
{
	ask(agents, action->desktop, ASKED_RELEASE, json_pack("{s:s}", "op", "release"));
}

static const char *text_of(const json_t *message, const char *key)
{
	const char *text = json_string_value(json_object_get(message, key));

	return text ? text : "";
}

static void on_hello(struct agents *agents, guint64 desktop, const json_t *message)
{
	struct core_event event = {.type = CORE_EV_AGENT_HELLO, .desktop = desktop};

	g_strlcpy(event.user, text_of(message, "user"), sizeof(event.user));
	event.flag = !strcmp(text_of(message, "state"), "active");
	broker_post(agents->broker, &event);
}

static void on_progress(struct agents *agents, guint64 desktop, const json_t *message)
{
	struct core_event event = {.type = CORE_EV_AGENT_PROGRESS, .desktop = desktop};
	json_int_t percent = json_integer_value(json_object_get(message, "percent"));

	g_strlcpy(event.text, text_of(message, "stage"), sizeof(event.text));
	event.percent = (guint32)CLAMP(percent, 0, 100);
	broker_post(agents->broker, &event);
}

static void on_answer(struct agents *agents, guint64 desktop, const json_t *message)
{
	guint64 id = (guint64)json_integer_value(json_object_get(message, "id"));
	const struct question *found = g_hash_table_lookup(agents->questions, &id);

	/* Each agent answers for its own desktop only. */
	if (!found || found->desktop != desktop)
		return;
	struct question question = *found;
	g_hash_table_remove(agents->questions, &id);
	if (!helper_ok(message))
		failed(agents, &question, message);
	else if (question.asked == ASKED_KEYBOARD)
		seats_keyboard_refused(agents->broker->seats, question.seat, "", "");
	else
		post(agents, question.asked == ASKED_RELEASE ? CORE_EV_RELEASED : CORE_EV_CLAIMED,
			desktop, "", "");
}

void agent_received(struct agents *agents, guint64 desktop, const json_t *message)
{
	json_t *parsed = NULL;

	if (json_is_string(message))
		message = parsed = json_loads(json_string_value(message), 0, NULL);
	const char *event = text_of(message, "event");
	if (!strcmp(event, "hello"))
		on_hello(agents, desktop, message);
	else if (!strcmp(event, "progress"))
		on_progress(agents, desktop, message);
	else if (!strcmp(event, "session-ended"))
		post(agents, CORE_EV_GUEST_SESSION_ENDED, desktop, "", "");
	else if (!strcmp(event, "log"))
		log_event(LOG_INFO, "agent-log", "desktop", log_fmt("d%" G_GUINT64_FORMAT, desktop),
			"text", text_of(message, "text"), NULL);
	else if (json_is_integer(json_object_get(message, "id")))
		on_answer(agents, desktop, message);
	json_decref(parsed);
}
