/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A desktop's picture on a screen of another size, on the CPU: pixel for pixel and centred where
 * that fills most of the screen, whole multiples as sharp squares, else bilinear with the sides'
 * ratio kept.
 */
#ifndef CARREL_VIEWER_SCALE_H
#define CARREL_VIEWER_SCALE_H

#include <stdint.h>

#include "sdl-viewer/rfb/picture.h"

enum scale_how { SCALE_COPY, SCALE_NEAREST, SCALE_BILINEAR };

struct scale {
	enum scale_how how;
	int width, height;  /* of the desktop */
	struct area target; /* on the screen */
};

/* All sides at least 1. */
void scale_plan(struct scale *scale, int width, int height, int screen_width, int screen_height);

/* The part of the screen that a part of the desktop shows in (neighbours' share included). */
struct area scale_to_screen(const struct scale *scale, struct area area);

/* The desktop's pixel under a point of the screen, the nearest one outside the target. */
void scale_to_desktop(const struct scale *scale, int x, int y, int *desktop_x, int *desktop_y);

/*
 * Draws the part of the screen `area` that lies in the target; `from` is the desktop, `to` the
 * screen with `stride` pixels a line. XRGB8888 both.
 */
void scale_draw(const struct scale *scale, const uint32_t *from, uint32_t *to, int stride,
	struct area area);

#endif
