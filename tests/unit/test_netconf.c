/* SPDX-License-Identifier: GPL-2.0-or-later */
/* netconf: what carrel-netd accepts, and its kernel settings on a made-up tree. */
#include "netconf/policy.h"
#include "netconf/request.h"
#include "netconf/setup.h"
#include "tests/unit/links.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <glib/gstdio.h>
#include <string.h>

static struct policy default_policy(void)
{
	g_autoptr(GPtrArray) problems = conf_problems_new();
	g_autoptr(GArray) links = links_of_boot_server();
	struct conf *conf = conf_parse("test", "", 0, links, problems);
	struct policy policy;

	assert_non_null(conf);
	assert_true(policy_init(&policy, conf, NULL));
	conf_free(conf);
	return policy;
}

static void test_policy(void **state)
{
	struct policy policy = default_policy();

	(void)state;
	assert_string_equal(policy.client_interface, "eth1");
	assert_string_equal(policy.server_interface, "eth0");
	assert_int_equal(policy.address, 0x0a4d0001);
	assert_int_equal(policy.server_network, 0x0a4e0000);
	assert_int_equal(policy.server_mask, 0xffffff00);
	assert_int_equal(policy.port, 5900);
	assert_null(policy_check_key(&policy, 0x0a4d0002, 5907));
	assert_non_null(policy_check_key(&policy, 0x0a4d0002, 5908));
	assert_non_null(policy_check_key(&policy, 0x0a4d0001, 5900));
	assert_non_null(policy_check_key(&policy, 0x0a4d00ff, 5900));
	assert_non_null(policy_check_key(&policy, 0x0a4d0000, 5900));
	assert_non_null(policy_check_key(&policy, 0x0a4e0002, 5900));
}

/* What could not be found out is no network of zeros. */
static void test_policy_of_nothing(void **state)
{
	g_autoptr(GPtrArray) problems = conf_problems_new();
	g_autoptr(GArray) links = g_array_new(FALSE, FALSE, sizeof(struct conf_link));
	g_autoptr(GError) error = NULL;
	struct conf *conf = conf_parse("test", "", 0, links, problems);
	struct policy policy = {.port = 1};

	(void)state;
	assert_false(policy_init(&policy, conf, &error));
	assert_true(g_error_matches(error, CONF_ERROR, CONF_ERROR_NOT_FOUND));
	assert_int_equal(policy.port, 1);
	/* and allows nothing */
	policy = (struct policy){0};
	assert_non_null(
		strstr(policy_check(&policy, &(struct forward){0x0a4d0002, 0x0a4e0002, 5, 5901}),
			"not known yet"));
	conf_free(conf);
}

static const char *parse(struct request *request, const char *text)
{
	struct policy policy = default_policy();
	json_t *json = json_loads(text, 0, NULL);
	g_autofree char *message = NULL;
	const char *code;

	assert_non_null(json);
	code = request_parse(request, json, &policy, &message);
	/* a refusal always has a sentence */
	assert_true((code != NULL) == (message != NULL && *message));
	json_decref(json);
	return code;
}

static void test_requests(void **state)
{
	struct request request;

	(void)state;
	assert_null(parse(&request, "{\"id\":1,\"op\":\"setup\"}"));
	assert_int_equal(request.op, REQUEST_SETUP);
	assert_null(parse(&request,
		"{\"id\":1,\"op\":\"forward-add\",\"client\":\"10.77.0.9\",\"port\":5901,"
		"\"server\":\"10.78.0.3\",\"server_port\":6899}"));
	assert_int_equal(request.op, REQUEST_FORWARD_ADD);
	assert_int_equal(request.forward.client, 0x0a4d0009);
	assert_int_equal(request.forward.port, 5901);
	assert_int_equal(request.forward.server, 0x0a4e0003);
	assert_int_equal(request.forward.server_port, 6899);
	/* what is open may always be closed */
	assert_null(parse(&request,
		"{\"id\":1,\"op\":\"forward-del\",\"client\":\"192.0.2.1\",\"port\":22}"));
	assert_int_equal(request.op, REQUEST_FORWARD_DEL);
	assert_int_equal(request.forward.client, 0xc0000201);
	assert_null(parse(&request, "{\"id\":1,\"op\":\"forward-list\"}"));
	assert_int_equal(request.offset, 0);
	assert_null(parse(&request, "{\"id\":1,\"op\":\"forward-list\",\"offset\":9}"));
	assert_int_equal(request.offset, 9);
}

