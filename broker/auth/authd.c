/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * carrel-authd: who is this? PAM, or Carrel's own users; the only program that sees passwords
 * after the API has taken them.
 *
 *   options -> configuration -> own users' folder -> socket -> loop -> teardown
 *
 * The loop only passes on: each request is answered in a forked child (job.h), so that a module of
 * PAM that hangs or crashes takes one login along. Messages are wiped from memory when freed, core
 * dumps are off.
 */
#include "broker/auth/job.h"
#include "broker/auth/request.h"
#include "broker/auth/users.h"
#include "broker/shared/log.h"
#include "broker/shared/msg.h"
#include "broker/shared/serve.h"

#include <glib-unix.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* PAM modules that ask over the network have their own, shorter limits; this one is the last. */
#define CHILD_TIMEOUT_MS 45000

struct authd {
	char *config_file, *pam_confdir, *folder; /* owned */
	struct conf *conf;                        /* owned */
	struct serve *serve;                      /* owned */
	struct jobs *jobs;                        /* owned */
	GMainLoop *loop;                          /* owned */
	int timeout_ms;
};

/* jansson's free(): a string in a request may be a password. */
static void wiping_free(void *memory)
{
	if (memory)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

static void child_enter(void *data)
{
	serve_close_all(((struct authd *)data)->serve);
}

static json_t *child_work(const json_t *json, void *data)
{
	const struct authd *authd = data;
	struct auth_context context = {authd->conf, authd->folder, authd->pam_confdir};
	struct request request;
	g_autofree char *message = NULL;

	if (!request_parse(&request, json, &message))
		return msg_fail(request.id, "bad-request", "%s", message);
	return request_answer(&request, &context);
}

static void child_done(guint64 client, json_int_t id, json_t *answer, void *data)
{
	struct authd *authd = data;

	if (!answer)
		answer = msg_fail(
			id, "unavailable", "the login service did not answer; its log says more");
	serve_reply(authd->serve, client, answer);
}

/* A request is looked at before it costs a child. */
static void authd_request(
	struct serve *serve, guint64 client, json_int_t id, const json_t *json, void *data)
{
	struct authd *authd = data;
	struct request request;
	g_autofree char *message = NULL;
	g_autoptr(GError) error = NULL;
	json_t *copy;

	if (!request_parse(&request, json, &message)) {
		log_event(LOG_WARN, "request-refused", "reason", message, NULL);
		serve_reply(serve, client, msg_fail(id, "bad-request", "%s", message));
		return;
	}
	copy = json_deep_copy(json);
	if (!jobs_add(authd->jobs, client, id, copy)) {
		log_event(LOG_WARN, "too-many", NULL);
		serve_reply(serve, client,
			msg_fail(id, "unavailable", "too many logins at one time; try again"));
	}
	json_decref(copy);
}

static gboolean authd_start(struct authd *authd, GError **error)
{
	g_autofree char *path = conf_path(authd->conf, CONF_PATH_RUN, "authd.sock");
	const char *name = conf_string(authd->conf, CONF_BROKER_USER);
	uid_t user;
	gid_t group;

	authd->folder = conf_path(authd->conf, CONF_PATH_STATE, "auth");
	if (!users_folder_make(authd->folder, error))
		return FALSE;
	if (!serve_user(name, &user, &group))
		log_event(LOG_WARN, "no-such-user", "user", name, "effect", "serving root only",
			NULL);
	int fd = msg_listen(path, group == (gid_t)-1 ? 0600 : 0660, group, error);
	if (fd < 0)
		return FALSE;
	authd->serve = serve_new(fd, user, authd_request, authd);
	authd->jobs =
		jobs_new((unsigned)authd->timeout_ms, child_enter, child_work, child_done, authd);
	return TRUE;
}

/* SIGHUP: the configuration anew; with a mistake in it the old one stays. */
static gboolean reload(gpointer data)
{
	struct authd *authd = data;
	g_autoptr(GError) error = NULL;
	struct conf *conf = conf_load(authd->config_file, &error);

	if (!conf) {
		log_event(LOG_ERROR, "reload-failed", "error", error->message, NULL);
		return G_SOURCE_CONTINUE;
	}
	conf_free(authd->conf);
	authd->conf = conf;
	log_event(LOG_INFO, "reloaded", "method", conf_string(conf, CONF_AUTH_METHOD), NULL);
	return G_SOURCE_CONTINUE;
}

static gboolean stop(gpointer data)
{
	g_main_loop_quit(((struct authd *)data)->loop);
	return G_SOURCE_CONTINUE;
}

static gboolean parse_options(struct authd *authd, int argc, char **argv, GError **error)
{
	gboolean version = FALSE;
	const GOptionEntry entries[] = {
		{"config", 'c', 0, G_OPTION_ARG_FILENAME, &authd->config_file,
			"Configuration file [" CONF_DEFAULT_FILE "]", "FILE"},
		{"pam-confdir", 0, 0, G_OPTION_ARG_FILENAME, &authd->pam_confdir,
			"Folder of PAM services instead of the system's", "DIR"},
		{"timeout", 0, 0, G_OPTION_ARG_INT, &authd->timeout_ms,
			"Longest time for one request, ms [45000]", "MS"},
		{"version", 'V', 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL},
		G_OPTION_ENTRY_NULL};
	g_autoptr(GOptionContext) context = g_option_context_new("- logins of Carrel");

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, error))
		return FALSE;
	if (argc > 1 || authd->timeout_ms < 1) {
		g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "%s; see --help",
			argc > 1 ? "there are no arguments besides options"
				 : "--timeout is a number of ms above 0");
		return FALSE;
	}
	if (version) {
		puts("carrel-authd " CARREL_VERSION);
		exit(0);
	}
	if (!authd->config_file)
		authd->config_file = g_strdup(CONF_DEFAULT_FILE);
	return TRUE;
}

/* Before "ready" is said, so that whoever waits for it may end the process at once. */
static void signals_handle(struct authd *authd)
{
	authd->loop = g_main_loop_new(NULL, FALSE);
	g_unix_signal_add(SIGTERM, stop, authd);
	g_unix_signal_add(SIGINT, stop, authd);
	g_unix_signal_add(SIGHUP, reload, authd);
}

int main(int argc, char **argv)
{
	struct authd authd = {.timeout_ms = CHILD_TIMEOUT_MS};
	g_autoptr(GError) error = NULL;
	int status = 1;

	log_init("carrel-authd", LOG_INFO);
	json_set_alloc_funcs(malloc, wiping_free);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (!parse_options(&authd, argc, argv, &error) ||
		!(authd.conf = conf_load(authd.config_file, &error)) ||
		!authd_start(&authd, &error))
		goto end;
	signals_handle(&authd);
	log_event(LOG_INFO, "ready", "method", conf_string(authd.conf, CONF_AUTH_METHOD), NULL);
	g_main_loop_run(authd.loop);
	status = 0;
end:
	if (error)
		log_event(LOG_ERROR, "start-failed", "error", error->message, NULL);
	g_clear_pointer(&authd.loop, g_main_loop_unref);
	jobs_free(authd.jobs);
	serve_free(authd.serve);
	conf_free(authd.conf);
	g_free(authd.folder);
	g_free(authd.pam_confdir);
	g_free(authd.config_file);
	return status;
}
