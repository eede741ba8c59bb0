/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/ctl/image_args.h"
#include "broker/ctl/command.h"

#include <string.h>

enum {
	GROUP = 1,
	REASON = 2,
	NONE = 4,
	NO_WAIT = 8,
	CANARY = 16,
	WITHIN = 32,
	KEEP = 64,
	TRUST = 128,
	DRY_RUN = 256,
	OFFLINE = 512,
	YES = 1024,
	PACKAGES = 2048,
	FILES = 4096,
	SEATS = 8192,
	NAME = 16384,
	FIRMWARE = 32768,
	AGENT = 65536
};

static const char *const names[] = {"--group", "--reason", "--none", "--no-wait", "--canary",
	"--within", "--keep", "--trust", "--dry-run", "--offline", "--yes", "--packages", "--files",
	"--seats", "--name", "--firmware", "--agent"};

static const struct command_options table[] = {
	{"image publish", NO_WAIT},
	{"image promote", NO_WAIT | CANARY | WITHIN},
	{"image rollback", REASON},
	{"image try", GROUP | NONE | SEATS},
	{"image diff", PACKAGES | FILES},
	{"image pin", REASON},
	{"image gc", KEEP | DRY_RUN | OFFLINE | YES},
	{"image import", TRUST | NAME | FIRMWARE | AGENT},
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
		{"within", 0, 0, G_OPTION_ARG_INT, &args->within, NULL, NULL},
		{"keep", 0, 0, G_OPTION_ARG_STRING, &args->keep, NULL, NULL},
		{"trust", 0, 0, G_OPTION_ARG_FILENAME, &args->trust, NULL, NULL},
		{"dry-run", 0, 0, G_OPTION_ARG_NONE, &args->dry_run, NULL, NULL},
		{"offline", 0, 0, G_OPTION_ARG_NONE, &args->offline, NULL, NULL},
		{"yes", 0, 0, G_OPTION_ARG_NONE, &args->yes, NULL, NULL},
		{"packages", 0, 0, G_OPTION_ARG_NONE, &args->packages, NULL, NULL},
		{"files", 0, 0, G_OPTION_ARG_NONE, &args->files, NULL, NULL},
		{"seats", 0, 0, G_OPTION_ARG_STRING, &args->seats, NULL, NULL},
		{"name", 0, 0, G_OPTION_ARG_STRING, &args->name, NULL, NULL},
		{"firmware", 0, 0, G_OPTION_ARG_STRING, &args->firmware, NULL, NULL},
		{"agent", 0, 0, G_OPTION_ARG_STRING, &args->agent, NULL, NULL},
		G_OPTION_ENTRY_NULL};
	GOptionGroup *group = g_option_group_new("image", "", "", args, NULL);

	args->canary = args->within = -1;
	g_option_group_add_entries(group, options);
	return group;
}

void image_args_clear(struct image_args *args)
{
	g_free(args->group);
	g_free(args->reason);
	g_free(args->keep);
	g_free(args->trust);
	g_free(args->seats);
	g_free(args->name);
	g_free(args->firmware);
	g_free(args->agent);
	g_strfreev(args->build);
}

const char *image_args_stray(const struct image_args *args, const char *command)
{
	unsigned given = (args->group ? GROUP : 0) | (args->reason ? REASON : 0) |
			 (args->none ? NONE : 0) | (args->no_wait ? NO_WAIT : 0) |
			 (args->canary > 0 ? CANARY : 0) | (args->within > 0 ? WITHIN : 0) |
			 (args->keep ? KEEP : 0) | (args->trust ? TRUST : 0) |
			 (args->dry_run ? DRY_RUN : 0) | (args->offline ? OFFLINE : 0) |
			 (args->yes ? YES : 0) | (args->packages ? PACKAGES : 0) |
			 (args->files ? FILES : 0) | (args->seats ? SEATS : 0) |
			 (args->name ? NAME : 0) | (args->firmware ? FIRMWARE : 0) |
			 (args->agent ? AGENT : 0);

	return command_stray(
		command, table, G_N_ELEMENTS(table), names, G_N_ELEMENTS(names), given);
}

void image_args_cut_build(struct image_args *args, int *argc, char **argv)
{
	const char *word = command_first_word(argv);
	GPtrArray *rest;
	int i = 1;

	if (g_strcmp0(word, "image") != 0)
		return;
	while (argv[i] != word)
		i++;
	/* The help of one's own command first. */
	if (g_strcmp0(argv[i + 1], "build") != 0 || !g_strcmp0(argv[i + 2], "--help") ||
		!g_strcmp0(argv[i + 2], "-h"))
		return;
	rest = g_ptr_array_new();
	for (int k = i + 2; k < *argc; k++)
		g_ptr_array_add(rest, g_strdup(argv[k]));
	g_ptr_array_add(rest, NULL);
	args->build = (char **)g_ptr_array_free(rest, FALSE);
	*argc = i + 2;
	argv[*argc] = NULL;
}
