/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translates between the lines that carreld and a desktop's agent say to each other ("Agent
 * channel" in docs/protocols.md) and the protocol of QEMU's guest agent (docs/interop/qemu-ga-ref
 * of QEMU), which runs in Windows and in any Linux. To carreld such a desktop is like any other.
 *
 * The guest agent only answers. So a program of the site's in the guest, GUEST_AGENT_LINUX or
 * GUEST_AGENT_WINDOWS, does what the desktop's agent does elsewhere. It is run with one word:
 *
 *   claim    mounts the volume and starts the user's session; the claim, as JSON, is its input
 *   release  ends the session and unmounts the volume
 *   state    prints "standby", or "active" and the user's name
 *
 * Its exit status is 0, or one of the table in guest_agent.c; the last line of its standard error
 * is what people are told. A release that it does not manage is a shutdown of the guest.
 *
 * Pure: bytes and the time go in, by calls; lines come out, by the two functions of the caller's.
 * The guest is not trusted: whatever it says, the worst is a failed claim or release.
 */
#ifndef CARREL_VIRT_GUEST_AGENT_H
#define CARREL_VIRT_GUEST_AGENT_H

#include <glib.h>
#include <jansson.h>

#define GUEST_AGENT_LINUX "/usr/local/lib/carrel/claim"
#define GUEST_AGENT_WINDOWS "C:\\Program Files\\Carrel\\claim.cmd"

struct guest_agent_calls {
	/* A line for the guest, with its newline; it may have the byte 0xFF in front. */
	void (*send)(void *user, const char *line);
	/* A message for carreld; takes the reference. */
	void (*say)(void *user, json_t *message);
	void *user; /* borrowed */
};

/* `image` ("name@version") is what hello says; copied. `calls` are copied. */
struct guest_agent *guest_agent_new(const char *image, const struct guest_agent_calls *calls);
void guest_agent_free(struct guest_agent *self); /* NULL-safe */

/* All times are monotonic, in us. */

/* The channel was opened, for the first time or again. */
void guest_agent_open(struct guest_agent *self, gint64 now);

/* A line of the guest's, without its newline; any bytes. */
void guest_agent_line(struct guest_agent *self, const char *text, gsize length, gint64 now);

/* A line of the guest's was longer than lines.h keeps. */
void guest_agent_too_long(struct guest_agent *self, gint64 now);

/* A message of carreld's for the agent; borrowed. Its answer comes by `say`. */
void guest_agent_ask(struct guest_agent *self, const json_t *message, gint64 now);

/* When guest_agent_tick has something to do; -1: never. */
gint64 guest_agent_deadline(const struct guest_agent *self);
void guest_agent_tick(struct guest_agent *self, gint64 now);

#endif
