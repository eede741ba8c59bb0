/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The screens that the kernel has made of this PC's graphics cards. */
#ifndef CARREL_CLIENT_DISPLAY_H
#define CARREL_CLIENT_DISPLAY_H

#include <stdbool.h>

/* Is there one, by a driver or by the firmware's frame buffer? */
bool display_present(void);

/* Offers the graphics cards that have no driver to the drivers again. */
void display_probe(void);

#endif
