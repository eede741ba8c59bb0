/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "broker/shared/log.h"
#include "sdl-viewer/app/app.h"
#include "sdl-viewer/app/utf8.h"
#include "sdl-viewer/control/backoff.h"

#define TOAST_MS 6000
/* So many times is a PC told to go off before a form half filled counts as left. */
#define POWER_PATIENCE 3

static const char *words(const struct app *app, enum string_id id)
{
	return string_get(app->cards.language, id);
}

static void connection_close(struct connection *connection)
{
	rfb_stop(connection->rfb);
	picture_free(connection->picture);
	*connection = (struct connection){0};
}

void act_close_next(struct app *app)
{
	connection_close(&app->next);
}

void act_close_connections(struct app *app)
{
	person_release_all(app);
	screen_set_picture(&app->screen, NULL, false);
	handoff_clear(app);
	connection_close(&app->next);
	connection_close(&app->current);
	app->ask_ms = 0;
	app->lost_count = 0;
}

static void end_login(struct app *app)
{
	control_forget(app->control);
	act_close_connections(app);
	form_wipe_password(&app->form);
}

/* The mode that the seat is to have. What became of it the broker is told at once. */
static void set_mode(struct app *app, const char *text)
{
	struct presenter *presenter = app->screen.presenter;
	struct screen_mode wanted;
	char mode[SCREEN_MODE_MAX];

	screen_mode_parse(text, &wanted);
	if (!presenter->ops->set_mode || memcmp(&wanted, &app->wanted, sizeof(wanted)) == 0)
		return;
	app->wanted = wanted;
	if (presenter->ops->set_mode(presenter, &wanted))
		view_resized(app);
	if (wanted.width && !screen_mode_fits(&presenter->mode, &wanted))
		log_event(LOG_WARN, "screen-mode-missing", "wanted", text, "shown",
			screen_mode_text(&presenter->mode, mode), NULL);
	app_hello(app);
}

/* The layout of the seat's keyboard, for the form. In a window the text comes from SDL. */
static void set_keyboard(struct app *app, const char *text)
{
	struct keyboard wanted;

	keyboard_parse(text, &wanted);
	if (!app->evdev || memcmp(&wanted, &app->keyboard, sizeof(wanted)) == 0)
		return;
	app->keyboard = wanted;
	layout_close(app->layout);
	app->layout = wanted.layout[0] ? layout_open(&wanted) : NULL;
	app->typing.layout = app->layout;
	if (wanted.layout[0])
		log_event(app->layout ? LOG_INFO : LOG_WARN,
			app->layout ? "keyboard" : "keyboard-missing", "keyboard", text, NULL);
}

static void show_site(struct app *app, const struct event *event)
{
	set_mode(app, event->screen);
	set_keyboard(app, event->keyboard);
	utf8_clean(app->cards.site, sizeof(app->cards.site), event->text);
	if (event->code[0])
		app->cards.language = language_parse(event->code);
	app->trouble[0] = 0;
	app->backdrop_changed = true;
	if (event->notice[0] || app->unapproved)
		snprintf(app->form.error, sizeof(app->form.error), "%s",
			event->notice[0] && app->cards.language != LANGUAGE_EN
				? words(app, STR_HELD)
				: event->notice);
	if (app->unapproved != (event->notice[0] != 0))
		log_event(LOG_INFO, event->notice[0] ? "held" : "approved", NULL);
	app->unapproved = event->notice[0] != 0;
	if (event->power == POWER_STAY)
		return;
	/* Who is typing is let in, if he comes to an end: the broker says it again. */
	if ((app->form.user[0] || app->form.password[0]) && ++app->power_asked < POWER_PATIENCE)
		return;
	log_event(LOG_INFO, "power", "order", event->power == POWER_OFF ? "off" : "reboot", NULL);
	app->power = event->power;
	app->quit = true;
}

static void start_login(struct app *app)
{
	app->percent = 0;
	app->power_asked = 0;
	app->stage[0] = app->stage_text[0] = app->trouble[0] = 0;
	control_login(app->control, app->form.user, app->form.password);
	form_wipe_password(&app->form);
	app->form.error[0] = 0;
}

