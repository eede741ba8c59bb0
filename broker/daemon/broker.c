/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/broker.h"

#include "broker/api/api.h"
#include "broker/daemon/agent.h"
#include "broker/daemon/bootwatch.h"
#include "broker/daemon/dispatch.h"
#include "broker/daemon/fence.h"
#include "broker/daemon/channels.h"
#include "broker/daemon/clientimage.h"
#include "broker/daemon/ledger.h"
#include "broker/daemon/policies.h"
#include "broker/daemon/reconcile.h"
#include "broker/daemon/seats.h"
#include "broker/daemon/ticket.h"
#include "broker/daemon/volumes.h"
#include "broker/daemon/worker.h"
#include "broker/shared/log.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FENCE_MS 120000 /* that a fence program may take */

G_DEFINE_QUARK(carrel - broker - error, broker_error)

gboolean broker_refuse(GError **error, enum broker_error code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (error)
		*error = g_error_new_valist(BROKER_ERROR, (gint)code, format, args);
	va_end(args);
	return FALSE;
}

gint64 broker_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (gint64)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static guint32 ms_of(const struct conf *conf, enum conf_id id)
{
	return (guint32)conf_int(conf, id) * 1000;
}

static void config_fill(struct core_config *config, const struct conf *conf)
{
	*config = (struct core_config){
		.max_mib = (guint32)conf_int(conf, CONF_DESKTOP_MAX),
		.min_mib = (guint32)conf_int(conf, CONF_DESKTOP_MIN),
		.overhead_mib = (guint32)conf_int(conf, CONF_DESKTOP_OVERHEAD),
		.host_reserve_mib = (guint32)conf_int(conf, CONF_DESKTOP_HOST_RESERVE),
		.standby = (guint32)conf_int(conf, CONF_DESKTOP_STANDBY),
		.queue = (guint32)conf_int(conf, CONF_SESSION_QUEUE),
		.volume_size_mib = (guint32)conf_int(conf, CONF_VOLUME_SIZE),
		.boot_timeout_ms = ms_of(conf, CONF_DESKTOP_BOOT_TIMEOUT),
		.claim_timeout_ms = ms_of(conf, CONF_DESKTOP_CLAIM_TIMEOUT),
		.ticket_ms = ms_of(conf, CONF_SESSION_TICKET),
		.handoff_grace_ms = ms_of(conf, CONF_SESSION_HANDOFF_GRACE),
		.shrink_ms = ms_of(conf, CONF_DESKTOP_SHRINK_TIMEOUT),
		.lost_ms = ms_of(conf, CONF_SERVER_LOST_AFTER),
		.boots = (guint32)conf_int(conf, CONF_DESKTOP_BOOTS),
		.boot_reserve = !strcmp(conf_string(conf, CONF_DESKTOP_BOOT_RESERVE), "yes"),
		.fence = *conf_string(conf, CONF_SERVER_FENCE) != 0,
		.disconnected_ms = conf_int(conf, CONF_SESSION_DISCONNECTED) * 60000,
		.forward_port = (guint16)conf_int(conf, CONF_NETWORK_FORWARD_PORT),
	};
}

static gboolean on_timer(gpointer data)
{
	struct broker *broker = data;

	broker->timer = 0;
	broker_post(broker, &(struct core_event){.type = CORE_EV_TICK});
	return G_SOURCE_REMOVE;
}

static void timer_arm(struct broker *broker)
{
	gint64 deadline = core_next_deadline(broker->core);

	if (broker->timer)
		g_source_remove(broker->timer);
	broker->timer = 0;
	if (deadline != INT64_MAX) {
		gint64 wait = CLAMP(deadline - broker_now_ms(), 0, 3600 * 1000);

		broker->timer = g_timeout_add((guint)wait, on_timer, broker);
	}
}

static void run(struct broker *broker)
{
	if (broker->stepping)
		return;
	broker->stepping = TRUE;
	for (struct core_event *event; (event = g_queue_pop_head(&broker->events));) {
		if (!broker->stopping) {
			event->now_ms = broker_now_ms();
			event->wall_ms = g_get_real_time() / 1000;
			ledger_event(broker->ledger, broker->core, event);
			core_step(broker->core, event, &broker->actions);
			dispatch(broker, &broker->actions);
			ledger_stepped(broker->ledger, broker->core, event);
		}
		g_free(event);
	}
	broker->stepping = FALSE;
	if (!broker->stopping)
		timer_arm(broker);
}