static void test_bad_requests(void **state)
{
	static const char *const wrong[] = {
		"{\"id\":1}",
		"{\"id\":1,\"op\":7}",
		"{\"id\":1,\"op\":\"flush\"}",
		"{\"op\":\"setup\"}",
		"{\"id\":\"1\",\"op\":\"setup\"}",
		"{\"id\":1,\"op\":\"setup\",\"more\":1}",
		"{\"id\":1,\"op\":\"forward-list\",\"offset\":-1}",
		"{\"id\":1,\"op\":\"forward-del\",\"client\":\"10.77.0.9\"}",
		"{\"id\":1,\"op\":\"forward-del\",\"client\":\"10.77.0\",\"port\":5900}",
		"{\"id\":1,\"op\":\"forward-del\",\"client\":\"10.77.0.9\",\"port\":65536}",
		"{\"id\":1,\"op\":\"forward-del\",\"client\":\"10.77.0.9\",\"port\":5900.0}",
		"{\"id\":1,\"op\":\"forward-add\",\"client\":\"10.77.0.9\",\"port\":5900,"
		"\"server\":\"fd00::1\",\"server_port\":5900}",
	};
	struct request request;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
		assert_string_equal(parse(&request, wrong[i]), "bad-request");
	assert_string_equal(
		parse(&request, "{\"id\":1,\"op\":\"forward-add\",\"client\":\"10.77.0.9\","
				"\"port\":5900,\"server\":\"10.77.0.9\",\"server_port\":5900}"),
		"not-allowed");
}

static const char *const names[] = {"forwarding", "rp_filter", "accept_redirects", "send_redirects",
	"accept_source_route", "accept_ra"};

/* Makes a tree of settings, each "7", and gives the path of one. */
static char *setting(const char *root, const char *family, const char *interface, const char *name)
{
	return g_build_filename(root, family, "conf", interface, name, NULL);
}

static void make_tree(const char *root, const char *family, const char *interface)
{
	g_autofree char *folder = g_build_filename(root, family, "conf", interface, NULL);

	assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = setting(root, family, interface, names[i]);

		assert_true(g_file_set_contents(path, "7", 1, NULL));
	}
}

static void expect_setting(
	const char *root, const char *interface, const char *name, const char *expected)
{
	g_autofree char *path = setting(root, "ipv4", interface, name);
	g_autofree char *text = NULL;

	assert_true(g_file_get_contents(path, &text, NULL, NULL));
	assert_string_equal(text, expected);
}

static void remove_tree(const char *path)
{
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *child = g_build_filename(path, name, NULL);

		remove_tree(child);
	}
	g_remove(path);
}

static void test_setup(void **state)
{
	struct policy policy = default_policy();
	g_autofree char *root = g_dir_make_tmp("carrel-net-XXXXXX", NULL);
	g_autoptr(GError) error = NULL;

	(void)state;
	make_tree(root, "ipv4", "eth1");
	assert_false(setup_interfaces(root, &policy, &error));
	assert_non_null(strstr(error->message, "eth0"));
	assert_non_null(strstr(error->message, "server_interface"));
	make_tree(root, "ipv4", "eth0");
	make_tree(root, "ipv4", "eth2");
	/* without IPv6 in the kernel, and twice */
	assert_true(setup_interfaces(root, &policy, NULL));
	assert_true(setup_interfaces(root, &policy, NULL));
	expect_setting(root, "eth0", "forwarding", "1");
	expect_setting(root, "eth1", "forwarding", "1");
	expect_setting(root, "eth1", "rp_filter", "1");
	expect_setting(root, "eth1", "send_redirects", "0");
	expect_setting(root, "eth0", "rp_filter", "7");
	expect_setting(root, "eth2", "forwarding", "7");
	g_autofree char *gone = setting(root, "ipv4", "eth1", "forwarding");
	g_remove(gone);
	g_clear_error(&error);
	assert_false(setup_interfaces(root, &policy, &error));
	assert_non_null(strstr(error->message, "forwarding"));
	remove_tree(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_policy_of_nothing),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
