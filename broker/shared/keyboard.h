/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keyboards as they are written, "de" or "de(nodeadkeys)": a layout of X, or a variant of one. By
 * admins of seats and in recipes, to viewers, and to desktops. */
#ifndef CARREL_KEYBOARD_H
#define CARREL_KEYBOARD_H

#include <stdbool.h>

#define KEYBOARD_MAX 48 /* bytes of the text with the terminator */

struct keyboard {
	char layout[13];  /* 2 to 12 letters a to z */
	char variant[32]; /* letters, digits, '_' and '-'; empty = the layout's own */
};

/* False for anything else, `keyboard` is empty then. No text that is taken has a path, an option
 * of a program or a word of a shell in it. */
bool keyboard_parse(const char *text, struct keyboard *keyboard);

#endif
