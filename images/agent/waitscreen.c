/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * carrel-waitscreen ready|ended: what a desktop's screen shows while nobody uses it. The text is
 * drawn into the root window's background, which stays when the program has ended, so it costs
 * nothing while the desktop waits.
 */
#include <X11/Xft/Xft.h>
#include <X11/Xlib.h>
#include <stdio.h>
#include <string.h>

struct message {
	const char *name;
	const char *lines[2];
};

static const struct message messages[] = {
	{"ready", {"데스크톱이 준비되었습니다", "This desktop is ready"}},
	{"ended", {"로그아웃되었습니다", "You have logged out"}},
};

#define BACKGROUND "#203040"
#define FOREGROUND "#e6e6e6"
#define FONT_NAME "NanumGothic-24"

static void draw_line(Display *display, XftDraw *draw, XftColor *color, XftFont *font,
	const char *text, int width, int y)
{
	const FcChar8 *bytes = (const FcChar8 *)text;
	int length = (int)strlen(text);
	XGlyphInfo extents;

	XftTextExtentsUtf8(display, font, bytes, length, &extents);
	XftDrawStringUtf8(draw, color, font, (width - extents.xOff) / 2, y, bytes, length);
}

static int show(Display *display, const struct message *message)
{
	int screen = DefaultScreen(display);
	int width = DisplayWidth(display, screen), height = DisplayHeight(display, screen);
	Window root = RootWindow(display, screen);
	Visual *visual = DefaultVisual(display, screen);
	Colormap colors = DefaultColormap(display, screen);
	Pixmap pixmap = XCreatePixmap(display, root, (unsigned)width, (unsigned)height,
		(unsigned)DefaultDepth(display, screen));
	XftDraw *draw = XftDrawCreate(display, pixmap, visual, colors);
	XftFont *font = XftFontOpenName(display, screen, FONT_NAME);
	XftColor background, foreground;

	if (!draw || !font ||
		!XftColorAllocName(display, visual, colors, BACKGROUND, &background) ||
		!XftColorAllocName(display, visual, colors, FOREGROUND, &foreground)) {
		fprintf(stderr, "carrel-waitscreen: no font or colour on this display\n");
		return 1;
	}
	XftDrawRect(draw, &background, 0, 0, (unsigned)width, (unsigned)height);
	for (int i = 0; i < 2; i++)
		draw_line(display, draw, &foreground, font, message->lines[i], width,
			height / 2 + i * font->height * 3 / 2);
	XSetWindowBackgroundPixmap(display, root, pixmap);
	XClearWindow(display, root);
	XftFontClose(display, font);
	XftDrawDestroy(draw);
	XFreePixmap(display, pixmap); /* the root window keeps it */
	XSync(display, False);
	return 0;
}

int main(int argc, char **argv)
{
	Display *display;
	int status;

	for (size_t i = 0; argc == 2 && i < sizeof(messages) / sizeof(*messages); i++) {
		if (strcmp(argv[1], messages[i].name) != 0)
			continue;
		display = XOpenDisplay(NULL);
		if (!display) {
			fprintf(stderr, "carrel-waitscreen: no X display (DISPLAY, XAUTHORITY)\n");
			return 1;
		}
		status = show(display, &messages[i]);
		XCloseDisplay(display);
		return status;
	}
	fprintf(stderr, "usage: carrel-waitscreen ready|ended\n");
	return 2;
}
