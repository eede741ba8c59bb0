/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RFB protocol itself, on one thread, over a socket that is connected already. This is all that
 * rfb.c knows of libvncclient; a protocol of our own would take its place behind these functions.
 */
#ifndef CARREL_VIEWER_VNC_H
#define CARREL_VIEWER_VNC_H

#include <stdbool.h>
#include <stdint.h>

#include "sdl-viewer/rfb/picture.h"

struct vnc_config {
	int fd; /* taken */
	uint16_t port;
	const char *tls_name, *ca_file; /* borrowed during vnc_new */
	const char *ticket;             /* borrowed during vnc_new; the copy is wiped when used */
	struct picture *picture;        /* borrowed until vnc_free */
	/* Called on the thread that calls vnc_begin and vnc_handle. */
	void (*on_change)(void *context, bool whole); /* the picture or its cursor changed */
	void (*on_leds)(void *context, unsigned leds);
	void *context; /* borrowed */
};

enum vnc_result { VNC_OK, VNC_LOST, VNC_UNSAFE };

struct vnc;

struct vnc *vnc_new(const struct vnc_config *config); /* NULL when memory is out: fd is closed */
void vnc_free(struct vnc *vnc);                       /* closes the socket; NULL-safe */

/*
 * Handshake and the request for a first picture. VNC_UNSAFE: the server is not verified, or offers
 * other than VeNCrypt X509Vnc; it was sent neither the ticket's answer nor anything after.
 */
enum vnc_result vnc_begin(struct vnc *vnc);

/* Has bytes that the socket does not show any more: vnc_handle will not block on them alone. */
bool vnc_has_pending(const struct vnc *vnc);

/* Reads one message, to its end. False: the connection is over. */
bool vnc_handle(struct vnc *vnc);

bool vnc_send_key(struct vnc *vnc, unsigned number, uint32_t keysym, bool down);
bool vnc_send_pointer(struct vnc *vnc, int x, int y, unsigned buttons);

int vnc_fd(const struct vnc *vnc);

/* What the library said last, or first about trust; never NULL, for the log and the screen. */
const char *vnc_reason(const struct vnc *vnc);

#endif
