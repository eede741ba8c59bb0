/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carrel: what an admin types. */
#include "broker/ctl/command.h"
#include "broker/ctl/image_args.h"
#include "broker/ctl/move_args.h"
#include "broker/ctl/plan_args.h"
#include "broker/ctl/policy.h"
#include "broker/ctl/seat_args.h"
#include "broker/shared/conf.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

/* Help of one command: its usage line. */
static void print_help(const struct command *command)
{
	if (command) {
		printf("Usage: carrel %s%s%s [--config FILE] [--json]\n%s\n", command->words,
			*command->args ? " " : "", command->args, command->help);
		return;
	}
	g_autofree char *list = command_list();
	printf("Usage: carrel COMMAND [ARGUMENT...] [OPTION...]\n\n%s\nOptions:\n"
	       "  --config FILE     instead of " CONF_DEFAULT_FILE "\n"
	       "  --json            JSON for programs instead of tables for people\n"
	       "  --password-stdin  the password is the first line of standard input\n"
	       "  --full-name TEXT  with user add\n"
	       "  --off             with server drain\n"
	       "  --force           with boot key make: another key in the place of the one there "
	       "is\n"
	       "  --min MIB, --max MIB, --seats N, --group NAME, --users FILE, --when TIME,\n"
	       "  --from DATE, --until DATE  with group and reservation; see carrel(1)\n"
	       "  --to SERVER, --size SIZE, --wait [SECONDS], --yes, --log, --repair\n"
	       "                    with session, desktop, server and volume; see carrel(1)\n"
	       "  --room ROOM, --dry-run  with seat\n"
	       "  --seats SEAT,..., --group NAME, --none, --canary N, --within MINUTES,\n"
	       "  --reason TEXT, --no-wait, --packages, --files, --keep N, --dry-run, --offline, "
	       "--yes, --trust PUBKEY\n"
	       "                    with image; see carrel(1)\n"
	       "  --help, --version\n",
		list);
}

static int usage(const char *problem, const char *what)
{
	fprintf(stderr, "carrel: %s%s; see carrel --help\n", problem, what);
	return EXIT_USAGE;
}

static int run(struct context *context, char **words, gboolean help)
{
	int used = 0;
	const struct command *command = command_find(words, &used);

	if (help) {
		print_help(command);
		return EXIT_DONE;
	}
	if (!command) {
		g_autofree char *typed = g_strjoinv(" ", words);

		return *words ? usage("there is no command ", typed)
			      : usage("a command is missing", "");
	}
	const char *stray = plan_args_stray(context->plan, command->words);
	if (!stray)
		stray = move_args_stray(context->move, command->words);
	if (!stray)
		stray = image_args_stray(context->image, command->words);
	if (!stray)
		stray = seat_args_stray(context->seat, command->words);
	if (!stray && context->force && strcmp(command->words, "boot key make") != 0)
		stray = "--force";
	if (stray) {
		g_autofree char *what = g_strdup_printf("%s is no option of ", stray);

		return usage(what, command->words);
	}
	context->args = words + used;
	int count = (int)g_strv_length(context->args);
	if (count < command->least || count > command->most) {
		g_autofree char *form = g_strdup_printf("%s %s", command->words, command->args);

		return usage("use it as: carrel ", g_strchomp(form));
	}
	return command->run(context);
}

int main(int argc, char **argv)
{
	g_autofree char *conf_path = NULL;
	g_autofree char *full_name = NULL;
	g_auto(GStrv) words = NULL;
	gboolean help = FALSE, version = FALSE;
	__attribute__((cleanup(plan_args_clear))) struct plan_args plan = {0};
	__attribute__((cleanup(policy_args_clear))) struct policy_args policy = {0};
	__attribute__((cleanup(move_args_clear))) struct move_args move = {0};
	__attribute__((cleanup(image_args_clear))) struct image_args image = {0};
	__attribute__((cleanup(seat_args_clear))) struct seat_args seat = {0};
	struct context context = {
		.plan = &plan, .policy = &policy, .move = &move, .image = &image, .seat = &seat};
	const GOptionEntry options[] = {
		{"config", 'c', 0, G_OPTION_ARG_FILENAME, &conf_path, NULL, NULL},
		{"json", 0, 0, G_OPTION_ARG_NONE, &context.json, NULL, NULL},
		{"password-stdin", 0, 0, G_OPTION_ARG_NONE, &context.password_stdin, NULL, NULL},
		{"full-name", 0, 0, G_OPTION_ARG_STRING, &full_name, NULL, NULL},
		{"off", 0, 0, G_OPTION_ARG_NONE, &context.off, NULL, NULL},
		{"force", 0, 0, G_OPTION_ARG_NONE, &context.force, NULL, NULL},
		{"help", 'h', 0, G_OPTION_ARG_NONE, &help, NULL, NULL},
		{"version", 0, 0, G_OPTION_ARG_NONE, &version, NULL, NULL},
		{G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &words, NULL, NULL},
		G_OPTION_ENTRY_NULL};
	g_autoptr(GOptionContext) parser = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;
	static char *none[] = {NULL};

	/* Names in other scripts come in, and go out, in the terminal's encoding. */
	setlocale(LC_CTYPE, "C.UTF-8");
	g_option_context_add_main_entries(parser, options, NULL);
	image_args_cut_build(&image, &argc, argv);
	if (plan_args_wanted(argv))
		g_option_context_add_group(parser, plan_args_group(&plan));
	else if (policy_args_wanted(argv))
		g_option_context_add_group(parser, policy_args_group(&policy));
	else if (move_args_wanted(argv))
		g_option_context_add_group(parser, move_args_group(&move));
	else if (image_args_wanted(argv))
		g_option_context_add_group(parser, image_args_group(&image));
	else if (seat_args_wanted(argv))
		g_option_context_add_group(parser, seat_args_group(&seat));
	g_option_context_set_help_enabled(parser, FALSE);
	if (!g_option_context_parse(parser, &argc, &argv, &error))
		return usage(error->message, "");
	if (version) {
		puts("carrel " CARREL_VERSION);
		return EXIT_DONE;
	}
	context.conf_path = conf_path ? conf_path : CONF_DEFAULT_FILE;
	context.full_name = full_name;
	return run(&context, words ? words : none, help);
}
