/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/rfb/picture.h"

#include <stdlib.h>
#include <string.h>

static struct area area_join(struct area a, struct area b)
{
	int x = a.x < b.x ? a.x : b.x, y = a.y < b.y ? a.y : b.y;
	int right = a.x + a.w > b.x + b.w ? a.x + a.w : b.x + b.w;
	int bottom = a.y + a.h > b.y + b.h ? a.y + a.h : b.y + b.h;

	return (struct area){x, y, right - x, bottom - y};
}

struct area area_clip(struct area area, int width, int height)
{
	long right = (long)area.x + area.w, bottom = (long)area.y + area.h;
	long x = area.x < 0 ? 0 : area.x, y = area.y < 0 ? 0 : area.y;

	if (right > width)
		right = width;
	if (bottom > height)
		bottom = height;
	if (right <= x || bottom <= y)
		return (struct area){0, 0, 0, 0};
	return (struct area){(int)x, (int)y, (int)(right - x), (int)(bottom - y)};
}

static bool area_holds(struct area a, struct area b)
{
	return b.x >= a.x && b.y >= a.y && b.x + b.w <= a.x + a.w && b.y + b.h <= a.y + a.h;
}

void damage_add(struct damage *damage, struct area area)
{
	if (area.w <= 0 || area.h <= 0)
		return;
	for (int i = 0; i < damage->count; i++) {
		if (area_holds(damage->areas[i], area))
			return;
		if (area_holds(area, damage->areas[i])) {
			damage->areas[i] = area;
			return;
		}
	}
	if (damage->count == DAMAGE_MAX) {
		for (int i = 1; i < damage->count; i++)
			damage->areas[0] = area_join(damage->areas[0], damage->areas[i]);
		damage->areas[0] = area_join(damage->areas[0], area);
		damage->count = 1;
		return;
	}
	damage->areas[damage->count++] = area;
}

struct picture *picture_new(void)
{
	struct picture *picture = calloc(1, sizeof(*picture));

	if (!picture)
		abort();
	pthread_mutex_init(&picture->lock, NULL);
	return picture;
}

void picture_free(struct picture *picture)
{
	if (!picture)
		return;
	pthread_mutex_destroy(&picture->lock);
	free(picture->pixels);
	free(picture->missing);
	free(picture->cursor.argb);
	free(picture);
}

struct picture *picture_still(struct picture *picture)
{
	struct picture *still = picture_new();

	pthread_mutex_lock(&picture->lock);
	if (picture->pixels) {
		size_t count = (size_t)picture->width * (size_t)picture->height;

		if (!picture_resize(still, picture->width, picture->height))
			abort();
		memcpy(still->pixels, picture->pixels, count * sizeof(*still->pixels));
	}
	pthread_mutex_unlock(&picture->lock);
	return still;
}

bool picture_resize(struct picture *picture, int width, int height)
{
	size_t count;
	uint32_t *pixels;
	uint8_t *missing = NULL;

	if (width < 1 || height < 1 || width > PICTURE_SIDE_MAX || height > PICTURE_SIDE_MAX)
		return false;
	count = (size_t)width * (size_t)height;
	pixels = calloc(count, sizeof(*pixels));
	if (!picture->whole)
		missing = malloc(count);
	if (!pixels || (!picture->whole && !missing)) {
		free(pixels);
		free(missing);
		return false;
	}
	if (missing)
		memset(missing, 1, count);
	free(picture->pixels);
	free(picture->missing);
	picture->pixels = pixels;
	picture->missing = missing;
	picture->width = width;
	picture->height = height;
	picture->resized = true;
	picture->damage.count = 0;
	damage_add(&picture->damage, (struct area){0, 0, width, height});
	return true;
}

void picture_draw(struct picture *picture, const uint32_t *from, struct area area)
{
	size_t stride = (size_t)picture->width, n;

	area = area_clip(area, picture->width, picture->height);
	if (area.w == 0)
		return;
	n = (size_t)area.w;
	for (int y = area.y; y < area.y + area.h; y++) {
		size_t at = (size_t)y * stride + (size_t)area.x;

		memcpy(picture->pixels + at, from + at, n * sizeof(*from));
		if (picture->missing)
			memset(picture->missing + at, 0, n);
	}
	damage_add(&picture->damage, area);
}

bool picture_whole(struct picture *picture)
{
	size_t count = (size_t)picture->width * (size_t)picture->height;

	if (!picture->whole && picture->missing && !memchr(picture->missing, 1, count)) {
		picture->whole = true;
		free(picture->missing);
		picture->missing = NULL;
	}
	return picture->whole;
}

void picture_set_cursor(struct picture *picture, int hot_x, int hot_y, int width, int height,
	const uint32_t *pixels, const uint8_t *mask)
{
	struct picture_cursor *cursor = &picture->cursor;
	size_t count = (size_t)width * (size_t)height;

	free(cursor->argb);
	*cursor = (struct picture_cursor){0};
	picture->cursor_changed = true;
	if (width < 1 || height < 1 || width > PICTURE_CURSOR_MAX || height > PICTURE_CURSOR_MAX)
		return;
	cursor->argb = malloc(count * sizeof(*cursor->argb));
	if (!cursor->argb)
		return;
	for (size_t i = 0; i < count; i++)
		cursor->argb[i] = mask[i] ? 0xff000000U | (pixels[i] & 0xffffffU) : 0;
	cursor->width = width;
	cursor->height = height;
	cursor->hot_x = hot_x < 0 ? 0 : hot_x < width ? hot_x : width - 1;
	cursor->hot_y = hot_y < 0 ? 0 : hot_y < height ? hot_y : height - 1;
}
