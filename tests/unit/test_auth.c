/* SPDX-License-Identifier: GPL-2.0-or-later */
/* broker/auth: names, passwords, the file of own users. */
#include "broker/auth/name.h"
#include "broker/auth/password.h"
#include "broker/auth/users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

static void becomes(const char *text, gboolean fold, const char *expected)
{
	const char *why = NULL;
	g_autofree char *name = name_canonical(text, fold, &why);

	if (!expected) {
		if (name || !why)
			fail_msg("%s is taken as %s", text, name);
		return;
	}
	if (!name)
		fail_msg("%s: %s", text, why);
	assert_string_equal(name, expected);
	assert_null(why);
}

static void test_names(void **state)
{
	(void)state;
	becomes("alice", TRUE, "alice");
	becomes("Alice.B_c-9", TRUE, "alice.b_c-9");
	becomes("Alice", FALSE, "Alice");
	becomes("9lives", TRUE, "9lives");
	becomes("\xed\x99\x8d", TRUE, "\xed\x99\x8d");                         /* 홍 */
	becomes("\xe1\x84\x92\xe1\x85\xa9\xe1\x86\xbc", TRUE, "\xed\x99\x8d"); /* its jamo */
	becomes("e\xcc\x81mile", TRUE, "\xc3\xa9mile");                        /* é */
	becomes("12345678901234567890123456789012", TRUE, NULL);               /* digits only */
	becomes("a2345678901234567890123456789012", TRUE, "a2345678901234567890123456789012");
	becomes("a23456789012345678901234567890123", TRUE, NULL);
}

static void test_names_refused(void **state)
{
	static const char *const wrong[] = {"", "-x", ".x", "_x", "x y", "x:y", "x/y", "x\ny",
		"x\x7f", "root", "ROOT", "nobody", "systemd-network", "carrel", "carrel-virtd",
		"42", "\xff\xfe", "\xcc\x81x",                  /* a mark first */
		"x\xe2\x80\x8by",                               /* zero width space */
		"\xe3\x85\xa4", "\xe1\x85\x9f", "\xe1\x85\xa0", /* the Hangul fillers */
		"\xef\xbd\x81lice",                             /* full-width a */
		"x\xe2\x80\xaey",                               /* right-to-left override */
		"x@y", "x\\y", "x+y", "x$"};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
		becomes(wrong[i], TRUE, NULL);
	g_autofree char *longer = g_strnfill(100000, 'x');
	becomes(longer, TRUE, NULL);
}

static void test_full_names(void **state)
{
	g_autofree char *longer = g_strnfill(NAME_BYTES_MAX + 1, 'x');

	(void)state;
	assert_true(name_full_valid(""));
	assert_true(name_full_valid("홍 길동, 3-2"));
	assert_false(name_full_valid("a:b"));
	assert_false(name_full_valid("a\nb"));
	assert_false(name_full_valid("a\xc2\x85"
				     "b"));
	assert_false(name_full_valid("\xff"));
	assert_false(name_full_valid(longer));
}

static void test_password_policy(void **state)
{
	g_autofree char *longer = g_strnfill(PASSWORD_BYTES_MAX + 1, 'x');

	(void)state;
	assert_null(password_check("correct horse", "alice"));
	assert_null(password_check("비밀번호여덟글자", "alice"));
	assert_null(password_check("alice in wonderland", "alice"));
	assert_non_null(password_check("", "alice"));
	assert_non_null(password_check("1234567", "alice"));
	assert_non_null(password_check("비밀번호", "alice"));
	assert_non_null(password_check("xxxxxxxxxx", "alice"));
	assert_non_null(password_check("Alice2026", "alice"));
	assert_non_null(password_check("tab\tinside it", "alice"));
	assert_non_null(password_check("\xff\xff\xff\xff\xff\xff\xff\xfe", "alice"));
	assert_non_null(password_check(longer, "alice"));
}

static void test_password_hash(void **state)
{
	g_autofree char *one = password_hash("correct horse");
	g_autofree char *two = password_hash("correct horse");
	char secret[] = "secret";

	(void)state;
	assert_true(g_str_has_prefix(one, "$y$"));
	assert_string_not_equal(one, two);
	assert_true(password_verify("correct horse", one));
	assert_true(password_verify("correct horse", two));
	assert_false(password_verify("correct hors", one));
	assert_false(password_verify("", one));
	assert_false(password_verify("correct horse", NULL));
	assert_false(password_verify("x", "rubbish"));
	assert_false(password_verify("x", "*0"));
	/* salts and cost have one shape, so that the work for nobody is the work for somebody */
	assert_int_equal(strcspn(one + 3, "$"), strlen("j9T"));
	password_wipe(secret);
	for (size_t i = 0; i < sizeof(secret); i++)
		assert_int_equal(secret[i], 0);
	password_wipe(NULL);
}

static void test_users_parse(void **state)
{
	struct users *users = users_parse("alice:$y$x:20000:A L\n\n\xed\x99\x8d:$y$z:20001:\n");

	(void)state;
	assert_int_equal(users->damaged, 0);
	assert_int_equal(users->list->len, 2);
	const struct user *user = users_find(users, "alice");
	assert_string_equal(user->hash, "$y$x");
	assert_string_equal(user->full_name, "A L");
	assert_int_equal(user->uid, 20000);
	assert_null(users_find(users, "bob"));
	users_free(users);
	users_free(NULL);
}

