/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/app/state.h"

#include <stddef.h>

struct row {
	enum state state;
	enum event_type event;
	enum state next;
	enum action action;
};

/* clang-format off */
static const struct row table[] = {
	/* state           event                    next              action */
	{STATE_HELLO,       EVENT_HELLO,             STATE_LOGIN,      ACTION_SITE},
	{STATE_HELLO,       EVENT_HELLO_FAILED,      STATE_HELLO,      ACTION_TROUBLE},

	{STATE_LOGIN,       EVENT_HELLO,             STATE_LOGIN,      ACTION_SITE},
	{STATE_LOGIN,       EVENT_KNOCK,             STATE_LOGIN,      ACTION_HELLO},
	{STATE_LOGIN,       EVENT_SUBMIT,            STATE_LOGGING_IN, ACTION_START_LOGIN},

	{STATE_LOGGING_IN,  EVENT_STAGE,             STATE_LOGGING_IN, ACTION_STAGE},
	{STATE_LOGGING_IN,  EVENT_TROUBLE,           STATE_LOGGING_IN, ACTION_TROUBLE},
	{STATE_LOGGING_IN,  EVENT_READY,             STATE_CONNECTING, ACTION_CONNECT},
	{STATE_LOGGING_IN,  EVENT_LOGIN_FAILED,      STATE_LOGIN,      ACTION_FORM_ERROR},
	{STATE_LOGGING_IN,  EVENT_DENIED,            STATE_LOGIN,      ACTION_FORM_ERROR},
	{STATE_LOGGING_IN,  EVENT_REFUSED,           STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_LOGGING_IN,  EVENT_MOVED,             STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_LOGGING_IN,  EVENT_ENDED,             STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_LOGGING_IN,  EVENT_TOKEN_GONE,        STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_LOGGING_IN,  EVENT_HANDOFF_ANNOUNCED, STATE_LOGGING_IN, ACTION_ANNOUNCE},
	{STATE_LOGGING_IN,  EVENT_HANDOFF_CANCELLED, STATE_LOGGING_IN, ACTION_CALL_OFF},
	{STATE_LOGGING_IN,  EVENT_DISCONNECT,        STATE_LOGIN,      ACTION_LEAVE},
	{STATE_LOGGING_IN,  EVENT_LOGOUT,            STATE_LOGIN,      ACTION_LOGOUT},

	{STATE_CONNECTING,  EVENT_STAGE,             STATE_CONNECTING, ACTION_STAGE},
	{STATE_CONNECTING,  EVENT_READY,             STATE_CONNECTING, ACTION_CONNECT},
	{STATE_CONNECTING,  EVENT_FRAME,             STATE_DESKTOP,    ACTION_FIRST_FRAME},
	{STATE_CONNECTING,  EVENT_DESKTOP_LOST,      STATE_LOST,       ACTION_ASK_AGAIN},
	{STATE_CONNECTING,  EVENT_TIMEOUT,           STATE_LOST,       ACTION_ASK_AGAIN},
	{STATE_CONNECTING,  EVENT_DESKTOP_UNSAFE,    STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_CONNECTING,  EVENT_DENIED,            STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_CONNECTING,  EVENT_REFUSED,           STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_CONNECTING,  EVENT_MOVED,             STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_CONNECTING,  EVENT_ENDED,             STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_CONNECTING,  EVENT_TOKEN_GONE,        STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_CONNECTING,  EVENT_HANDOFF_ANNOUNCED, STATE_CONNECTING, ACTION_ANNOUNCE},
	{STATE_CONNECTING,  EVENT_HANDOFF_MOVING,    STATE_MOVING,     ACTION_FREEZE},
	{STATE_CONNECTING,  EVENT_HANDOFF_CANCELLED, STATE_CONNECTING, ACTION_CALL_OFF},
	{STATE_CONNECTING,  EVENT_DISCONNECT,        STATE_LOGIN,      ACTION_LEAVE},
	{STATE_CONNECTING,  EVENT_LOGOUT,            STATE_LOGIN,      ACTION_LOGOUT},

	/* A second `ready` opens a second connection: the old picture stays until the new one is
	 * whole. The desktop outlives the broker's memory of the login (TOKEN_GONE has no row). */
	{STATE_DESKTOP,     EVENT_READY,             STATE_DESKTOP,    ACTION_CONNECT},
	{STATE_DESKTOP,     EVENT_FRAME,             STATE_DESKTOP,    ACTION_FIRST_FRAME},
	{STATE_DESKTOP,     EVENT_DESKTOP_LOST,      STATE_LOST,       ACTION_ASK_AGAIN},
	{STATE_DESKTOP,     EVENT_DESKTOP_UNSAFE,    STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_DESKTOP,     EVENT_REFUSED,           STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_DESKTOP,     EVENT_MOVED,             STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_DESKTOP,     EVENT_ENDED,             STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_DESKTOP,     EVENT_HANDOFF_ANNOUNCED, STATE_DESKTOP,    ACTION_ANNOUNCE},
	{STATE_DESKTOP,     EVENT_HANDOFF_MOVING,    STATE_MOVING,     ACTION_FREEZE},
	{STATE_DESKTOP,     EVENT_HANDOFF_CANCELLED, STATE_DESKTOP,    ACTION_CALL_OFF},
	{STATE_DESKTOP,     EVENT_DISCONNECT,        STATE_LOGIN,      ACTION_LEAVE},
	{STATE_DESKTOP,     EVENT_LOGOUT,            STATE_LOGIN,      ACTION_LOGOUT},

	/* A hand-off. Only the connection that the next `ready` opens is heard here; the old one
	 * may live on or break as it likes (act.c), and nothing but its picture stays. */
	{STATE_MOVING,      EVENT_HANDOFF_MOVING,    STATE_MOVING,     ACTION_NONE},
	{STATE_MOVING,      EVENT_HANDOFF_CANCELLED, STATE_DESKTOP,    ACTION_THAW},
	{STATE_MOVING,      EVENT_STAGE,             STATE_MOVING,     ACTION_STAGE},
	{STATE_MOVING,      EVENT_TROUBLE,           STATE_MOVING,     ACTION_TROUBLE},
	{STATE_MOVING,      EVENT_READY,             STATE_MOVING,     ACTION_CONNECT},
	{STATE_MOVING,      EVENT_FRAME,             STATE_DESKTOP,    ACTION_FIRST_FRAME},
	{STATE_MOVING,      EVENT_DESKTOP_LOST,      STATE_MOVING,     ACTION_RETRY},
	{STATE_MOVING,      EVENT_TIMEOUT,           STATE_LOST,       ACTION_ASK_AGAIN},
	{STATE_MOVING,      EVENT_DESKTOP_UNSAFE,    STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_MOVING,      EVENT_DENIED,            STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_MOVING,      EVENT_REFUSED,           STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_MOVING,      EVENT_MOVED,             STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_MOVING,      EVENT_ENDED,             STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_MOVING,      EVENT_TOKEN_GONE,        STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_MOVING,      EVENT_DISCONNECT,        STATE_LOGIN,      ACTION_LEAVE},
	{STATE_MOVING,      EVENT_LOGOUT,            STATE_LOGIN,      ACTION_LOGOUT},

	{STATE_LOST,        EVENT_STAGE,             STATE_LOST,       ACTION_STAGE},
	{STATE_LOST,        EVENT_TROUBLE,           STATE_LOST,       ACTION_TROUBLE},
	{STATE_LOST,        EVENT_READY,             STATE_LOST,       ACTION_CONNECT},
	{STATE_LOST,        EVENT_FRAME,             STATE_DESKTOP,    ACTION_FIRST_FRAME},
	{STATE_LOST,        EVENT_DESKTOP_LOST,      STATE_LOST,       ACTION_ASK_AGAIN},
	{STATE_LOST,        EVENT_TIMEOUT,           STATE_LOST,       ACTION_ASK_AGAIN},
	{STATE_LOST,        EVENT_DESKTOP_UNSAFE,    STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_LOST,        EVENT_DENIED,            STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_LOST,        EVENT_REFUSED,           STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_LOST,        EVENT_MOVED,             STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_LOST,        EVENT_ENDED,             STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_LOST,        EVENT_TOKEN_GONE,        STATE_MESSAGE,    ACTION_MESSAGE},
	{STATE_LOST,        EVENT_HANDOFF_ANNOUNCED, STATE_LOST,       ACTION_ANNOUNCE},
	{STATE_LOST,        EVENT_HANDOFF_MOVING,    STATE_MOVING,     ACTION_FREEZE},
	{STATE_LOST,        EVENT_HANDOFF_CANCELLED, STATE_LOST,       ACTION_CALL_OFF},
	{STATE_LOST,        EVENT_DISCONNECT,        STATE_LOGIN,      ACTION_LEAVE},
	{STATE_LOST,        EVENT_LOGOUT,            STATE_LOGIN,      ACTION_LOGOUT},

	{STATE_MESSAGE,     EVENT_CONFIRM,           STATE_LOGIN,      ACTION_FORM},
	{STATE_MESSAGE,     EVENT_TIMEOUT,           STATE_LOGIN,      ACTION_FORM},
};
/* clang-format on */