void broker_post(struct broker *broker, const struct core_event *event)
{
	log_event(LOG_DEBUG, core_event_name(event->type), "server",
		log_fmt("%" G_GUINT64_FORMAT, event->server), "desktop",
		log_fmt("%" G_GUINT64_FORMAT, event->desktop), "session",
		log_fmt("%" G_GUINT64_FORMAT, event->session), "login",
		log_fmt("%" G_GUINT64_FORMAT, event->login), "code", event->code, NULL);
	g_queue_push_tail(&broker->events, g_memdup2(event, sizeof(*event)));
	run(broker);
}

static void on_server_loaded(uint64_t id, const char *name, const char *uri, gpointer data)
{
	struct broker *broker = data;

	(void)id;
	g_hash_table_insert(broker->uris, g_strdup(name), g_strdup(uri));
}

static char *find_worker_program(void)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);

	if (self) {
		g_autofree char *folder = g_path_get_dirname(self);
		g_autofree char *path = g_build_filename(folder, "carrel-virtd", NULL);

		if (g_file_test(path, G_FILE_TEST_IS_EXECUTABLE))
			return g_steal_pointer(&path);
	}
	return g_strdup(CARREL_LIBEXECDIR "/carrel-virtd");
}

static gboolean folder_make(const char *path, int mode, GError **error)
{
	if (g_mkdir_with_parents(path, mode) == 0)
		return TRUE;
	g_set_error(error, BROKER_ERROR, BROKER_ERROR_INVALID,
		"cannot make the folder %s: %s; make it and give it to the broker's user", path,
		g_strerror(errno));
	return FALSE;
}

/* carrel.conf with what we need of it: the caller frees it, or NULL. */
static struct conf *read_conf(const char *path, GError **error)
{
	struct conf *conf = conf_load(path, error);

	if (conf && conf_found(conf, CONF_NETWORK_CLIENT_ADDRESS, error))
		return conf;
	conf_free(conf);
	return NULL;
}

static gboolean load(struct broker *broker, GError **error)
{
	g_autofree char *path = NULL;

	broker->conf = read_conf(broker->conf_path, error);
	if (!broker->conf ||
		!folder_make(conf_string(broker->conf, CONF_PATH_STATE), 0750, error) ||
		!folder_make(conf_string(broker->conf, CONF_PATH_RUN), 0755, error))
		return FALSE;
	path = conf_path(broker->conf, CONF_PATH_STATE, "carrel.db");
	broker->store = store_open(path, error);
	if (!broker->store)
		return FALSE;
	config_fill(&broker->config, broker->conf);
	broker->core = core_new(&broker->config);
	return store_load(broker->store, broker->core, on_server_loaded, broker, error);
}

struct broker *broker_new(const char *conf_path, GError **error)
{
	struct broker *broker = g_new0(struct broker, 1);

	broker->conf_path = g_strdup(conf_path);
	broker->loop = g_main_loop_new(NULL, FALSE);
	broker->uris = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	broker->workers = g_hash_table_new_full(
		g_int64_hash, g_int64_equal, NULL, (GDestroyNotify)worker_free);
	broker->tickets = ticket_table_new();
	broker->worker_program = find_worker_program();
	broker->agents = agents_new(broker);
	broker->fences = fences_new(FENCE_MS, dispatch_fenced, broker);
	g_queue_init(&broker->events);
	if (load(broker, error)) {
		broker->ledger = ledger_new(broker->store);
		broker->volumes = volumes_new(broker);
		broker->seats = seats_new(broker, error);
		broker->policies = broker->seats ? policies_new(broker, error) : NULL;
		broker->boots = broker->policies ? bootwatch_new(broker->conf, broker->seats,
							   broker->store, error)
						 : NULL;
		broker->channels = broker->boots ? channels_new(broker, error) : NULL;
		broker->clientimage = broker->channels ? clientimage_new(broker, error) : NULL;
		if (broker->clientimage)
			return broker;
	}
	broker_free(broker);
	return NULL;
}

static void worker_begin(struct broker *broker, const struct core_server *server)
{
	const char *uri = g_hash_table_lookup(broker->uris, server->name);
	struct worker *worker = worker_new(broker, server->id, server->name, uri);

	g_hash_table_insert(broker->workers, (gpointer)worker_id_key(worker), worker);
}

void broker_start(struct broker *broker)
{
	g_autofree char *netd = conf_path(broker->conf, CONF_PATH_RUN, "netd.sock");
	g_autofree char *authd = conf_path(broker->conf, CONF_PATH_RUN, "authd.sock");
	static const struct helper_ops no_ops;

	broker->netd = helper_new_path("carrel-netd", netd, reconcile_netd_ops(), broker);
	broker->authd = helper_new_path("carrel-authd", authd, &no_ops, broker);
	broker->stepping = TRUE;
	core_load_done(broker->core, broker_now_ms(), &broker->actions);
	dispatch(broker, &broker->actions);
	broker->stepping = FALSE;
	policies_apply(broker->policies);
	channels_look(broker->channels);
	clientimage_look(broker->clientimage);
	volumes_start(broker->volumes);
	for (const struct core_server *server = core_server_next(broker->core, 0); server;
		server = core_server_next(broker->core, server->id))
		worker_begin(broker, server);
	run(broker);
}

