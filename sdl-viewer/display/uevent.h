/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CARREL_VIEWER_UEVENT_H
#define CARREL_VIEWER_UEVENT_H

#include <stdbool.h>
#include <stddef.h>

/* Listens to the kernel's device events; needs no privilege. Returns a non-blocking fd or -1. */
int uevent_open(void);

/* Reads what has come; true when a monitor was plugged in or out. */
bool uevent_screen_changed(int fd);

/* Does this message (NUL-separated KEY=VALUE, as the kernel sends) tell of such a change? */
bool uevent_is_hotplug(const char *message, size_t size);

#endif
