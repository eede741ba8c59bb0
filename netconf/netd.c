/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * carrel-netd: the only program with CAP_NET_ADMIN, and the only one that touches nftables.
 *
 *   options -> configuration -> socket -> give up privileges -> loop -> teardown
 *
 * It keeps nothing: forwards live in the kernel's table and stay when this process or carreld
 * ends. Each request is checked against carrel.conf (policy.h), which `setup` reads again.
 */
#include "broker/shared/log.h"
#include "broker/shared/msg.h"
#include "broker/shared/serve.h"
#include "netconf/nft.h"
#include "netconf/privilege.h"
#include "netconf/request.h"
#include "netconf/setup.h"

#include <glib-unix.h>
#include <stdio.h>

/* Forwards in one answer: 600 of at most 95 bytes stay below MSG_MAX. */
#define LIST_PAGE 600

struct netd {
	char *config_file;    /* owned */
	struct conf *conf;    /* owned */
	struct policy policy; /* from conf */
	struct nft *nft;      /* owned */
	struct serve *serve;  /* owned */
	GMainLoop *loop;      /* owned */
};

static json_t *fail(json_int_t id, const GError *error)
{
	const char *remedy = "";

	if (g_error_matches(error, NFT_ERROR, NFT_ERROR_MISSING))
		remedy = " (table inet carrel is not there: ask for setup first)";
	log_event(LOG_ERROR, "request-failed", "error", error->message, NULL);
	return msg_fail(id, "nft", "%s%s", error->message, remedy);
}

/*
 * Reads the configuration; with a mistake in it what was read before holds on. That a network is
 * not found out is a failure of the policy alone, which stays as it was: at the start none.
 */
static gboolean netd_load(struct netd *netd, GError **error)
{
	struct conf *conf = conf_load(netd->config_file, error);
	uid_t user;
	gid_t group;

	if (!conf)
		return FALSE;
	conf_free(netd->conf);
	netd->conf = conf;
	if (netd->serve) {
		serve_user(conf_string(conf, CONF_BROKER_USER), &user, &group);
		serve_set_user(netd->serve, user);
	}
	return policy_init(&netd->policy, conf, error);
}

static json_t *do_setup(struct netd *netd, json_int_t id)
{
	g_autoptr(GError) error = NULL;

	if (!netd_load(netd, &error))
		return msg_fail(id, "bad-request", "%s", error->message);
	/* The filter first: forwarding is never on without it. */
	if (!nft_setup(netd->nft, &netd->policy, &error) ||
		!setup_interfaces("/proc/sys/net", &netd->policy, &error))
		return fail(id, error);
	log_event(LOG_INFO, "setup", "client_interface", netd->policy.client_interface,
		"server_interface", netd->policy.server_interface, NULL);
	return msg_ok(id);
}

static json_t *do_forward(struct netd *netd, json_int_t id, const struct request *request)
{
	const struct forward *f = &request->forward;
	gboolean add = request->op == REQUEST_FORWARD_ADD;
	g_autoptr(GError) error = NULL;

	if (!(add ? nft_forward_add(netd->nft, f, &error)
		  : nft_forward_del(netd->nft, f->client, f->port, &error)))
		return fail(id, error);
	log_event(LOG_INFO, add ? "forward-added" : "forward-deleted", "client",
		conf_ipv4(f->client), "port", log_fmt("%u", f->port), "server",
		add ? conf_ipv4(f->server) : NULL, "server_port",
		add ? log_fmt("%u", f->server_port) : NULL, NULL);
	return msg_ok(id);
}

static json_t *do_list(struct netd *netd, json_int_t id, json_int_t offset)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GArray) forwards = nft_forward_list(netd->nft, &error);

	if (!forwards)
		return fail(id, error);
	json_t *list = json_array();
	for (json_int_t i = offset; i < forwards->len && i < offset + LIST_PAGE; i++) {
		const struct forward *f = &g_array_index(forwards, struct forward, i);

		json_array_append_new(
			list, json_pack("{s:s, s:i, s:s, s:i}", "client", conf_ipv4(f->client),
				      "port", f->port, "server", conf_ipv4(f->server),
				      "server_port", f->server_port));
	}
	json_t *answer = msg_ok(id);
	json_object_set_new(answer, "forwards", list);
	json_object_set_new(answer, "total", json_integer(forwards->len));
	return answer;
}

