/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread owns the protocol (vnc.h); keys and pointer come to it through a list and an eventfd,
 * which also ends its waits. A read that blocks is ended by shutting the socket down.
 */
#include "sdl-viewer/rfb/rfb.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sdl-viewer/app/utf8.h"
#include "sdl-viewer/rfb/socket.h"
#include "sdl-viewer/rfb/vnc.h"

#define CONNECT_TIMEOUT_MS 5000
#define INPUT_MAX 1024

struct input {
	bool key, down;
	unsigned number; /* key */
	uint32_t keysym; /* key */
	int x, y;        /* pointer */
	unsigned buttons;
};

struct rfb {
	unsigned connection;
	uint16_t port;
	char host[64], tls_name[128], ticket[64];
	char *ca_file;             /* owned */
	struct picture *picture;   /* borrowed */
	struct event_queue *queue; /* borrowed */
	pthread_t thread;
	int wake_fd;
	bool frame_posted; /* the thread's own */

	pthread_mutex_t lock;
	bool quit;                      /* under lock */
	int shutdown_fd;                /* under lock: a duplicate of the socket; -1 = none */
	struct input inputs[INPUT_MAX]; /* under lock */
	int input_count;                /* under lock */
};

static void post(struct rfb *rfb, enum event_type type, unsigned value, const char *text)
{
	struct event *event = event_new(type);

	event->connection = rfb->connection;
	event->percent = value;
	utf8_clean(event->text, sizeof(event->text), text);
	event_queue_post(rfb->queue, event);
}

/* One EVENT_DAMAGE at a time is on its way. */
static void tell_damage(struct rfb *rfb)
{
	bool tell;

	pthread_mutex_lock(&rfb->picture->lock);
	tell = !rfb->picture->told;
	rfb->picture->told = true;
	pthread_mutex_unlock(&rfb->picture->lock);
	if (tell)
		post(rfb, EVENT_DAMAGE, 0, "");
}

static void on_change(void *context, bool whole)
{
	struct rfb *rfb = context;

	if (whole && !rfb->frame_posted) {
		rfb->frame_posted = true;
		post(rfb, EVENT_FRAME, 0, "");
	}
	tell_damage(rfb);
}

static void on_leds(void *context, unsigned leds)
{
	post(context, EVENT_LEDS, leds, "");
}

/* Sends what has been typed and pointed. False when it is time to end. */
static bool send_inputs(struct rfb *rfb, struct vnc *vnc)
{
	struct input inputs[INPUT_MAX];
	bool go_on;
	int count;

	pthread_mutex_lock(&rfb->lock);
	go_on = !rfb->quit;
	count = rfb->input_count;
	memcpy(inputs, rfb->inputs, (size_t)count * sizeof(inputs[0]));
	rfb->input_count = 0;
	pthread_mutex_unlock(&rfb->lock);
	for (int i = 0; i < count && go_on; i++) {
		const struct input *in = &inputs[i];

		go_on = in->key ? vnc_send_key(vnc, in->number, in->keysym, in->down)
				: vnc_send_pointer(vnc, in->x, in->y, in->buttons);
	}
	return go_on;
}

static void serve(struct rfb *rfb, struct vnc *vnc)
{
	while (send_inputs(rfb, vnc)) {
		struct pollfd polls[] = {{.fd = vnc_fd(vnc), .events = POLLIN},
			{.fd = rfb->wake_fd, .events = POLLIN}};
		uint64_t count;

		if (!vnc_has_pending(vnc)) {
			if (poll(polls, 2, -1) < 0 && errno != EINTR)
				return;
			if (polls[1].revents && read(rfb->wake_fd, &count, sizeof(count)) < 0 &&
				errno != EAGAIN)
				return;
			if (!polls[0].revents)
				continue;
		}
		if (!vnc_handle(vnc))
			return;
	}
}

static bool publish_socket(struct rfb *rfb, int fd)
{
	bool go_on;

	pthread_mutex_lock(&rfb->lock);
	rfb->shutdown_fd = fd < 0 ? -1 : dup(fd);
	go_on = !rfb->quit && rfb->shutdown_fd >= 0;
	pthread_mutex_unlock(&rfb->lock);
	return go_on;
}

