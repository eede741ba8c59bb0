/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What carrel plan and carrel simulate read: sizes, lists of servers, lines of a trace. */
#include "broker/ctl/plan_args.h"
#include "broker/ctl/simulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint32_t mib;
	} good[] = {{"1", 1}, {"4096", 4096}, {"4GiB", 4096}, {"4g", 4096}, {"512MiB", 512},
		{"512m", 512}, {"4294967295", UINT32_MAX}, {"0004", 4}, {"4194303G", 4294966272}};
	static const char *const bad[] = {"", "0", "0G", "-1", "+1", "1.5G", "4096 ", " 1", "x",
		"4T", "4294967296", "4194304G", "99999999999999999999999999", "4GiBB", "1e3",
		"18446744073709551617"};
	uint32_t mib;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
		assert_true(plan_size(good[i].text, "--max", &mib, NULL));
		assert_int_equal(mib, good[i].mib);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;
		assert_false(plan_size(bad[i], "--max", &mib, &error));
		assert_true(g_str_has_prefix(error->message, "--max: "));
	}
}

static void test_lists_of_servers(void **state)
{
	static const char *const bad[] = {"", ",", "4096,", ",4096", "4096,,4096", "4096;4096",
		"0x4096", "1000001x1", "1000000x1,1", "x4096", "2x", "2x0", "2x-1", "=4096",
		"a=", "a=0", "7=4096", "a=1,a=2", "a b=1", "-4096", "4294967296", "a=2x4"};
	g_autoptr(GArray) list = plan_servers("4096, 2x1GiB,hall1=64G,3", NULL);
	g_autoptr(GArray) many = plan_servers("1000000x1", NULL);

	(void)state;
	assert_non_null(list);
	assert_int_equal(list->len, 5);
	assert_int_equal(g_array_index(list, struct plan_server, 1).memory_mib, 1024);
	assert_int_equal(g_array_index(list, struct plan_server, 2).memory_mib, 1024);
	assert_string_equal(g_array_index(list, struct plan_server, 3).name, "hall1");
	assert_int_equal(g_array_index(list, struct plan_server, 3).memory_mib, 65536);
	assert_null(g_array_index(list, struct plan_server, 4).name);
	assert_int_equal(many->len, 1000000);
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;
		if (plan_servers(bad[i], &error))
			fail_msg("\"%s\" was taken", bad[i]);
		assert_true(g_str_has_prefix(error->message, "--servers: "));
	}
}

static void test_sites(void **state)
{
	static const struct {
		const char *max, *min, *standby, *reserve, *overhead, *says;
	} bad[] = {
		{NULL, "512", NULL, NULL, NULL, "--max is missing"},
		{"4096", NULL, NULL, NULL, NULL, "--min is missing"},
		{"4096", "0", NULL, NULL, NULL, "--min: 0 is too small"},
		{"4096", "500", NULL, NULL, NULL, "not --min 500 times a power of two"},
		{"512", "4096", NULL, NULL, NULL, "times a power of two"},
		{"3000", "1000", NULL, NULL, NULL, "times a power of two"},
		{"4096", "512", "-1", NULL, NULL, "--standby: \"-1\""},
		{"4096", "512", "1.5", NULL, NULL, "--standby: \"1.5\""},
		{"4096", "512", NULL, "-1", NULL, "--host-reserve: "},
		{"4096", "512", NULL, NULL, "x", "--overhead: "},
		{"4096", "512", NULL, NULL, "4294967295", "are too many"},
	};
	struct plan_args args = {.servers = (char *)"4096,8192"};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;
		args.max = (char *)bad[i].max;
		args.min = (char *)bad[i].min;
		args.standby = (char *)bad[i].standby;
		args.host_reserve = (char *)bad[i].reserve;
		args.overhead = (char *)bad[i].overhead;
		assert_null(plan_site_new(&args, &error));
		if (!strstr(error->message, bad[i].says))
			fail_msg("\"%s\" lacks \"%s\"", error->message, bad[i].says);
	}
	args = (struct plan_args){.servers = (char *)"a=4096,8192",
		.max = (char *)"4GiB",
		.min = (char *)"512",
		.host_reserve = (char *)"0",
		.overhead = (char *)"128"};
	struct plan_site *site = plan_site_new(&args, NULL);
	size_t index;
	assert_int_equal(site->tiers.unit_mib, 640);
	assert_true(plan_site_find(site, "a", &index, NULL) && index == 0);
	assert_true(plan_site_find(site, "1", &index, NULL) && index == 1);
	assert_false(plan_site_find(site, "2", &index, NULL));
	assert_false(plan_site_find(site, "b", &index, NULL));
	assert_false(plan_site_find(site, "-1", &index, NULL));
	plan_site_free(site);
}

static void test_options_belong_to_their_command(void **state)
{
	struct plan_args args = {.trace = (char *)"t"};

	(void)state;
	assert_null(plan_args_stray(&args, "simulate"));
	assert_string_equal(plan_args_stray(&args, "plan"), "--trace");
	assert_string_equal(plan_args_stray(&args, "status"), "--trace");
	args = (struct plan_args){.live = TRUE};
	assert_null(plan_args_stray(&args, "plan"));
	assert_string_equal(plan_args_stray(&args, "simulate"), "--live");
	args = (struct plan_args){0};
	assert_null(plan_args_stray(&args, "status"));
}

