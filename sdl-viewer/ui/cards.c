/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/ui/cards.h"

#include <stdio.h>
#include <string.h>

#include "sdl-viewer/app/utf8.h"

#define CARD_WIDTH 460
#define WIDE_WIDTH 560
#define PADDING 36
#define RADIUS 14

static int px(const struct cards *cards, int v)
{
	return draw_px(&cards->draw, v);
}

static SDL_Surface *new_card(const struct cards *cards, int width, int height)
{
	SDL_Surface *card = draw_surface(width, height);

	/* The edge is for a card over a desktop whose windows are as white as it is. */
	draw_framed(card, (SDL_Rect){0, 0, width, height}, px(cards, RADIUS), px(cards, 2),
		COLOUR_CARD, COLOUR_EDGE);
	return card;
}

static void draw_field(const struct cards *cards, SDL_Surface *card, struct form *form,
	enum form_field field, SDL_Rect box)
{
	const struct draw *draw = &cards->draw;
	bool focus = form->focus == field;
	char before[FORM_PASSWORD_MAX * 4], after[FORM_PASSWORD_MAX * 4];
	int inset = px(cards, 12), x = box.x + inset, room = box.w - 2 * inset, width, caret;
	int y = box.y + (box.h - draw_line_height(draw, FONT_FIELD)) / 2;
	size_t size;
	const char *text = form_text(form, field, &size);
	SDL_Rect old, clip;

	draw_framed(card, box, px(cards, 8), focus ? px(cards, 2) : px(cards, 1), COLOUR_WHITE,
		focus ? COLOUR_ACCENT : COLOUR_EDGE);
	before[0] = after[0] = 0;
	if (field == FORM_PASSWORD) {
		char *out = before;

		for (size_t at = 0; text[at]; at = utf8_next(text, at)) {
			if (at == form->cursor[field])
				out = after;
			strcat(out, "\xe2\x97\x8f");
		}
	} else {
		snprintf(before, sizeof(before), "%.*s", (int)form->cursor[field], text);
		snprintf(after, sizeof(after), "%s", text + form->cursor[field]);
		if (focus && form->typed_here) /* badge of the language */
			room -= px(cards, 34);
	}
	width = draw_text_width(draw, FONT_FIELD, before);
	caret = width + (focus && field == FORM_USER
					? draw_text_width(draw, FONT_FIELD, form->preview)
					: 0);
	SDL_GetClipRect(card, &old);
	clip = (SDL_Rect){x, box.y, room, box.h};
	SDL_SetClipRect(card, &clip);
	if (focus && caret > room - px(cards, 3)) /* the cursor stays in sight */
		x -= caret - room + px(cards, 3);
	draw_text(draw, card, FONT_FIELD, COLOUR_TEXT, x, y, before);
	if (focus && field == FORM_USER && form->preview[0]) {
		SDL_Rect line = {
			x + width, box.y + box.h - px(cards, 10), caret - width, px(cards, 2)};

		draw_text(draw, card, FONT_FIELD, COLOUR_ACCENT, x + width, y, form->preview);
		draw_box(card, line, 0, COLOUR_ACCENT);
	}
	draw_text(draw, card, FONT_FIELD, COLOUR_TEXT, x + caret, y, after);
	if (focus)
		draw_box(card,
			(SDL_Rect){x + caret, box.y + px(cards, 10), px(cards, 2),
				box.h - px(cards, 20)},
			0, COLOUR_ACCENT);
	SDL_SetClipRect(card, &old);
}

static void draw_badge(
	const struct cards *cards, SDL_Surface *card, const struct form *form, SDL_Rect field)
{
	const char *text = form->korean ? "한" : "A";
	SDL_Rect box = {field.x + field.w - px(cards, 40), field.y + px(cards, 9), px(cards, 31),
		field.h - px(cards, 18)};
	int width = draw_text_width(&cards->draw, FONT_SMALL, text);

	draw_box(card, box, px(cards, 5), COLOUR_ACCENT_SOFT);
	draw_text(&cards->draw, card, FONT_SMALL, COLOUR_ACCENT, box.x + (box.w - width) / 2,
		box.y + (box.h - draw_line_height(&cards->draw, FONT_SMALL)) / 2, text);
}

