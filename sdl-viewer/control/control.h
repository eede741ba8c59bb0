/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way to the broker: one thread with libcurl, HTTPS only, the server checked against one CA
 * file. The functions below only leave an order and return at once; what comes of it is posted as
 * events. The token of the login never leaves this module.
 */
#ifndef CARREL_VIEWER_CONTROL_H
#define CARREL_VIEWER_CONTROL_H

#include "sdl-viewer/app/event.h"

struct control_config {
	const char *broker;  /* "https://ADDR:PORT" */
	const char *ca_file; /* PEM */
	const char *seat;    /* MAC address */
	const char *boot;    /* JSON array of the boot's stages, or NULL */
};

struct control;

/* Starts the thread; the texts of `config` are copied, `queue` is borrowed. NULL: errno says why.
 */
struct control *control_new(const struct control_config *config, struct event_queue *queue);
void control_free(struct control *control); /* ends the thread; NULL-safe */

/* Says the screen's mode ("" = nothing of it), and asks for site and language until the broker
 * answers: EVENT_HELLO, before it EVENT_HELLO_FAILED.
 */
void control_hello(struct control *control, const char *mode);

/*
 * Sends the login, once. EVENT_LOGIN_FAILED, or the events of the stream, which is opened by
 * itself and opened again when it breaks. The password's copy is wiped as soon as it is sent.
 */
void control_login(struct control *control, const char *user, const char *password);

void control_first_frame(struct control *control, unsigned ms); /* since `ready` arrived */
void control_lost(struct control *control, unsigned ms);        /* since the first frame */
/* Asks for a new `ready` until the broker has taken it: else EVENT_TOKEN_GONE. */
void control_reconnect(struct control *control);
/* Asks that an announced hand-off begins now; whatever comes of it, the login goes on. */
void control_move_now(struct control *control);
void control_logout(struct control *control); /* ends the session, then forgets the login */
void control_forget(struct control *control); /* closes the stream, wipes the token */

#endif
