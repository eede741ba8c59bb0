/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/display/scale.h"

#include <stddef.h>
#include <string.h>

/* Below this share of the screen's nearer side a small desktop is enlarged, in percent. */
#define SMALL_PERCENT 80

void scale_plan(struct scale *scale, int width, int height, int screen_width, int screen_height)
{
	int times = screen_width / width < screen_height / height ? screen_width / width
								  : screen_height / height;
	int w, h;

	scale->width = width;
	scale->height = height;
	if (times >= 1) {
		long share_x = 100L * width * times / screen_width;
		long share_y = 100L * height * times / screen_height;

		if (share_x >= SMALL_PERCENT || share_y >= SMALL_PERCENT) {
			scale->how = times == 1 ? SCALE_COPY : SCALE_NEAREST;
			w = width * times;
			h = height * times;
			scale->target = (struct area){
				(screen_width - w) / 2, (screen_height - h) / 2, w, h};
			return;
		}
	}
	scale->how = SCALE_BILINEAR;
	if ((long)screen_width * height <= (long)screen_height * width) {
		w = screen_width;
		h = (int)((long)height * screen_width / width);
	} else {
		h = screen_height;
		w = (int)((long)width * screen_height / height);
	}
	w = w < 1 ? 1 : w;
	h = h < 1 ? 1 : h;
	scale->target = (struct area){(screen_width - w) / 2, (screen_height - h) / 2, w, h};
}

struct area scale_to_screen(const struct scale *scale, struct area area)
{
	const struct area *t = &scale->target;
	long x0, y0, x1, y1;

	area = area_clip(area, scale->width, scale->height);
	if (area.w == 0)
		return area;
	if (scale->how == SCALE_BILINEAR) {
		/* A pixel spreads to its neighbours' centres. */
		area = area_clip((struct area){area.x - 1, area.y - 1, area.w + 2, area.h + 2},
			scale->width, scale->height);
	}
	x0 = (long)area.x * t->w / scale->width;
	y0 = (long)area.y * t->h / scale->height;
	x1 = ((long)(area.x + area.w) * t->w + scale->width - 1) / scale->width;
	y1 = ((long)(area.y + area.h) * t->h + scale->height - 1) / scale->height;
	return (struct area){t->x + (int)x0, t->y + (int)y0, (int)(x1 - x0), (int)(y1 - y0)};
}

void scale_to_desktop(const struct scale *scale, int x, int y, int *desktop_x, int *desktop_y)
{
	const struct area *t = &scale->target;
	long dx = x - t->x, dy = y - t->y;

	dx = dx < 0 ? 0 : dx >= t->w ? t->w - 1 : dx;
	dy = dy < 0 ? 0 : dy >= t->h ? t->h - 1 : dy;
	*desktop_x = (int)(dx * scale->width / t->w);
	*desktop_y = (int)(dy * scale->height / t->h);
}

/* Position of target pixel `at`'s centre in the source, 24.8 fixed point, within the source. */
static int source_at(int at, int target, int source)
{
	int64_t v = ((int64_t)(2 * at + 1) * source * 128) / target - 128;
	int64_t last = (int64_t)(source - 1) * 256;

	return (int)(v < 0 ? 0 : v > last ? last : v);
}

static uint32_t mix(uint32_t a, uint32_t b, uint32_t part)
{
	uint32_t rb = (a & 0xff00ffU) * (256 - part) + (b & 0xff00ffU) * part;
	uint32_t g = (a & 0x00ff00U) * (256 - part) + (b & 0x00ff00U) * part;

	return (rb >> 8 & 0xff00ffU) | (g >> 8 & 0x00ff00U);
}

static void line_bilinear(
	const struct scale *scale, const uint32_t *from, uint32_t *to, int x, int count, int y)
{
	int sy = source_at(y, scale->target.h, scale->height);
	const uint32_t *top = from + (size_t)(sy >> 8) * (size_t)scale->width;
	const uint32_t *bottom = (sy >> 8) + 1 < scale->height ? top + scale->width : top;
	uint32_t part_y = (uint32_t)sy & 255;

	for (int i = 0; i < count; i++) {
		int sx = source_at(x + i, scale->target.w, scale->width), left = sx >> 8;
		int right = left + 1 < scale->width ? left + 1 : left;
		uint32_t part_x = (uint32_t)sx & 255;

		to[i] = mix(mix(top[left], top[right], part_x),
			mix(bottom[left], bottom[right], part_x), part_y);
	}
}

static void line_nearest(
	const struct scale *scale, const uint32_t *from, uint32_t *to, int x, int count, int y)
{
	int times = scale->target.w / scale->width;
	const uint32_t *line = from + (size_t)(y / times) * (size_t)scale->width;

	for (int i = 0; i < count; i++)
		to[i] = line[(x + i) / times];
}

void scale_draw(
	const struct scale *scale, const uint32_t *from, uint32_t *to, int stride, struct area area)
{
	const struct area *t = &scale->target;
	struct area in =
		area_clip((struct area){area.x - t->x, area.y - t->y, area.w, area.h}, t->w, t->h);

	for (int y = in.y; y < in.y + in.h; y++) {
		uint32_t *line = to + (ptrdiff_t)(t->y + y) * stride + t->x + in.x;

		if (scale->how == SCALE_COPY)
			memcpy(line, from + (size_t)y * (size_t)scale->width + in.x,
				(size_t)in.w * sizeof(*line));
		else if (scale->how == SCALE_NEAREST)
			line_nearest(scale, from, line, in.x, in.w, y);
		else
			line_bilinear(scale, from, line, in.x, in.w, y);
	}
}
