/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The running viewer. One main thread owns all of this and all of SDL: app.c waits and hands out,
 * act.c carries out the state table's actions, handoff.c those of a hand-off, view.c makes the
 * cards, person.c takes keys and mouse, menu.c those of the menu.
 */
#ifndef CARREL_VIEWER_APP_H
#define CARREL_VIEWER_APP_H

#include "sdl-viewer/app/options.h"
#include "sdl-viewer/app/screen.h"
#include "sdl-viewer/app/state.h"
#include "sdl-viewer/control/control.h"
#include "sdl-viewer/input/evdev.h"
#include "sdl-viewer/input/typing.h"
#include "sdl-viewer/rfb/rfb.h"
#include "sdl-viewer/ui/cards.h"

/* A way to a desktop. The picture outlives the connection. */
struct connection {
	unsigned number;         /* 0 = none */
	struct rfb *rfb;         /* owned; NULL = ended */
	struct picture *picture; /* owned */
	unsigned leds;           /* bits of enum event_led, as the desktop has them */
};

/* A hand-off, announced or under way. */
struct handoff {
	int64_t due_ms;  /* when it begins; 0 = none is announced */
	int64_t tick_ms; /* when the countdown's words change; 0 = never */
	bool asked;      /* the person does not want to wait */
	unsigned from_mib, size_mib;
	struct picture *still; /* owned: what the screen shows of the old desktop; or NULL */
	int64_t moving_ms;     /* since when the picture stands still; 0 = it does not */
	int64_t taken_ms;      /* when the new picture was taken; 0 = it has been flushed */
};

struct app {
	struct options options; /* borrowed texts */
	struct event_queue queue;
	struct control *control;
	int wake_fd;
	bool quit;
	enum event_power power; /* what the PC is to do when the viewer has ended */
	bool unapproved;        /* the form's error line says that the PC waits for approval */
	unsigned power_asked;   /* times that it was told while somebody typed */

	enum state state;
	int64_t timeout_ms;        /* when the state gets EVENT_TIMEOUT; 0 = never */
	int64_t ask_ms;            /* when the broker is asked for a new way; 0 = not now */
	struct screen_mode wanted; /* the mode that the broker has named; without a width: none */
	int64_t hello_ms;          /* when the form asks for site and language again; 0 = not */
	int64_t toast_ms;          /* when the toast goes; 0 = none is shown */
	int64_t ready_ms;          /* when the last `ready` came */
	int64_t frame_ms;          /* when the desktop came on the screen */
	unsigned lost_count;       /* failures in a row */
	unsigned next_number;      /* of the next connection */
	/* The one on the screen, and the one that is to take its place. */
	struct connection current, next;
	struct handoff handoff;

	struct screen screen;
	struct evdev *evdev; /* owned; NULL in a window */
	int vt_fd;           /* the text console that was put aside; -1 = none */
	struct cards cards;
	bool view_changed, backdrop_changed;

	struct form form;
	struct form_layout form_layout;
	struct typing typing;
	struct layout *layout;    /* owned; NULL = US */
	struct keyboard keyboard; /* whose it is; empty = none is set */
	unsigned percent;
	char stage[32], stage_text[512], trouble[512];
	char title[128], message[512]; /* of STATE_MESSAGE */
	bool menu;
	enum menu_item menu_item;
	struct menu_layout menu_layout;

	bool held[SDL_NUM_SCANCODES];    /* keys down on the keyboard */
	bool pressed[SDL_NUM_SCANCODES]; /* keys that the desktop believes down */
	unsigned buttons;                /* as in rfb_pointer */
	bool caps_lock;                  /* of the form, on the console */
};

int64_t app_now_ms(void);

/* app.c: opens all; false with a text in `why`. app_close is safe after a failed app_open. */
bool app_open(struct app *app, const struct options *options, char *why, size_t size);
void app_run(struct app *app);
void app_close(struct app *app);

/* Says what the screen shows, where a mode was set, and asks for site, language and whatever else
 * the seat is to have. */
void app_hello(struct app *app);

/* Moves the state table. `event` stays the caller's. */
void app_event(struct app *app, const struct event *event);
void app_event_type(struct app *app, enum event_type type);

/* act.c */
void act(struct app *app, enum action action, const struct event *event);
/* A connection's event: what concerns the table is handed on. */
void act_connection(struct app *app, const struct event *event);
void act_close_connections(struct app *app);
void act_close_next(struct app *app);
void act_ask_now(struct app *app);

/* handoff.c: actions of the table. */
void handoff_announce(struct app *app, const struct event *event);
void handoff_call_off(struct app *app, const struct event *event);
void handoff_freeze(struct app *app, const struct event *event);
void handoff_thaw(struct app *app, const struct event *event);
void handoff_fail(struct app *app); /* the still stays, but no swap is awaited any more */
/* The new picture, taken at `taken_ms`, is the screen's. False when it came by no hand-off. */
bool handoff_swap(struct app *app, int64_t taken_ms);
void handoff_flushed(struct app *app); /* the screen has been flushed */
void handoff_clear(struct app *app);   /* the screen shows no desktop any more */

bool handoff_is_announced(const struct app *app);
unsigned handoff_seconds(const struct app *app); /* until it begins, rounded up */
void handoff_tick(struct app *app);              /* tick_ms has come */
void handoff_move_now(struct app *app);          /* the person's wish */

/* menu.c */
bool menu_may_open(const struct app *app);
void menu_toggle(struct app *app);
void menu_key(struct app *app, SDL_Scancode scancode);
void menu_click(struct app *app, int x, int y); /* in the card's pixels */

/* view.c: makes what is on the screen agree with the state. */
void view_update(struct app *app);
void view_resized(struct app *app);
void view_toast(struct app *app, const char *text, unsigned ms);

/* person.c */
void person_event(struct app *app, const SDL_Event *event);
void person_release_all(struct app *app); /* the desktop's keys and buttons go up */
void person_leds(struct app *app);
bool person_has_desktop(const struct app *app); /* keys and mouse go to the desktop */

#endif
