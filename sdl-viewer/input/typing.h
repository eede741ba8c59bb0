/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys to text on the bare console, where no input method runs: the seat's layout, US where it has
 * none set, and Korean when it is switched on: by the Hangul key, and where right Alt is not AltGr
 * by it and by shift + space.
 */
#ifndef CARREL_VIEWER_TYPING_H
#define CARREL_VIEWER_TYPING_H

#include <SDL_scancode.h>
#include <stdbool.h>

#include "sdl-viewer/input/hangul.h"
#include "sdl-viewer/input/layout.h"

struct typing {
	struct hangul syllable;
	bool korean;
	struct layout *layout; /* borrowed; NULL = US */
};

struct typing_result {
	char text[16];   /* UTF-8 to be added to the field; empty = none */
	char preview[8]; /* the syllable in the making */
	bool taken;      /* the key is used up; else it is the form's (Backspace, Enter, ...) */
};

/* Drops the syllable and a dead key, keeps the language. */
void typing_reset(struct typing *typing);

/* A key going down, `modifiers` as in keys.h. */
void typing_key(struct typing *typing, SDL_Scancode scancode, unsigned modifiers, bool caps_lock,
	struct typing_result *result);

#endif
