/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "broker/shared/log.h"
#include "sdl-viewer/app/app.h"

static const char *words(const struct app *app, enum string_id id)
{
	return string_get(app->cards.language, id);
}

static SDL_Surface *stage_card(struct app *app)
{
	const char *hint = app->trouble[0] ? app->trouble : app->stage_text;

	return card_stage(&app->cards, words(app, STR_LOGGING_IN),
		words(app, app->stage[0] ? string_of_stage(app->stage) : STR_STAGE_SENDING),
		app->percent, hint);
}

static SDL_Surface *moving_card(struct app *app)
{
	return card_stage(&app->cards, words(app, STR_MOVING),
		words(app, app->stage[0] ? string_of_stage(app->stage) : STR_MOVING_BEGIN),
		app->percent, app->trouble[0] ? app->trouble : words(app, STR_MOVING_HINT));
}

static SDL_Surface *make_card(struct app *app)
{
	if (app->menu)
		return card_menu(
			&app->cards, handoff_is_announced(app), app->menu_item, &app->menu_layout);
	switch (app->state) {
	case STATE_HELLO:
		return card_message(&app->cards, app->cards.site,
			app->trouble[0] ? app->trouble : words(app, STR_HELLO), "");
	case STATE_LOGIN:
		return card_form(&app->cards, &app->form, &app->form_layout);
	case STATE_LOGGING_IN:
	case STATE_CONNECTING:
		return stage_card(app);
	case STATE_MOVING:
		return moving_card(app);
	case STATE_LOST:
		return card_message(&app->cards, words(app, STR_LOST),
			app->trouble[0] ? app->trouble : words(app, STR_LOST_HINT),
			words(app, STR_CHORD));
	case STATE_MESSAGE:
		return card_message(&app->cards, app->title, app->message, words(app, STR_CONFIRM));
	default:
		return NULL;
	}
}

static const char *foot(struct app *app)
{
	if (app->menu)
		return NULL;
	switch (app->state) {
	case STATE_LOGIN:
		return app->evdev ? words(app, STR_FORM_HINT) : NULL;
	case STATE_LOGGING_IN:
	case STATE_CONNECTING:
		return words(app, STR_CHORD);
	default:
		return NULL;
	}
}

/* NULL when there is nothing to be said over the desktop. */
static SDL_Surface *make_banner(struct app *app)
{
	const struct handoff *handoff = &app->handoff;
	char text[256], hint[512];

	if (app->state != STATE_DESKTOP || !handoff_is_announced(app))
		return NULL;
	string_of_handoff(text, sizeof(text), app->cards.language, handoff->from_mib,
		handoff->size_mib, handoff_seconds(app));
	snprintf(hint, sizeof(hint), "%s   %s", words(app, STR_HANDOFF_SAVE),
		words(app, handoff->asked ? STR_HANDOFF_ASKED : STR_HANDOFF_CHORD));
	return card_banner(&app->cards, text, hint, app->screen.frame->w);
}

/* What is left of the desktop that the screen shows, or NULL. */
static struct picture *desktop_picture(struct app *app)
{
	if (!state_shows_desktop(app->state))
		return NULL;
	return app->handoff.still ? app->handoff.still : app->current.picture;
}

void view_toast(struct app *app, const char *text, unsigned ms)
{
	screen_set_toast(&app->screen, text ? card_toast(&app->cards, text) : NULL);
	app->toast_ms = ms ? app_now_ms() + ms : 0;
}

static void set_pointer(struct app *app)
{
	if (person_has_desktop(app))
		screen_desktop_pointer(&app->screen);
	else
		screen_set_pointer(&app->screen, card_arrow(&app->cards), 0, 0);
	/* In a window the system draws the arrow; over the desktop its own is enough. */
	if (app->screen.presenter->window) {
		screen_show_pointer(&app->screen, person_has_desktop(app));
		SDL_ShowCursor(person_has_desktop(app) ? SDL_DISABLE : SDL_ENABLE);
		SDL_SetWindowKeyboardGrab(app->screen.presenter->window,
			person_has_desktop(app) ? SDL_TRUE : SDL_FALSE);
	}
}

void view_update(struct app *app)
{
	const char *text;

	if (!app->view_changed && !app->backdrop_changed)
		return;
	if (app->backdrop_changed)
		screen_set_backdrop(&app->screen, card_backdrop(&app->cards, app->screen.frame->w,
							  app->screen.frame->h, app->options.seat));
	app->view_changed = app->backdrop_changed = false;
	screen_set_picture(
		&app->screen, desktop_picture(app), app->state == STATE_LOST || app->menu);
	screen_look(&app->screen);
	screen_set_card(&app->screen, make_card(app));
	screen_set_banner(&app->screen, make_banner(app));
	text = foot(app);
	if (app->state != STATE_DESKTOP)
		app->toast_ms = 0;
	if (text || !app->toast_ms)
		view_toast(app, text, 0);
	set_pointer(app);
	person_leds(app);
}

void view_resized(struct app *app)
{
	screen_resize(&app->screen);
	if (!draw_open(&app->cards.draw, app->options.font, app->screen.frame->w,
		    app->screen.frame->h)) {
		log_event(LOG_ERROR, "font-not-opened", "file", app->options.font, "error",
			TTF_GetError(), NULL);
		app->quit = true;
		return;
	}
	if (app->evdev)
		evdev_set_size(app->evdev, app->screen.frame->w, app->screen.frame->h);
	app->toast_ms = 0;
	app->view_changed = app->backdrop_changed = true;
}
