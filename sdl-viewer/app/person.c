/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys and mouse. One chord is the viewer's own, everywhere and always: Ctrl+Alt+Shift+Q opens the
 * menu; Ctrl+Alt+Shift+M is while a hand-off is announced. Every other key goes to the desktop
 * while it is shown; when the viewer takes the keyboard back, all keys that the desktop believes
 * down are let go. A key that was down before the desktop had the keyboard is nothing to it: its
 * repeats are dropped until it is pressed afresh.
 */
#include <string.h>

#include "broker/shared/log.h"
#include "sdl-viewer/app/app.h"
#include "sdl-viewer/input/keys.h"

bool person_has_desktop(const struct app *app)
{
	return app->state == STATE_DESKTOP && !app->menu && app->current.rfb;
}

void person_leds(struct app *app)
{
	if (app->evdev)
		evdev_set_leds(app->evdev, person_has_desktop(app) ? app->current.leds
					   : app->caps_lock        ? LED_CAPS
								   : 0);
}

static void send_key(struct app *app, SDL_Scancode scancode, bool down)
{
	const struct key *key = key_by_scancode(scancode);

	app->pressed[scancode] = down;
	if (key && app->current.rfb)
		rfb_key(app->current.rfb, key->number, key->keysym, down);
}

static void send_pointer(struct app *app)
{
	int x, y;

	screen_pointed(&app->screen, &x, &y);
	if (app->current.rfb)
		rfb_pointer(app->current.rfb, x, y, app->buttons);
}

void person_release_all(struct app *app)
{
	for (int i = 0; i < SDL_NUM_SCANCODES; i++)
		if (app->pressed[i])
			send_key(app, (SDL_Scancode)i, false);
	if (app->buttons) {
		app->buttons = 0;
		send_pointer(app);
	}
}

static unsigned modifiers(const struct app *app)
{
	static const SDL_Scancode keys[] = {SDL_SCANCODE_LSHIFT, SDL_SCANCODE_RSHIFT,
		SDL_SCANCODE_LCTRL, SDL_SCANCODE_RCTRL, SDL_SCANCODE_LALT, SDL_SCANCODE_RALT};
	unsigned result = 0;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (app->held[keys[i]])
			result |= key_modifier(keys[i]);
	return result;
}

static void submit(struct app *app)
{
	app->form.preview[0] = 0;
	if (form_enter(&app->form))
		app_event_type(app, EVENT_SUBMIT);
	else if (!app->form.user[0])
		snprintf(app->form.error, sizeof(app->form.error), "%s",
			string_get(app->cards.language, STR_EMPTY_USER));
}

static void form_command(struct app *app, SDL_Scancode scancode)
{
	static const struct {
		SDL_Scancode scancode;
		enum form_key key;
	} keys[] = {{SDL_SCANCODE_DOWN, FORM_KEY_NEXT}, {SDL_SCANCODE_UP, FORM_KEY_PREVIOUS},
		{SDL_SCANCODE_LEFT, FORM_KEY_LEFT}, {SDL_SCANCODE_RIGHT, FORM_KEY_RIGHT},
		{SDL_SCANCODE_HOME, FORM_KEY_HOME}, {SDL_SCANCODE_END, FORM_KEY_END},
		{SDL_SCANCODE_BACKSPACE, FORM_KEY_BACKSPACE},
		{SDL_SCANCODE_DELETE, FORM_KEY_DELETE}, {SDL_SCANCODE_ESCAPE, FORM_KEY_CLEAR}};

	if (scancode == SDL_SCANCODE_RETURN || scancode == SDL_SCANCODE_KP_ENTER) {
		submit(app);
		return;
	}
	if (scancode == SDL_SCANCODE_TAB) {
		form_press(&app->form,
			modifiers(app) & MODIFIER_SHIFT ? FORM_KEY_PREVIOUS : FORM_KEY_NEXT);
		return;
	}
	if (scancode == SDL_SCANCODE_U && modifiers(app) == MODIFIER_CTRL) {
		form_press(&app->form, FORM_KEY_CLEAR);
		return;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].scancode == scancode)
			form_press(&app->form, keys[i].key);
}

static void form_key_down(struct app *app, SDL_Scancode scancode)
{
	struct typing_result result;
	struct typing plain = {.korean = false, .layout = app->typing.layout};

	app->view_changed = true;
	if (!app->evdev) {
		/* In a window the text comes from SDL; keys in a composition are the input
		 * method's. */
		app->form.caps_lock = (SDL_GetModState() & KMOD_CAPS) != 0;
		if (!app->form.preview[0])
			form_command(app, scancode);
		return;
	}
	if (scancode == SDL_SCANCODE_CAPSLOCK) {
		app->caps_lock = !app->caps_lock;
		app->form.caps_lock = app->caps_lock;
	}
	/* A password is typed blind: always by the letters on the keys. */
	hangul_reset(&plain.syllable);
	typing_key(app->form.focus == FORM_USER ? &app->typing : &plain, scancode, modifiers(app),
		app->caps_lock, &result);
	form_insert(&app->form, result.text);
	snprintf(app->form.preview, sizeof(app->form.preview), "%s", result.preview);
	app->form.korean = app->typing.korean;
	if (!result.taken)
		form_command(app, scancode);
}

/* The viewer's own chords; true when it was one. */
static bool chord(struct app *app, SDL_Scancode scancode, bool repeat)
{
	const unsigned all = MODIFIER_CTRL | MODIFIER_ALT | MODIFIER_SHIFT;
	unsigned held = modifiers(app);

	if (held & MODIFIER_ALTGR)
		held = (held & ~(unsigned)MODIFIER_ALTGR) | MODIFIER_ALT;
	if (held != all)
		return false;
	if (scancode == SDL_SCANCODE_Q && menu_may_open(app)) {
		if (!repeat)
			menu_toggle(app);
		return true;
	}
	if (scancode == SDL_SCANCODE_M && handoff_is_announced(app)) {
		if (!repeat)
			handoff_move_now(app);
		return true;
	}
	return false;
}