static int draw_button(const struct cards *cards, SDL_Surface *card, SDL_Rect box, const char *text)
{
	int width = draw_text_width(&cards->draw, FONT_FIELD, text);

	draw_box(card, box, px(cards, 8), COLOUR_ACCENT);
	draw_text(&cards->draw, card, FONT_FIELD, COLOUR_WHITE, box.x + (box.w - width) / 2,
		box.y + (box.h - draw_line_height(&cards->draw, FONT_FIELD)) / 2, text);
	return box.h;
}

SDL_Surface *card_form(const struct cards *cards, struct form *form, struct form_layout *layout)
{
	const struct draw *draw = &cards->draw;
	static const enum string_id labels[FORM_FIELDS] = {STR_USER, STR_PASSWORD};
	int width = px(cards, CARD_WIDTH), pad = px(cards, PADDING), inner = width - 2 * pad;
	int small = draw_line_height(draw, FONT_SMALL), field = px(cards, 50), y = pad;
	int title = draw_paragraph(draw, NULL, FONT_TITLE, 0, 0, 0, inner, cards->site);
	int error = form->error[0]
			    ? draw_paragraph(draw, NULL, FONT_BODY, 0, 0, 0, inner, form->error)
			    : draw_line_height(draw, FONT_BODY);
	int height = 2 * pad + title + px(cards, 22) + 2 * (small + px(cards, 6) + field) +
		     px(cards, 16) + px(cards, 10) + small + px(cards, 8) + error + px(cards, 12) +
		     px(cards, 52);
	SDL_Surface *card = new_card(cards, width, height);

	y += draw_paragraph(draw, card, FONT_TITLE, COLOUR_TEXT, pad, y, inner, cards->site);
	y += px(cards, 22);
	for (int i = 0; i < FORM_FIELDS; i++) {
		draw_text(draw, card, FONT_SMALL, COLOUR_QUIET, pad, y,
			string_get(cards->language, labels[i]));
		y += small + px(cards, 6);
		layout->fields[i] = (SDL_Rect){pad, y, inner, field};
		draw_field(cards, card, form, (enum form_field)i, layout->fields[i]);
		y += field + (i == FORM_USER ? px(cards, 16) : px(cards, 10));
	}
	if (form->focus == FORM_USER && form->typed_here)
		draw_badge(cards, card, form, layout->fields[FORM_USER]);
	if (form->caps_lock)
		draw_text(draw, card, FONT_SMALL, COLOUR_WARN, pad, y,
			string_get(cards->language, STR_CAPS_LOCK));
	y += small + px(cards, 8);
	draw_paragraph(draw, card, FONT_BODY, COLOUR_ERROR, pad, y, inner, form->error);
	y += error + px(cards, 12);
	layout->button = (SDL_Rect){pad, y, inner, px(cards, 52)};
	draw_button(cards, card, layout->button, string_get(cards->language, STR_LOG_IN));
	return card;
}

SDL_Surface *card_stage(const struct cards *cards, const char *title, const char *text,
	unsigned percent, const char *hint)
{
	const struct draw *draw = &cards->draw;
	int width = px(cards, WIDE_WIDTH), pad = px(cards, PADDING), inner = width - 2 * pad;
	int title_height = draw_paragraph(draw, NULL, FONT_TITLE, 0, 0, 0, inner, title);
	int text_height = draw_paragraph(draw, NULL, FONT_BODY, 0, 0, 0, inner, text);
	int bar = percent <= 100 ? px(cards, 12) + px(cards, 22) : 0, y = pad;
	int hint_height = draw_paragraph(draw, NULL, FONT_SMALL, 0, 0, 0, inner, hint);
	SDL_Surface *card = new_card(cards, width,
		2 * pad + title_height + px(cards, 10) + text_height + bar +
			(hint_height ? px(cards, 20) + hint_height : 0));

	y += draw_paragraph(draw, card, FONT_TITLE, COLOUR_TEXT, pad, y, inner, title);
	y += px(cards, 10);
	y += draw_paragraph(draw, card, FONT_BODY, COLOUR_QUIET, pad, y, inner, text);
	if (bar) {
		SDL_Rect box = {pad, y + px(cards, 22), inner, px(cards, 12)}, done = box;

		done.w = (int)((unsigned)inner * percent / 100);
		draw_box(card, box, px(cards, 6), COLOUR_ACCENT_SOFT);
		if (done.w >= px(cards, 12))
			draw_box(card, done, px(cards, 6), COLOUR_ACCENT);
		y += bar;
	}
	if (hint_height)
		draw_paragraph(
			draw, card, FONT_SMALL, COLOUR_QUIET, pad, y + px(cards, 20), inner, hint);
	return card;
}

