/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/agent/agent_user.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static char text[256], home[80];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/carrel-test-user-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command) ? -1 : 0;
}

static const char *in(const char *name)
{
	static char path[4][192];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(*path), "%s/%s", dir, name);
	return p;
}

static void put(const char *name, const char *contents)
{
	FILE *file = fopen(in(name), "w");

	assert_non_null(file);
	fputs(contents, file);
	fclose(file);
}

static const char *get(const char *name)
{
	static char contents[1024];
	FILE *file = fopen(in(name), "r");

	assert_non_null(file);
	contents[fread(contents, 1, sizeof(contents) - 1, file)] = '\0';
	fclose(file);
	return contents;
}

static struct agent_user user(const char *name, uid_t uid, gid_t gid)
{
	return (struct agent_user){name, "Full Name", "/home/x", uid, gid};
}

static void test_entries(void **state)
{
	struct agent_user u = user("홍길동", 20001, 20002);

	(void)state;
	put("passwd", "root:x:0:0:root:/root:/bin/bash\n");
	put("group", "root:x:0:\nusers:x:100:\n");
	put("shadow", "root:!:19000::::::\n");
	assert_true(agent_user_add(dir, &u, text, sizeof(text)));
	assert_non_null(
		strstr(get("passwd"), "\n홍길동:x:20001:20002:Full Name:/home/x:/bin/bash\n"));
	assert_non_null(strstr(get("group"), "\n홍길동:x:20002:\n"));
	assert_non_null(strstr(get("shadow"), "\n홍길동:!:19000"));
	/* again: nothing changes */
	assert_true(agent_user_add(dir, &u, text, sizeof(text)));
	assert_null(strstr(strstr(get("passwd"), "홍길동") + 1, "홍길동"));
	/* a group of the site is taken as it is */
	u = user("bob", 20003, 100);
	assert_true(agent_user_add(dir, &u, text, sizeof(text)));
	assert_null(strstr(get("group"), "bob"));
}

static void test_conflicts(void **state)
{
	struct agent_user u = user("daemon", 20001, 20001);

	(void)state;
	put("passwd", "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/bin/sh\nsys:x:20009:1::/:/"
		      "bin/sh\n");
	put("group", "");
	put("shadow", "");
	assert_false(agent_user_add(dir, &u, text, sizeof(text)));
	assert_non_null(strstr(text, "daemon"));
	u = user("carol", 20009, 20009);
	assert_false(agent_user_add(dir, &u, text, sizeof(text)));
	assert_string_equal(get("group"), "");
	assert_null(strstr(get("passwd"), "carol"));
	u = user("carol", 20010, 20010);
	assert_false(agent_user_add("/nonexistent", &u, text, sizeof(text)));
}

static void make_skel(void)
{
	assert_int_equal(mkdir(in("skel"), 0755), 0);
	assert_int_equal(mkdir(in("skel/.config"), 0755), 0);
	put("skel/.bashrc", "bashrc");
	put("skel/.config/deep", "deep");
	assert_int_equal(symlink("/etc/shadow", in("skel/link")), 0);
	assert_int_equal(mkdir(in("home"), 0755), 0);
	assert_int_equal(mkdir(in("home/lost+found"), 0700), 0);
}

static void test_first_home(void **state)
{
	struct agent_user u = user("bob", getuid(), getgid());
	struct stat st;

	(void)state;
	make_skel();
	snprintf(home, sizeof(home), "%s/home", dir);
	u.home = home;
	assert_true(agent_user_home(in("skel"), &u, text, sizeof(text)));
	assert_string_equal(get("home/.bashrc"), "bashrc");
	assert_string_equal(get("home/.config/deep"), "deep");
	assert_int_equal(lstat(in("home/link"), &st), -1);
	/* later: what the user removed or changed stays so */
	put("home/.bashrc", "mine");
	assert_int_equal(unlink(in("home/.config/deep")), 0);
	assert_true(agent_user_home(in("skel"), &u, text, sizeof(text)));
	assert_string_equal(get("home/.bashrc"), "mine");
	assert_int_equal(lstat(in("home/.config/deep"), &st), -1);
}

static void test_new_volume_is_given(void **state)
{
	struct agent_user u = user("bob", 20001, 20002);
	struct stat st;

	(void)state;
	if (getuid() != 0)
		skip();
	make_skel();
	snprintf(home, sizeof(home), "%s/home", dir);
	u.home = home;
	assert_true(agent_user_home(in("skel"), &u, text, sizeof(text)));
	assert_int_equal(stat(u.home, &st), 0);
	assert_int_equal(st.st_uid, 20001);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(in("home/.config/deep"), &st), 0);
	assert_int_equal(st.st_uid, 20001);
	assert_int_equal(st.st_gid, 20002);
}

static void test_foreign_home(void **state)
{
	struct agent_user u = user("bob", 20001, 20001);
	struct stat st;

	(void)state;
	if (getuid() != 0)
		skip();
	make_skel();
	snprintf(home, sizeof(home), "%s/home", dir);
	u.home = home;
	assert_int_equal(chown(u.home, 20005, 20005), 0);
	assert_false(agent_user_home(in("skel"), &u, text, sizeof(text)));
	assert_non_null(strstr(text, "20005"));
	assert_int_equal(lstat(in("home/.bashrc"), &st), -1);
	/* root's, but somebody has put files there: not a new volume */
	assert_int_equal(chown(u.home, 0, 0), 0);
	put("home/data", "x");
	assert_false(agent_user_home(in("skel"), &u, text, sizeof(text)));
	assert_int_equal(stat(u.home, &st), 0);
	assert_int_equal(st.st_uid, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_entries, setup, teardown),
		cmocka_unit_test_setup_teardown(test_conflicts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_home, setup, teardown),
		cmocka_unit_test_setup_teardown(test_new_volume_is_given, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_home, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
