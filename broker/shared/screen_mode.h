/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Modes of screens as they are written, "1920x1080" or "1920x1080@60": by admins, to viewers, and
 * by viewers. */
#ifndef CARREL_SCREEN_MODE_H
#define CARREL_SCREEN_MODE_H

#include <stdbool.h>

#define SCREEN_MODE_MAX 24 /* bytes of the text with the terminator */

struct screen_mode {
	unsigned width, height; /* pixels; 0 = no mode */
	unsigned hz;            /* 0 = any, or not known */
};

/* False for anything else, `mode` is zero then. From 640x400 to 16384x16384, at most 500 Hz. */
bool screen_mode_parse(const char *text, struct screen_mode *mode);
/* Writes it; "" for no mode. Returns `text`. */
char *screen_mode_text(const struct screen_mode *mode, char text[SCREEN_MODE_MAX]);
/* Is `mode` what is wanted? */
bool screen_mode_fits(const struct screen_mode *mode, const struct screen_mode *wanted);

#endif
