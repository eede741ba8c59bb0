/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/app/options.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum id { BROKER, CA, SEAT, BOOT_REPORT, CONSOLE, WINDOW, FONT, LANGUAGE, HELP, VERSION };

static const struct option_row {
	const char *name, *value, *help;
	enum id id;
} table[] = {
	{"--broker", "https://ADDR:PORT", "the broker", BROKER},
	{"--ca", "FILE",
		"certificate of the site's CA (PEM); broker and desktops are checked by it", CA},
	{"--seat", "MAC", "hardware address of this PC, its name as a seat", SEAT},
	{"--boot-report", "FILE", "JSON array of the boot's stages, sent with the login",
		BOOT_REPORT},
	{"--console", NULL, "bare console: KMS or /dev/fb0, and evdev", CONSOLE},
	{"--window", NULL, "a window under X11 or Wayland (the default where one of them runs)",
		WINDOW},
	{"--font", "FILE", "font; default " OPTIONS_DEFAULT_FONT, FONT},
	{"--language", "en|ko", "language until the broker has told the site's", LANGUAGE},
	{"--help", NULL, "print this", HELP},
	{"--version", NULL, "print the version", VERSION},
};

void options_print_help(void)
{
	printf("carrel-viewer: login form and screen of a Carrel seat\n"
	       "usage: carrel-viewer --broker https://ADDR:PORT --ca FILE --seat MAC "
	       "[options]\n\n");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%s%s", table[i].name, table[i].value ? " " : "",
			table[i].value ? table[i].value : "");
		printf("  %-28s %s\n", left, table[i].help);
	}
}

static bool is_mac(const char *text)
{
	if (strlen(text) != 17)
		return false;
	for (int i = 0; i < 17; i++) {
		if (i % 3 == 2 ? text[i] != ':' : !strchr("0123456789abcdefABCDEF", text[i]))
			return false;
	}
	return true;
}

static bool check(const struct options *options, char *why, size_t size)
{
	if (!options->broker || strncmp(options->broker, "https://", 8) != 0 ||
		strlen(options->broker) > 256 || strpbrk(options->broker + 8, "/?#@ "))
		snprintf(why, size, "--broker is needed, as https://ADDR:PORT");
	else if (!options->ca_file)
		snprintf(why, size, "--ca is needed: the file of the site's CA certificate");
	else if (!options->seat || !is_mac(options->seat))
		snprintf(why, size,
			"--seat is needed, as six pairs of hexadecimal digits: "
			"52:54:00:12:34:56");
	else if (strcmp(options->language, "en") != 0 && strcmp(options->language, "ko") != 0)
		snprintf(why, size, "--language %s: it can be en or ko", options->language);
	else
		return true;
	return false;
}

static const struct option_row *find(const char *name)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

static void take(struct options *options, enum id id, const char *value)
{
	switch (id) {
	case BROKER:
		options->broker = value;
		break;
	case CA:
		options->ca_file = value;
		break;
	case SEAT:
		options->seat = value;
		break;
	case BOOT_REPORT:
		options->boot_report = value;
		break;
	case FONT:
		options->font = value;
		break;
	case LANGUAGE:
		options->language = value;
		break;
	case CONSOLE:
		options->place = PLACE_CONSOLE;
		break;
	case WINDOW:
		options->place = PLACE_WINDOW;
		break;
	default:
		break;
	}
}

enum options_result options_parse(
	struct options *options, int argc, char **argv, char *why, size_t size)
{
	*options = (struct options){.font = OPTIONS_DEFAULT_FONT, .language = "en"};
	for (int i = 1; i < argc; i++) {
		const struct option_row *row = find(argv[i]);

		if (!row) {
			snprintf(why, size, "%s is not an option; --help lists them", argv[i]);
			return OPTIONS_WRONG;
		}
		if (row->id == HELP)
			return OPTIONS_HELP;
		if (row->id == VERSION)
			return OPTIONS_VERSION;
		if (row->value && i + 1 == argc) {
			snprintf(why, size, "%s needs a value: %s", argv[i], row->value);
			return OPTIONS_WRONG;
		}
		take(options, row->id, row->value ? argv[++i] : NULL);
	}
	if (!check(options, why, size))
		return OPTIONS_WRONG;
	if (options->place == PLACE_AUTO)
		options->place = getenv("DISPLAY") || getenv("WAYLAND_DISPLAY") ? PLACE_WINDOW
										: PLACE_CONSOLE;
	return OPTIONS_RUN;
}
