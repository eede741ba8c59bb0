/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the viewer moves: state x event -> next state + action. state.c holds the table; it is all
 * the rules there are, and it knows neither SDL nor sockets. An event that has no row in a state is
 * ignored there.
 */
#ifndef CARREL_VIEWER_STATE_H
#define CARREL_VIEWER_STATE_H

#include "sdl-viewer/app/event.h"

enum state {
	STATE_HELLO,      /* the broker has not answered yet */
	STATE_LOGIN,      /* the form */
	STATE_LOGGING_IN, /* stages with a bar */
	STATE_CONNECTING, /* the desktop is ready, its first picture is awaited */
	STATE_DESKTOP,
	STATE_MOVING,  /* a hand-off: the old picture stands still, input goes nowhere */
	STATE_LOST,    /* the last picture, dimmed; a new connection is sought */
	STATE_MESSAGE, /* refused, moved, ended: words and one key back to the form */
	STATE_COUNT
};

enum action {
	ACTION_NONE,
	ACTION_SITE,        /* take site name and language */
	ACTION_HELLO,       /* ask for it anew */
	ACTION_TROUBLE,     /* show that the broker does not answer */
	ACTION_START_LOGIN, /* send the form */
	ACTION_FORM_ERROR,  /* end the login, show the form with the text */
	ACTION_STAGE,       /* show the stage */
	ACTION_CONNECT,     /* open a connection to the desktop, beside one that may be there */
	ACTION_FIRST_FRAME, /* the new connection takes over; report it to the broker */
	ACTION_ASK_AGAIN,   /* ask the broker for a new way to the desktop */
	ACTION_RETRY,       /* the same, while the old picture stands still */
	ACTION_ANNOUNCE,    /* show what is to come, with a countdown */
	ACTION_CALL_OFF,    /* nothing is to come any more */
	ACTION_FREEZE,      /* keep the picture, let go of all keys, wait for the next `ready` */
	ACTION_THAW,        /* back to the old desktop */
	ACTION_MESSAGE,     /* end the login here, show the text */
	ACTION_FORM,        /* show an empty form */
	ACTION_LEAVE,       /* drop connection and login, the session goes on; show the form */
	ACTION_LOGOUT,      /* end the session; show the form */
	ACTION_COUNT
};

struct state_step {
	enum state next;
	enum action action;
};

/* Looks the step up. Returns false, with `step` as "stay, do nothing", when the event has no row.
 */
bool state_step(enum state state, enum event_type event, struct state_step *step);

/* Milliseconds after which a state gets EVENT_TIMEOUT; 0 = never. */
unsigned state_timeout_ms(enum state state);

/* The desktop's picture is what this state shows. */
bool state_shows_desktop(enum state state);

const char *state_name(enum state state);
const char *action_name(enum action action);

#endif
