/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/app/screen.h"

#include <stdlib.h>
#include <string.h>

/* A dimmed picture's brightness, of 256. */
#define DIM 90

static void damage_rect(struct screen *screen, SDL_Rect rect)
{
	damage_add(&screen->damage, area_clip((struct area){rect.x, rect.y, rect.w, rect.h},
					    screen->frame->w, screen->frame->h));
}

static void damage_all(struct screen *screen)
{
	screen->damage.count = 0;
	damage_rect(screen, (SDL_Rect){0, 0, screen->frame->w, screen->frame->h});
}

static void layer_set(
	struct screen *screen, struct layer *layer, SDL_Surface *surface, int x, int y)
{
	if (layer->surface) {
		damage_rect(screen, layer->at);
		SDL_FreeSurface(layer->surface);
	}
	layer->surface = surface;
	if (!surface)
		return;
	layer->at = (SDL_Rect){x, y, surface->w, surface->h};
	damage_rect(screen, layer->at);
}

void screen_init(struct screen *screen, struct presenter *presenter)
{
	memset(screen, 0, sizeof(*screen));
	screen->presenter = presenter;
	screen->pointer_x = presenter->width / 2;
	screen->pointer_y = presenter->height / 2;
	screen_resize(screen);
}

static void drop_layers(struct screen *screen)
{
	struct layer *layers[] = {&screen->card, &screen->toast, &screen->banner, &screen->pointer};

	for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
		SDL_FreeSurface(layers[i]->surface);
		layers[i]->surface = NULL;
	}
	SDL_FreeSurface(screen->backdrop);
	screen->backdrop = NULL;
	SDL_FreeSurface(screen->frame);
	screen->frame = NULL;
}

void screen_clear(struct screen *screen)
{
	drop_layers(screen);
	presenter_close(screen->presenter);
	screen->presenter = NULL;
}

void screen_resize(struct screen *screen)
{
	drop_layers(screen);
	screen->frame = SDL_CreateRGBSurfaceWithFormat(0, screen->presenter->width,
		screen->presenter->height, 32, SDL_PIXELFORMAT_XRGB8888);
	if (!screen->frame)
		abort();
	screen->scale.width = 0;
	damage_all(screen);
}

void screen_set_backdrop(struct screen *screen, SDL_Surface *backdrop)
{
	SDL_FreeSurface(screen->backdrop);
	screen->backdrop = backdrop;
	if (!screen->picture)
		damage_all(screen);
}

void screen_set_card(struct screen *screen, SDL_Surface *card)
{
	layer_set(screen, &screen->card, card, card ? (screen->frame->w - card->w) / 2 : 0,
		card ? (screen->frame->h - card->h) / 2 : 0);
}

void screen_set_toast(struct screen *screen, SDL_Surface *toast)
{
	layer_set(screen, &screen->toast, toast, toast ? (screen->frame->w - toast->w) / 2 : 0,
		toast ? screen->frame->h - toast->h - screen->frame->h / 25 : 0);
}

static SDL_Rect banner_place(const struct screen *screen, const SDL_Surface *banner, bool foot)
{
	int margin = screen->frame->h / 80;

	return (SDL_Rect){(screen->frame->w - banner->w) / 2,
		foot ? screen->frame->h - banner->h - margin : margin, banner->w, banner->h};
}

static bool pointer_on_banner(const struct screen *screen)
{
	SDL_Point point = {screen->pointer_x, screen->pointer_y};

	return screen->banner.surface && SDL_PointInRect(&point, &screen->banner.at);
}

/* It steps aside when the pointer has come onto it, and stays there until that happens again. */
static void place_banner(struct screen *screen)
{
	if (!pointer_on_banner(screen))
		return;
	damage_rect(screen, screen->banner.at);
	screen->banner_at_foot = !screen->banner_at_foot;
	screen->banner.at = banner_place(screen, screen->banner.surface, screen->banner_at_foot);
	damage_rect(screen, screen->banner.at);
}

