/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/display/pixels.h"

#include <string.h>

static uint32_t put(const struct pixel_field *field, uint32_t value)
{
	return (value >> (8 - field->length)) << field->offset;
}

uint32_t pixel_pack(const struct pixel_format *format, uint32_t xrgb)
{
	return put(&format->red, xrgb >> 16 & 0xff) | put(&format->green, xrgb >> 8 & 0xff) |
	       put(&format->blue, xrgb & 0xff);
}

void pixels_write(const struct pixel_format *format, void *to, const uint32_t *from, size_t count)
{
	if (format->bits == 32 && format->red.offset == 16 && format->green.offset == 8 &&
		format->blue.offset == 0) {
		memcpy(to, from, count * 4);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		uint32_t pixel = pixel_pack(format, from[i]);

		if (format->bits == 16)
			((uint16_t *)to)[i] = (uint16_t)pixel;
		else
			((uint32_t *)to)[i] = pixel;
	}
}
