/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices that come later: the kernel's uevents by netlink (there is no udevd in a client). */
#ifndef CARREL_CLIENT_UEVENT_H
#define CARREL_CLIENT_UEVENT_H

#include <stdbool.h>
#include <stddef.h>

struct uevent {
	bool add;
	char modalias[256]; /* "" when there is none */
	char node[64];      /* below /dev, or "" */
	/* A driver waits for this firmware ("" when none does), to be given to `device`, below
	 * /sys. */
	char firmware[160], device[320];
};

/* A non-blocking descriptor that becomes readable with each event, or -errno. */
int uevent_open(void);

/* Takes one event; false when there is none left. */
bool uevent_next(int fd, struct uevent *event);

/* Reads one message as the kernel sends it: "add@/devices/..." NUL "KEY=value" NUL ... */
bool uevent_parse(const char *message, size_t length, struct uevent *event);

#endif