static void desktop_key(struct app *app, SDL_Scancode scancode, bool repeat)
{
	if (repeat && !app->pressed[scancode])
		log_event(LOG_DEBUG, "repeat-dropped", NULL);
	else
		send_key(app, scancode, true);
}

static void key_down(struct app *app, SDL_Scancode scancode, bool repeat)
{
	if (chord(app, scancode, repeat))
		return;
	if (app->menu)
		menu_key(app, scancode);
	else if (person_has_desktop(app))
		desktop_key(app, scancode, repeat);
	else if (app->state == STATE_LOGIN)
		form_key_down(app, scancode);
	else if (app->state == STATE_MESSAGE &&
		 (scancode == SDL_SCANCODE_RETURN || scancode == SDL_SCANCODE_KP_ENTER ||
			 scancode == SDL_SCANCODE_ESCAPE || scancode == SDL_SCANCODE_SPACE))
		app_event_type(app, EVENT_CONFIRM);
}

static bool inside(const SDL_Rect *box, const SDL_Rect *card, int x, int y)
{
	SDL_Point point = {x - card->x, y - card->y};

	return SDL_PointInRect(&point, box);
}

static void click(struct app *app, int x, int y)
{
	const SDL_Rect *card = &app->screen.card.at;

	if (app->menu) {
		menu_click(app, x - card->x, y - card->y);
	} else if (app->state == STATE_MESSAGE) {
		app_event_type(app, EVENT_CONFIRM);
	} else if (app->state == STATE_LOGIN) {
		for (int i = 0; i < FORM_FIELDS; i++)
			if (inside(&app->form_layout.fields[i], card, x, y))
				app->form.focus = (enum form_field)i;
		app->view_changed = true;
		if (inside(&app->form_layout.button, card, x, y))
			submit(app);
	}
}

static void button(struct app *app, const SDL_MouseButtonEvent *event)
{
	bool down = event->state == SDL_PRESSED;
	unsigned bit = event->button == SDL_BUTTON_LEFT     ? 1
		       : event->button == SDL_BUTTON_MIDDLE ? 2
		       : event->button == SDL_BUTTON_RIGHT  ? 4
							    : 0;

	screen_move_pointer(&app->screen, event->x, event->y);
	if (person_has_desktop(app)) {
		app->buttons = down ? app->buttons | bit : app->buttons & ~bit;
		send_pointer(app);
	} else if (down && bit == 1) {
		click(app, event->x, event->y);
	}
}

static void wheel(struct app *app, const SDL_MouseWheelEvent *event)
{
	unsigned vertical = event->y > 0 ? 8 : 16, horizontal = event->x > 0 ? 64 : 32;
	unsigned kept = app->buttons;

	if (!person_has_desktop(app))
		return;
	for (int i = 0; i < abs(event->y) + abs(event->x) && i < 32; i++) {
		app->buttons = kept | (i < abs(event->y) ? vertical : horizontal);
		send_pointer(app);
		app->buttons = kept;
		send_pointer(app);
	}
}

static void window_event(struct app *app, const SDL_WindowEvent *event)
{
	switch (event->event) {
	case SDL_WINDOWEVENT_SIZE_CHANGED:
	case SDL_WINDOWEVENT_EXPOSED:
		if (!app->screen.presenter->ops->refresh(app->screen.presenter))
			break;
		if (app->screen.presenter->width != app->screen.frame->w ||
			app->screen.presenter->height != app->screen.frame->h)
			view_resized(app);
		else
			damage_add(&app->screen.damage,
				(struct area){0, 0, app->screen.frame->w, app->screen.frame->h});
		break;
	case SDL_WINDOWEVENT_FOCUS_LOST:
		memset(app->held, 0, sizeof(app->held));
		person_release_all(app);
		break;
	default:
		break;
	}
}

void person_event(struct app *app, const SDL_Event *event)
{
	SDL_Scancode scancode = event->key.keysym.scancode;

	switch (event->type) {
	case SDL_QUIT:
		app->quit = true;
		break;
	case SDL_KEYDOWN:
		app->held[scancode] = true;
		key_down(app, scancode, event->key.repeat != 0);
		break;
	case SDL_KEYUP:
		app->held[scancode] = false;
		if (app->pressed[scancode])
			send_key(app, scancode, false);
		break;
	case SDL_TEXTINPUT:
		if (app->state == STATE_LOGIN && !app->menu) {
			app->form.preview[0] = 0;
			form_insert(&app->form, event->text.text);
			app->view_changed = true;
		}
		break;
	case SDL_TEXTEDITING:
		snprintf(app->form.preview, sizeof(app->form.preview), "%s", event->edit.text);
		app->view_changed = true;
		break;
	case SDL_MOUSEMOTION:
		screen_move_pointer(&app->screen, event->motion.x, event->motion.y);
		if (app->evdev)
			screen_show_pointer(&app->screen, true);
		if (person_has_desktop(app))
			send_pointer(app);
		break;
	case SDL_MOUSEBUTTONDOWN:
	case SDL_MOUSEBUTTONUP:
		button(app, &event->button);
		break;
	case SDL_MOUSEWHEEL:
		wheel(app, &event->wheel);
		break;
	case SDL_WINDOWEVENT:
		window_event(app, &event->window);
		break;
	default:
		break;
	}
}
