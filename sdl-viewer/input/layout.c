/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/input/layout.h"

#include <linux/input-event-codes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xkbcommon/xkbcommon-compose.h>
#include <xkbcommon/xkbcommon.h>

#include "sdl-viewer/input/keys.h"

#define LAYOUTS "/usr/share/X11/xkb"
#define SEQUENCES "/usr/share/X11/locale/en_US.UTF-8/Compose"
#define EVDEV_OFFSET 8 /* xkb's number of a key is the kernel's and this */

/* All owned. */
struct layout {
	struct xkb_context *context;
	struct xkb_keymap *keymap;
	struct xkb_compose_table *table;    /* NULL: dead keys give nothing */
	struct xkb_compose_state *sequence; /* likewise */
	xkb_keysym_t right_alt;
};

/* Presses a key, and lets it go again where it is one that locks. */
static void press(struct xkb_state *state, unsigned code, bool lock)
{
	xkb_state_update_key(state, code + EVDEV_OFFSET, XKB_KEY_DOWN);
	if (lock)
		xkb_state_update_key(state, code + EVDEV_OFFSET, XKB_KEY_UP);
}

/* What a key means; XKB_KEY_NoSymbol: nothing, or several things. */
static xkb_keysym_t meaning(
	const struct layout *layout, SDL_Scancode scancode, unsigned modifiers, bool caps_lock)
{
	const struct key *key = key_by_scancode(scancode);
	struct xkb_state *state = key ? xkb_state_new(layout->keymap) : NULL;
	xkb_keysym_t symbol = XKB_KEY_NoSymbol;

	if (!state)
		return symbol;
	/* The keypad gives digits whatever num lock says: there is nothing to move in a name. */
	press(state, KEY_NUMLOCK, true);
	if (caps_lock)
		press(state, KEY_CAPSLOCK, true);
	if (modifiers & MODIFIER_SHIFT)
		press(state, KEY_LEFTSHIFT, false);
	if (modifiers & MODIFIER_ALTGR)
		press(state, KEY_RIGHTALT, false);
	symbol = xkb_state_key_get_one_sym(state, key->evdev + EVDEV_OFFSET);
	xkb_state_unref(state);
	return symbol;
}

static void open_sequences(struct layout *layout)
{
	FILE *file = fopen(SEQUENCES, "re");

	if (!file)
		return;
	layout->table = xkb_compose_table_new_from_file(layout->context, file, "en_US.UTF-8",
		XKB_COMPOSE_FORMAT_TEXT_V1, XKB_COMPOSE_COMPILE_NO_FLAGS);
	fclose(file);
	if (layout->table)
		layout->sequence = xkb_compose_state_new(layout->table, XKB_COMPOSE_STATE_NO_FLAGS);
}

struct layout *layout_open(const struct keyboard *keyboard)
{
	const struct xkb_rule_names names = {.rules = "evdev",
		.model = "pc105",
		.layout = keyboard->layout,
		.variant = keyboard->variant,
		.options = ""};
	struct layout *layout = calloc(1, sizeof(*layout));

	if (!layout)
		return NULL;
	layout->context =
		xkb_context_new(XKB_CONTEXT_NO_DEFAULT_INCLUDES | XKB_CONTEXT_NO_ENVIRONMENT_NAMES);
	if (layout->context && xkb_context_include_path_append(layout->context, LAYOUTS)) {
		xkb_context_set_log_level(layout->context, XKB_LOG_LEVEL_CRITICAL);
		layout->keymap = xkb_keymap_new_from_names(
			layout->context, &names, XKB_KEYMAP_COMPILE_NO_FLAGS);
	}
	if (!layout->keymap) {
		layout_close(layout);
		return NULL;
	}
	open_sequences(layout);
	layout->right_alt = meaning(layout, SDL_SCANCODE_RALT, 0, false);
	return layout;
}

void layout_close(struct layout *layout)
{
	if (!layout)
		return;
	xkb_compose_state_unref(layout->sequence);
	xkb_compose_table_unref(layout->table);
	xkb_keymap_unref(layout->keymap);
	xkb_context_unref(layout->context);
	free(layout);
}

bool layout_has_altgr(const struct layout *layout)
{
	return layout->right_alt == XKB_KEY_ISO_Level3_Shift;
}

bool layout_is_hangul(const struct layout *layout, SDL_Scancode scancode)
{
	return meaning(layout, scancode, 0, false) == XKB_KEY_Hangul;
}

/* Is it a character, not what Enter, Tab and Backspace have? */
static bool is_text(const char *text)
{
	return (unsigned char)text[0] >= ' ' && text[0] != 0x7f;
}

bool layout_key(struct layout *layout, SDL_Scancode scancode, unsigned modifiers, bool caps_lock,
	char text[LAYOUT_TEXT_MAX])
{
	xkb_keysym_t symbol = meaning(layout, scancode, modifiers, caps_lock);
	int length = xkb_keysym_to_utf8(symbol, text, LAYOUT_TEXT_MAX);
	bool dead = symbol >= XKB_KEY_dead_grave && symbol <= XKB_KEY_dead_greek;

	if (length < 0 || !is_text(text))
		text[0] = '\0';
	if (!text[0] && !dead)
		return false;
	if (!layout->sequence ||
		xkb_compose_state_feed(layout->sequence, symbol) == XKB_COMPOSE_FEED_IGNORED)
		return true;
	switch (xkb_compose_state_get_status(layout->sequence)) {
	case XKB_COMPOSE_COMPOSING:
	case XKB_COMPOSE_CANCELLED:
		text[0] = '\0';
		break;
	case XKB_COMPOSE_COMPOSED:
		length = xkb_compose_state_get_utf8(layout->sequence, text, LAYOUT_TEXT_MAX);
		if (length >= LAYOUT_TEXT_MAX || !is_text(text))
			text[0] = '\0';
		xkb_compose_state_reset(layout->sequence);
		break;
	case XKB_COMPOSE_NOTHING:
		break;
	}
	return true;
}

bool layout_forget(struct layout *layout)
{
	bool waits = layout->sequence &&
		     xkb_compose_state_get_status(layout->sequence) == XKB_COMPOSE_COMPOSING;

	if (layout->sequence)
		xkb_compose_state_reset(layout->sequence);
	return waits;
}
