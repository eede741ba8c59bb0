/* SPDX-License-Identifier: GPL-2.0-or-later */
/* broker/shared/conf: the one configuration file. */
#include "broker/shared/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <glib/gstdio.h>
#include <string.h>

static struct conf *parse(const char *text, GPtrArray *problems)
{
	return conf_parse("test.conf", text, strlen(text), NULL, problems);
}

/* The text must be refused with exactly one problem, in `line`, whose sentence holds `words`. */
static void refused_at(int at, const char *text, unsigned line, const char *words)
{
	g_autoptr(GPtrArray) problems = conf_problems_new();
	struct conf *conf = parse(text, problems);
	const struct conf_problem *problem;

	if (conf || problems->len != 1)
		fail_msg("line %d of the test: %u problems with: %s", at, problems->len, text);
	problem = problems->pdata[0];
	if (problem->line != line || !strstr(problem->text, words))
		fail_msg("line %d of the test: got %u: %s", at, problem->line, problem->text);
}
#define refused(text, line, words) refused_at(__LINE__, text, line, words)

static void test_empty_is_all_defaults(void **state)
{
	g_autoptr(GPtrArray) problems = conf_problems_new();
	struct conf *conf = parse("", problems);

	(void)state;
	assert_non_null(conf);
	assert_string_equal(conf_file(conf), "test.conf");
	for (int id = 0; id < CONF_COUNT; id++) {
		assert_string_equal(
			conf_string(conf, (enum conf_id)id), conf_table[id].default_value);
		assert_false(conf_is_set(conf, (enum conf_id)id));
	}
	conf_free(conf);
}

/* Each default, written out in a file, is a valid value. */
static void test_every_default_is_valid(void **state)
{
	(void)state;
	for (int id = 0; id < CONF_COUNT; id++) {
		const struct conf_key *key = &conf_table[id];
		g_autoptr(GPtrArray) problems = conf_problems_new();
		g_autofree char *text = g_strdup_printf(
			"[%s]\n%s = %s\n", key->group, key->key, key->default_value);
		struct conf *conf = parse(text, problems);

		if (!conf)
			fail_msg("%s: %s", text,
				((const struct conf_problem *)problems->pdata[0])->text);
		assert_true(conf_is_set(conf, (enum conf_id)id));
		conf_free(conf);
	}
}

static void test_table_is_sound(void **state)
{
	(void)state;
	for (int a = 0; a < CONF_COUNT; a++) {
		assert_true(strlen(conf_table[a].help) > 10);
		assert_true(
			(conf_table[a].type == CONF_ENUM || conf_table[a].type == CONF_ENUM_TIME) ==
			(conf_table[a].choices != NULL));
		for (int b = 0; b < a; b++)
			assert_false(!strcmp(conf_table[a].group, conf_table[b].group) &&
				     !strcmp(conf_table[a].key, conf_table[b].key));
	}
}

static void test_values(void **state)
{
	g_autoptr(GPtrArray) problems = conf_problems_new();
	struct conf *conf = parse("# comment\r\n\n[site]\nname = 컴퓨터실 3\n"
				  "[network]\nclient_address=192.168.7.1/23  \r\n"
				  "client_range = 192.168.6.10 - 192.168.7.0\n"
				  "[paths]\nrun = /run/here\n[broker]\nport = 8443 \n"
				  "[volume]\nsnapshot_time = 23:59\n",
		problems);
	guint32 address, mask, first, last;

	(void)state;
	assert_non_null(conf);
	assert_string_equal(conf_string(conf, CONF_SITE_NAME), "컴퓨터실 3");
	assert_int_equal(conf_int(conf, CONF_BROKER_PORT), 8443);
	assert_int_equal(conf_int(conf, CONF_VOLUME_SNAPSHOT_TIME), 23 * 60 + 59);
	conf_cidr(conf, CONF_NETWORK_CLIENT_ADDRESS, &address, &mask);
	assert_int_equal(address, 0xc0a80701);
	assert_int_equal(mask, 0xfffffe00);
	conf_range(conf, CONF_NETWORK_CLIENT_RANGE, &first, &last);
	assert_int_equal(first, 0xc0a8060a);
	assert_int_equal(last, 0xc0a80700);
	assert_string_equal(conf_ipv4(first), "192.168.6.10");
	g_autofree char *path = conf_path(conf, CONF_PATH_RUN, "netd.sock");
	assert_string_equal(path, "/run/here/netd.sock");
	conf_free(conf);
}

