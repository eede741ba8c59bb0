/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carrel's tables: commands and columns; and that the manual page has each command. */
#include "broker/ctl/command.h"
#include "broker/ctl/image_args.h"
#include "broker/ctl/move_args.h"
#include "broker/ctl/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_commands_are_found(void **state)
{
	static char *const lines[] = {"session end 5", "session list", "config check",
		"desktop move 7", "session move alice", "server lost hall1", "status"};
	static char *const none[] = {
		"session", "", "end session", "sessions list", "status2", "desktop moves 7"};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_auto(GStrv) words = g_strsplit(lines[i], " ", -1);
		int used = 0;
		const struct command *command = command_find(words, &used);

		assert_non_null(command);
		assert_true(g_str_has_prefix(lines[i], command->words));
		assert_int_equal(used, strchr(lines[i], ' ') ? 2 : 1);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(none); i++) {
		g_auto(GStrv) words = g_strsplit(none[i], " ", -1);
		int used = 0;

		assert_null(command_find(words, &used));
	}
}

static void test_the_table_is_complete(void **state)
{
	g_autofree char *list = command_list();

	(void)state;
	for (size_t i = 0; i < commands_count; i++) {
		assert_non_null(commands[i].run);
		assert_true(commands[i].least <= commands[i].most);
		assert_true(g_str_has_suffix(commands[i].help, "."));
		assert_non_null(strstr(list, commands[i].words));
	}
}

/* The manual page names a command as ".It Cm session end". */
static void test_the_manual_has_each_command(void **state)
{
	g_autofree char *page = NULL;

	(void)state;
	assert_true(g_file_get_contents("broker/man/carrel.1", &page, NULL, NULL));
	for (size_t i = 0; i < commands_count; i++) {
		g_autofree char *line = g_strdup_printf(".It Cm %s", commands[i].words);
		const char *at = strstr(page, line);

		if (!at || g_ascii_isalnum(at[strlen(line)]))
			fail_msg("broker/man/carrel.1 lacks \"%s\"", line);
	}
}

/* Parses a line as the command does; `words` gets what is no option, the caller frees it. */
static gboolean move_line(const char *line, struct move_args *args, char ***words, GError **error)
{
	const GOptionEntry rest[] = {
		{G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, words, NULL, NULL},
		G_OPTION_ENTRY_NULL};
	g_autoptr(GOptionContext) parser = g_option_context_new(NULL);
	g_auto(GStrv) argv = g_strsplit(line, " ", -1);

	assert_true(move_args_wanted(argv));
	g_option_context_add_main_entries(parser, rest, NULL);
	g_option_context_add_group(parser, move_args_group(args));
	return g_option_context_parse_strv(parser, &argv, error);
}

static void test_options_of_moves(void **state)
{
	static const struct {
		const char *line, *command, *stray;
		const char *to, *size;
		guint wait_s;
	} lines[] = {
		{"carrel session move alice --to two --size 1GiB --wait", "session move", NULL,
			"two", "1GiB", WAIT_DEFAULT_S},
		{"carrel session move --wait 60 alice", "session move", NULL, NULL, NULL, 60},
		{"carrel server drain one --wait=5", "server drain", NULL, NULL, NULL, 5},
		{"carrel server drain one --wait --yes", "server drain", "--yes", NULL, NULL,
			WAIT_DEFAULT_S},
		{"carrel desktop resize 7 1024 --size 2048", "desktop resize", "--size", NULL,
			"2048", 0},
		{"carrel session end alice --to two", "session end", "--to", "two", NULL, 0},
		{"carrel server lost one --yes", "server lost", NULL, NULL, NULL, 0},
		{"carrel volume grow alice --size 20G", "volume grow", NULL, NULL, "20G", 0},
		{"carrel volume show alice --log", "volume show", NULL, NULL, NULL, 0},
		{"carrel volume check alice --log", "volume check", "--log", NULL, NULL, 0},
		{"carrel volume snapshot alice --repair", "volume snapshot", "--repair", NULL, NULL,
			0},
		{"carrel volume export alice --yes", "volume export", "--yes", NULL, NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		struct move_args args = {0};
		g_auto(GStrv) words = NULL;

		assert_true(move_line(lines[i].line, &args, &words, NULL));
		assert_true(g_strv_length(words) >= 3);
		assert_int_equal(g_strcmp0(args.to, lines[i].to), 0);
		assert_int_equal(g_strcmp0(args.size, lines[i].size), 0);
		assert_int_equal(args.wait, lines[i].wait_s != 0);
		assert_int_equal(args.wait_s, lines[i].wait_s);
		assert_int_equal(
			g_strcmp0(move_args_stray(&args, lines[i].command), lines[i].stray), 0);
		move_args_clear(&args);
	}
}

static void test_seconds_of_a_wait(void **state)
{
	static const char *const lines[] = {"carrel server drain --wait one",
		"carrel server drain one --wait 0", "carrel server drain one --wait=604801",
		"carrel session move alice --wait=1s", "carrel session move alice --wait="};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		struct move_args args = {0};
		g_auto(GStrv) words = NULL;
		g_autoptr(GError) error = NULL;

		assert_false(move_line(lines[i], &args, &words, &error));
		assert_non_null(strstr(error->message, "--wait"));
		assert_false(args.wait);
		move_args_clear(&args);
	}
}

