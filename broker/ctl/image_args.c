/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/image_args.h"
#include "broker/ctl/command.h"

#include <string.h>

enum { GROUP = 1, REASON = 2, NONE = 4, NO_WAIT = 8, CANARY = 16, WITHIN = 32 };

static const char *const names[] = {
	"--group", "--reason", "--none", "--no-wait", "--canary", "--within"};

static const struct {
	const char *command;
	unsigned options;
} table[] = {
	{"image publish", NO_WAIT},
	{"image promote", NO_WAIT | CANARY | WITHIN},
	{"image rollback", REASON},
	{"image try", GROUP | NONE},
};

gboolean image_args_wanted(char *const *argv)
{
	const char *word = command_first_word(argv);

	return word && !strcmp(word, "image");
}

GOptionGroup *image_args_group(struct image_args *args)
{
	const GOptionEntry options[] = {
		{"group", 0, 0, G_OPTION_ARG_STRING, &args->group, NULL, NULL},
		{"reason", 0, 0, G_OPTION_ARG_STRING, &args->reason, NULL, NULL},
		{"none", 0, 0, G_OPTION_ARG_NONE, &args->none, NULL, NULL},
		{"no-wait", 0, 0, G_OPTION_ARG_NONE, &args->no_wait, NULL, NULL},
		{"canary", 0, 0, G_OPTION_ARG_INT, &args->canary, NULL, NULL},
		{"within", 0, 0, G_OPTION_ARG_INT, &args->within, NULL, NULL}, G_OPTION_ENTRY_NULL};
	GOptionGroup *group = g_option_group_new("image", "", "", args, NULL);

	args->canary = args->within = -1;
	g_option_group_add_entries(group, options);
	return group;
}

void image_args_clear(struct image_args *args)
{
	g_free(args->group);
	g_free(args->reason);
}

const char *image_args_stray(const struct image_args *args, const char *command)
{
	unsigned given = (args->group ? GROUP : 0) | (args->reason ? REASON : 0) |
			 (args->none ? NONE : 0) | (args->no_wait ? NO_WAIT : 0) |
			 (args->canary > 0 ? CANARY : 0) | (args->within > 0 ? WITHIN : 0);

	for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
		if (!strcmp(table[i].command, command))
			given &= ~table[i].options;
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (given & 1u << i)
			return names[i];
	return NULL;
}
