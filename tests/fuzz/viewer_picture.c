/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Areas, sizes and cursors as a hostile desktop may send them, drawn and scaled to a screen. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sdl-viewer/display/scale.h"
#include "sdl-viewer/display/uevent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int number(const uint8_t **data, size_t *size)
{
	int16_t value = 0;

	if (*size < 2)
		return 0;
	memcpy(&value, *data, 2);
	*data += 2;
	*size -= 2;
	/* Mostly small, sometimes at the edges. */
	return value % 7 ? value % 100 : value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { SIDE = 96 };
	static uint32_t pixels[SIDE * SIDE], screen[SIDE * SIDE];
	static uint8_t mask[SIDE * SIDE];
	struct picture *picture = picture_new();
	struct scale scale;

	uevent_is_hotplug((const char *)data, size);
	while (size > 2) {
		int kind = number(&data, &size), a = number(&data, &size), b = number(&data, &size);
		int c = number(&data, &size), d = number(&data, &size);

		if (kind % 4 == 0 && a <= SIDE && b <= SIDE)
			picture_resize(picture, a, b);
		else if (kind % 4 == 1 && c <= SIDE && d <= SIDE)
			picture_set_cursor(picture, a, b, c, d, pixels, mask);
		else if (picture->width > 0)
			picture_draw(picture, pixels, (struct area){a, b, c, d});
		picture_whole(picture);
		if (picture->width < 1)
			continue;
		scale_plan(&scale, picture->width, picture->height, 1 + abs(a) % SIDE,
			1 + abs(b) % SIDE);
		for (int i = 0; i < picture->damage.count; i++) {
			struct area area = scale_to_screen(&scale, picture->damage.areas[i]);

			scale_draw(&scale, picture->pixels, screen, 1 + abs(a) % SIDE, area);
		}
	}
	picture_free(picture);
	return 0;
}