SDL_Surface *card_message(
	const struct cards *cards, const char *title, const char *text, const char *hint)
{
	return card_stage(cards, title, text, 101, hint);
}

static void draw_menu_item(const struct cards *cards, SDL_Surface *card, SDL_Rect box, bool chosen,
	enum string_id text)
{
	const struct draw *draw = &cards->draw;

	draw_framed(card, box, px(cards, 8), chosen ? px(cards, 2) : px(cards, 1),
		chosen ? COLOUR_ACCENT_SOFT : COLOUR_WHITE, chosen ? COLOUR_ACCENT : COLOUR_EDGE);
	draw_text(draw, card, FONT_BODY, chosen ? COLOUR_ACCENT : COLOUR_TEXT,
		box.x + px(cards, 16), box.y + (box.h - draw_line_height(draw, FONT_BODY)) / 2,
		string_get(cards->language, text));
}

SDL_Surface *card_menu(
	const struct cards *cards, bool move, enum menu_item chosen, struct menu_layout *layout)
{
	static const enum string_id items[MENU_COUNT] = {
		STR_MENU_BACK, STR_MENU_MOVE_NOW, STR_MENU_DISCONNECT, STR_MENU_LOGOUT};
	const struct draw *draw = &cards->draw;
	int width = px(cards, WIDE_WIDTH), pad = px(cards, PADDING), inner = width - 2 * pad;
	const char *title = string_get(cards->language, STR_MENU);
	int title_height = draw_paragraph(draw, NULL, FONT_TITLE, 0, 0, 0, inner, title);
	int row = px(cards, 54), gap = px(cards, 10), y = pad;
	int small = draw_line_height(draw, FONT_SMALL), count = MENU_COUNT - !move;
	SDL_Surface *card = new_card(cards, width,
		2 * pad + title_height + px(cards, 22) + count * (row + gap) + px(cards, 8) +
			small);

	y += draw_paragraph(draw, card, FONT_TITLE, COLOUR_TEXT, pad, y, inner, title);
	y += px(cards, 22);
	for (int i = 0; i < MENU_COUNT; i++) {
		layout->items[i] = (SDL_Rect){0, 0, 0, 0};
		if (i == MENU_MOVE_NOW && !move)
			continue;
		layout->items[i] = (SDL_Rect){pad, y, inner, row};
		draw_menu_item(cards, card, layout->items[i], i == (int)chosen, items[i]);
		y += row + gap;
	}
	draw_text(draw, card, FONT_SMALL, COLOUR_QUIET, pad, y + px(cards, 8),
		string_get(cards->language, STR_MENU_HINT));
	return card;
}

SDL_Surface *card_banner(
	const struct cards *cards, const char *text, const char *hint, int screen_width)
{
	const struct draw *draw = &cards->draw;
	int side = px(cards, 24), top = px(cards, 10), gap = px(cards, 4);
	int room = screen_width - 2 * side, width = draw_text_width(draw, FONT_BODY, text), height;
	int hint_width = draw_text_width(draw, FONT_SMALL, hint), y = top;
	int step = px(cards, 40);
	SDL_Surface *card;

	if (width < hint_width)
		width = hint_width;
	/* In steps, so that the band does not tremble with the digits of the countdown. */
	width = (width / step + 1) * step + 2 * side;
	if (width > room)
		width = room;
	room = width - 2 * side;
	height = 2 * top + gap + draw_paragraph(draw, NULL, FONT_BODY, 0, 0, 0, room, text) +
		 draw_paragraph(draw, NULL, FONT_SMALL, 0, 0, 0, room, hint);
	card = draw_surface(width, height);
	draw_framed(card, (SDL_Rect){0, 0, width, height}, px(cards, 10), px(cards, 2),
		COLOUR_NOTICE, COLOUR_WARN);
	y += draw_paragraph(draw, card, FONT_BODY, COLOUR_TEXT, side, y, room, text) + gap;
	draw_paragraph(draw, card, FONT_SMALL, COLOUR_TEXT, side, y, room, hint);
	return card;
}

