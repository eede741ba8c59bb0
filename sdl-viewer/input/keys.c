/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/input/keys.h"

#include <linux/input-event-codes.h>
#include <stddef.h>
#include <string.h>

#define K(evdev, sdl, number, keysym)                                                              \
	{                                                                                          \
		KEY_##evdev, SDL_SCANCODE_##sdl, number, keysym                                    \
	}

/* clang-format off */
static const struct key table[] = {
	K(ESC, ESCAPE, 0x01, 0xff1b), K(1, 1, 0x02, '1'), K(2, 2, 0x03, '2'), K(3, 3, 0x04, '3'),
	K(4, 4, 0x05, '4'), K(5, 5, 0x06, '5'), K(6, 6, 0x07, '6'), K(7, 7, 0x08, '7'),
	K(8, 8, 0x09, '8'), K(9, 9, 0x0a, '9'), K(0, 0, 0x0b, '0'), K(MINUS, MINUS, 0x0c, '-'),
	K(EQUAL, EQUALS, 0x0d, '='), K(BACKSPACE, BACKSPACE, 0x0e, 0xff08),
	K(TAB, TAB, 0x0f, 0xff09), K(Q, Q, 0x10, 'q'), K(W, W, 0x11, 'w'), K(E, E, 0x12, 'e'),
	K(R, R, 0x13, 'r'), K(T, T, 0x14, 't'), K(Y, Y, 0x15, 'y'), K(U, U, 0x16, 'u'),
	K(I, I, 0x17, 'i'), K(O, O, 0x18, 'o'), K(P, P, 0x19, 'p'),
	K(LEFTBRACE, LEFTBRACKET, 0x1a, '['), K(RIGHTBRACE, RIGHTBRACKET, 0x1b, ']'),
	K(ENTER, RETURN, 0x1c, 0xff0d), K(LEFTCTRL, LCTRL, 0x1d, 0xffe3), K(A, A, 0x1e, 'a'),
	K(S, S, 0x1f, 's'), K(D, D, 0x20, 'd'), K(F, F, 0x21, 'f'), K(G, G, 0x22, 'g'),
	K(H, H, 0x23, 'h'), K(J, J, 0x24, 'j'), K(K, K, 0x25, 'k'), K(L, L, 0x26, 'l'),
	K(SEMICOLON, SEMICOLON, 0x27, ';'), K(APOSTROPHE, APOSTROPHE, 0x28, '\''),
	K(GRAVE, GRAVE, 0x29, '`'), K(LEFTSHIFT, LSHIFT, 0x2a, 0xffe1),
	K(BACKSLASH, BACKSLASH, 0x2b, '\\'), K(Z, Z, 0x2c, 'z'), K(X, X, 0x2d, 'x'),
	K(C, C, 0x2e, 'c'), K(V, V, 0x2f, 'v'), K(B, B, 0x30, 'b'), K(N, N, 0x31, 'n'),
	K(M, M, 0x32, 'm'), K(COMMA, COMMA, 0x33, ','), K(DOT, PERIOD, 0x34, '.'),
	K(SLASH, SLASH, 0x35, '/'), K(RIGHTSHIFT, RSHIFT, 0x36, 0xffe2),
	K(KPASTERISK, KP_MULTIPLY, 0x37, 0xffaa), K(LEFTALT, LALT, 0x38, 0xffe9),
	K(SPACE, SPACE, 0x39, ' '), K(CAPSLOCK, CAPSLOCK, 0x3a, 0xffe5),
	K(F1, F1, 0x3b, 0xffbe), K(F2, F2, 0x3c, 0xffbf), K(F3, F3, 0x3d, 0xffc0),
	K(F4, F4, 0x3e, 0xffc1), K(F5, F5, 0x3f, 0xffc2), K(F6, F6, 0x40, 0xffc3),
	K(F7, F7, 0x41, 0xffc4), K(F8, F8, 0x42, 0xffc5), K(F9, F9, 0x43, 0xffc6),
	K(F10, F10, 0x44, 0xffc7), K(NUMLOCK, NUMLOCKCLEAR, 0x45, 0xff7f),
	K(SCROLLLOCK, SCROLLLOCK, 0x46, 0xff14), K(KP7, KP_7, 0x47, 0xffb7),
	K(KP8, KP_8, 0x48, 0xffb8), K(KP9, KP_9, 0x49, 0xffb9), K(KPMINUS, KP_MINUS, 0x4a, 0xffad),
	K(KP4, KP_4, 0x4b, 0xffb4), K(KP5, KP_5, 0x4c, 0xffb5), K(KP6, KP_6, 0x4d, 0xffb6),
	K(KPPLUS, KP_PLUS, 0x4e, 0xffab), K(KP1, KP_1, 0x4f, 0xffb1), K(KP2, KP_2, 0x50, 0xffb2),
	K(KP3, KP_3, 0x51, 0xffb3), K(KP0, KP_0, 0x52, 0xffb0),
	K(KPDOT, KP_PERIOD, 0x53, 0xffae), K(102ND, NONUSBACKSLASH, 0x56, '<'),
	K(F11, F11, 0x57, 0xffc8), K(F12, F12, 0x58, 0xffc9), K(KPEQUAL, KP_EQUALS, 0x59, 0xffbd),
	K(F13, F13, 0x5d, 0xffca), K(F14, F14, 0x5e, 0xffcb), K(F15, F15, 0x5f, 0xffcc),
	K(KATAKANAHIRAGANA, INTERNATIONAL2, 0x70, 0xff27),
	/* Korean keyboards: Hangul/English and Hanja. */
	K(HANJA, LANG2, 0x71, 0xff34), K(HANGEUL, LANG1, 0x72, 0xff31),
	K(RO, INTERNATIONAL1, 0x73, 0), K(HENKAN, INTERNATIONAL4, 0x79, 0xff23),
	K(MUHENKAN, INTERNATIONAL5, 0x7b, 0xff22), K(YEN, INTERNATIONAL3, 0x7d, 0xa5),
	K(KPCOMMA, KP_COMMA, 0x7e, 0xffac),
	/* With the prefix e0. */
	K(PREVIOUSSONG, AUDIOPREV, 0x90, 0x1008ff16), K(NEXTSONG, AUDIONEXT, 0x99, 0x1008ff17),
	K(KPENTER, KP_ENTER, 0x9c, 0xff8d), K(RIGHTCTRL, RCTRL, 0x9d, 0xffe4),
	K(MUTE, AUDIOMUTE, 0xa0, 0x1008ff12), K(CALC, CALCULATOR, 0xa1, 0x1008ff1d),
	K(PLAYPAUSE, AUDIOPLAY, 0xa2, 0x1008ff14), K(STOPCD, AUDIOSTOP, 0xa4, 0x1008ff15),
	K(VOLUMEDOWN, VOLUMEDOWN, 0xae, 0x1008ff11), K(VOLUMEUP, VOLUMEUP, 0xb0, 0x1008ff13),
	K(HOMEPAGE, AC_HOME, 0xb2, 0x1008ff18), K(KPSLASH, KP_DIVIDE, 0xb5, 0xffaf),
	K(SYSRQ, PRINTSCREEN, 0xb7, 0xff61), K(RIGHTALT, RALT, 0xb8, 0xffea),
	K(PAUSE, PAUSE, 0xc6, 0xff13), K(HOME, HOME, 0xc7, 0xff50), K(UP, UP, 0xc8, 0xff52),
	K(PAGEUP, PAGEUP, 0xc9, 0xff55), K(LEFT, LEFT, 0xcb, 0xff51),
	K(RIGHT, RIGHT, 0xcd, 0xff53), K(END, END, 0xcf, 0xff57), K(DOWN, DOWN, 0xd0, 0xff54),
	K(PAGEDOWN, PAGEDOWN, 0xd1, 0xff56), K(INSERT, INSERT, 0xd2, 0xff63),
	K(DELETE, DELETE, 0xd3, 0xffff), K(LEFTMETA, LGUI, 0xdb, 0xffeb),
	K(RIGHTMETA, RGUI, 0xdc, 0xffec), K(COMPOSE, APPLICATION, 0xdd, 0xff67),
	K(POWER, POWER, 0xde, 0x1008ff2a), K(SLEEP, SLEEP, 0xdf, 0x1008ff2f),
	K(SEARCH, AC_SEARCH, 0xe5, 0x1008ff1b), K(BOOKMARKS, AC_BOOKMARKS, 0xe6, 0x1008ff30),
	K(REFRESH, AC_REFRESH, 0xe7, 0x1008ff29), K(STOP, AC_STOP, 0xe8, 0x1008ff28),
	K(FORWARD, AC_FORWARD, 0xe9, 0x1008ff27), K(BACK, AC_BACK, 0xea, 0x1008ff26),
	K(COMPUTER, COMPUTER, 0xeb, 0x1008ff33), K(MAIL, MAIL, 0xec, 0x1008ff19),
	K(MEDIA, MEDIASELECT, 0xed, 0x1008ff32),
};
/* clang-format on */

