/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/input/typing.h"

#include <string.h>

#include "sdl-viewer/app/utf8.h"
#include "sdl-viewer/input/keys.h"

void typing_reset(struct typing *typing)
{
	hangul_reset(&typing->syllable);
}

static void add(struct typing_result *result, uint32_t code)
{
	size_t used = strlen(result->text);

	if (code && used + 5 <= sizeof(result->text))
		utf8_write(code, result->text + used);
}

static bool is_switch(SDL_Scancode scancode, unsigned modifiers)
{
	return scancode == SDL_SCANCODE_LANG1 || scancode == SDL_SCANCODE_RALT ||
	       (scancode == SDL_SCANCODE_SPACE && modifiers == MODIFIER_SHIFT);
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

void typing_key(struct typing *typing, SDL_Scancode scancode, unsigned modifiers, bool caps_lock,
	struct typing_result *result)
{
	char c = 0;

	memset(result, 0, sizeof(*result));
	if (is_switch(scancode, modifiers)) {
		add(result, hangul_finish(&typing->syllable));
		typing->korean = !typing->korean;
		result->taken = true;
		return;
	}
	if (!(modifiers & (MODIFIER_CTRL | MODIFIER_ALT)))
		c = key_character(scancode, modifiers, caps_lock && !typing->korean);
	if (typing->korean && is_letter(c)) {
		add(result, hangul_type(&typing->syllable, c));
		result->taken = true;
	} else if (scancode == SDL_SCANCODE_BACKSPACE) {
		result->taken = hangul_backspace(&typing->syllable);
	} else if (c) {
		add(result, hangul_finish(&typing->syllable));
		add(result, (unsigned char)c);
		result->taken = true;
	} else if (!key_modifier(scancode) && scancode != SDL_SCANCODE_CAPSLOCK) {
		/* Enter, Tab, arrows: the syllable is finished, the key goes on to the form. */
		add(result, hangul_finish(&typing->syllable));
	}
	utf8_write(hangul_preview(&typing->syllable), result->preview);
}
