/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a composed frame goes. The frame is an ordinary surface in memory (XRGB8888); a presenter
 * copies the damaged areas of it to its device and never reads back.
 */
#ifndef CARREL_VIEWER_PRESENTER_H
#define CARREL_VIEWER_PRESENTER_H

#include <SDL.h>
#include <stdbool.h>

#include "broker/shared/screen_mode.h"
#include "sdl-viewer/rfb/picture.h"

struct presenter;

struct presenter_ops {
	const char *name;
	/* Shows the areas, which lie within the frame; the frame has the presenter's size. */
	void (*present)(struct presenter *presenter, const SDL_Surface *frame,
		const struct area *areas, int count);
	/* Looks whether the device has changed (after `fd` was readable, or an SDL window event).
	 * True when the size is another now or what was shown is lost: show all of it again. */
	bool (*refresh)(struct presenter *presenter);
	/* The mode that the screen is to have, from now on and on each screen that is plugged in;
	 * one without a width: the screen's own, as where it has no such. True as `refresh`. NULL:
	 * the device has one mode. */
	bool (*set_mode)(struct presenter *presenter, const struct screen_mode *wanted);
	void (*close)(struct presenter *presenter);
};

/* The first member of each presenter's own struct. */
struct presenter {
	const struct presenter_ops *ops;
	int width, height;
	struct screen_mode mode; /* what the screen shows; without a width: there is none */
	int fd;                  /* readable when the device may have changed; -1 = none */
	SDL_Window *window;      /* borrowed; NULL on the bare console */
};

/*
 * Open; NULL with a text in `why` (`size` bytes) that names the device and the cause.
 * Window: X11 or Wayland by SDL, which must be initialized with video.
 * KMS: dumb buffers on the first card that has a screen, in its preferred mode or the one set,
 * followed when monitors come and go. fbdev: /dev/fb0 with 16 or 32 bits a pixel.
 */
struct presenter *presenter_window_open(int width, int height, char *why, size_t size);
struct presenter *presenter_kms_open(char *why, size_t size);
struct presenter *presenter_fbdev_open(const char *path, char *why, size_t size);

void presenter_close(struct presenter *presenter); /* NULL-safe */

#endif
