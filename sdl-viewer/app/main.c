/* SPDX-License-Identifier: GPL-2.0-or-later */
#define SDL_MAIN_HANDLED
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "broker/shared/log.h"
#include "client-initrd/power.h"
#include "sdl-viewer/app/app.h"

int main(int argc, char **argv)
{
	static struct app app;
	struct options options;
	char why[1024];
	int status = EXIT_SUCCESS;

	log_init("carrel-viewer", getenv("CARREL_DEBUG") ? LOG_DEBUG : LOG_INFO);
	switch (options_parse(&options, argc, argv, why, sizeof(why))) {
	case OPTIONS_HELP:
		options_print_help();
		return EXIT_SUCCESS;
	case OPTIONS_VERSION:
		printf("carrel-viewer %s\n", CARREL_VERSION);
		return EXIT_SUCCESS;
	case OPTIONS_WRONG:
		fprintf(stderr, "carrel-viewer: %s\n", why);
		return 2;
	case OPTIONS_RUN:
		break;
	}
	/* A dump of memory could have a password in it. */
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	SDL_SetMainReady();
	if (app_open(&app, &options, why, sizeof(why))) {
		app_run(&app);
		if (app.power != POWER_STAY)
			status = app.power == POWER_OFF ? VIEWER_POWER_OFF : VIEWER_REBOOT;
	} else {
		fprintf(stderr, "carrel-viewer: %s\n", why);
		status = EXIT_FAILURE;
	}
	app_close(&app);
	return status;
}