/* Codes that are known have words in the site's language; else the broker's own are shown. */
static const char *words_of(
	const struct app *app, const struct event *event, enum string_id unreachable)
{
	if (strcmp(event->code, "unreachable") == 0 || strcmp(event->code, "closed") == 0)
		return words(app, unreachable);
	if (event->type == EVENT_DENIED && (!event->text[0] || app->cards.language != LANGUAGE_EN))
		return words(app, STR_DENIED);
	/* Which PC it is stands at the foot of the screen. */
	if (strcmp(event->code, "held") == 0 && app->cards.language != LANGUAGE_EN)
		return words(app, STR_HELD);
	return event->text;
}

static void form_error(struct app *app, const struct event *event)
{
	end_login(app);
	snprintf(app->form.error, sizeof(app->form.error), "%s",
		words_of(app, event, STR_UNREACHABLE));
	app->form.focus = FORM_PASSWORD;
}

static void show_stage(struct app *app, const struct event *event)
{
	snprintf(app->stage, sizeof(app->stage), "%s", event->code);
	if (event->position > 0)
		string_of_queue(app->stage_text, sizeof(app->stage_text), app->cards.language,
			event->position, event->minutes);
	else
		snprintf(app->stage_text, sizeof(app->stage_text), "%s", event->text);
	app->trouble[0] = 0;
	/* A bar that goes back says nothing to anybody. */
	if (event->percent > app->percent)
		app->percent = event->percent;
}

static void connect_desktop(struct app *app, const struct event *event)
{
	struct rfb_config config = {.connection = ++app->next_number,
		.host = event->host,
		.port = event->port,
		.tls_name = event->tls_name,
		.ca_file = app->options.ca_file,
		.ticket = event->ticket};

	connection_close(&app->next);
	app->ready_ms = app_now_ms();
	app->ask_ms = 0;
	app->next.number = config.connection;
	app->next.picture = picture_new();
	app->next.rfb = rfb_start(&config, app->next.picture, &app->queue);
	snprintf(app->stage, sizeof(app->stage), "connecting");
	app->stage_text[0] = 0;
	log_event(LOG_INFO, "desktop-connecting", "host", event->host, "port",
		log_fmt("%u", event->port), NULL);
}

static void first_frame(struct app *app)
{
	struct connection old = app->current;
	int64_t now = app_now_ms();
	unsigned ms = (unsigned)(now - app->ready_ms);

	person_release_all(app);
	app->current = app->next;
	app->next = (struct connection){0};
	screen_set_picture(&app->screen, app->current.picture, false);
	connection_close(&old);
	app->lost_count = 0;
	app->frame_ms = now;
	app->trouble[0] = 0;
	control_first_frame(app->control, ms);
	log_event(LOG_INFO, "first-frame", "ms", log_fmt("%u", ms), NULL);
	if (!handoff_swap(app, now))
		view_toast(app, words(app, STR_CHORD), TOAST_MS);
}

/* At once after a picture; the broker is spared when it goes wrong again and again. */
static void plan_ask(struct app *app, const char *reason)
{
	log_event(LOG_WARN, "desktop-lost", "reason", reason, "in-a-row",
		log_fmt("%u", app->lost_count), NULL);
	app->ask_ms = app_now_ms();
	if (app->lost_count > 0)
		app->ask_ms += backoff_ms(app->lost_count, (uint32_t)app_now_ms());
	app->lost_count++;
}

static void ask_again(struct app *app, const struct event *event)
{
	person_release_all(app);
	connection_close(&app->next);
	if (app->current.rfb) {
		rfb_stop(app->current.rfb);
		app->current.rfb = NULL;
	}
	if (app->lost_count == 0 && app->frame_ms)
		control_lost(app->control, (unsigned)(app_now_ms() - app->frame_ms));
	handoff_fail(app);
	plan_ask(app, event->text);
}

/* The way to the new desktop led nowhere; the old one's picture, and connection, stay. */
static void retry(struct app *app, const struct event *event)
{
	connection_close(&app->next);
	plan_ask(app, event->text);
}

void act_ask_now(struct app *app)
{
	app->ask_ms = 0;
	control_reconnect(app->control);
}

