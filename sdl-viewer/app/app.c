/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/app/app.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "broker/shared/log.h"
#include "sdl-viewer/display/vt.h"

#define HELLO_MS 60000        /* at most, between questions of a form that waits */
#define HELLO_SPREAD_MS 20000 /* at most so much earlier */
#define WINDOW_WIDTH 1280
#define WINDOW_HEIGHT 800

int64_t app_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Called by any thread: ends the main thread's wait, which is a poll on the console and SDL's in a
 * window. */
static void wake(void *context)
{
	struct app *app = context;
	uint64_t one = 1;
	SDL_Event event = {.type = SDL_USEREVENT};

	if (app->options.place == PLACE_WINDOW)
		SDL_PushEvent(&event);
	else if (write(app->wake_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is awake */
}

static void *signal_thread(void *context)
{
	struct app *app = context;
	sigset_t set;
	int number;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigwait(&set, &number);
	event_queue_post(&app->queue, event_new(EVENT_QUIT));
	return NULL;
}

/* All threads to come leave these signals to one that waits for them. */
static void catch_signals(struct app *app)
{
	sigset_t set;
	pthread_t thread;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (pthread_create(&thread, NULL, signal_thread, app) == 0)
		pthread_detach(thread);
}

static struct presenter *open_presenter(struct app *app, char *why, size_t size)
{
	struct presenter *presenter;
	char kms_why[256], fb_why[256];

	if (app->options.place == PLACE_WINDOW)
		return presenter_window_open(WINDOW_WIDTH, WINDOW_HEIGHT, why, size);
	presenter = presenter_kms_open(kms_why, sizeof(kms_why));
	if (!presenter)
		presenter = presenter_fbdev_open("/dev/fb0", fb_why, sizeof(fb_why));
	if (!presenter)
		snprintf(why, size, "no screen: %s; %s; the user needs access to one of them",
			kms_why, fb_why);
	return presenter;
}

/* The boot's stages as one line of JSON, to be freed; NULL when there are none. */
static char *load_boot_report(const char *file)
{
	json_error_t error;
	json_t *report;
	char *text = NULL;

	if (!file)
		return NULL;
	report = json_load_file(file, JSON_REJECT_DUPLICATES, &error);
	if (json_is_array(report))
		text = json_dumps(report, JSON_COMPACT);
	else
		log_event(LOG_WARN, "boot-report-ignored", "file", file, "error",
			report ? "it is not an array" : error.text, NULL);
	json_decref(report);
	return text;
}

static bool open_screen(struct app *app, char *why, size_t size)
{
	struct presenter *presenter;
	Uint32 parts = app->options.place == PLACE_WINDOW ? SDL_INIT_VIDEO : SDL_INIT_EVENTS;

	SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
	SDL_SetHint(SDL_HINT_IME_SHOW_UI, "1");
	SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
	if (SDL_Init(parts) != 0 || TTF_Init() != 0) {
		snprintf(why, size, "SDL: %s", SDL_GetError());
		return false;
	}
	presenter = open_presenter(app, why, size);
	if (!presenter)
		return false;
	screen_init(&app->screen, presenter);
	if (app->options.place == PLACE_CONSOLE) {
		app->vt_fd = vt_take();
		if (app->vt_fd < 0 && strcmp(presenter->ops->name, "fbdev") == 0)
			log_event(LOG_WARN, "text-console-not-put-aside", "remedy",
				"start with the console as terminal, or boot with "
				"vt.global_cursor_default=0",
				NULL);
		app->evdev = evdev_open("/dev/input");
		if (!app->evdev) {
			snprintf(why, size, "/dev/input: %s; the user needs access to its devices",
				strerror(errno));
			return false;
		}
		app->form.typed_here = true;
	} else {
		SDL_StartTextInput();
	}
	if (!draw_open(&app->cards.draw, app->options.font, presenter->width, presenter->height)) {
		snprintf(why, size, "font %s: %s; --font names another", app->options.font,
			TTF_GetError());
		return false;
	}
	view_resized(app);
	log_event(LOG_INFO, "screen", "presenter", presenter->ops->name, "width",
		log_fmt("%d", presenter->width), "height", log_fmt("%d", presenter->height), NULL);
	return true;
}

bool app_open(struct app *app, const struct options *options, char *why, size_t size)
{
	struct control_config config = {
		.broker = options->broker, .ca_file = options->ca_file, .seat = options->seat};
	char *boot;

	memset(app, 0, sizeof(*app));
	app->options = *options;
	app->vt_fd = -1;
	app->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	event_queue_init(&app->queue, wake, app);
	app->cards.language = language_parse(options->language);
	snprintf(app->cards.site, sizeof(app->cards.site), "Carrel");
	typing_reset(&app->typing);
	if (access(options->ca_file, R_OK) != 0) {
		snprintf(why, size, "--ca %s: %s", options->ca_file, strerror(errno));
		return false;
	}
	catch_signals(app);
	if (!open_screen(app, why, size))
		return false;
	boot = load_boot_report(options->boot_report);
	config.boot = boot;
	app->control = control_new(&config, &app->queue);
	free(boot);
	if (!app->control) {
		snprintf(why, size, "no thread for the broker: %s", strerror(errno));
		return false;
	}
	return true;
}

void app_close(struct app *app)
{
	if (app->screen.presenter)
		act_close_connections(app);
	control_free(app->control);
	form_clear(&app->form);
	layout_close(app->layout);
	app->layout = app->typing.layout = NULL;
	evdev_close(app->evdev);
	draw_close(&app->cards.draw);
	if (app->screen.presenter)
		screen_clear(&app->screen);
	vt_release(app->vt_fd);
	event_queue_clear(&app->queue);
	if (app->wake_fd >= 0)
		close(app->wake_fd);
	if (TTF_WasInit())
		TTF_Quit();
	SDL_Quit();
}

void app_hello(struct app *app)
{
	char mode[SCREEN_MODE_MAX];

	screen_mode_text(&app->screen.presenter->mode, mode);
	control_hello(app->control, app->wanted.width ? mode : "");
}

/* PCs that were switched on together do not all ask in the same second. */
static int64_t hello_due(void)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)app_now_ms();
	return app_now_ms() + HELLO_MS - random % HELLO_SPREAD_MS;
}

