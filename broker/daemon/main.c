/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carreld: options -> init -> loop -> teardown in reverse. */
#include "broker/api/api.h"
#include "broker/daemon/broker.h"
#include "broker/daemon/notify.h"
#include "broker/shared/log.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static gboolean on_terminate(gpointer data)
{
	log_event(LOG_INFO, "stopping", "desktops", "go on running", NULL);
	broker_stop(data, 0);
	return G_SOURCE_CONTINUE;
}

static gboolean on_hangup(gpointer data)
{
	g_autoptr(GError) error = NULL;

	if (!broker_reload(data, &error))
		log_event(LOG_ERROR, "reload-failed", "reason", error->message, "action",
			"nothing is changed", NULL);
	return G_SOURCE_CONTINUE;
}

static int serve(const char *conf_path, gboolean print_ready)
{
	g_autoptr(GError) error = NULL;
	struct broker *broker = broker_new(conf_path, &error);
	int status = 1;

	if (broker)
		broker->api = api_new(broker, &error);
	if (broker && broker->api) {
		g_unix_signal_add(SIGTERM, on_terminate, broker);
		g_unix_signal_add(SIGINT, on_terminate, broker);
		g_unix_signal_add(SIGHUP, on_hangup, broker);
		broker_start(broker);
		log_event(LOG_INFO, "ready", "version", CARREL_VERSION, NULL);
		notify_send("READY=1");
		if (print_ready)
			puts("READY"), fflush(stdout);
		if (!broker->stopping)
			g_main_loop_run(broker->loop);
		notify_send("STOPPING=1");
		status = broker->exit_status;
	} else {
		fprintf(stderr, "carreld: %s\n", error->message);
	}
	broker_free(broker);
	return status;
}

int main(int argc, char **argv)
{
	g_autofree char *conf_path = NULL;
	gboolean print_ready = FALSE, debug = FALSE, version = FALSE;
	const GOptionEntry options[] = {
		{"config", 'c', 0, G_OPTION_ARG_FILENAME, &conf_path, "Configuration file", "FILE"},
		{"print-ready", 0, 0, G_OPTION_ARG_NONE, &print_ready,
			"Print a line READY when requests are answered", NULL},
		{"debug", 0, 0, G_OPTION_ARG_NONE, &debug, "Log every event", NULL},
		{"version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL},
		G_OPTION_ENTRY_NULL};
	g_autoptr(GOptionContext) context = g_option_context_new("- Carrel's broker");
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(context, options, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
		fprintf(stderr, "carreld: %s; see carreld --help\n",
			error ? error->message : "no arguments are taken");
		return 2;
	}
	if (version) {
		puts("carreld " CARREL_VERSION);
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	log_init("carreld", debug ? LOG_DEBUG : LOG_INFO);
	return serve(conf_path ? conf_path : CONF_DEFAULT_FILE, print_ready);
}
