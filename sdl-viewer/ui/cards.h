/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cards that stand in the middle of the screen. Each function draws one into a new surface
 * (ARGB, owned by the caller); where it stands is the caller's business.
 */
#ifndef CARREL_VIEWER_CARDS_H
#define CARREL_VIEWER_CARDS_H

#include "sdl-viewer/ui/draw.h"
#include "sdl-viewer/ui/form.h"
#include "sdl-viewer/ui/strings.h"

struct cards {
	struct draw draw;
	enum language language;
	char site[96];
};

/* Where on the form's card a field or the button is, for the mouse. */
struct form_layout {
	SDL_Rect fields[FORM_FIELDS], button;
};

SDL_Surface *card_form(const struct cards *cards, struct form *form, struct form_layout *layout);

/* Stage with a bar; `percent` above 100 draws no bar. */
SDL_Surface *card_stage(const struct cards *cards, const char *title, const char *text,
	unsigned percent, const char *hint);

SDL_Surface *card_message(
	const struct cards *cards, const char *title, const char *text, const char *hint);

enum menu_item { MENU_BACK, MENU_MOVE_NOW, MENU_DISCONNECT, MENU_LOGOUT, MENU_COUNT };

/* Where an item is; empty where the menu has none. */
struct menu_layout {
	SDL_Rect items[MENU_COUNT];
};

/* MENU_MOVE_NOW is there only with `move`. */
SDL_Surface *card_menu(
	const struct cards *cards, bool move, enum menu_item chosen, struct menu_layout *layout);

/* A line of text on a dark band, for the foot of the screen. */
SDL_Surface *card_toast(const struct cards *cards, const char *text);

/* A notice of one sentence and a smaller line below it, for the head of a screen of that width. */
SDL_Surface *card_banner(
	const struct cards *cards, const char *text, const char *hint, int screen_width);

/* The quiet picture behind the cards, with the seat's name at its foot. */
SDL_Surface *card_backdrop(const struct cards *cards, int width, int height, const char *seat);

/* An arrow for the pointer over the cards; its hot spot is the upper left corner. */
SDL_Surface *card_arrow(const struct cards *cards);

#endif
