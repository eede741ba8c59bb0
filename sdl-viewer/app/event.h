/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the threads tell the main thread. The protocol thread (rfb/) and the control thread
 * (control/) only post events; the main thread alone takes them, moves the state table and draws.
 */
#ifndef CARREL_VIEWER_EVENT_H
#define CARREL_VIEWER_EVENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum event_type {
	/* from the broker */
	EVENT_HELLO,        /* text=site, code=language, power, notice, screen, keyboard */
	EVENT_HELLO_FAILED, /* text */
	EVENT_KNOCK,        /* there is something new for this PC: ask for it */
	EVENT_LOGIN_FAILED, /* code, text: the request itself failed */
	EVENT_STAGE,        /* code=stage, percent, text */
	EVENT_READY,        /* host, port, ticket, tls_name */
	EVENT_DENIED,       /* text: wrong name or password */
	EVENT_REFUSED,      /* code, text */
	EVENT_MOVED,        /* text */
	EVENT_ENDED,        /* code, text */
	/* Steps of a hand-off: ms (until it begins), from_mib, size_mib, text. */
	EVENT_HANDOFF_ANNOUNCED,
	EVENT_HANDOFF_MOVING,    /* the old picture stands still until the next `ready`'s first */
	EVENT_HANDOFF_CANCELLED, /* all stays as it was */
	EVENT_TOKEN_GONE,        /* text: the broker does not know this login any more */
	EVENT_TROUBLE, /* text: the broker cannot be reached just now; it is tried again */
	/* from a connection to a desktop */
	EVENT_FRAME,          /* connection: the first whole picture is there */
	EVENT_DESKTOP_LOST,   /* connection, text */
	EVENT_DESKTOP_UNSAFE, /* connection, text: the server is not who it should be */
	/* from the person, and from the clock */
	EVENT_SUBMIT,
	EVENT_CONFIRM,
	EVENT_LOGOUT,
	EVENT_DISCONNECT,
	EVENT_TIMEOUT,
	EVENT_TABLE_COUNT,                /* the events above are columns of the state table */
	EVENT_DAMAGE = EVENT_TABLE_COUNT, /* connection: its picture has changed */
	EVENT_LEDS,                       /* connection, percent = bits of enum event_led */
	EVENT_QUIT,                       /* a signal asked for the end */
	EVENT_COUNT
};

/* As in the RFB LED pseudo-encoding. */
enum event_led { LED_SCROLL = 1, LED_NUM = 2, LED_CAPS = 4 };

/* What the PC is to do. */
enum event_power { POWER_STAY, POWER_OFF, POWER_REBOOT };

const char *event_name(enum event_type type);

struct event {
	struct event *next;
	enum event_type type;
	unsigned connection; /* number of the connection that it is about */
	unsigned percent;
	enum event_power power;
	unsigned position, minutes;      /* of stage "queued"; 0 = not said */
	unsigned ms, from_mib, size_mib; /* of a hand-off; a size of 0 = not said */
	uint16_t port;
	char code[32];
	char text[512];    /* clean for display (utf8_clean) */
	char screen[24];   /* the mode that the screen is to have; empty = its own */
	char keyboard[48]; /* the layout of its keyboard; empty = US */
	char notice[256];  /* why nobody may log in at this PC; clean for display */
	char host[64];
	char tls_name[128];
	char ticket[64]; /* secret: wiped by event_free */
};

struct event *event_new(enum event_type type); /* zeroed; aborts when memory is out */
void event_free(struct event *event);          /* wipes; NULL-safe */

/* A queue of many writers and one reader. `wake` is called by the writer, outside the lock. */
struct event_queue {
	pthread_mutex_t lock;
	struct event *first, **last; /* owned */
	void (*wake)(void *context);
	void *context; /* borrowed */
};

void event_queue_init(struct event_queue *queue, void (*wake)(void *context), void *context);
void event_queue_clear(struct event_queue *queue);
void event_queue_post(struct event_queue *queue, struct event *event); /* takes the event */
/* The oldest event, to be freed by the caller, or NULL. */
struct event *event_queue_take(struct event_queue *queue);

#endif
