/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Apart from the table of commands, which leads to all of them: the options' code needs only this.
 */
#include "broker/ctl/command.h"

#include <string.h>

const char *command_first_word(char *const *argv)
{
	for (int i = 1; argv[i]; i++) {
		if (argv[i][0] != '-')
			return argv[i];
		/* What belongs to everybody and has its value in the next word. */
		if ((!strcmp(argv[i], "--config") || !strcmp(argv[i], "-c")) && argv[i + 1])
			i++;
	}
	return NULL;
}

const char *command_stray(const char *command, const struct command_options *table, size_t rows,
	const char *const *names, size_t count, unsigned given)
{
	for (size_t i = 0; i < rows; i++)
		if (!strcmp(table[i].command, command))
			given &= ~table[i].options;
	for (size_t i = 0; i < count; i++)
		if (given & 1u << i)
			return names[i];
	return NULL;
}