static void test_users_damaged(void **state)
{
	static const char *const lines[] = {"rubbish", "a:b", "b1:$y$x:0:", "b1:$y$x:-1:",
		"b1:$y$x:20000x:", "b1:$y$x:4294967296:", "Bob:$y$x:20000:", "root:$y$x:20000:",
		"b1::20000:", "b1:$6$x:20000:", "b1:$y$x:20000:a:b", "alice:$y$x:20009:"};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_autofree char *text =
			g_strdup_printf("alice:$y$x:20000:\n%s\nzoe:$y$x:20001:\n", lines[i]);
		struct users *users = users_parse(text);

		if (users->damaged != 2 || users->list->len != 2)
			fail_msg("%s: damaged=%u", lines[i], users->damaged);
		assert_non_null(users_find(users, "zoe"));
		users_free(users);
	}
}

/* A folder of its own for each test. */
static int folder_setup(void **state)
{
	char *folder = g_dir_make_tmp("carrel-users-XXXXXX", NULL);

	*state = folder;
	return folder ? 0 : -1;
}

static int folder_teardown(void **state)
{
	static const char *const names[] = {
		"users", "users.new", "next-uid", "next-uid.new", "lock"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = g_build_filename(*state, names[i], NULL);

		g_remove(path);
	}
	g_rmdir(*state);
	g_free(*state);
	return 0;
}

static guint32 added(const char *folder, const char *name)
{
	g_autoptr(GError) error = NULL;
	guint32 uid = 0;

	if (!users_add(folder, 20000, name, "$y$x", "", &uid, &error))
		fail_msg("%s", error->message);
	return uid;
}

static void put(const char *folder, const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);

	assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void test_users_change(void **state)
{
	const char *folder = *state;
	g_autoptr(GError) error = NULL;
	guint32 uid;

	assert_int_equal(added(folder, "alice"), 20000);
	assert_int_equal(added(folder, "bob"), 20001);
	assert_false(users_add(folder, 20000, "alice", "$y$x", "", &uid, &error));
	assert_true(g_error_matches(error, USERS_ERROR, USERS_ERROR_EXISTS));
	g_clear_error(&error);
	assert_true(users_set_hash(folder, "bob", "$y$new", NULL));
	struct users *users = users_load(folder, NULL);
	assert_string_equal(users_find(users, "bob")->hash, "$y$new");
	assert_string_equal(users_find(users, "alice")->hash, "$y$x");
	users_free(users);
	assert_true(users_del(folder, "bob", NULL));
	assert_false(users_del(folder, "bob", &error));
	assert_true(g_error_matches(error, USERS_ERROR, USERS_ERROR_UNKNOWN));
	g_clear_error(&error);
	assert_false(users_set_hash(folder, "bob", "$y$x", &error));
	assert_true(g_error_matches(error, USERS_ERROR, USERS_ERROR_UNKNOWN));
	assert_int_equal(added(folder, "bob"), 20002);
}

static void test_uids(void **state)
{
	const char *folder = *state;
	g_autoptr(GError) error = NULL;
	guint32 uid;

	/* ids of the list count even when next-uid was lost */
	put(folder, "users", "old:$y$x:25000:\n");
	assert_int_equal(added(folder, "a1"), 25001);
	/* those of short-lived users and nobody are left out */
	put(folder, "next-uid", "60000\n");
	assert_int_equal(added(folder, "a2"), 65536);
	assert_int_equal(added(folder, "a3"), 65537);
	/* a damaged counter is not guessed at */
	put(folder, "next-uid", "many\n");
	assert_false(users_add(folder, 20000, "a4", "$y$x", "", &uid, &error));
	assert_true(g_error_matches(error, USERS_ERROR, USERS_ERROR_DAMAGED));
}

static void test_damaged_file_is_not_rewritten(void **state)
{
	const char *folder = *state;
	static const char text[] = "alice:$y$x:20000:\nrubbish\n";
	g_autofree char *path = g_build_filename(folder, "users", NULL);
	g_autofree char *after = NULL;
	g_autoptr(GError) error = NULL;
	guint32 uid;

	put(folder, "users", text);
	assert_false(users_add(folder, 20000, "bob", "$y$x", "", &uid, &error));
	assert_true(g_error_matches(error, USERS_ERROR, USERS_ERROR_DAMAGED));
	assert_non_null(strstr(error->message, "users:2"));
	assert_false(users_del(folder, "alice", NULL));
	assert_true(g_file_get_contents(path, &after, NULL, NULL));
	assert_string_equal(after, text);
}

static void test_folder_of_others(void **state)
{
	const char *folder = *state;
	g_autoptr(GError) error = NULL;

	assert_int_equal(g_chmod(folder, 0755), 0);
	assert_null(users_load(folder, &error));
	assert_non_null(strstr(error->message, "mode 0700"));
	assert_int_equal(g_chmod(folder, 0700), 0);
	struct users *users = users_load(folder, NULL);
	assert_int_equal(users->list->len, 0);
	users_free(users);
	assert_true(users_folder_make(folder, NULL));
	g_autofree char *deep = g_build_filename(folder, "no", "where", NULL);
	assert_false(users_folder_make(deep, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_names_refused),
		cmocka_unit_test(test_full_names),
		cmocka_unit_test(test_password_policy),
		cmocka_unit_test(test_password_hash),
		cmocka_unit_test(test_users_parse),
		cmocka_unit_test(test_users_damaged),
		cmocka_unit_test_setup_teardown(test_users_change, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(test_uids, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			test_damaged_file_is_not_rewritten, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			test_folder_of_others, folder_setup, folder_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