void screen_set_banner(struct screen *screen, SDL_Surface *banner)
{
	SDL_Rect at = {0, 0, 0, 0};

	if (!banner || !screen->banner.surface)
		screen->banner_at_foot = false;
	if (banner)
		at = banner_place(screen, banner, screen->banner_at_foot);
	layer_set(screen, &screen->banner, banner, at.x, at.y);
	place_banner(screen);
}

void screen_set_pointer(struct screen *screen, SDL_Surface *pointer, int hot_x, int hot_y)
{
	screen->hot_x = hot_x;
	screen->hot_y = hot_y;
	layer_set(screen, &screen->pointer, pointer, screen->pointer_x - hot_x,
		screen->pointer_y - hot_y);
}

void screen_move_pointer(struct screen *screen, int x, int y)
{
	if (x == screen->pointer_x && y == screen->pointer_y)
		return;
	screen->pointer_x = x;
	screen->pointer_y = y;
	place_banner(screen);
	if (!screen->pointer.surface)
		return;
	if (screen->pointer_shown)
		damage_rect(screen, screen->pointer.at);
	screen->pointer.at.x = x - screen->hot_x;
	screen->pointer.at.y = y - screen->hot_y;
	if (screen->pointer_shown)
		damage_rect(screen, screen->pointer.at);
}

void screen_show_pointer(struct screen *screen, bool shown)
{
	if (shown == screen->pointer_shown)
		return;
	screen->pointer_shown = shown;
	if (screen->pointer.surface)
		damage_rect(screen, screen->pointer.at);
}

void screen_set_picture(struct screen *screen, struct picture *picture, bool dim)
{
	if (picture == screen->picture && dim == screen->dim)
		return;
	screen->picture = picture;
	screen->dim = dim;
	screen->scale.width = 0;
	damage_all(screen);
}

/* With the picture's lock held. */
static void plan(struct screen *screen)
{
	const struct picture *picture = screen->picture;

	if (picture->width < 1 ||
		(screen->scale.width == picture->width && screen->scale.height == picture->height))
		return;
	scale_plan(&screen->scale, picture->width, picture->height, screen->frame->w,
		screen->frame->h);
	damage_all(screen);
}

bool screen_look(struct screen *screen)
{
	struct picture *picture = screen->picture;
	bool cursor;

	if (!picture)
		return false;
	pthread_mutex_lock(&picture->lock);
	plan(screen);
	for (int i = 0; i < picture->damage.count && screen->scale.width > 0; i++) {
		struct area area = scale_to_screen(&screen->scale, picture->damage.areas[i]);

		damage_add(&screen->damage, area_clip(area, screen->frame->w, screen->frame->h));
	}
	picture->damage.count = 0;
	picture->told = false;
	picture->resized = false;
	cursor = picture->cursor_changed;
	picture->cursor_changed = false;
	pthread_mutex_unlock(&picture->lock);
	return cursor;
}

void screen_desktop_pointer(struct screen *screen)
{
	struct picture *picture = screen->picture;
	SDL_Surface *shape = NULL, *copy;
	int hot_x, hot_y, width, height;

	pthread_mutex_lock(&picture->lock);
	width = picture->cursor.width;
	height = picture->cursor.height;
	hot_x = picture->cursor.hot_x;
	hot_y = picture->cursor.hot_y;
	if (width > 0) {
		shape = SDL_CreateRGBSurfaceWithFormat(
			0, width, height, 32, SDL_PIXELFORMAT_ARGB8888);
		for (int y = 0; shape && y < height; y++)
			memcpy((Uint8 *)shape->pixels + (ptrdiff_t)y * shape->pitch,
				picture->cursor.argb + (ptrdiff_t)y * width, (size_t)width * 4);
	}
	pthread_mutex_unlock(&picture->lock);
	if (shape && screen->scale.width > 0 && screen->scale.how != SCALE_COPY) {
		const struct scale *s = &screen->scale;
		int w = width * s->target.w / s->width, h = height * s->target.h / s->height;

		copy = SDL_CreateRGBSurfaceWithFormat(
			0, w > 0 ? w : 1, h > 0 ? h : 1, 32, SDL_PIXELFORMAT_ARGB8888);
		SDL_SetSurfaceBlendMode(shape, SDL_BLENDMODE_NONE);
		if (copy && SDL_BlitScaled(shape, NULL, copy, NULL) == 0) {
			SDL_FreeSurface(shape);
			shape = copy;
			hot_x = hot_x * s->target.w / s->width;
			hot_y = hot_y * s->target.h / s->height;
		} else {
			SDL_FreeSurface(copy);
		}
	}
	if (shape)
		SDL_SetSurfaceBlendMode(shape, SDL_BLENDMODE_BLEND);
	screen_set_pointer(screen, shape, hot_x, hot_y);
}

