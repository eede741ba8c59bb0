/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/move_args.h"
#include "broker/ctl/command.h"
#include "broker/ctl/plan_args.h"

#include <string.h>

enum { TO = 1, SIZE = 2, WAIT = 4, YES = 8, LOG = 16, REPAIR = 32 };

static const char *const names[] = {"--to", "--size", "--wait", "--yes", "--log", "--repair"};

static const struct command_options table[] = {
	{"session move", TO | SIZE | WAIT},
	{"desktop move", TO | WAIT},
	{"desktop resize", WAIT},
	{"desktop destroy", YES},
	{"server drain", WAIT},
	{"server lost", YES},
	{"volume show", LOG},
	{"volume restore", YES},
	{"volume check", REPAIR},
	{"volume grow", SIZE},
	{"volume import", YES},
	{"volume delete", YES},
};

gboolean move_args_wanted(char *const *argv)
{
	static const char *const words[] = {"session", "desktop", "server", "volume", NULL};
	const char *word = command_first_word(argv);

	return word && g_strv_contains(words, word);
}

/* The seconds may be missing; the parser takes the next word for them. */
static gboolean on_wait(const char *name, const char *value, gpointer data, GError **error)
{
	struct move_args *args = data;
	guint64 seconds = WAIT_DEFAULT_S;

	(void)name;
	if (value && !plan_count(value, "--wait", 1, 7 * 86400, &seconds, error)) {
		g_prefix_error(error, "write --wait last, or seconds behind it: ");
		return FALSE;
	}
	args->wait = TRUE;
	args->wait_s = (guint)seconds;
	return TRUE;
}

GOptionGroup *move_args_group(struct move_args *args)
{
	const GOptionEntry options[] = {{"to", 0, 0, G_OPTION_ARG_STRING, &args->to, NULL, NULL},
		{"size", 0, 0, G_OPTION_ARG_STRING, &args->size, NULL, NULL},
		{"wait", 0, G_OPTION_FLAG_OPTIONAL_ARG, G_OPTION_ARG_CALLBACK, (gpointer)on_wait,
			NULL, NULL},
		{"yes", 0, 0, G_OPTION_ARG_NONE, &args->yes, NULL, NULL},
		{"log", 0, 0, G_OPTION_ARG_NONE, &args->log, NULL, NULL},
		{"repair", 0, 0, G_OPTION_ARG_NONE, &args->repair, NULL, NULL},
		G_OPTION_ENTRY_NULL};
	GOptionGroup *group = g_option_group_new("move", "", "", args, NULL);

	g_option_group_add_entries(group, options);
	return group;
}

void move_args_clear(struct move_args *args)
{
	g_free(args->to);
	g_free(args->size);
}

const char *move_args_stray(const struct move_args *args, const char *command)
{
	unsigned given = (args->to ? TO : 0) | (args->size ? SIZE : 0) | (args->wait ? WAIT : 0) |
			 (args->yes ? YES : 0) | (args->log ? LOG : 0) |
			 (args->repair ? REPAIR : 0);

	return command_stray(
		command, table, G_N_ELEMENTS(table), names, G_N_ELEMENTS(names), given);
}
