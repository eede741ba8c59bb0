/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CARREL_VIEWER_PIXELS_H
#define CARREL_VIEWER_PIXELS_H

#include <stddef.h>
#include <stdint.h>

/* Where a colour lies in a pixel of a frame buffer: its lowest bit and its number of bits (1..8).
 */
struct pixel_field {
	unsigned offset, length;
};

struct pixel_format {
	unsigned bits; /* 16 or 32 */
	struct pixel_field red, green, blue;
};

/* One pixel of XRGB8888 in that format. */
uint32_t pixel_pack(const struct pixel_format *format, uint32_t xrgb);

/* Writes `count` pixels to `to`, in the format's size and the machine's byte order. */
void pixels_write(const struct pixel_format *format, void *to, const uint32_t *from, size_t count);

#endif