void screen_pointed(const struct screen *screen, int *x, int *y)
{
	*x = *y = 0;
	if (screen->scale.width > 0)
		scale_to_desktop(&screen->scale, screen->pointer_x, screen->pointer_y, x, y);
}

static void dim_area(SDL_Surface *frame, struct area a)
{
	for (int y = a.y; y < a.y + a.h; y++) {
		Uint32 *line =
			(Uint32 *)(void *)((Uint8 *)frame->pixels + (ptrdiff_t)y * frame->pitch);

		for (int x = a.x; x < a.x + a.w; x++) {
			Uint32 rb = (line[x] & 0xff00ffU) * DIM >> 8 & 0xff00ffU;
			Uint32 g = (line[x] & 0x00ff00U) * DIM >> 8 & 0x00ff00U;

			line[x] = rb | g;
		}
	}
}

static void blit(SDL_Surface *from, SDL_Surface *to, int x, int y)
{
	SDL_Rect at = {x, y, 0, 0};

	SDL_BlitSurface(from, NULL, to, &at);
}

/* With the picture's lock held, if there is one. */
static void compose(struct screen *screen, struct area area)
{
	SDL_Rect clip = {area.x, area.y, area.w, area.h};
	SDL_Surface *frame = screen->frame;

	SDL_SetClipRect(frame, &clip);
	if (screen->picture && screen->scale.width == screen->picture->width &&
		screen->scale.height == screen->picture->height && screen->picture->pixels) {
		const struct area *t = &screen->scale.target;

		if (t->w < frame->w || t->h < frame->h)
			SDL_FillRect(frame, &clip, 0xff000000);
		scale_draw(&screen->scale, screen->picture->pixels, frame->pixels, frame->pitch / 4,
			area);
		if (screen->dim)
			dim_area(frame, area);
	} else if (screen->picture || !screen->backdrop) {
		SDL_FillRect(frame, &clip, 0xff000000);
	} else {
		blit(screen->backdrop, frame, 0, 0);
	}
	if (screen->card.surface)
		blit(screen->card.surface, frame, screen->card.at.x, screen->card.at.y);
	if (screen->toast.surface)
		blit(screen->toast.surface, frame, screen->toast.at.x, screen->toast.at.y);
	if (screen->banner.surface)
		blit(screen->banner.surface, frame, screen->banner.at.x, screen->banner.at.y);
	if (screen->pointer.surface && screen->pointer_shown)
		blit(screen->pointer.surface, frame, screen->pointer.at.x, screen->pointer.at.y);
}

void screen_flush(struct screen *screen)
{
	if (screen->damage.count == 0)
		return;
	if (screen->picture) {
		pthread_mutex_lock(&screen->picture->lock);
		plan(screen);
	}
	for (int i = 0; i < screen->damage.count; i++)
		compose(screen, screen->damage.areas[i]);
	if (screen->picture)
		pthread_mutex_unlock(&screen->picture->lock);
	screen->presenter->ops->present(
		screen->presenter, screen->frame, screen->damage.areas, screen->damage.count);
	screen->damage.count = 0;
}
