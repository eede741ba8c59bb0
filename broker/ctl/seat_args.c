/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/seat_args.h"
#include "broker/ctl/command.h"

#include <string.h>

enum { ROOM = 1, DRY_RUN = 2 };

static const char *const names[] = {"--room", "--dry-run"};

static const struct command_options table[] = {{"seat list", ROOM}, {"seat import", DRY_RUN}};

gboolean seat_args_wanted(char *const *argv)
{
	const char *word = command_first_word(argv);

	return word && !strcmp(word, "seat");
}

GOptionGroup *seat_args_group(struct seat_args *args)
{
	const GOptionEntry options[] = {
		{"room", 0, 0, G_OPTION_ARG_STRING, &args->room, NULL, NULL},
		{"dry-run", 0, 0, G_OPTION_ARG_NONE, &args->dry_run, NULL, NULL},
		G_OPTION_ENTRY_NULL};
	GOptionGroup *group = g_option_group_new("seat", "", "", NULL, NULL);

	g_option_group_add_entries(group, options);
	return group;
}

void seat_args_clear(struct seat_args *args)
{
	g_free(args->room);
}

const char *seat_args_stray(const struct seat_args *args, const char *command)
{
	unsigned given = (args->room ? ROOM : 0) | (args->dry_run ? DRY_RUN : 0);

	return command_stray(
		command, table, G_N_ELEMENTS(table), names, G_N_ELEMENTS(names), given);
}
