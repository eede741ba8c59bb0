/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/shared/screen_mode.h"

#include <stdio.h>
#include <string.h>

#define SIDE_MAX 16384
#define HZ_MAX 500

/* Up to five digits, without a zero in front; 0 when there are none. */
static unsigned take_number(const char **text)
{
	unsigned number = 0;
	int digits = 0;

	for (; **text >= '0' && **text <= '9' && digits < 5; digits++)
		number = number * 10 + (unsigned)(*(*text)++ - '0');
	return digits && (*text)[-digits] != '0' ? number : 0;
}

bool screen_mode_parse(const char *text, struct screen_mode *mode)
{
	struct screen_mode read = {.width = take_number(&text)};
	bool good = *text == 'x';

	*mode = (struct screen_mode){0};
	text += good;
	read.height = take_number(&text);
	if (*text == '@') {
		text++;
		read.hz = take_number(&text);
		good = good && read.hz >= 1 && read.hz <= HZ_MAX;
	}
	good = good && *text == '\0' && read.width >= 640 && read.width <= SIDE_MAX &&
	       read.height >= 400 && read.height <= SIDE_MAX;
	if (good)
		*mode = read;
	return good;
}

char *screen_mode_text(const struct screen_mode *mode, char text[SCREEN_MODE_MAX])
{
	text[0] = '\0';
	if (mode->width)
		snprintf(text, SCREEN_MODE_MAX, mode->hz ? "%ux%u@%u" : "%ux%u", mode->width,
			mode->height, mode->hz);
	return text;
}

bool screen_mode_fits(const struct screen_mode *mode, const struct screen_mode *wanted)
{
	return mode->width == wanted->width && mode->height == wanted->height &&
	       (!wanted->hz || mode->hz == wanted->hz);
}