void broker_free(struct broker *broker)
{
	if (!broker)
		return;
	broker->stopping = TRUE;
	if (broker->timer)
		g_source_remove(broker->timer);
	g_clear_handle_id(&broker->netd_setup, g_source_remove);
	api_free(broker->api);
	g_hash_table_destroy(broker->workers);
	fences_free(broker->fences);
	helper_free(broker->authd);
	helper_free(broker->netd);
	agents_free(broker->agents);
	volumes_free(broker->volumes);
	clientimage_free(broker->clientimage);
	channels_free(broker->channels);
	policies_free(broker->policies);
	bootwatch_free(broker->boots);
	seats_free(broker->seats);
	ledger_free(broker->ledger);
	g_hash_table_destroy(broker->tickets);
	for (struct core_event *event; (event = g_queue_pop_head(&broker->events));)
		g_free(event);
	core_actions_clear(&broker->actions);
	if (broker->core)
		core_free(broker->core);
	store_close(broker->store);
	conf_free(broker->conf);
	g_hash_table_destroy(broker->uris);
	g_main_loop_unref(broker->loop);
	g_free(broker->worker_program);
	g_free(broker->conf_path);
	g_free(broker);
}

void broker_stop(struct broker *broker, int exit_status)
{
	broker->stopping = TRUE;
	broker->exit_status = MAX(broker->exit_status, exit_status);
	g_main_loop_quit(broker->loop);
}

/* Values that are only read at the start; a change of them is said, not half done. */
static void warn_fixed(const struct conf *old, const struct conf *new)
{
	static const enum conf_id fixed[] = {CONF_NETWORK_CLIENT_ADDRESS, CONF_BROKER_PORT,
		CONF_BROKER_REPORT_PORT, CONF_PATH_STATE, CONF_PATH_RUN, CONF_PATH_PKI};

	for (size_t i = 0; i < G_N_ELEMENTS(fixed); i++)
		if (strcmp(conf_string(old, fixed[i]), conf_string(new, fixed[i])))
			log_event(LOG_WARN, "reload-needs-restart", "group",
				conf_table[fixed[i]].group, "key", conf_table[fixed[i]].key,
				"remedy", "restart carreld", NULL);
}

gboolean broker_reload(struct broker *broker, GError **error)
{
	struct conf *conf = read_conf(broker->conf_path, error);

	if (!conf)
		return FALSE;
	warn_fixed(broker->conf, conf);
	conf_free(broker->conf);
	broker->conf = conf;
	config_fill(&broker->config, conf);
	broker_post(
		broker, &(struct core_event){.type = CORE_EV_CONFIG, .config = &broker->config});
	channels_look(broker->channels);
	clientimage_look(broker->clientimage);
	log_event(LOG_INFO, "reloaded", NULL);
	return TRUE;
}

static gboolean name_is_good(const char *name)
{
	size_t length = strlen(name);

	if (length < 1 || length > 63 || !g_ascii_isalnum(name[0]))
		return FALSE;
	for (const char *p = name; *p; p++)
		if (!g_ascii_isalnum(*p) && *p != '-' && *p != '.')
			return FALSE;
	return TRUE;
}

static gboolean uri_is_good(const char *uri)
{
	for (const char *p = uri; *p; p++)
		if ((unsigned char)*p <= 0x20 || *p == 0x7f)
			return FALSE;
	return strlen(uri) < 512 && strstr(uri, ":/") != NULL;
}

gboolean broker_server_add(struct broker *broker, const char *name, const char *uri, GError **error)
{
	struct core_event event = {.type = CORE_EV_SERVER_ADDED};

	if (!name_is_good(name)) {
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_INVALID,
			"\"%s\" cannot be a server's name: letters, digits, - and . are allowed, "
			"it "
			"must be the DNS name in the server's certificate",
			name);
		return FALSE;
	}
	if (!uri_is_good(uri)) {
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_INVALID,
			"\"%s\" is not a libvirt URI, such as qemu+tls://%s/system", uri, name);
		return FALSE;
	}
	if (core_server_by_name(broker->core, name)) {
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_EXISTS,
			"there is a server %s already; remove it first to give it another URI",
			name);
		return FALSE;
	}
	g_hash_table_insert(broker->uris, g_strdup(name), g_strdup(uri));
	g_strlcpy(event.text, name, sizeof(event.text));
	broker_post(broker, &event);
	const struct core_server *server = core_server_by_name(broker->core, name);
	if (!server || broker->stopping) {
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_INVALID,
			"the server %s was not added; see carreld's log", name);
		return FALSE;
	}
	worker_begin(broker, server);
	return TRUE;
}

