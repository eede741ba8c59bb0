/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A log that is written, cut, replaced and spoilt while it is followed. */
#include "broker/daemon/tail.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include <cmocka.h>

static char *folder, *path;
static GPtrArray *lines;
static struct tail *tail;

static void take(const char *line, gpointer data)
{
	assert_ptr_equal(data, &lines);
	g_ptr_array_add(lines, g_strdup(line));
}

static void put(const char *name, int flags, const char *text)
{
	int fd = g_open(name, O_WRONLY | O_CREAT | flags, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void follow(void)
{
	tail = tail_new(path, take, &lines, NULL);
	assert_non_null(tail);
}

/* Runs the loop until that many lines have come in all; the last one is `last`. */
static void expect(guint count, const char *last)
{
	while (lines->len < count)
		g_main_context_iteration(NULL, TRUE);
	while (g_main_context_iteration(NULL, FALSE))
		;
	assert_int_equal(lines->len, count);
	assert_string_equal(lines->pdata[count - 1], last);
}

static int begin(void **state)
{
	(void)state;
	folder = g_dir_make_tmp("carrel-tail-XXXXXX", NULL);
	path = g_build_filename(folder, "log", NULL);
	lines = g_ptr_array_new_with_free_func(g_free);
	return 0;
}

static int end(void **state)
{
	g_autofree char *old = g_strconcat(path, ".1", NULL);
	(void)state;
	tail_free(tail);
	g_ptr_array_unref(lines);
	g_unlink(old);
	g_unlink(path);
	g_rmdir(folder);
	g_free(path);
	g_free(folder);
	return 0;
}

static void test_new_lines_alone(void **state)
{
	(void)state;
	put(path, 0, "old\nold too\n");
	follow();
	put(path, O_APPEND, "one\ntw");
	expect(1, "one");
	put(path, O_APPEND, "o\n\nfour\n");
	expect(4, "four");
	assert_string_equal(lines->pdata[1], "two");
	assert_string_equal(lines->pdata[2], "");
}

static void test_a_file_that_comes_later(void **state)
{
	(void)state;
	follow();
	put(path, 0, "first\n");
	expect(1, "first");
}

static void test_rotation(void **state)
{
	g_autofree char *old = g_strconcat(path, ".1", NULL);
	(void)state;
	put(path, 0, "");
	follow();
	put(path, O_APPEND, "before\n");
	expect(1, "before");
	assert_int_equal(g_rename(path, old), 0);
	put(old, O_APPEND, "late\n"); /* by a program that has not opened the new one yet */
	put(path, 0, "after\n");
	expect(3, "after");
	assert_string_equal(lines->pdata[1], "late");
	put(path, O_TRUNC, "cut\n"); /* shorter than what was read */
	expect(4, "cut");
}

static void test_lines_that_are_none(void **state)
{
	(void)state;
	follow();
	g_autofree char *longest = g_strnfill(TAIL_LINE_MAX, 'x');
	g_autofree char *text = g_strdup_printf(
		"%sx\n%s\n%s%s%s\nend\n", longest, longest, longest, longest, longest);
	put(path, 0, text);
	expect(2, "end");
	assert_int_equal(strlen(lines->pdata[0]), TAIL_LINE_MAX);
	int fd = g_open(path, O_WRONLY | O_APPEND, 0);
	assert_int_equal(write(fd, "a\0b\nc\n", 6), 6);
	close(fd);
	expect(3, "c");
}

/* It is said once, and does not keep the file that may be opened later from being read. */
static void test_a_file_that_cannot_be_opened(void **state)
{
	g_autofree char *fresh = g_strconcat(path, ".1", NULL);
	(void)state;
	assert_int_equal(symlink(path, path), 0);
	follow();
	put(fresh, 0, "one\n");
	assert_int_equal(g_rename(fresh, path), 0);
	expect(1, "one");
}

static void test_no_folder(void **state)
{
	g_autoptr(GError) error = NULL;
	(void)state;
	assert_null(tail_new("/nonexistent/folder/log", take, &lines, &error));
	assert_non_null(strstr(error->message, "/nonexistent/folder"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_new_lines_alone, begin, end),
		cmocka_unit_test_setup_teardown(test_a_file_that_comes_later, begin, end),
		cmocka_unit_test_setup_teardown(test_a_file_that_cannot_be_opened, begin, end),
		cmocka_unit_test_setup_teardown(test_rotation, begin, end),
		cmocka_unit_test_setup_teardown(test_lines_that_are_none, begin, end),
		cmocka_unit_test(test_no_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