SDL_Surface *card_toast(const struct cards *cards, const char *text)
{
	const struct draw *draw = &cards->draw;
	int width = draw_text_width(draw, FONT_BODY, text) + 2 * px(cards, 20);
	int height = draw_line_height(draw, FONT_BODY) + 2 * px(cards, 10);
	SDL_Surface *card = draw_surface(width, height);

	draw_box(card, (SDL_Rect){0, 0, width, height}, height / 2, 0xd8182430);
	draw_text(draw, card, FONT_BODY, COLOUR_WHITE, px(cards, 20), px(cards, 10), text);
	return card;
}

SDL_Surface *card_backdrop(const struct cards *cards, int width, int height, const char *seat)
{
	SDL_Surface *backdrop = draw_surface(width, height);
	const struct draw *draw = &cards->draw;
	char text[128];
	int y = height - px(cards, 18) - draw_line_height(draw, FONT_SMALL);

	SDL_SetSurfaceBlendMode(backdrop, SDL_BLENDMODE_NONE);
	for (int line = 0; line < height; line++) {
		/* From slate blue above to a deeper one below. */
		unsigned t = (unsigned)line * 256 / (unsigned)height;
		Uint32 r = (0x2f * (256 - t) + 0x16 * t) >> 8;
		Uint32 g = (0x4a * (256 - t) + 0x24 * t) >> 8;
		Uint32 b = (0x66 * (256 - t) + 0x36 * t) >> 8;
		SDL_Rect row = {0, line, width, 1};

		SDL_FillRect(backdrop, &row, 0xff000000U | r << 16 | g << 8 | b);
	}
	snprintf(text, sizeof(text), "%s %s", string_get(cards->language, STR_SEAT), seat);
	draw_text(draw, backdrop, FONT_SMALL, COLOUR_ON_DARK,
		width - px(cards, 24) - draw_text_width(draw, FONT_SMALL, text), y, text);
	return backdrop;
}

/* Is the point in the arrow? In sixteenths of a pixel of a screen 800 high; even-odd rule. */
static bool in_arrow(int x, int y, int grow)
{
	static const int corners[][2] = {
		{1, 1}, {1, 17}, {5, 13}, {8, 20}, {11, 19}, {8, 12}, {13, 12}};
	enum { COUNT = sizeof(corners) / sizeof(corners[0]) };
	bool inside = false;

	/* The edge is the same arrow with each point within `grow` of it. */
	if (grow)
		return in_arrow(x - grow, y, 0) || in_arrow(x + grow, y, 0) ||
		       in_arrow(x, y - grow, 0) || in_arrow(x, y + grow, 0) || in_arrow(x, y, 0);
	for (int i = 0, j = COUNT - 1; i < COUNT; j = i++) {
		int xi = corners[i][0] * 16, yi = corners[i][1] * 16;
		int xj = corners[j][0] * 16, yj = corners[j][1] * 16;

		if ((yi > y) != (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi)
			inside = !inside;
	}
	return inside;
}

SDL_Surface *card_arrow(const struct cards *cards)
{
	int width = px(cards, 15), height = px(cards, 22);
	SDL_Surface *arrow = draw_surface(width, height);

	for (int i = 0; i < width * height; i++) {
		int x = i % width, y = i / width;
		unsigned white = 0, any = 0;

		for (int p = 0; p < 16; p++) {
			int sx = (int)((float)(16 * x + 4 * (p % 4) + 2) / cards->draw.unit);
			int sy = (int)((float)(16 * y + 4 * (p / 4) + 2) / cards->draw.unit);

			white += in_arrow(sx, sy, 0);
			any += in_arrow(sx, sy, 14);
		}
		if (any) {
			Uint32 shade = 0x18 + white * (0xff - 0x18) / any;

			((Uint32 *)arrow->pixels)[y * arrow->pitch / 4 + x] =
				any * 255 / 16 << 24 | shade << 16 | shade << 8 | shade;
		}
	}
	return arrow;
}