static const struct core_server *server_find(
	struct broker *broker, const char *name, GError **error)
{
	const struct core_server *server = core_server_by_name(broker->core, name);

	if (!server)
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_UNKNOWN,
			"there is no server %s; \"carrel server list\" shows them", name);
	return server;
}

gboolean broker_server_drain(
	struct broker *broker, const char *name, gboolean drain, GError **error)
{
	const struct core_server *server = server_find(broker, name, error);

	if (!server)
		return FALSE;
	broker_post(
		broker, &(struct core_event){
				.type = CORE_EV_SERVER_DRAIN, .server = server->id, .flag = drain});
	return TRUE;
}

gboolean broker_server_remove(struct broker *broker, const char *name, GError **error)
{
	const struct core_server *server = server_find(broker, name, error);
	guint64 id;
	unsigned users = 0, idle = 0;

	if (!server)
		return FALSE;
	id = server->id;
	for (const struct core_desktop *desktop = core_desktop_next(broker->core, 0); desktop;
		desktop = core_desktop_next(broker->core, desktop->id))
		if (desktop->server == id)
			*(desktop->session ? &users : &idle) += 1;
	if (users && !server->up) {
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_BUSY,
			"the server %s is down and has %u desktops of users: once its power is "
			"certainly off say \"carrel server lost %s\", then remove it",
			name, users, name);
		return FALSE;
	}
	/* Of a server that is lost for good nobody can stop the idle ones: they count as gone. */
	if (users || (idle && server->up)) {
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_BUSY,
			"the server %s has %u desktops of users and %u others; \"carrel server "
			"drain "
			"%s\" and try again when it has none",
			name, users, idle, name);
		return FALSE;
	}
	g_hash_table_remove(broker->workers, &id);
	fence_end(broker->fences, id, "the server was removed");
	broker_post(broker, &(struct core_event){.type = CORE_EV_SERVER_REMOVED, .server = id});
	g_hash_table_remove(broker->uris, name);
	channels_server_gone(broker->channels, id);
	return TRUE;
}

gboolean broker_server_lost(struct broker *broker, const char *name, GError **error)
{
	const struct core_server *server = server_find(broker, name, error);

	if (!server)
		return FALSE;
	const struct worker *worker = worker_get(broker, server->id);
	if (server->up || (worker && worker_state(worker) != WORKER_DOWN)) {
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_BUSY,
			"the server %s answers, so its power is on: switch it off and wait until "
			"it "
			"is down; \"carrel server drain %s\" empties it without any loss",
			name, name);
		return FALSE;
	}
	log_event(LOG_WARN, "server-said-lost", "server", name, NULL);
	broker_post(
		broker, &(struct core_event){.type = CORE_EV_SERVER_FENCED, .server = server->id});
	return TRUE;
}

gboolean broker_session_move(struct broker *broker, guint64 session, const char *server,
	guint32 memory_mib, GError **error)
{
	struct core_event event = {
		.type = CORE_EV_SESSION_MOVE, .session = session, .memory_mib = memory_mib};
	char why[CORE_TEXT_MAX] = "";

	if (!core_session_get(broker->core, session)) {
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_UNKNOWN,
			"there is no session %" G_GUINT64_FORMAT
			"; \"carrel session list\" shows them",
			session);
		return FALSE;
	}
	if (server) {
		const struct core_server *to = server_find(broker, server, error);

		if (!to)
			return FALSE;
		event.server = to->id;
	}
	if (!core_move_check(broker->core, session, event.server, memory_mib, why, sizeof(why))) {
		g_set_error_literal(error, BROKER_ERROR, BROKER_ERROR_BUSY, why);
		return FALSE;
	}
	broker_post(broker, &event);
	return TRUE;
}

gboolean broker_desktop_discard(struct broker *broker, guint64 desktop, GError **error)
{
	if (!core_desktop_get(broker->core, desktop)) {
		g_set_error(error, BROKER_ERROR, BROKER_ERROR_UNKNOWN,
			"there is no desktop %" G_GUINT64_FORMAT
			"; \"carrel desktop list\" shows them",
			desktop);
		return FALSE;
	}
	broker_post(
		broker, &(struct core_event){.type = CORE_EV_DESKTOP_DISCARD, .desktop = desktop});
	return TRUE;
}
