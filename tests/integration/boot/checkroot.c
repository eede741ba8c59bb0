/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The init's check of the root image, alone and again and again: checkroot FILE COMMAND-LINE. For
 * each line on standard input the image is fetched as the command line says, to FILE, and its sum
 * compared; a line "CODE REASON" tells the outcome ("-" for a good image).
 */
#include <stdio.h>

#include "client-initrd/fetch.h"

int main(int argc, char **argv)
{
	static struct modules modules;
	static struct boot boot;
	static struct fetch fetch;
	char line[16];
	const char *lacks = argc == 3 ? params_parse(argv[2], &boot.params) : "an argument";
	if (lacks) {
		fprintf(stderr, "checkroot: %s is missing or malformed\n", lacks);
		return 2;
	}
	while (fgets(line, sizeof line, stdin)) {
		boot.detail[0] = '\0';
		enum boot_code code = fetch_image(&fetch, &boot, &modules, argv[1]);
		if (code == BOOT_OK)
			code = fetch_verify(&fetch, &boot);
		printf("%s %s\n", code == BOOT_OK ? "-" : boot_code_name(code), boot.detail);
		fflush(stdout);
	}
	return 0;
}
