/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keyboards, mice and tablets of the bare console, read from /dev/input and grabbed, so that no key
 * reaches the text console behind the picture. What happens is pushed into SDL's event queue as
 * SDL's own keyboard and mouse events; devices may come and go (inotify, no udevd).
 */
#ifndef CARREL_VIEWER_EVDEV_H
#define CARREL_VIEWER_EVDEV_H

#include <poll.h>
#include <stdbool.h>

#define EVDEV_MAX 32

struct evdev;

/* Opens all devices of `folder` ("/dev/input"). NULL: errno says why. */
struct evdev *evdev_open(const char *folder);
void evdev_close(struct evdev *evdev); /* NULL-safe */

/* The screen's size, for absolute devices and the pointer's limits. */
void evdev_set_size(struct evdev *evdev, int width, int height);

/* Fills up to EVDEV_MAX + 1 entries to be polled; returns their number. */
int evdev_polls(struct evdev *evdev, struct pollfd *polls);

/* Reads what has come and pushes it as SDL events. */
void evdev_read(struct evdev *evdev);

/* Lights the lamps (enum event_led) of all keyboards. */
void evdev_set_leds(struct evdev *evdev, unsigned leds);

#endif
