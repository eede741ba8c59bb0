/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One table of keys under their three names: the kernel's code (evdev), SDL's scancode, and the
 * number in QEMU's extended key events (PC XT code; 0x80 added for keys with the prefix e0).
 */
#ifndef CARREL_VIEWER_KEYS_H
#define CARREL_VIEWER_KEYS_H

#include <SDL_scancode.h>
#include <stdint.h>

struct key {
	uint16_t evdev;
	uint16_t scancode; /* SDL_Scancode */
	uint8_t number;    /* QEMU */
	uint32_t keysym;   /* X11, of the US layout without shift; 0 = none */
};

/* Borrowed from the table; NULL when the key is not in it. */
const struct key *key_by_evdev(unsigned code);
const struct key *key_by_scancode(SDL_Scancode scancode);

/* The table, for its test. */
const struct key *key_table(unsigned *count);

/* Modifiers as the viewer keeps them, both sides alike but for Alt: the right one is AltGr on many
 * keyboards. */
enum key_modifier { MODIFIER_SHIFT = 1, MODIFIER_CTRL = 2, MODIFIER_ALT = 4, MODIFIER_ALTGR = 8 };

/* The modifier that a key is, 0 for others. */
unsigned key_modifier(SDL_Scancode scancode);

/*
 * The character of a key on the US layout, 0 for keys without. Caps lock turns the case of letters
 * only.
 */
char key_character(SDL_Scancode scancode, unsigned modifiers, int caps_lock);

#endif
