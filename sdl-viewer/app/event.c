/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/app/event.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[EVENT_COUNT] = {
	[EVENT_HELLO] = "hello",
	[EVENT_HELLO_FAILED] = "hello-failed",
	[EVENT_KNOCK] = "knock",
	[EVENT_LOGIN_FAILED] = "login-failed",
	[EVENT_STAGE] = "stage",
	[EVENT_READY] = "ready",
	[EVENT_DENIED] = "denied",
	[EVENT_REFUSED] = "refused",
	[EVENT_MOVED] = "moved",
	[EVENT_ENDED] = "ended",
	[EVENT_HANDOFF_ANNOUNCED] = "handoff-announced",
	[EVENT_HANDOFF_MOVING] = "handoff-moving",
	[EVENT_HANDOFF_CANCELLED] = "handoff-cancelled",
	[EVENT_TOKEN_GONE] = "token-gone",
	[EVENT_TROUBLE] = "trouble",
	[EVENT_FRAME] = "frame",
	[EVENT_DESKTOP_LOST] = "desktop-lost",
	[EVENT_DESKTOP_UNSAFE] = "desktop-unsafe",
	[EVENT_SUBMIT] = "submit",
	[EVENT_CONFIRM] = "confirm",
	[EVENT_LOGOUT] = "logout",
	[EVENT_DISCONNECT] = "disconnect",
	[EVENT_TIMEOUT] = "timeout",
	[EVENT_DAMAGE] = "damage",
	[EVENT_LEDS] = "leds",
	[EVENT_QUIT] = "quit",
};

const char *event_name(enum event_type type)
{
	return type < EVENT_COUNT ? names[type] : "?";
}

struct event *event_new(enum event_type type)
{
	struct event *event = calloc(1, sizeof(*event));

	if (!event)
		abort();
	event->type = type;
	return event;
}

void event_free(struct event *event)
{
	if (!event)
		return;
	explicit_bzero(event, sizeof(*event));
	free(event);
}

void event_queue_init(struct event_queue *queue, void (*wake)(void *context), void *context)
{
	pthread_mutex_init(&queue->lock, NULL);
	queue->first = NULL;
	queue->last = &queue->first;
	queue->wake = wake;
	queue->context = context;
}

void event_queue_clear(struct event_queue *queue)
{
	struct event *event;

	while ((event = event_queue_take(queue)))
		event_free(event);
	pthread_mutex_destroy(&queue->lock);
}

void event_queue_post(struct event_queue *queue, struct event *event)
{
	event->next = NULL;
	pthread_mutex_lock(&queue->lock);
	*queue->last = event;
	queue->last = &event->next;
	pthread_mutex_unlock(&queue->lock);
	if (queue->wake)
		queue->wake(queue->context);
}

struct event *event_queue_take(struct event_queue *queue)
{
	struct event *event;

	pthread_mutex_lock(&queue->lock);
	event = queue->first;
	if (event) {
		queue->first = event->next;
		if (!queue->first)
			queue->last = &queue->first;
		event->next = NULL;
	}
	pthread_mutex_unlock(&queue->lock);
	return event;
}