#define COUNT (sizeof(table) / sizeof(table[0]))

const struct key *key_table(unsigned *count)
{
	*count = COUNT;
	return table;
}

const struct key *key_by_evdev(unsigned code)
{
	for (size_t i = 0; i < COUNT; i++)
		if (table[i].evdev == code)
			return &table[i];
	return NULL;
}

const struct key *key_by_scancode(SDL_Scancode scancode)
{
	for (size_t i = 0; i < COUNT; i++)
		if (table[i].scancode == scancode)
			return &table[i];
	return NULL;
}

unsigned key_modifier(SDL_Scancode scancode)
{
	switch (scancode) {
	case SDL_SCANCODE_LSHIFT:
	case SDL_SCANCODE_RSHIFT:
		return MODIFIER_SHIFT;
	case SDL_SCANCODE_LCTRL:
	case SDL_SCANCODE_RCTRL:
		return MODIFIER_CTRL;
	case SDL_SCANCODE_LALT:
		return MODIFIER_ALT;
	case SDL_SCANCODE_RALT:
		return MODIFIER_ALTGR;
	default:
		return 0;
	}
}

char key_character(SDL_Scancode scancode, unsigned modifiers, int caps_lock)
{
	static const char plain[] = "1234567890-=[];'`\\,./";
	static const char shifted[] = "!@#$%^&*()_+{}:\"~|<>?";
	const struct key *key = key_by_scancode(scancode);
	int shift = (modifiers & MODIFIER_SHIFT) != 0;
	const char *at;

	if (!key)
		return 0;
	/* The keypad gives digits whatever num lock says: there is nothing to move in a name. */
	if (key->keysym >= 0xffaa && key->keysym <= 0xffb9 && key->keysym != 0xffac)
		return (char)(key->keysym - 0xff80);
	if (key->keysym == 0 || key->keysym >= 0x7f || scancode == SDL_SCANCODE_NONUSBACKSLASH)
		return 0;
	if (key->keysym >= 'a' && key->keysym <= 'z')
		return (char)(shift != (caps_lock != 0) ? key->keysym - 32 : key->keysym);
	at = strchr(plain, (int)key->keysym);
	if (shift && at)
		return shifted[at - plain];
	return (char)key->keysym;
}
