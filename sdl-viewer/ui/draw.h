/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drawing on surfaces: texts and boxes, in sizes that follow the screen's. */
#ifndef CARREL_VIEWER_DRAW_H
#define CARREL_VIEWER_DRAW_H

#include <SDL.h>
#include <SDL_ttf.h>
#include <stdbool.h>

enum font { FONT_SMALL, FONT_BODY, FONT_FIELD, FONT_TITLE, FONT_COUNT };

struct draw {
	char *font_file; /* owned */
	TTF_Font *fonts[FONT_COUNT];
	float unit; /* pixels for one pixel of a screen 800 high */
};

/* Colours are 0xAARRGGBB. */
enum colour {
	COLOUR_CARD = 0xfff8f9fb,
	COLOUR_EDGE = 0xffc8d0da,
	COLOUR_TEXT = 0xff1c2733,
	COLOUR_QUIET = 0xff5b6875,
	COLOUR_ACCENT = 0xff23639f,
	COLOUR_ACCENT_SOFT = 0xffdce8f4,
	COLOUR_ERROR = 0xffa8201a,
	COLOUR_WARN = 0xff8a5a00,
	COLOUR_NOTICE = 0xfffff3d6,
	COLOUR_WHITE = 0xffffffff,
	COLOUR_ON_DARK = 0xffc9d6e4
};

/* Opens the fonts for a screen of this size; again after it has changed. False: SDL_GetError. */
bool draw_open(struct draw *draw, const char *font_file, int width, int height);
void draw_close(struct draw *draw);

/* `v` pixels of a screen 800 high, in pixels here. */
int draw_px(const struct draw *draw, int v);

/* A clear ARGB surface; aborts when memory is out. */
SDL_Surface *draw_surface(int width, int height);

/* A filled box with round corners, drawn over what is there. */
void draw_box(SDL_Surface *to, SDL_Rect box, int radius, Uint32 colour);

/* The same with an edge inside. */
void draw_framed(
	SDL_Surface *to, SDL_Rect box, int radius, int edge, Uint32 colour, Uint32 edge_colour);

int draw_line_height(const struct draw *draw, enum font font);
int draw_text_width(const struct draw *draw, enum font font, const char *text);

/* One line with its upper left corner at x, y; returns its width. */
int draw_text(const struct draw *draw, SDL_Surface *to, enum font font, Uint32 colour, int x, int y,
	const char *text);

/* Lines of at most `width` pixels; with `to` NULL only measured. Returns their height. */
int draw_paragraph(const struct draw *draw, SDL_Surface *to, enum font font, Uint32 colour, int x,
	int y, int width, const char *text);

#endif