static void test_unknown_words(void **state)
{
	(void)state;
	refused("[site]\nname = x\n\n[nets]\na = 1\n", 4, "unknown group [nets]");
	refused("[nets]\n", 1, "site, network, broker");
	refused("[site]\nname = x\nnam = y\n", 3, "no key \"nam\"");
	/* a key that another one begins with is not taken for it */
	refused("[network]\nclient_address = 10.77.0.1/24\nclient = y\n", 3, "no key \"client\"");
	/* the same key in another group is another key */
	refused("[volume]\npool = a\n[image]\npool = /b\n", 4, "[image] pool = /b");
	refused("[site]\nname[ko] = x\n", 2, "name[ko]");
}

static void test_syntax(void **state)
{
	(void)state;
	refused("[site]\nname\n", 2, "neither [group], key = value nor # comment");
	refused("[site]\n= x\n", 2, "neither");
	refused("[site]\nname = a\n[broker]\nport = 1\n[site]\nname = b\n", 6, "first in line 2");
	refused("[site]\nname = \xff\n", 0, "UTF-8");
	refused("name = x\n", 0, "");
	refused("[site]\nname = a\\nb\n", 2, "without control characters");
}

static void test_values_out_of_bounds(void **state)
{
	(void)state;
	refused("[broker]\nport = 0\n", 2, "1 to 65535");
	refused("[broker]\nport = 65536\n", 2, "1 to 65535");
	refused("[broker]\nport = 80x\n", 2, "a whole number");
	refused("[broker]\nport =\n", 2, "a whole number");
	refused("[site]\nlanguage = fr\n", 2, "one of en|ko");
	refused("[site]\nlanguage = en|ko\n", 2, "one of en|ko");
	refused("[paths]\nrun = run\n", 2, "an absolute path");
	refused("[network]\nclient_address = 10.77.0.1\n", 2, "prefix");
	refused("[network]\nclient_address = 10.77.0.1/31\n", 2, "prefix");
	refused("[network]\nclient_address = 10.77.0.256/24\n", 2, "prefix");
	refused("[network]\nclient_range = 10.77.0.9-10.77.0.8\n", 2, "from low to high");
	refused("[volume]\nsnapshot_time = 3:00\n", 2, "from 00:00 to 23:59");
	refused("[volume]\nsnapshot_time = 24:00\n", 2, "from 00:00 to 23:59");
	refused("[volume]\nsnapshot_time = 03:60\n", 2, "from 00:00 to 23:59");
	refused("[volume]\nsnapshot_time = 03:000\n", 2, "from 00:00 to 23:59");
	refused("[network]\nclient_interface = eth1\"; drop\n", 2, "the name of an interface");
	refused("[network]\nclient_interface = a234567890123456\n", 2, "15 letters");
	refused("[desktop]\nimage = ../etc\n", 2, "a name of letters");
	refused("[auth]\npam_service = a/b\n", 2, "a name of letters");
	refused("[session]\nhandoff_grace = 601\n", 2, "0 to 600");
	refused("[desktop]\nshrink_timeout = 0\n", 2, "1 to 600");
	refused("[desktop]\nboots = 65\n", 2, "0 to 64");
	refused("[desktop]\nboot_reserve = maybe\n", 2, "one of yes|no");
	refused("[server]\nlost_after = 86401\n", 2, "0 to 86400");
	refused("[server]\nfence = fence-room off\n", 2, "the absolute path of a program");
	refused("[server]\nfence = /bin/fence 'a b\n", 2, "quotes that are closed");
	refused("[server]\nfence = '' /bin/fence\n", 2, "the absolute path of a program");
	refused("[server]\nfence = # /bin/fence\n", 2, "the absolute path of a program");
	refused("[server]\nfence = /bin/fence a\\tb\n", 2, "a command");
}

static void test_a_command(void **state)
{
	g_autoptr(GPtrArray) problems = conf_problems_new();
	struct conf *conf = parse("[server]\n"
				  "fence = /bin/fence --key '/etc/a b' \"$HOME\" *  \n",
		problems);
	static const char *const expected[] = {
		"/bin/fence", "--key", "/etc/a b", "$HOME", "*", NULL};

	(void)state;
	assert_non_null(conf);
	g_auto(GStrv) words = conf_command(conf, CONF_SERVER_FENCE);
	assert_true(g_strv_equal((const char *const *)words, expected));
	conf_free(conf);
	conf = parse("[server]\nfence =\n", problems);
	assert_non_null(conf);
	assert_null(conf_command(conf, CONF_SERVER_FENCE));
	conf_free(conf);
}

#define OWN "client_address = 10.77.0.1/24\n"

