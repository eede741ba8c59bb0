/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/app/app.h"

bool menu_may_open(const struct app *app)
{
	return app->state == STATE_LOGGING_IN || app->state == STATE_CONNECTING ||
	       state_shows_desktop(app->state);
}

void menu_toggle(struct app *app)
{
	person_release_all(app);
	app->menu = !app->menu;
	app->menu_item = MENU_BACK;
	app->view_changed = true;
}

static void menu_do(struct app *app, enum menu_item item)
{
	app->menu = false;
	app->view_changed = true;
	if (item == MENU_MOVE_NOW)
		handoff_move_now(app);
	else if (item == MENU_DISCONNECT)
		app_event_type(app, EVENT_DISCONNECT);
	else if (item == MENU_LOGOUT)
		app_event_type(app, EVENT_LOGOUT);
}

/* Up or down, over an item that is not there. */
static void choose(struct app *app, int step)
{
	int item = (int)app->menu_item;

	do
		item = (item + MENU_COUNT + step) % MENU_COUNT;
	while (item == MENU_MOVE_NOW && !handoff_is_announced(app));
	app->menu_item = (enum menu_item)item;
}

void menu_key(struct app *app, SDL_Scancode scancode)
{
	app->view_changed = true;
	switch (scancode) {
	case SDL_SCANCODE_UP:
		choose(app, -1);
		break;
	case SDL_SCANCODE_DOWN:
	case SDL_SCANCODE_TAB:
		choose(app, 1);
		break;
	case SDL_SCANCODE_RETURN:
	case SDL_SCANCODE_KP_ENTER:
		menu_do(app, app->menu_item);
		break;
	case SDL_SCANCODE_ESCAPE:
		menu_do(app, MENU_BACK);
		break;
	default:
		break;
	}
}

void menu_click(struct app *app, int x, int y)
{
	SDL_Point point = {x, y};

	for (int i = 0; i < MENU_COUNT; i++)
		if (SDL_PointInRect(&point, &app->menu_layout.items[i])) {
			menu_do(app, (enum menu_item)i);
			return;
		}
}