void app_event(struct app *app, const struct event *event)
{
	struct state_step step;
	enum state before = app->state;
	unsigned timeout;

	if (!state_step(app->state, event->type, &step)) {
		log_event(LOG_DEBUG, "event-ignored", "state", state_name(app->state), "event",
			event_name(event->type), NULL);
		return;
	}
	app->state = step.next;
	act(app, step.action, event);
	timeout = state_timeout_ms(app->state);
	if (app->state != before || step.action == ACTION_CONNECT ||
		step.action == ACTION_ASK_AGAIN || step.action == ACTION_RETRY ||
		event->type == EVENT_STAGE || event->type == EVENT_HANDOFF_MOVING)
		app->timeout_ms = timeout ? app_now_ms() + timeout : 0;
	if (app->state != before) {
		log_event(LOG_INFO, "state", "from", state_name(before), "to",
			state_name(app->state), "event", event_name(event->type), NULL);
		if (app->state == STATE_LOGIN || app->state == STATE_MESSAGE)
			app->menu = false;
	}
	app->hello_ms = app->state == STATE_LOGIN ? hello_due() : 0;
	app->view_changed = true;
}

void app_event_type(struct app *app, enum event_type type)
{
	struct event event = {.type = type};

	app_event(app, &event);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a == 0 ? b : b == 0 ? a : a < b ? a : b;
}

static void run_timers(struct app *app)
{
	int64_t now = app_now_ms();

	if (app->timeout_ms && app->timeout_ms <= now) {
		app->timeout_ms = 0;
		app_event_type(app, EVENT_TIMEOUT);
	}
	if (app->ask_ms && app->ask_ms <= now)
		act_ask_now(app);
	if (app->handoff.tick_ms && app->handoff.tick_ms <= now)
		handoff_tick(app);
	if (app->hello_ms && app->hello_ms <= now) {
		app->hello_ms = 0;
		app_hello(app);
	}
	if (app->toast_ms && app->toast_ms <= now) {
		view_toast(app, NULL, 0);
		app->view_changed = true;
	}
}

static int wait_ms(const struct app *app)
{
	int64_t due = earlier(earlier(earlier(app->timeout_ms, app->handoff.tick_ms),
				      earlier(app->ask_ms, app->toast_ms)),
		app->hello_ms);
	int64_t left = due ? due - app_now_ms() : 60000;

	return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

static void wait_console(struct app *app)
{
	struct pollfd polls[EVDEV_MAX + 3];
	int count = evdev_polls(app->evdev, polls);
	uint64_t ignored;

	polls[count++] = (struct pollfd){.fd = app->wake_fd, .events = POLLIN};
	polls[count++] = (struct pollfd){.fd = app->screen.presenter->fd, .events = POLLIN};
	if (poll(polls, (nfds_t)count, wait_ms(app)) < 0)
		return;
	if (read(app->wake_fd, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
		app->quit = true;
	evdev_read(app->evdev);
	if (polls[count - 1].revents && app->screen.presenter->ops->refresh(app->screen.presenter))
		view_resized(app);
}

static void take_events(struct app *app)
{
	struct event *event;

	while ((event = event_queue_take(&app->queue))) {
		if (event->type == EVENT_QUIT)
			app->quit = true;
		else if (event->connection)
			act_connection(app, event);
		else
			app_event(app, event);
		event_free(event);
	}
}

void app_run(struct app *app)
{
	app_hello(app);
	while (!app->quit) {
		SDL_Event event;

		view_update(app);
		screen_flush(&app->screen);
		handoff_flushed(app);
		if (app->options.place == PLACE_CONSOLE)
			wait_console(app);
		else
			SDL_WaitEventTimeout(NULL, wait_ms(app));
		while (SDL_PollEvent(&event))
			person_event(app, &event);
		take_events(app);
		run_timers(app);
	}
}
