/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/ui/draw.h"

#include <stdlib.h>
#include <string.h>

static const int font_sizes[FONT_COUNT] = {15, 18, 21, 32};

void draw_close(struct draw *draw)
{
	for (int i = 0; i < FONT_COUNT; i++) {
		if (draw->fonts[i])
			TTF_CloseFont(draw->fonts[i]);
		draw->fonts[i] = NULL;
	}
	free(draw->font_file);
	draw->font_file = NULL;
}

bool draw_open(struct draw *draw, const char *font_file, int width, int height)
{
	char *file = strdup(font_file);
	float by_height = (float)height / 800.0F, by_width = (float)width / 900.0F;

	draw_close(draw);
	draw->font_file = file;
	draw->unit = by_height < by_width ? by_height : by_width;
	if (draw->unit < 0.6F)
		draw->unit = 0.6F;
	for (int i = 0; i < FONT_COUNT; i++) {
		draw->fonts[i] = TTF_OpenFont(file, draw_px(draw, font_sizes[i]));
		if (!draw->fonts[i])
			return false;
	}
	return true;
}

int draw_px(const struct draw *draw, int v)
{
	return (int)((float)v * draw->unit + 0.5F);
}

SDL_Surface *draw_surface(int width, int height)
{
	SDL_Surface *surface =
		SDL_CreateRGBSurfaceWithFormat(0, width, height, 32, SDL_PIXELFORMAT_ARGB8888);

	if (!surface)
		abort();
	SDL_SetSurfaceBlendMode(surface, SDL_BLENDMODE_BLEND);
	return surface;
}

static Uint32 blend(Uint32 below, Uint32 above, unsigned cover)
{
	unsigned a = (above >> 24) * cover / 255, below_a = below >> 24;
	unsigned out_a = a + below_a * (255 - a) / 255;
	Uint32 out = out_a << 24;

	if (out_a == 0)
		return 0;
	for (int shift = 0; shift < 24; shift += 8) {
		unsigned up = above >> shift & 255, down = below >> shift & 255;
		unsigned value = (up * a + down * below_a * (255 - a) / 255) / out_a;

		out |= (value > 255 ? 255 : value) << shift;
	}
	return out;
}

/* How much of the pixel lies in the rounded box, 0..255: 4 x 4 points are looked at. */
static unsigned corner_cover(int x, int y, const SDL_Rect *box, int radius)
{
	unsigned inside = 0;

	for (int i = 0; i < 16; i++) {
		int px = 8 * x + 2 * (i % 4) + 1, py = 8 * y + 2 * (i / 4) + 1, r = 8 * radius;
		int left = r, right = 8 * box->w - r, top = r, bottom = 8 * box->h - r;
		int dx = px < left ? left - px : px > right ? px - right : 0;
		int dy = py < top ? top - py : py > bottom ? py - bottom : 0;

		inside += dx * dx + dy * dy <= r * r;
	}
	return inside * 255 / 16;
}

void draw_box(SDL_Surface *to, SDL_Rect box, int radius, Uint32 colour)
{
	SDL_Rect all = {0, 0, to->w, to->h}, in;

	if (!SDL_IntersectRect(&box, &all, &in))
		return;
	for (int y = in.y; y < in.y + in.h; y++) {
		Uint32 *line = (Uint32 *)(void *)((Uint8 *)to->pixels + (ptrdiff_t)y * to->pitch);
		int by = y - box.y;
		bool edge_y = by < radius || by >= box.h - radius;

		for (int x = in.x; x < in.x + in.w; x++) {
			int bx = x - box.x;
			bool edge_x = bx < radius || bx >= box.w - radius;
			unsigned cover =
				edge_x && edge_y ? corner_cover(bx, by, &box, radius) : 255;

			line[x] = blend(line[x], colour, cover);
		}
	}
}

void draw_framed(
	SDL_Surface *to, SDL_Rect box, int radius, int edge, Uint32 colour, Uint32 edge_colour)
{
	SDL_Rect in = {box.x + edge, box.y + edge, box.w - 2 * edge, box.h - 2 * edge};

	draw_box(to, box, radius, edge_colour);
	draw_box(to, in, radius > edge ? radius - edge : 0, colour);
}

int draw_line_height(const struct draw *draw, enum font font)
{
	return TTF_FontLineSkip(draw->fonts[font]);
}

int draw_text_width(const struct draw *draw, enum font font, const char *text)
{
	int width = 0;

	if (!text[0] || TTF_SizeUTF8(draw->fonts[font], text, &width, NULL) != 0)
		return 0;
	return width;
}

static SDL_Color colour_of(Uint32 colour)
{
	return (SDL_Color){
		(Uint8)(colour >> 16), (Uint8)(colour >> 8), (Uint8)colour, (Uint8)(colour >> 24)};
}

int draw_text(const struct draw *draw, SDL_Surface *to, enum font font, Uint32 colour, int x, int y,
	const char *text)
{
	SDL_Surface *line;
	SDL_Rect at = {x, y, 0, 0};
	int width;

	if (!text[0])
		return 0;
	line = TTF_RenderUTF8_Blended(draw->fonts[font], text, colour_of(colour));
	if (!line)
		return 0;
	width = line->w;
	SDL_BlitSurface(line, NULL, to, &at);
	SDL_FreeSurface(line);
	return width;
}

/* Bytes of `text` that fit into `width`: to the last blank, or to the last character that fits. */
static size_t break_line(const struct draw *draw, enum font font, int width, const char *text)
{
	int extent = 0, count = 0;
	size_t end = 0, blank = 0;

	if (TTF_MeasureUTF8(draw->fonts[font], text, width, &extent, &count) != 0)
		return strlen(text);
	for (int i = 0; text[end] && i < (count > 0 ? count : 1); i++) {
		if (text[end] == ' ')
			blank = end;
		end++;
		while (((unsigned char)text[end] & 0xc0) == 0x80)
			end++;
	}
	return text[end] && text[end] != ' ' && blank > 0 ? blank : end;
}

int draw_paragraph(const struct draw *draw, SDL_Surface *to, enum font font, Uint32 colour, int x,
	int y, int width, const char *text)
{
	int height = 0;

	while (*text == ' ')
		text++;
	while (*text) {
		char line[512];
		size_t n = break_line(draw, font, width, text);

		if (n >= sizeof(line))
			n = sizeof(line) - 1;
		memcpy(line, text, n);
		line[n] = 0;
		if (to)
			draw_text(draw, to, font, colour, x, y + height, line);
		height += draw_line_height(draw, font);
		text += n;
		while (*text == ' ')
			text++;
	}
	return height;
}
