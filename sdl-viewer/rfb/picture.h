/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A desktop's picture: written by a protocol thread, read by the main thread, and outliving the
 * connection that drew it (the last picture stays on the screen while a new connection is sought).
 */
#ifndef CARREL_VIEWER_PICTURE_H
#define CARREL_VIEWER_PICTURE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define PICTURE_SIDE_MAX 8192
#define PICTURE_CURSOR_MAX 256
#define DAMAGE_MAX 32

struct area {
	int x, y, w, h;
};

/* A list of areas; when it is full, all become the one that holds them. */
struct damage {
	struct area areas[DAMAGE_MAX];
	int count;
};

void damage_add(struct damage *damage, struct area area);
/* The part of `area` within width x height; w = 0 when there is none. */
struct area area_clip(struct area area, int width, int height);

struct picture_cursor {
	int width, height, hot_x, hot_y; /* width 0 = the desktop shows none */
	uint32_t *argb;                  /* owned; width * height */
};

struct picture {
	pthread_mutex_t lock; /* for all below */
	int width, height;    /* 0 until the first size is known */
	uint32_t *pixels;     /* owned; XRGB8888, width * height */
	struct damage damage; /* since the main thread looked last */
	bool told;            /* EVENT_DAMAGE is on its way */
	bool resized;         /* since the main thread looked last */
	bool cursor_changed;  /* since the main thread looked last */
	struct picture_cursor cursor;
	/* Which pixels of the first whole picture have come; NULL once it is whole. */
	uint8_t *missing; /* owned; 1 = not yet */
	bool whole;
};

struct picture *picture_new(void); /* aborts when memory is out */
void picture_free(struct picture *picture);

/* The pixels as they are now, in a picture of their own that nobody draws into; no cursor. Takes
 * the lock. Aborts when memory is out. */
struct picture *picture_still(struct picture *picture);

/* All below: the caller holds the lock. */

/* New size, black. False when a side is 0 or above PICTURE_SIDE_MAX, or memory is out. */
bool picture_resize(struct picture *picture, int width, int height);

/* Copies an area of `from` (same size, XRGB8888) and notes it as damage. */
void picture_draw(struct picture *picture, const uint32_t *from, struct area area);

/* Looks whether every pixel has been drawn once; true from then on. */
bool picture_whole(struct picture *picture);

/*
 * Takes a cursor's shape: `pixels` XRGB8888, `mask` one byte a pixel (0 = clear). A size of 0 or
 * above PICTURE_CURSOR_MAX means none.
 */
void picture_set_cursor(struct picture *picture, int hot_x, int hot_y, int width, int height,
	const uint32_t *pixels, const uint8_t *mask);

#endif
