/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/input/typing.h"

#include <string.h>

#include "sdl-viewer/app/utf8.h"
#include "sdl-viewer/input/keys.h"

static bool forget_dead_key(const struct typing *typing)
{
	return typing->layout && layout_forget(typing->layout);
}

void typing_reset(struct typing *typing)
{
	hangul_reset(&typing->syllable);
	forget_dead_key(typing);
}

static void add(struct typing_result *result, uint32_t code)
{
	size_t used = strlen(result->text);

	if (code && used + 5 <= sizeof(result->text))
		utf8_write(code, result->text + used);
}

static bool has_altgr(const struct typing *typing)
{
	return typing->layout && layout_has_altgr(typing->layout);
}

static bool is_switch(const struct typing *typing, SDL_Scancode scancode, unsigned modifiers)
{
	if (scancode == SDL_SCANCODE_LANG1 ||
		(typing->layout && layout_is_hangul(typing->layout, scancode)))
		return true;
	return !has_altgr(typing) &&
	       (scancode == SDL_SCANCODE_RALT ||
		       (scancode == SDL_SCANCODE_SPACE && modifiers == MODIFIER_SHIFT));
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What a key is in characters, perhaps none as a dead key is; false: it is the form's. */
static bool key_text(const struct typing *typing, SDL_Scancode scancode, unsigned modifiers,
	bool caps_lock, char text[LAYOUT_TEXT_MAX])
{
	if (typing->layout)
		return layout_key(typing->layout, scancode, modifiers, caps_lock, text);
	text[0] = key_character(scancode, modifiers, caps_lock);
	text[1] = '\0';
	return text[0] != '\0';
}

void typing_key(struct typing *typing, SDL_Scancode scancode, unsigned modifiers, bool caps_lock,
	struct typing_result *result)
{
	const unsigned commands =
		MODIFIER_CTRL | MODIFIER_ALT | (has_altgr(typing) ? 0 : MODIFIER_ALTGR);
	bool plain = !(modifiers & commands);
	char text[LAYOUT_TEXT_MAX] = "", letter = 0;

	memset(result, 0, sizeof(*result));
	if (is_switch(typing, scancode, modifiers)) {
		add(result, hangul_finish(&typing->syllable));
		forget_dead_key(typing);
		typing->korean = !typing->korean;
		result->taken = true;
		return;
	}
	if (plain && typing->korean)
		letter = key_character(scancode, modifiers, false);
	if (is_letter(letter)) {
		add(result, hangul_type(&typing->syllable, letter));
		result->taken = true;
	} else if (scancode == SDL_SCANCODE_BACKSPACE) {
		result->taken = hangul_backspace(&typing->syllable) || forget_dead_key(typing);
	} else if (plain &&
		   key_text(typing, scancode, modifiers, caps_lock && !typing->korean, text)) {
		add(result, hangul_finish(&typing->syllable));
		strcat(result->text, text);
		result->taken = true;
	} else if (!key_modifier(scancode) && scancode != SDL_SCANCODE_CAPSLOCK) {
		/* Enter, Tab, arrows: the syllable is finished, the key goes on to the form. */
		add(result, hangul_finish(&typing->syllable));
		forget_dead_key(typing);
	}
	utf8_write(hangul_preview(&typing->syllable), result->preview);
}
