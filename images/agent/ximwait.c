/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * carrel-ximwait NAME SECONDS: returns when the X input method NAME is there (0), or after SECONDS
 * (1). A program that starts before its input method never finds it, so a session waits for it
 * before it opens its first window. Protocol: XIM, "Locating a server": the atoms in the root
 * window's property XIM_SERVERS are "@server=NAME", and a server owns the selection of that name.
 */
#include <X11/Xatom.h>
#include <X11/Xlib.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits for a next event until `end`; false when the time is over. */
static int wait_event(Display *display, int64_t end)
{
	struct pollfd p = {.fd = ConnectionNumber(display), .events = POLLIN};
	XEvent event;

	while (!XPending(display)) {
		int64_t left = end - now_ms();

		if (left <= 0 || poll(&p, 1, (int)left) < 0)
			return 0;
	}
	XNextEvent(display, &event);
	return 1;
}

int main(int argc, char **argv)
{
	char name[96];
	Display *display;
	Atom server;
	int64_t end;
	int found;

	if (argc != 3 || atoi(argv[2]) <= 0) {
		fprintf(stderr, "usage: carrel-ximwait NAME SECONDS\n");
		return 2;
	}
	display = XOpenDisplay(NULL);
	if (!display) {
		fprintf(stderr, "carrel-ximwait: no X display (DISPLAY, XAUTHORITY)\n");
		return 2;
	}
	end = now_ms() + (int64_t)atoi(argv[2]) * 1000;
	snprintf(name, sizeof(name), "@server=%s", argv[1]);
	server = XInternAtom(display, name, False);
	XSelectInput(display, DefaultRootWindow(display), PropertyChangeMask);
	/* the first look is after the asking for events, so that nothing falls between */
	while (!(found = XGetSelectionOwner(display, server) != None) && wait_event(display, end))
		;
	XCloseDisplay(display);
	return found ? 0 : 1;
}