/* The last event of a connection that was not told to end. */
static void say_end(struct rfb *rfb, enum event_type type, const char *reason)
{
	bool quit;

	pthread_mutex_lock(&rfb->lock);
	quit = rfb->quit;
	pthread_mutex_unlock(&rfb->lock);
	if (!quit)
		post(rfb, type, 0, reason);
}

static void talk(struct rfb *rfb, struct vnc *vnc, int fd)
{
	enum vnc_result result = VNC_LOST;

	if (publish_socket(rfb, fd))
		result = vnc_begin(vnc);
	if (result == VNC_OK)
		serve(rfb, vnc);
	say_end(rfb, result == VNC_UNSAFE ? EVENT_DESKTOP_UNSAFE : EVENT_DESKTOP_LOST,
		vnc_reason(vnc));
}

static void *rfb_thread(void *context)
{
	struct rfb *rfb = context;
	struct vnc_config config = {.port = rfb->port,
		.tls_name = rfb->tls_name,
		.ca_file = rfb->ca_file,
		.ticket = rfb->ticket,
		.picture = rfb->picture,
		.on_change = on_change,
		.on_leds = on_leds,
		.context = rfb};
	struct vnc *vnc;

	config.fd = socket_connect(rfb->host, rfb->port, CONNECT_TIMEOUT_MS, rfb->wake_fd);
	if (config.fd < 0) {
		say_end(rfb, EVENT_DESKTOP_LOST, strerror(errno));
		return NULL;
	}
	vnc = vnc_new(&config);
	explicit_bzero(rfb->ticket, sizeof(rfb->ticket));
	if (vnc)
		talk(rfb, vnc, config.fd);
	else
		say_end(rfb, EVENT_DESKTOP_LOST, strerror(ENOMEM));
	vnc_free(vnc);
	return NULL;
}

struct rfb *rfb_start(
	const struct rfb_config *config, struct picture *picture, struct event_queue *queue)
{
	struct rfb *rfb = calloc(1, sizeof(*rfb));

	if (!rfb)
		abort();
	rfb->connection = config->connection;
	rfb->port = config->port;
	snprintf(rfb->host, sizeof(rfb->host), "%s", config->host);
	snprintf(rfb->tls_name, sizeof(rfb->tls_name), "%s", config->tls_name);
	snprintf(rfb->ticket, sizeof(rfb->ticket), "%s", config->ticket);
	rfb->ca_file = strdup(config->ca_file);
	rfb->picture = picture;
	rfb->queue = queue;
	rfb->shutdown_fd = -1;
	rfb->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&rfb->lock, NULL);
	if (rfb->wake_fd < 0 || pthread_create(&rfb->thread, NULL, rfb_thread, rfb) != 0)
		abort();
	return rfb;
}

static void wake(struct rfb *rfb)
{
	uint64_t one = 1;

	if (write(rfb->wake_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is awake */
}

void rfb_stop(struct rfb *rfb)
{
	if (!rfb)
		return;
	pthread_mutex_lock(&rfb->lock);
	rfb->quit = true;
	if (rfb->shutdown_fd >= 0)
		shutdown(rfb->shutdown_fd, SHUT_RDWR);
	pthread_mutex_unlock(&rfb->lock);
	wake(rfb);
	pthread_join(rfb->thread, NULL);
	if (rfb->shutdown_fd >= 0)
		close(rfb->shutdown_fd);
	close(rfb->wake_fd);
	pthread_mutex_destroy(&rfb->lock);
	free(rfb->ca_file);
	explicit_bzero(rfb, sizeof(*rfb));
	free(rfb);
}

static void give_input(struct rfb *rfb, const struct input *input)
{
	struct input *last;

	pthread_mutex_lock(&rfb->lock);
	last = rfb->input_count > 0 ? &rfb->inputs[rfb->input_count - 1] : NULL;
	if (last && !last->key && !input->key && last->buttons == input->buttons)
		*last = *input;
	else if (rfb->input_count < INPUT_MAX)
		rfb->inputs[rfb->input_count++] = *input;
	pthread_mutex_unlock(&rfb->lock);
	wake(rfb);
}

void rfb_key(struct rfb *rfb, unsigned number, uint32_t keysym, bool down)
{
	struct input input = {.key = true, .down = down, .number = number, .keysym = keysym};

	give_input(rfb, &input);
}

void rfb_pointer(struct rfb *rfb, int x, int y, unsigned buttons)
{
	struct input input = {.x = x, .y = y, .buttons = buttons};

	give_input(rfb, &input);
}