static void test_other_commands_have_no_such_options(void **state)
{
	static char *lines[][4] = {{"carrel", "user", "list"}, {"carrel", "--json", "plan"},
		{"carrel", "--config", "session"}, {"carrel"}};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++)
		assert_false(move_args_wanted(lines[i]));
}

static void test_options_of_images(void **state)
{
	static const struct {
		const char *line, *command, *stray;
	} lines[] = {
		{"carrel image gc --keep 2 --dry-run --offline --yes", "image gc", NULL},
		{"carrel image list --keep 0", "image list", "--keep"},
		{"carrel image pin a --reason exam", "image pin", NULL},
		{"carrel image unpin a --reason exam", "image unpin", "--reason"},
		{"carrel image diff a b --files --packages", "image diff", NULL},
		{"carrel image import x --trust k", "image import", NULL},
		{"carrel image export a x --trust k", "image export", "--trust"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		struct image_args args = {0};
		g_autoptr(GOptionContext) parser = g_option_context_new(NULL);
		g_auto(GStrv) argv = g_strsplit(lines[i].line, " ", -1);

		assert_true(image_args_wanted(argv));
		g_option_context_add_group(parser, image_args_group(&args));
		assert_true(g_option_context_parse_strv(parser, &argv, NULL));
		assert_int_equal(
			g_strcmp0(image_args_stray(&args, lines[i].command), lines[i].stray), 0);
		image_args_clear(&args);
	}
}

/* What follows "image build" is the builder's, except a first word that asks for help. */
static void test_words_of_the_builder(void **state)
{
	static const struct {
		const char *line, *left, *build;
	} lines[] = {
		{"carrel -c x image build lab --set a=b -h", "carrel -c x image build",
			"lab --set a=b -h"},
		{"carrel image build", "carrel image build", ""},
		{"carrel image build --help", "carrel image build --help", NULL},
		{"carrel image list build", "carrel image list build", NULL},
		{"carrel user add image build", "carrel user add image build", NULL},
		{"carrel image", "carrel image", NULL},
		{"carrel", "carrel", NULL},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		struct image_args args = {0};
		g_auto(GStrv) words = g_strsplit(lines[i].line, " ", -1);
		int argc = (int)g_strv_length(words);
		g_autofree char **argv = g_memdup2(words, ((gsize)argc + 1) * sizeof(char *));

		image_args_cut_build(&args, &argc, argv);
		g_autofree char *left = g_strjoinv(" ", argv);
		g_autofree char *build = args.build ? g_strjoinv(" ", args.build) : NULL;
		assert_string_equal(left, lines[i].left);
		assert_int_equal(g_strv_length(argv), argc);
		assert_int_equal(g_strcmp0(build, lines[i].build), 0);
		image_args_clear(&args);
	}
}

static void test_columns_line_up_with_wide_letters(void **state)
{
	static const char *const headers[] = {"USER", ">UID", "NOTE", NULL};
	struct table *table = table_new(headers);
	static const char *const cells[] = {
		"alice", "7", "x", "김철수", "20001", "", "a\tb\x1b", "1", "e\xcc\x81"};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cells); i++)
		table_cell(table, cells[i]);
	g_autofree char *text = table_text(table);
	assert_string_equal(text, "USER      UID  NOTE\n"
				  "alice       7  x\n"
				  "김철수  20001\n"
				  "a?b?        1  e\xcc\x81\n");
	table_free(table);
}

static void test_widths(void **state)
{
	(void)state;
	assert_int_equal(table_width(""), 0);
	assert_int_equal(table_width("abc"), 3);
	assert_int_equal(table_width("한글"), 4);
	assert_int_equal(table_width("e\xcc\x81"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands_are_found),
		cmocka_unit_test(test_the_table_is_complete),
		cmocka_unit_test(test_the_manual_has_each_command),
		cmocka_unit_test(test_options_of_moves),
		cmocka_unit_test(test_seconds_of_a_wait),
		cmocka_unit_test(test_other_commands_have_no_such_options),
		cmocka_unit_test(test_options_of_images),
		cmocka_unit_test(test_words_of_the_builder),
		cmocka_unit_test(test_columns_line_up_with_wide_letters),
		cmocka_unit_test(test_widths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
