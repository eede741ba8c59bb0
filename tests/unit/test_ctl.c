/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carrel's tables: commands and columns; and that the manual page has each command. */
#include "broker/ctl/command.h"
#include "broker/ctl/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_commands_are_found(void **state)
{
	static char *const lines[] = {"session end 5", "session list", "config check", "status"};
	static char *const none[] = {"session", "", "end session", "sessions list", "status2"};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_auto(GStrv) words = g_strsplit(lines[i], " ", -1);
		int used = 0;
		const struct command *command = command_find(words, &used);

		assert_non_null(command);
		assert_true(g_str_has_prefix(lines[i], command->words));
		assert_int_equal(used, i == 3 ? 1 : 2);
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
		cmocka_unit_test(test_columns_line_up_with_wide_letters),
		cmocka_unit_test(test_widths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