static void test_only_plan_and_simulate_have_them(void **state)
{
	static const struct {
		const char *line;
		gboolean wanted;
	} lines[] = {{"carrel plan --max 1", TRUE}, {"carrel --json simulate", TRUE},
		{"carrel -c plan status", FALSE}, {"carrel --config x plan", TRUE},
		{"carrel --config=x plan", TRUE}, {"carrel group add plan --min 5", FALSE},
		{"carrel", FALSE}, {"carrel --config", FALSE}};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_auto(GStrv) argv = g_strsplit(lines[i].line, " ", -1);
		assert_int_equal(plan_args_wanted(argv), lines[i].wanted);
	}
}

static void test_trace_lines(void **state)
{
	static const struct {
		const char *line;
		enum trace_kind kind;
		const char *name;
	} good[] = {{"+ bob\n", TRACE_ARRIVES, "bob"}, {"- bob", TRACE_LEAVES, "bob"},
		{"! 0\r\n", TRACE_LOST, "0"}, {"* 007", TRACE_RETURNS, "7"},
		{"", TRACE_NOTHING, ""}, {"\n", TRACE_NOTHING, ""}, {"# + bob", TRACE_NOTHING, ""},
		{"#", TRACE_NOTHING, ""}, {" \t+\t김철수  # new", TRACE_ARRIVES, "김철수"},
		{"+ a#b", TRACE_ARRIVES, "a#b"}};
	static const char *const bad[] = {"bob", "+", "+bob", "+ a b", "++ a", "? a", "! x", "! -1",
		"!", "! 0 1", "* 1.5", "! 99999999999999999999", "+ \xff", "+ a\x01", "- # bob"};
	struct trace_event event;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
		if (!trace_parse(good[i].line, strlen(good[i].line), &event, NULL))
			fail_msg("\"%s\" was not taken", good[i].line);
		assert_int_equal(event.kind, good[i].kind);
		assert_string_equal(event.name, good[i].name);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;
		if (trace_parse(bad[i], strlen(bad[i]), &event, &error))
			fail_msg("\"%s\" was taken", bad[i]);
		assert_true(g_error_matches(error, PLAN_ERROR, PLAN_ERROR_USAGE));
	}
	assert_false(trace_parse("+ a\0b", 5, &event, NULL));
	g_autofree char *longest = g_strnfill(97, 'a');
	longest[0] = '+';
	longest[1] = ' ';
	assert_true(trace_parse(longest, 97, &event, NULL));
	g_autofree char *too_long = g_strconcat(longest, "a", NULL);
	assert_false(trace_parse(too_long, 98, &event, NULL));
}

/* What is printed before a mistake, and what is said of it. */
static void check_mistake(const char *trace, size_t lines, const char *says)
{
	struct plan_args args = {
		.servers = (char *)"1024,1024", .max = (char *)"1024", .min = (char *)"512"};
	struct plan_site *site = plan_site_new(&args, NULL);
	g_autoptr(GError) error = NULL;
	char *printed = NULL;
	size_t size = 0, count = 0;
	FILE *in = fmemopen((void *)trace, strlen(trace), "r");
	FILE *out = open_memstream(&printed, &size);

	assert_false(simulate_trace(site, in, "t", out, TRUE, &error));
	fclose(in);
	fclose(out);
	for (const char *p = printed; (p = strchr(p, '\n')); p++)
		count++;
	assert_int_equal(count, lines);
	assert_string_equal(error->message, says);
	free(printed);
	plan_site_free(site);
}

static void test_mistakes_name_their_line(void **state)
{
	(void)state;
	check_mistake("+ a\n\n# x\n+ a\n- a\n", 1, "t:4: a is connected already");
	check_mistake("- a\n", 0, "t:1: a is not connected, so cannot leave");
	check_mistake("+ a\n! 2\n", 1, "t:2: there is no server 2: indexes go from 0 to 1");
	check_mistake("! 0\n! 0\n", 1, "t:2: server 0 is lost already");
	check_mistake("* 1\n", 0, "t:1: server 1 is not lost, so cannot return");
	/* Who was refused is not there. */
	check_mistake("! 0\n! 1\n+ a\n- a\n", 3, "t:4: a is not connected, so cannot leave");
	check_mistake("+ a\n! 0\n! 1\n- a\n", 3, "t:4: a is not connected, so cannot leave");
	check_mistake("+ a\nhello", 1,
		"t:2: write \"+ NAME\", \"- NAME\", \"! INDEX\", \"* INDEX\" or \"# comment\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_lists_of_servers),
		cmocka_unit_test(test_sites),
		cmocka_unit_test(test_options_belong_to_their_command),
		cmocka_unit_test(test_only_plan_and_simulate_have_them),
		cmocka_unit_test(test_trace_lines),
		cmocka_unit_test(test_mistakes_name_their_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
