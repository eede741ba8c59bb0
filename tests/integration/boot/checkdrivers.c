/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a PC fetches of the pack of drivers, alone and again and again: checkdrivers INDEX
 * COMMAND-LINE. For each path on standard input that piece is fetched as the command line says and
 * compared with the index; a line tells the outcome ("-" for a good one), as the PC would.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-initrd/drivers.h"

int main(int argc, char **argv)
{
	static struct params params;
	static struct drivers drivers;
	char line[512];
	const char *lacks = argc == 3 ? params_parse(argv[2], &params) : "an argument";
	if (lacks || drivers_open(&drivers, argv[1], &params)) {
		fprintf(stderr, "checkdrivers: %s is missing or malformed\n",
			lacks ? lacks : argv[1]);
		return 2;
	}
	while (fgets(line, sizeof line, stdin)) {
		char *content = NULL;
		size_t size;
		line[strcspn(line, "\n")] = '\0';
		drivers_retry(&drivers);
		int error = drivers_get(&drivers, line, &content, &size);
		printf("%s\n", error ? drivers.state->problem : "-");
		fflush(stdout);
		free(content);
	}
	return 0;
}
