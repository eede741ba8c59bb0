/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One life of carrel-viewer: started as an unprivileged user on the console, with the screen's and
 * the keyboard's devices and nothing else. */
#ifndef CARREL_CLIENT_VIEWER_H
#define CARREL_CLIENT_VIEWER_H

#include <sys/types.h>

#include "client-initrd/boot.h"

/* Lets the viewer's group use a node if it is a screen or an input device; below /dev. */
void viewer_allow_node(const char *node);

/* The same for all that is there already. */
void viewer_allow_present(void);

/* The process, or -errno. It ends with 126 or 127 when it could not become the viewer. */
pid_t viewer_start(const struct boot *boot);

/* Gives the screen to the viewer (no text, no keys to the terminal), or back to the text. */
void viewer_take_console(void);
void viewer_return_console(void);

#endif