static void message(struct app *app, const struct event *event)
{
	enum string_id title = STR_REFUSED, body = STR_COUNT;

	switch (event->type) {
	case EVENT_MOVED:
		title = STR_MOVED;
		body = STR_MOVED_HINT;
		break;
	case EVENT_ENDED:
		title = strcmp(event->code, "logout") == 0 ? STR_ENDED_LOGOUT : STR_ENDED;
		break;
	case EVENT_TOKEN_GONE:
		title = STR_TOKEN_GONE;
		break;
	case EVENT_DESKTOP_UNSAFE:
		title = STR_UNSAFE;
		body = STR_UNSAFE_HINT;
		break;
	default:
		break;
	}
	end_login(app);
	snprintf(app->title, sizeof(app->title), "%s", words(app, title));
	snprintf(app->message, sizeof(app->message), "%s",
		event->text[0] || body == STR_COUNT ? event->text : words(app, body));
	if (event->type == EVENT_DESKTOP_UNSAFE)
		snprintf(app->message, sizeof(app->message), "%s (%.300s)",
			words(app, STR_UNSAFE_HINT), event->text);
	log_event(LOG_INFO, "message", "event", event_name(event->type), "code", event->code,
		"text", event->text, NULL);
}

void act(struct app *app, enum action action, const struct event *event)
{
	switch (action) {
	case ACTION_NONE:
	case ACTION_COUNT:
		break;
	case ACTION_SITE:
		show_site(app, event);
		break;
	case ACTION_HELLO:
		app_hello(app);
		break;
	case ACTION_TROUBLE:
		snprintf(app->trouble, sizeof(app->trouble), "%s",
			words_of(app, event, STR_HELLO_FAILED));
		break;
	case ACTION_START_LOGIN:
		start_login(app);
		break;
	case ACTION_FORM_ERROR:
		form_error(app, event);
		break;
	case ACTION_STAGE:
		show_stage(app, event);
		break;
	case ACTION_CONNECT:
		connect_desktop(app, event);
		break;
	case ACTION_FIRST_FRAME:
		first_frame(app);
		break;
	case ACTION_ASK_AGAIN:
		ask_again(app, event);
		break;
	case ACTION_RETRY:
		retry(app, event);
		break;
	case ACTION_ANNOUNCE:
		handoff_announce(app, event);
		break;
	case ACTION_CALL_OFF:
		handoff_call_off(app, event);
		break;
	case ACTION_FREEZE:
		handoff_freeze(app, event);
		break;
	case ACTION_THAW:
		handoff_thaw(app, event);
		break;
	case ACTION_MESSAGE:
		message(app, event);
		break;
	case ACTION_FORM:
	case ACTION_LEAVE:
		end_login(app);
		form_clear(&app->form);
		app_hello(app);
		break;
	case ACTION_LOGOUT:
		control_logout(app->control);
		act_close_connections(app);
		form_clear(&app->form);
		break;
	}
}

static void connection_lost(struct app *app, const struct event *event, bool is_next)
{
	bool moving = app->state == STATE_MOVING;

	if (is_next && app->current.rfb && !moving) {
		log_event(LOG_WARN, "second-connection-lost", "reason", event->text, NULL);
		connection_close(&app->next);
	} else if (!is_next && (moving || app->next.rfb)) {
		/* The next one is on its way already, or will be: nothing to be asked for. */
		log_event(LOG_INFO, "old-connection-lost", "reason", event->text, NULL);
		rfb_stop(app->current.rfb);
		app->current.rfb = NULL;
	} else {
		app_event(app, event);
	}
}

void act_connection(struct app *app, const struct event *event)
{
	bool is_next = event->connection == app->next.number;
	bool is_current = event->connection == app->current.number;

	if (!is_next && !is_current)
		return; /* of a connection that has been given up */
	switch (event->type) {
	case EVENT_DAMAGE:
		if (is_current && screen_look(&app->screen) && person_has_desktop(app))
			screen_desktop_pointer(&app->screen);
		break;
	case EVENT_LEDS:
		(is_next ? &app->next : &app->current)->leds = event->percent;
		person_leds(app);
		break;
	case EVENT_FRAME:
		if (is_next)
			app_event(app, event);
		break;
	case EVENT_DESKTOP_LOST:
		connection_lost(app, event, is_next);
		break;
	default:
		app_event(app, event);
		break;
	}
}
