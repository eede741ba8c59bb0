/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hand-off through the whole main thread, with a screen that keeps what it is shown. The
 * connections lead to a port where nobody is: their threads end at once, and what is in the
 * pictures is the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sdl-viewer/app/app.h"

#define WIDTH 1000
#define HEIGHT 800
#define OLD 0x0000c8U
#define LATER 0x00a000U
#define NEW 0xc86400U

static struct {
	struct presenter base;
	uint32_t pixels[WIDTH * HEIGHT];
	int count; /* how often something was shown */
} shown;

static void present(
	struct presenter *presenter, const SDL_Surface *frame, const struct area *areas, int count)
{
	(void)presenter;
	shown.count++;
	for (int i = 0; i < count; i++)
		for (int y = areas[i].y; y < areas[i].y + areas[i].h; y++)
			memcpy(shown.pixels + y * WIDTH + areas[i].x,
				(const uint8_t *)frame->pixels + (ptrdiff_t)y * frame->pitch +
					(ptrdiff_t)areas[i].x * 4,
				(size_t)areas[i].w * 4);
}

static void forget_presenter(struct presenter *presenter)
{
	(void)presenter;
}

static uint32_t pixel(int x, int y)
{
	return shown.pixels[y * WIDTH + x] & 0xffffffU;
}

/* As app_run does it. Returns how often something was shown. */
static int show(struct app *app)
{
	shown.count = 0;
	view_update(app);
	screen_flush(&app->screen);
	handoff_flushed(app);
	return shown.count;
}

static void paint(struct picture *picture, uint32_t colour)
{
	static uint32_t pixels[WIDTH * HEIGHT];

	for (int i = 0; i < WIDTH * HEIGHT; i++)
		pixels[i] = colour;
	pthread_mutex_lock(&picture->lock);
	if (picture->width == 0)
		assert_true(picture_resize(picture, WIDTH, HEIGHT));
	picture_draw(picture, pixels, (struct area){0, 0, WIDTH, HEIGHT});
	assert_true(picture_whole(picture));
	pthread_mutex_unlock(&picture->lock);
}

static void ready(struct app *app)
{
	struct event event = {.type = EVENT_READY,
		.port = 9,
		.host = "127.0.0.1",
		.ticket = "word",
		.tls_name = "nobody"};

	app_event(app, &event);
	assert_int_not_equal(app->next.number, 0);
}

static void tell(struct app *app, enum event_type type, unsigned connection)
{
	struct event event = {.type = type, .connection = connection};

	act_connection(app, &event);
}

static void key(struct app *app, SDL_Scancode scancode, bool down, bool repeat)
{
	SDL_Event event = {.type = down ? SDL_KEYDOWN : SDL_KEYUP};

	event.key.keysym.scancode = scancode;
	event.key.repeat = repeat;
	person_event(app, &event);
}

/* Somebody is at work on the old desktop. */
static int begin(void **state)
{
	static const struct presenter_ops ops = {
		.name = "test", .present = present, .close = forget_presenter};
	static struct app app;
	struct control_config config = {
		.broker = "https://127.0.0.1:9", .ca_file = "/dev/null", .seat = "s", .boot = "[]"};

	memset(&app, 0, sizeof(app));
	app.options.font = "/usr/share/fonts/truetype/nanum/NanumGothic.ttf";
	app.options.ca_file = "/dev/null";
	app.options.seat = "s";
	shown.base = (struct presenter){.ops = &ops, .width = WIDTH, .height = HEIGHT, .fd = -1};
	event_queue_init(&app.queue, NULL, NULL);
	if (TTF_Init() != 0)
		return -1;
	screen_init(&app.screen, &shown.base);
	view_resized(&app);
	app.control = control_new(&config, &app.queue);
	app.state = STATE_CONNECTING;
	if (app.quit || !app.control)
		return -1;
	ready(&app);
	paint(app.next.picture, OLD);
	tell(&app, EVENT_FRAME, app.next.number);
	show(&app);
	view_toast(&app, NULL, 0);
	show(&app);
	*state = &app;
	return 0;
}

static int end(void **state)
{
	struct app *app = *state;

	act_close_connections(app);
	control_free(app->control);
	draw_close(&app->cards.draw);
	screen_clear(&app->screen);
	event_queue_clear(&app->queue);
	TTF_Quit();
	return 0;
}

static bool all(uint32_t colour)
{
	for (int i = 0; i < WIDTH * HEIGHT; i++)
		if ((shown.pixels[i] & 0xffffffU) != colour)
			return false;
	return true;
}

static void one_swap(void **state)
{
	struct app *app = *state;

	assert_true(all(OLD));
	app_event_type(app, EVENT_HANDOFF_MOVING);
	assert_int_equal(app->state, STATE_MOVING);
	show(app);
	assert_int_equal(pixel(10, 10), OLD);
	assert_int_not_equal(pixel(WIDTH / 2, HEIGHT / 2), OLD); /* the card */
	/* What the old desktop draws is not seen, not even in what is drawn anew. */
	paint(app->current.picture, LATER);
	tell(app, EVENT_DAMAGE, app->current.number);
	view_resized(app);
	show(app);
	for (int y = 0; y < HEIGHT; y++)
		assert_int_equal(pixel(10, y), OLD);
	ready(app);
	paint(app->next.picture, NEW);
	tell(app, EVENT_DAMAGE, app->next.number);
	show(app);
	assert_int_equal(pixel(10, 10), OLD);
	/* Card away, picture whole, and that at one time. */
	tell(app, EVENT_FRAME, app->next.number);
	assert_int_equal(app->handoff.taken_ms != 0, true);
	assert_int_equal(show(app), 1);
	assert_int_equal(app->handoff.taken_ms, 0);
	assert_int_equal(app->handoff.moving_ms, 0);
	assert_null(app->handoff.still);
	view_toast(app, NULL, 0);
	show(app);
	assert_true(all(NEW));
}

