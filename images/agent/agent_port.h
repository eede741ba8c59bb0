/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtio-serial port to the host. It is found by its name in /sys/class/virtio-ports, so udev
 * is not needed. While the host has not connected, the port is in a permanent hang-up: it is polled
 * edge-triggered, each change of the host's side is one wake-up, and nothing spins.
 */
#ifndef CARREL_AGENT_PORT_H
#define CARREL_AGENT_PORT_H

#include "images/agent/agent_msg.h"

#include <stdbool.h>
#include <stddef.h>

#define AGENT_PORT_NAME "org.carrel.agent.0"

struct agent_port {
	int fd; /* -1 when there is no port */
	bool connected;
	struct agent_lines in;
	char out[4 * AGENT_LINE_MAX];
	size_t out_used;
};

void agent_port_init(struct agent_port *port);
void agent_port_clear(struct agent_port *port);

/* Finds and opens the port called `name` below `sys` and `dev`; false when there is none (yet). */
bool agent_port_open(struct agent_port *port, const char *sys, const char *dev, const char *name);

/*
 * After a wake-up with epoll's `events`. True when the host has just connected (say hello then).
 * Calls `line` as agent_lines_feed() does.
 */
bool agent_port_ready(struct agent_port *port, unsigned events,
	void (*line)(void *context, const char *text, size_t length), void *context);

/*
 * Sends a line (without newline). What the host does not take yet is kept; while it is not
 * connected, or when too much is kept, the line is dropped: a host that comes back gets a hello
 * with the state.
 */
void agent_port_send(struct agent_port *port, const char *text);

#endif