static void test_values_that_disagree(void **state)
{
	(void)state;
	/* what the other server gives is not ours to check */
	g_autoptr(GPtrArray) problems = conf_problems_new();
	const char *proxy = "[network]\ndhcp = proxy\nclient_address = 10.9.0.1/24\n";
	struct conf *conf = conf_parse("test", proxy, strlen(proxy), NULL, problems);
	assert_non_null(conf);
	conf_free(conf);
	refused("[network]\ndhcp = other\n", 2, "own");
	refused("[network]\nclient_range = 10.77.1.5-10.77.1.9\n" OWN, 2, "outside the network");
	refused("[network]\nclient_range = 10.77.0.1-10.77.0.9\n" OWN, 2, "own client_address");
	refused("[network]\nserver_network = 10.77.0.128/25\n" OWN, 2, "overlaps the network");
	refused("[network]\nserver_network = 10.0.0.0/8\n" OWN, 2, "overlaps the network");
	refused("[network]\nclient_address = 10.77.0.0/24\n", 2, "one of a host");
	refused("[network]\nserver_interface = eth1\n", 2, "client_interface too");
	refused("[network]\nforward_port = 7440\n", 0, "forwarded to desktops");
	refused("[broker]\nport = 80\n", 0, "[broker] port too");
	refused("[desktop]\nmax_mib = 3000\n", 2, "power of two");
	refused("[desktop]\nmin_mib = 8192\n", 0, "power of two");
	refused("[desktop]\nnetwork = carrel\n", 2, "bridge:NAME");
}

/* The file's [network] on a machine with these interfaces, as one line; the caller frees it. */
static char *found_with(const struct conf_link *links, guint count, const char *network)
{
	static const enum conf_id ids[] = {CONF_NETWORK_CLIENT_ADDRESS, CONF_NETWORK_CLIENT_RANGE,
		CONF_NETWORK_SERVER_INTERFACE, CONF_NETWORK_SERVER_NETWORK};
	g_autoptr(GPtrArray) problems = conf_problems_new();
	g_autoptr(GArray) array = g_array_new(FALSE, FALSE, sizeof(*links));
	g_autofree char *text = g_strconcat("[network]\n", network, NULL);
	GString *line = g_string_new(NULL);

	g_array_append_vals(array, links, count);
	struct conf *conf = conf_parse("test", text, strlen(text), array, problems);
	for (guint i = 0; i < problems->len; i++)
		g_string_append(line, ((const struct conf_problem *)problems->pdata[i])->text);
	for (gsize i = 0; conf && i < G_N_ELEMENTS(ids); i++) {
		g_autoptr(GError) error = NULL;

		if (conf_found(conf, ids[i], &error))
			g_string_append_printf(line, "%s ", conf_string(conf, ids[i]));
		else
			g_string_append_printf(line, "(%s) ", error->message);
	}
	conf_free(conf);
	return g_string_free(line, FALSE);
}

static const struct conf_link LINKS[] = {{"eno1", 0xc0a81402, 0xffffff00, FALSE},
	{"eno1", 0x0a000001, 0xff000000, FALSE}, {"eno2", 0xc0a81e01, 0xffffff00, TRUE},
	{"eno3", 0, 0, FALSE}, {"eno4", 0xc0a82801, 0xfffffff8, FALSE},
	{"eno5", 0xc0a83201, 0xffffffff, FALSE}};

