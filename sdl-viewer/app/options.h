/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CARREL_VIEWER_OPTIONS_H
#define CARREL_VIEWER_OPTIONS_H

#include <stddef.h>

#define OPTIONS_DEFAULT_FONT "/usr/share/fonts/truetype/nanum/NanumGothic.ttf"

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_WRONG };

enum options_place { PLACE_AUTO, PLACE_CONSOLE, PLACE_WINDOW };

/* Texts are borrowed from argv. */
struct options {
	const char *broker, *ca_file, *seat, *boot_report, *font, *language;
	enum options_place place;
};

/*
 * Reads the command line. OPTIONS_WRONG: `why` says what is wrong and what is allowed. PLACE_AUTO
 * is made definite by DISPLAY and WAYLAND_DISPLAY.
 */
enum options_result options_parse(
	struct options *options, int argc, char **argv, char *why, size_t size);

void options_print_help(void);

#endif