static void the_card_goes_with_the_picture(void **state)
{
	struct app *app = *state;

	app_event_type(app, EVENT_HANDOFF_MOVING);
	show(app);
	ready(app);
	paint(app->next.picture, NEW);
	tell(app, EVENT_FRAME, app->next.number);
	assert_int_equal(show(app), 1);
	/* All but the toast at the foot. */
	for (int y = 0; y < HEIGHT * 3 / 4; y++)
		for (int x = 0; x < WIDTH; x++)
			assert_int_equal(pixel(x, y), NEW);
}

static void keys_go_up_and_stay_so(void **state)
{
	struct app *app = *state;
	SDL_Event motion = {.type = SDL_MOUSEBUTTONDOWN};

	motion.button.button = SDL_BUTTON_LEFT;
	motion.button.state = SDL_PRESSED;
	key(app, SDL_SCANCODE_X, true, false);
	person_event(app, &motion);
	assert_true(app->pressed[SDL_SCANCODE_X]);
	assert_int_equal(app->buttons, 1);
	app_event_type(app, EVENT_HANDOFF_MOVING);
	assert_false(app->pressed[SDL_SCANCODE_X]);
	assert_int_equal(app->buttons, 0);
	key(app, SDL_SCANCODE_X, true, true);
	key(app, SDL_SCANCODE_Y, true, false);
	assert_false(app->pressed[SDL_SCANCODE_X] || app->pressed[SDL_SCANCODE_Y]);
	ready(app);
	paint(app->next.picture, NEW);
	tell(app, EVENT_FRAME, app->next.number);
	key(app, SDL_SCANCODE_X, true, true);
	key(app, SDL_SCANCODE_Y, true, true);
	assert_false(app->pressed[SDL_SCANCODE_X] || app->pressed[SDL_SCANCODE_Y]);
	key(app, SDL_SCANCODE_X, false, false);
	key(app, SDL_SCANCODE_X, true, false);
	assert_true(app->pressed[SDL_SCANCODE_X]);
	key(app, SDL_SCANCODE_X, true, true); /* from here on its repeats count */
	assert_true(app->pressed[SDL_SCANCODE_X]);
	key(app, SDL_SCANCODE_X, false, false);
	assert_false(app->pressed[SDL_SCANCODE_X]);
}

static void an_announcement_ends(void **state)
{
	struct app *app = *state;
	struct event event = {.type = EVENT_HANDOFF_ANNOUNCED, .ms = 30000};

	assert_false(handoff_is_announced(app));
	app_event(app, &event);
	assert_true(handoff_is_announced(app));
	assert_in_range(handoff_seconds(app), 29, 30);
	show(app);
	assert_int_not_equal(pixel(WIDTH / 2, 30), OLD);
	/* Said again: the new time counts. */
	event.ms = 5000;
	app_event(app, &event);
	assert_in_range(handoff_seconds(app), 4, 5);
	/* Late, and nothing heard for long. */
	app->handoff.due_ms = app_now_ms() - 1000;
	handoff_tick(app);
	assert_true(handoff_is_announced(app));
	assert_int_equal(handoff_seconds(app), 0);
	app->handoff.due_ms -= 600000;
	handoff_tick(app);
	assert_false(handoff_is_announced(app));
	show(app);
	assert_true(all(OLD));
	/* With the move it is over too, and with the login. */
	app_event(app, &event);
	app_event_type(app, EVENT_HANDOFF_MOVING);
	assert_false(handoff_is_announced(app));
	app_event_type(app, EVENT_HANDOFF_CANCELLED);
	app_event(app, &event);
	app_event_type(app, EVENT_DISCONNECT);
	assert_false(handoff_is_announced(app));
}

static void silence_is_a_loss(void **state)
{
	struct app *app = *state;

	app_event_type(app, EVENT_HANDOFF_MOVING);
	assert_true(app->timeout_ms - app_now_ms() > 100000);
	app_event_type(app, EVENT_TIMEOUT);
	assert_int_equal(app->state, STATE_LOST);
	assert_null(app->current.rfb);
	assert_int_not_equal(app->ask_ms, 0);
	show(app);
	/* The picture as it stood, dimmed. */
	assert_in_range(pixel(10, 10), 1, OLD - 1);
	/* What comes now is no swap to be measured. */
	ready(app);
	paint(app->next.picture, NEW);
	tell(app, EVENT_FRAME, app->next.number);
	assert_int_equal(app->handoff.taken_ms, 0);
	assert_null(app->handoff.still);
	show(app);
	assert_int_equal(pixel(10, 10), NEW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_swap, begin, end),
		cmocka_unit_test_setup_teardown(the_card_goes_with_the_picture, begin, end),
		cmocka_unit_test_setup_teardown(keys_go_up_and_stay_so, begin, end),
		cmocka_unit_test_setup_teardown(an_announcement_ends, begin, end),
		cmocka_unit_test_setup_teardown(silence_is_a_loss, begin, end),
	};

	return cmocka_run_group_tests_name("viewer hand-off", tests, NULL, NULL);
}