/* Only one key is given; the rest is the machine's. */
static void test_found(void **state)
{
	static const struct {
		guint links;
		const char *network, *words;
	} cases[] = {
		{6, "client_interface = eno1\n",
			"192.168.20.2/24 192.168.20.100-192.168.20.250 eno2 192.168.30.0/24 "},
		{6,
			"client_interface = eno1\nclient_address = auto\nclient_range = auto\n"
			"server_interface = auto\nserver_network = auto\n",
			"192.168.20.2/24 192.168.20.100-192.168.20.250 eno2 192.168.30.0/24 "},
		/* what is given decides about the rest */
		{6, "client_interface = eno1\nclient_address = 10.0.0.1/8\n",
			"10.0.0.1/8 10.100.0.0-10.250.255.255 eno2 192.168.30.0/24 "},
		{6, "client_interface = eno1\nserver_network = 192.168.40.0/24\n",
			"eno4 192.168.40.0/24 "},
		{6, "client_interface = eno1\nserver_interface = eno4\n", "eno4 192.168.40.0/29 "},
		/* without a default route the only other one */
		{3, "client_interface = eno2\n",
			"192.168.30.1/24 192.168.30.100-192.168.30.250 eno1 192.168.20.0/24 "},
		/* the whole of a small network */
		{5, "client_interface = eno4\n", "192.168.40.1/29 192.168.40.3-192.168.40.6 eno2 "},
		/* what there is not */
		{6, "client_interface = eth1\n",
			"client_address could not be found out: this machine has no interface "
			"eth1, it "
			"has: eno1, eno2, eno3, eno4, eno5; name the right one, or write "
			"client_address"},
		{6, "client_interface = eno3\n", "eno3 has no IPv4 address; give it one"},
		{6, "client_interface = eno5\n",
			"192.168.50.1 with a prefix of 32, allowed is 1 to 30"},
		{2, "client_interface = eno1\n", "no interface beside eno1 has an IPv4 address"},
		{6, "client_interface = eno2\n", "could be any of eno1, eno4, eno5"},
		{6, "client_interface = eno1\nserver_network = 172.16.0.0/12\n",
			"no interface beside eno1 has an address in server_network"},
		{6, "client_interface = eno1\nclient_address = 192.168.30.9/24\n",
			"server_network = 192.168.30.0/24 overlaps"},
	};

	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *line = found_with(LINKS, cases[i].links, cases[i].network);

		if (!strstr(line, cases[i].words))
			fail_msg("%s: %s", cases[i].network, line);
	}
}

/* Some address for PCs is left in every network, and never the server's own. */
static void test_found_range(void **state)
{
	static const struct {
		const char *address, *range;
	} cases[] = {{"10.0.0.1/30", "10.0.0.2-10.0.0.2"}, {"10.0.0.2/30", "10.0.0.1-10.0.0.1"},
		{"10.0.0.150/24", "10.0.0.151-10.0.0.250"},
		{"10.0.0.200/24", "10.0.0.100-10.0.0.199"},
		{"128.0.0.1/1", "178.0.0.0-253.127.255.255"}};

	(void)state;
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *text = g_strdup_printf("client_address = %s\n", cases[i].address);
		g_autofree char *line = found_with(LINKS, 0, text);

		if (!strstr(line, cases[i].range))
			fail_msg("%s: %s", text, line);
	}
}

/* This machine's own interfaces: whatever they are, each has a name, and none is the loopback. */
static void test_links_of_this_machine(void **state)
{
	g_autoptr(GArray) links = conf_links_read();

	(void)state;
	assert_non_null(links);
	for (guint i = 0; i < links->len; i++) {
		const struct conf_link *link = &g_array_index(links, struct conf_link, i);

		assert_true(*link->name && strcmp(link->name, "lo") != 0);
		assert_true((link->address == 0) == (link->mask == 0));
	}
}

/* Everything that is wrong is told at once, in the file's order. */
static void test_all_problems(void **state)
{
	g_autoptr(GPtrArray) problems = conf_problems_new();

	(void)state;
	assert_null(parse("[broker]\nport = x\nuser = /\n[none]\n", problems));
	assert_int_equal(problems->len, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(((const struct conf_problem *)problems->pdata[i])->line, i + 2);
}

static void test_load(void **state)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *folder = g_dir_make_tmp("carrel-conf-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(folder, "carrel.conf", NULL);
	struct conf *conf;

	(void)state;
	assert_null(conf_load(path, &error));
	assert_true(g_error_matches(error, CONF_ERROR, CONF_ERROR_FILE));
	assert_non_null(strstr(error->message, path));
	g_clear_error(&error);
	assert_true(g_file_set_contents(path, "[broker]\nport = x\nuser = /\n", -1, NULL));
	assert_null(conf_load(path, &error));
	assert_true(g_error_matches(error, CONF_ERROR, CONF_ERROR_INVALID));
	g_autofree char *two = g_strdup_printf("%s:2: [broker] port", path);
	g_autofree char *three = g_strdup_printf("\n%s:3: [broker] user", path);
	assert_true(g_str_has_prefix(error->message, two));
	assert_non_null(strstr(error->message, three));
	assert_true(g_file_set_contents(path, "[broker]\nport = 8443\n", -1, NULL));
	conf = conf_load(path, NULL);
	assert_non_null(conf);
	conf_free(conf);
	conf_free(NULL);
	g_unlink(path);
	g_rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_is_all_defaults),
		cmocka_unit_test(test_every_default_is_valid),
		cmocka_unit_test(test_table_is_sound),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_unknown_words),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_values_out_of_bounds),
		cmocka_unit_test(test_a_command),
		cmocka_unit_test(test_values_that_disagree),
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_found_range),
		cmocka_unit_test(test_links_of_this_machine),
		cmocka_unit_test(test_all_problems),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