bool state_step(enum state state, enum event_type event, struct state_step *step)
{
	step->next = state;
	step->action = ACTION_NONE;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].state != state || table[i].event != event)
			continue;
		step->next = table[i].next;
		step->action = table[i].action;
		return true;
	}
	return false;
}

unsigned state_timeout_ms(enum state state)
{
	switch (state) {
	case STATE_CONNECTING:
	case STATE_LOST:
		return 20000;
	case STATE_MOVING:
		return 120000;
	case STATE_MESSAGE:
		return 60000;
	default:
		return 0;
	}
}

bool state_shows_desktop(enum state state)
{
	return state == STATE_DESKTOP || state == STATE_MOVING || state == STATE_LOST;
}

const char *state_name(enum state state)
{
	static const char *const names[STATE_COUNT] = {"hello", "login", "logging-in", "connecting",
		"desktop", "moving", "lost", "message"};

	return state < STATE_COUNT ? names[state] : "?";
}

const char *action_name(enum action action)
{
	static const char *const names[ACTION_COUNT] = {"none", "site", "hello", "trouble",
		"start-login", "form-error", "stage", "connect", "first-frame", "ask-again",
		"retry", "announce", "call-off", "freeze", "thaw", "message", "form", "leave",
		"logout"};

	return action < ACTION_COUNT ? names[action] : "?";
}
