/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * carrel-virtd: the worker of one virtualization server, a child of carreld. See worker.h for its
 * threads and docs/protocols.md for what it is asked.
 */
#include "broker/virt/worker.h"
#include "broker/shared/log.h"
#include "broker/shared/msg.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* libvirt's keepalive does not cover virConnectOpen; a server that hangs in the middle of it would
 * hold a lane for ever. carreld starts another worker. */
#define CONNECT_MS 45000

struct options {
	int fd;
	char *name, *uri, *config; /* owned */
	gboolean version;
};

static gboolean options_parse(struct options *options, int *argc, char ***argv, GError **error)
{
	const GOptionEntry entries[] = {
		{"fd", 0, 0, G_OPTION_ARG_INT, &options->fd, "Socket to carreld", "N"},
		{"name", 0, 0, G_OPTION_ARG_STRING, &options->name, "Name of the server", "NAME"},
		{"uri", 0, 0, G_OPTION_ARG_STRING, &options->uri, "libvirt URI of the server",
			"URI"},
		{"config", 0, 0, G_OPTION_ARG_FILENAME, &options->config, "Configuration file",
			"FILE"},
		{"version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version", NULL},
		{NULL}};
	GOptionContext *context = g_option_context_new("- worker of one virtualization server");
	gboolean good;

	g_option_context_add_main_entries(context, entries, NULL);
	good = g_option_context_parse(context, argc, argv, error);
	g_option_context_free(context);
	if (good && !options->version && (options->fd < 0 || !options->name || !options->uri)) {
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_BAD_REQUEST,
			"--fd, --name and --uri are needed; carreld gives them");
		good = FALSE;
	}
	return good;
}

static void options_clear(struct options *options)
{
	g_free(options->name);
	g_free(options->uri);
	g_free(options->config);
}

/* Only carreld's own user, or root, may have made the socket. */
static gboolean peer_check(int fd, GError **error)
{
	uid_t peer = msg_peer_uid(fd);

	if (peer == 0 || peer == getuid())
		return TRUE;
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_BAD_REQUEST,
		"descriptor %d is not a socket of carreld's; carreld starts this program", fd);
	return FALSE;
}

/* Until carreld closes, or a connect hangs. Returns the exit status. */
static int serve(struct worker *worker)
{
	struct pollfd pollfd = {.fd = worker->fd, .events = POLLIN};

	for (;;) {
		gint64 connecting = worker_connecting_ms(worker);
		g_autoptr(GError) error = NULL;
		json_t *json;

		if (connecting > CONNECT_MS) {
			log_event(LOG_ERROR, "connect-hangs", "server", worker->name, "ms",
				log_fmt("%" G_GINT64_FORMAT, connecting), NULL);
			return EXIT_FAILURE;
		}
		/* While nobody connects a look now and then is enough to see that somebody does. */
		if (poll(&pollfd, 1,
			    connecting ? (int)(CONNECT_MS + 1 - connecting) + 1 : CONNECT_MS) <= 0)
			continue;
		json = msg_recv(worker->fd, &error);
		if (json) {
			worker_request(worker, json);
		} else if (g_error_matches(error, MSG_ERROR, MSG_ERROR_CLOSED)) {
			log_event(LOG_INFO, "end", "server", worker->name, NULL);
			return EXIT_SUCCESS;
		} else if (!g_error_matches(error, MSG_ERROR, MSG_ERROR_AGAIN)) {
			log_event(LOG_ERROR, "receive-failed", "server", worker->name, "message",
				error->message, NULL);
			return EXIT_FAILURE;
		}
	}
}

static struct worker *start(const struct options *options, GError **error)
{
	static const struct {
		const char *name;
		GThreadFunc run;
	} lanes[LANE_COUNT] = {{"control", control_run}, {"watch", watch_run},
		{"images", images_run}, {"volumes", volumes_run}, {"storage", storage_run},
		{"sizes", sizes_run}};
	struct conf *conf;
	struct worker *worker;

	if (!peer_check(options->fd, error))
		return NULL;
	conf = conf_load(options->config ? options->config : CONF_DEFAULT_FILE, error);
	if (!conf)
		return NULL;
	if (!virt_libvirt_init(error)) {
		conf_free(conf);
		return NULL;
	}
	worker = worker_new(&virt_libvirt, &virt_libvirt_storage, &virt_libvirt_memory,
		&virt_libvirt_channel, conf, options->name, options->uri, options->fd);
	for (int i = 0; i < LANE_COUNT; i++)
		g_thread_unref(g_thread_new(lanes[i].name, lanes[i].run, worker));
	return worker;
}

int main(int argc, char **argv)
{
	struct options options = {.fd = -1};
	g_autoptr(GError) error = NULL;
	struct worker *worker;
	int status;

	log_init("carrel-virtd", LOG_INFO);
	/* A server that closes while libvirt writes to it is an error, not an end. */
	signal(SIGPIPE, SIG_IGN);
	if (!options_parse(&options, &argc, &argv, &error)) {
		fprintf(stderr, "carrel-virtd: %s\n", error->message);
		options_clear(&options);
		return 2;
	}
	if (options.version) {
		printf("carrel-virtd %s\n", CARREL_VERSION);
		options_clear(&options);
		return EXIT_SUCCESS;
	}
	worker = start(&options, &error);
	options_clear(&options);
	if (!worker) {
		fprintf(stderr, "carrel-virtd: %s\n", error->message);
		return EXIT_FAILURE;
	}
	status = serve(worker);
	/* Not exit(): the lanes may be inside calls that last as long as a hung server. Nothing on
	 * the server waits for a goodbye, and desktops go on without us. */
	_exit(status);
}
