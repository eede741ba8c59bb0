/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The presenter for X11 and Wayland: SDL's window surface, no renderer and no OpenGL. */
#include <stdio.h>
#include <stdlib.h>

#include "sdl-viewer/display/presenter.h"

struct window {
	struct presenter base;
};

static void window_present(
	struct presenter *presenter, const SDL_Surface *frame, const struct area *areas, int count)
{
	SDL_Surface *surface = SDL_GetWindowSurface(presenter->window);
	SDL_Rect rects[DAMAGE_MAX];

	if (!surface || surface->w != frame->w || surface->h != frame->h)
		return; /* the window has just changed; its event is on the way */
	for (int i = 0; i < count; i++) {
		SDL_Rect to = {areas[i].x, areas[i].y, areas[i].w, areas[i].h};

		rects[i] = to;
		SDL_BlitSurface((SDL_Surface *)(uintptr_t)frame, &rects[i], surface, &to);
	}
	SDL_UpdateWindowSurfaceRects(presenter->window, rects, count);
}

static bool window_refresh(struct presenter *presenter)
{
	SDL_GetWindowSize(presenter->window, &presenter->width, &presenter->height);
	return true;
}

static void window_close(struct presenter *presenter)
{
	SDL_DestroyWindow(presenter->window);
	free(presenter);
}

struct presenter *presenter_window_open(int width, int height, char *why, size_t size)
{
	static const struct presenter_ops ops = {
		"window", window_present, window_refresh, NULL, window_close};
	struct window *window = calloc(1, sizeof(*window));

	if (!window)
		abort();
	window->base.ops = &ops;
	window->base.fd = -1;
	window->base.window = SDL_CreateWindow("Carrel", SDL_WINDOWPOS_CENTERED,
		SDL_WINDOWPOS_CENTERED, width, height, SDL_WINDOW_RESIZABLE);
	if (!window->base.window) {
		snprintf(why, size, "no window: %s", SDL_GetError());
		free(window);
		return NULL;
	}
	SDL_SetWindowMinimumSize(window->base.window, 480, 360);
	window_refresh(&window->base);
	return &window->base;
}
