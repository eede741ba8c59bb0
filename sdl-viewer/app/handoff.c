/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hard hand-off as its user sees it. `announced`: a banner counts down over the desktop, which
 * works as ever. `moving`: all that is down on the old desktop goes up, then the screen keeps a
 * still of its picture, and nothing that is typed goes anywhere. The old connection is left alone
 * from then on: it may break, or draw what nobody sees, or, if the hand-off is cancelled after all,
 * simply be shown again. The next `ready` opens the new desktop's connection, and its first whole
 * picture takes the still's place in one flush of the screen.
 */
#include <stdio.h>

#include "broker/shared/log.h"
#include "sdl-viewer/app/app.h"

#define TOAST_MS 6000
/* An announced hand-off that is this late, and of which nothing has been heard, is not shown any
 * more. It may still come. */
#define STALE_MS 120000

static void log_step(const char *step, const struct event *event)
{
	log_event(LOG_INFO, "handoff", "step", step, "ms", log_fmt("%u", event->ms), "from_mib",
		log_fmt("%u", event->from_mib), "size_mib", log_fmt("%u", event->size_mib), "text",
		event->text, NULL);
}

static void toast(struct app *app, enum string_id id)
{
	view_toast(app, string_get(app->cards.language, id), TOAST_MS);
}

/* When the banner's words change next. */
static void plan_tick(struct handoff *handoff)
{
	int64_t left = handoff->due_ms - app_now_ms();

	handoff->tick_ms =
		left > 0 ? handoff->due_ms - (left - 1) / 1000 * 1000 : handoff->due_ms + STALE_MS;
}

static void drop_announcement(struct app *app)
{
	app->handoff.due_ms = app->handoff.tick_ms = 0;
	app->handoff.asked = false;
	if (app->menu_item == MENU_MOVE_NOW)
		app->menu_item = MENU_BACK;
}

void handoff_announce(struct app *app, const struct event *event)
{
	struct handoff *handoff = &app->handoff;

	drop_announcement(app);
	handoff->due_ms = app_now_ms() + event->ms;
	handoff->from_mib = event->from_mib;
	handoff->size_mib = event->size_mib;
	plan_tick(handoff);
	log_step("announced", event);
}

void handoff_call_off(struct app *app, const struct event *event)
{
	if (handoff_is_announced(app))
		toast(app, STR_HANDOFF_CANCELLED);
	drop_announcement(app);
	log_step("cancelled", event);
}

bool handoff_is_announced(const struct app *app)
{
	return app->handoff.due_ms != 0;
}

unsigned handoff_seconds(const struct app *app)
{
	int64_t left = app->handoff.due_ms - app_now_ms();

	return left > 0 ? (unsigned)((left + 999) / 1000) : 0;
}

void handoff_tick(struct app *app)
{
	struct handoff *handoff = &app->handoff;

	if (app_now_ms() >= handoff->due_ms + STALE_MS)
		drop_announcement(app);
	else
		plan_tick(handoff);
	app->view_changed = true;
}

void handoff_move_now(struct app *app)
{
	if (!handoff_is_announced(app))
		return;
	control_move_now(app->control);
	app->handoff.asked = true;
	app->view_changed = true;
	log_event(LOG_INFO, "move-now", NULL);
}

void handoff_freeze(struct app *app, const struct event *event)
{
	struct handoff *handoff = &app->handoff;

	person_release_all(app);
	drop_announcement(app);
	/* A second connection, if there is one, leads to the old desktop too. */
	act_close_next(app);
	app->ask_ms = 0;
	app->lost_count = 0;
	if (!handoff->still && app->current.picture)
		handoff->still = picture_still(app->current.picture);
	if (!handoff->moving_ms || handoff->taken_ms)
		handoff->moving_ms = app_now_ms();
	handoff->taken_ms = 0;
	app->percent = 0;
	app->stage[0] = app->stage_text[0] = app->trouble[0] = 0;
	log_step("moving", event);
}

/* The screen must not show it any more. */
static void free_still(struct handoff *handoff)
{
	picture_free(handoff->still);
	handoff->still = NULL;
}

void handoff_thaw(struct app *app, const struct event *event)
{
	act_close_next(app);
	app->ask_ms = 0;
	screen_set_picture(&app->screen, app->current.picture, false);
	free_still(&app->handoff);
	app->handoff.moving_ms = 0;
	toast(app, STR_HANDOFF_CANCELLED);
	log_step("cancelled", event);
	if (!app->current.rfb) {
		/* It broke meanwhile, which was nobody's business then. */
		struct event *lost = event_new(EVENT_DESKTOP_LOST);

		snprintf(lost->text, sizeof(lost->text), "broken during a hand-off");
		event_queue_post(&app->queue, lost);
	}
}

void handoff_fail(struct app *app)
{
	app->handoff.moving_ms = 0;
}

bool handoff_swap(struct app *app, int64_t taken_ms)
{
	free_still(&app->handoff);
	if (!app->handoff.moving_ms)
		return false;
	app->handoff.taken_ms = taken_ms;
	toast(app, STR_HANDOFF_DONE);
	return true;
}

void handoff_flushed(struct app *app)
{
	struct handoff *handoff = &app->handoff;
	int64_t now = app_now_ms();

	if (!handoff->taken_ms)
		return;
	log_event(LOG_INFO, "swap", "gap_ms", log_fmt("%lld", (long long)(now - handoff->taken_ms)),
		"frozen_ms", log_fmt("%lld", (long long)(now - handoff->moving_ms)), NULL);
	handoff->taken_ms = handoff->moving_ms = 0;
}

void handoff_clear(struct app *app)
{
	drop_announcement(app);
	free_still(&app->handoff);
	app->handoff.moving_ms = app->handoff.taken_ms = 0;
}