static void netd_request(
	struct serve *serve, guint64 client, json_int_t id, const json_t *json, void *data)
{
	struct netd *netd = data;
	struct request request;
	g_autofree char *message = NULL;
	const char *code = request_parse(&request, json, &netd->policy, &message);
	json_t *answer = NULL;

	if (code) {
		log_event(LOG_WARN, "request-refused", "code", code, "reason", message, NULL);
		serve_reply(serve, client, msg_fail(id, code, "%s", message));
		return;
	}
	switch (request.op) {
	case REQUEST_SETUP:
		answer = do_setup(netd, id);
		break;
	case REQUEST_FORWARD_ADD:
	case REQUEST_FORWARD_DEL:
		answer = do_forward(netd, id, &request);
		break;
	case REQUEST_FORWARD_LIST:
		answer = do_list(netd, id, request.offset);
		break;
	}
	serve_reply(serve, client, answer);
}

/* Socket, libnftables, and then only CAP_NET_ADMIN. */
static gboolean netd_start(struct netd *netd, GError **error)
{
	g_autofree char *path = conf_path(netd->conf, CONF_PATH_RUN, "netd.sock");
	const char *name = conf_string(netd->conf, CONF_BROKER_USER);
	uid_t user;
	gid_t group;

	if (!serve_user(name, &user, &group))
		log_event(LOG_WARN, "no-such-user", "user", name, "effect", "serving root only",
			NULL);
	netd->nft = nft_new();
	if (!netd->nft) {
		g_set_error(error, NFT_ERROR, NFT_ERROR_FAILED, "libnftables cannot be started");
		return FALSE;
	}
	int fd = msg_listen(path, group == (gid_t)-1 ? 0600 : 0660, group, error);
	if (fd < 0)
		return FALSE;
	netd->serve = serve_new(fd, user, netd_request, netd);
	return privilege_drop(error);
}

static gboolean stop(gpointer data)
{
	g_main_loop_quit(data);
	return G_SOURCE_CONTINUE;
}

static gboolean parse_options(struct netd *netd, int argc, char **argv, GError **error)
{
	gboolean version = FALSE;
	const GOptionEntry entries[] = {
		{"config", 'c', 0, G_OPTION_ARG_FILENAME, &netd->config_file,
			"Configuration file [" CONF_DEFAULT_FILE "]", "FILE"},
		{"version", 'V', 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL},
		G_OPTION_ENTRY_NULL};
	g_autoptr(GOptionContext) context = g_option_context_new("- NAT and forwards of Carrel");

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, error))
		return FALSE;
	if (argc > 1) {
		g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
			"%s is not an option; see --help", argv[1]);
		return FALSE;
	}
	if (version) {
		puts("carrel-netd " CARREL_VERSION);
		exit(0);
	}
	if (!netd->config_file)
		netd->config_file = g_strdup(CONF_DEFAULT_FILE);
	return TRUE;
}

int main(int argc, char **argv)
{
	struct netd netd = {0};
	g_autoptr(GError) error = NULL;
	int status = 1;

	log_init("carrel-netd", LOG_INFO);
	if (!parse_options(&netd, argc, argv, &error))
		goto end;
	if (!netd_load(&netd, &error)) {
		if (!netd.conf)
			goto end;
		/* an interface may get its address later: whoever asks for the set-up then has it
		 */
		log_event(LOG_WARN, "networks-not-found", "reason", error->message, NULL);
		g_clear_error(&error);
	}
	if (!netd_start(&netd, &error))
		goto end;
	netd.loop = g_main_loop_new(NULL, FALSE);
	g_unix_signal_add(SIGTERM, stop, netd.loop);
	g_unix_signal_add(SIGINT, stop, netd.loop);
	/* Whoever waits for this may end the process at once: hence after the handlers. */
	log_event(LOG_INFO, "ready", "version", CARREL_VERSION, NULL);
	g_main_loop_run(netd.loop);
	status = 0;
end:
	if (error)
		log_event(LOG_ERROR, "start-failed", "error", error->message, NULL);
	g_clear_pointer(&netd.loop, g_main_loop_unref);
	serve_free(netd.serve);
	nft_free(netd.nft);
	conf_free(netd.conf);
	g_free(netd.config_file);
	return status;
}
