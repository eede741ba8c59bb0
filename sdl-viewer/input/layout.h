/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the keys of a seat's keyboard mean, on the bare console: the same files of layouts that the
 * desktop's X server reads (package xkb-data), by libxkbcommon, and the same sequences of dead keys
 * (libx11-data, Compose). So a password that is typed blind is the same at the form as in a
 * desktop.
 */
#ifndef CARREL_VIEWER_LAYOUT_H
#define CARREL_VIEWER_LAYOUT_H

#include <SDL_scancode.h>
#include <stdbool.h>

#include "broker/shared/keyboard.h"

#define LAYOUT_TEXT_MAX 8 /* bytes of what one key gives, with the terminator */

struct layout;

/* NULL when there is no such layout or variant here. */
struct layout *layout_open(const struct keyboard *keyboard);
void layout_close(struct layout *layout); /* NULL-safe */

/* Is right Alt a key for further characters (AltGr)? */
bool layout_has_altgr(const struct layout *layout);
/* Is it the Hangul key? Right Alt is it on Korean keyboards without one. */
bool layout_is_hangul(const struct layout *layout, SDL_Scancode scancode);

/*
 * A key going down; `modifiers` as in keys.h, without Ctrl and Alt. False for keys that give no
 * characters. Those of a dead key, and of a sequence that means nothing, are empty.
 */
bool layout_key(struct layout *layout, SDL_Scancode scancode, unsigned modifiers, bool caps_lock,
	char text[LAYOUT_TEXT_MAX]);

/* Forgets a dead key that waits for the next one; false when there was none. */
bool layout_forget(struct layout *layout);

#endif
