/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is on the screen, as layers in memory: backdrop or desktop, card, toast, pointer. Changes
 * only note damage; screen_flush composes the damaged areas and gives them to the presenter.
 */
#ifndef CARREL_VIEWER_SCREEN_H
#define CARREL_VIEWER_SCREEN_H

#include "sdl-viewer/display/presenter.h"
#include "sdl-viewer/display/scale.h"

struct layer {
	SDL_Surface *surface; /* owned; NULL = not shown */
	SDL_Rect at;
};

struct screen {
	struct presenter *presenter; /* owned */
	SDL_Surface *frame;          /* owned */
	SDL_Surface *backdrop;       /* owned; of the frame's size */
	struct layer card, toast, banner, pointer;
	int pointer_x, pointer_y, hot_x, hot_y;
	bool pointer_shown, banner_at_foot;
	struct picture *picture; /* borrowed; NULL = the backdrop is shown */
	bool dim;
	struct scale scale; /* of the picture's size as last seen */
	struct damage damage;
};

void screen_init(struct screen *screen, struct presenter *presenter); /* takes the presenter */
void screen_clear(struct screen *screen);

/* After the presenter's size has changed: a new frame, all layers gone, all damaged. */
void screen_resize(struct screen *screen);

/* Layers; each takes its surface, NULL takes the layer away. */
void screen_set_backdrop(struct screen *screen, SDL_Surface *backdrop);
void screen_set_card(struct screen *screen, SDL_Surface *card);   /* in the middle */
void screen_set_toast(struct screen *screen, SDL_Surface *toast); /* near the foot */
/* At the head; it steps to the foot, and back, out of the pointer's way. */
void screen_set_banner(struct screen *screen, SDL_Surface *banner);
void screen_set_pointer(struct screen *screen, SDL_Surface *pointer, int hot_x, int hot_y);
void screen_move_pointer(struct screen *screen, int x, int y);
void screen_show_pointer(struct screen *screen, bool shown);

/* The desktop's picture below the cards, or NULL; dimmed where the connection is lost. */
void screen_set_picture(struct screen *screen, struct picture *picture, bool dim);

/*
 * Looks at the picture's changes (call it after EVENT_DAMAGE). Returns true when the desktop's
 * cursor has changed; screen_desktop_pointer makes it the pointer.
 */
bool screen_look(struct screen *screen);
void screen_desktop_pointer(struct screen *screen);

/* The desktop's pixel below the pointer. */
void screen_pointed(const struct screen *screen, int *x, int *y);

void screen_flush(struct screen *screen);

#endif
