/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection to a desktop: a thread of its own, which draws into a picture and posts events that
 * bear the connection's number. Several can live at once (a new one is opened while the old one's
 * picture still shows). Nothing here names the library below, so that it can be replaced.
 *
 * Only VeNCrypt X509Vnc is spoken: the server's certificate must come from the CA and bear
 * `tls_name`, before the ticket is used for anything. There is no fall-back.
 */
#ifndef CARREL_VIEWER_RFB_H
#define CARREL_VIEWER_RFB_H

#include "sdl-viewer/app/event.h"
#include "sdl-viewer/rfb/picture.h"

struct rfb_config {
	unsigned connection;
	const char *host; /* address */
	uint16_t port;
	const char *tls_name;
	const char *ca_file; /* PEM */
	const char *ticket;
};

struct rfb;

/*
 * Starts a connection. `config` is copied; `picture` and `queue` are borrowed until rfb_stop. Posts
 * EVENT_FRAME once, EVENT_DAMAGE, EVENT_LEDS, and as its last EVENT_DESKTOP_LOST or
 * EVENT_DESKTOP_UNSAFE. Aborts when no thread can be had.
 */
struct rfb *rfb_start(
	const struct rfb_config *config, struct picture *picture, struct event_queue *queue);

/* Ends the thread at once, whatever it does; nothing is posted after it. NULL-safe. */
void rfb_stop(struct rfb *rfb);

/* A key by its QEMU number (input/keys.h), and its keysym for servers without such numbers. */
void rfb_key(struct rfb *rfb, unsigned number, uint32_t keysym, bool down);

/* Pointer in the desktop's pixels; buttons as in RFB (bit 0 left, 1 middle, 2 right, 3-6 wheel). */
void rfb_pointer(struct rfb *rfb, int x, int y, unsigned buttons);

#endif
