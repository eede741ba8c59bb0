/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control lane: desktops, disks, tickets; one call at a time. */
#include "broker/virt/worker.h"
#include "broker/shared/log.h"
#include "broker/virt/domain_info.h"
#include "broker/virt/domain_xml.h"
#include "broker/virt/overlays.h"
#include "broker/virt/volume_names.h"
#include "broker/virt/uri.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* SeaBIOS gives up on an empty machine within a second, also on a busy host. */
#define TRIAL_MS 3000

/* A password that nobody knows, for a VNC server that nobody may enter. */
static void random_password(char text[REQUEST_PASSWORD_MAX + 1])
{
	static const char letters[] =
		"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789-+.:=_%";
	unsigned char bytes[REQUEST_PASSWORD_MAX];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		g_error("the kernel gives no random bytes");
	for (int i = 0; i < REQUEST_PASSWORD_MAX; i++)
		text[i] = letters[bytes[i] % (sizeof(letters) - 1)];
	text[REQUEST_PASSWORD_MAX] = 0;
}

static struct domain_info *look(
	struct worker *worker, struct virt_conn *conn, const char *name, GError **error)
{
	char *xml = worker->driver->domain_xml(conn, name, error);
	struct domain_info *info = xml ? domain_info_parse(xml, strlen(xml), error) : NULL;

	free(xml);
	return info;
}

/* A VNC server that listens everywhere is reached where libvirt is. */
static const char *vnc_host(const struct domain_info *info, const char *server)
{
	const char *host = info->vnc_host ? info->vnc_host : "";

	if (!*host || !strcmp(host, "0.0.0.0") || !strcmp(host, "::"))
		return server ? server : "127.0.0.1";
	return host;
}

/* "NAME@VERSION.kernel" and so on, or the mark when `file` is IMAGE_FILE_COUNT. */
static gboolean image_path(struct worker *worker, struct virt_conn *conn, const char *image,
	enum image_file_id file, char **path, GError **error)
{
	g_autofree char *name = file == IMAGE_FILE_COUNT
					? g_strconcat(image, MARK_SUFFIX, NULL)
					: g_strconcat(image, ".", image_file_key(file), NULL);
	g_autoptr(GError) cause = NULL;
	struct virt_volume volume;

	if (worker->driver->volume_get(
		    conn, conf_string(worker->conf, CONF_IMAGE_POOL), name, &volume, &cause)) {
		*path = volume.path;
		return TRUE;
	}
	if (g_error_matches(cause, VIRT_ERROR, VIRT_ERROR_NOT_FOUND))
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_NO_IMAGE,
			"image %s is not complete on server %s (%s is missing); upload it first",
			image, worker->name, name);
	else
		g_propagate_error(error, g_steal_pointer(&cause));
	return FALSE;
}

/* The overlay of a desktop that is about to start, if it has one; what crashes have left goes. */
static gboolean guest_overlay(struct worker *worker, struct virt_conn *conn,
	const struct request *request, const struct image *image, char **overlay, char **nvram,
	GError **error)
{
	g_autofree char *base = g_strconcat(request->image, ".", image_file_key(IMAGE_DISK), NULL);

	if (image->kind != IMAGE_GUEST)
		return TRUE;
	overlays_sweep(worker, conn);
	*overlay =
		overlay_make(worker, conn, request->desktop, base, image->disk_size, nvram, error);
	return *overlay != NULL;
}

/* The XML of a desktop whose image is on the server; NULL with an error. `*guest`: there is an
 * overlay, the caller's to drop when nothing is started. */
static char *desktop_xml(struct worker *worker, struct virt_conn *conn,
	const struct request *request, bool *guest, GError **error)
{
	char *paths[IMAGE_FILE_COUNT + 1] = {NULL}; /* owned */
	g_autofree char *overlay = NULL, *nvram = NULL;
	char password[REQUEST_PASSWORD_MAX + 1];
	struct image *image = worker_image(worker, request->image, error);

	if (!image)
		return NULL;
	g_autofree char *cmdline = image->kind == IMAGE_GUEST ? NULL : image_desktop_cmdline(image);
	char *xml = NULL;
	gboolean good = TRUE;
	for (int i = 0; i <= IMAGE_FILE_COUNT && good; i++)
		good = (i < IMAGE_FILE_COUNT && !image->files[i].name) ||
		       image_path(worker, conn, request->image, (enum image_file_id)i, &paths[i],
			       error);
	if (good && guest_overlay(worker, conn, request, image, &overlay, &nvram, error)) {
		*guest = overlay != NULL;
		random_password(password);
		xml = domain_xml(&(struct domain_spec){.desktop = request->desktop,
			.image = request->image,
			.kvm = worker->kvm,
			.memory_mib = request->memory_mib,
			.vcpus = request->vcpus,
			.kernel = paths[IMAGE_KERNEL],
			.initrd = paths[IMAGE_INITRD],
			.root = paths[IMAGE_ROOT],
			.cmdline = cmdline,
			.disk = paths[IMAGE_DISK],
			.overlay = overlay,
			.nvram = image->uefi ? nvram : NULL,
			.qemu_ga = image->kind == IMAGE_GUEST && image->agent == IMAGE_AGENT_QEMU,
			.network = request->network,
			.password = password,
			.live = image->live});
		explicit_bzero(password, sizeof(password));
	}
	for (int i = 0; i <= IMAGE_FILE_COUNT; i++)
		free(paths[i]);
	image_free(image);
	return xml;
}

static json_t *desktop_start(struct worker *worker, struct virt_conn *conn,
	const struct request *request, GError **error)
{
	g_autofree char *name = domain_name(request->desktop);
	bool guest = false;
	g_autofree char *xml = desktop_xml(worker, conn, request, &guest, error);
	g_autofree char *server = uri_host(worker->uri);
	struct domain_info *info;

	if (!xml)
		return NULL;
	if (!worker->driver->domain_create(conn, xml, error)) {
		/* Without the sweep's look whether there is a VM all the same it could be in use.
		 */
		if (guest)
			overlays_sweep(worker, conn);
		return NULL;
	}
	info = look(worker, conn, name, error);
	if (info && !info->vnc_port)
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_LIBVIRT,
			"%s has no VNC port; are 5900 to 6899 taken on the server?", name);
	if (!info || !info->vnc_port) {
		/* A failed start must leave no VM behind; if this fails too the connection is lost,
		 * and the error says so. */
		worker->driver->domain_destroy(conn, name, NULL);
		domain_info_free(info);
		return NULL;
	}
	json_t *more = json_pack(
		"{s:s, s:i}", "vnc_host", vnc_host(info, server), "vnc_port", (int)info->vnc_port);
	domain_info_free(info);
	return more;
}

static json_t *desktop_list(struct worker *worker, struct virt_conn *conn, GError **error)
{
	g_autofree char *server = uri_host(worker->uri);
	json_t *desktops;

	overlays_sweep(worker, conn);
	GPtrArray *list = worker->driver->domain_list(conn, error);
	if (!list)
		return NULL;
	desktops = json_array();
	for (guint i = 0; i < list->len; i++) {
		const char *xml = list->pdata[i];
		g_autoptr(GError) ignored = NULL; /* somebody else's domain may be strange */
		struct domain_info *info = domain_info_parse(xml, strlen(xml), &ignored);

		if (info && info->desktop)
			json_array_append_new(desktops,
				json_pack("{s:I, s:b, s:s, s:i, s:I}", "desktop",
					(json_int_t)info->desktop, "running", 1, "vnc_host",
					vnc_host(info, server), "vnc_port", (int)info->vnc_port,
					"memory_mib", (json_int_t)info->memory_mib));
		domain_info_free(info);
	}
	g_ptr_array_unref(list);
	return json_pack("{s:o}", "desktops", desktops);
}

/* FALSE with BUSY when a domain of this server other than `except` has the disk. */
static gboolean disk_free(struct worker *worker, struct virt_conn *conn, const char *path,
	const char *except, GError **error)
{
	GPtrArray *list = worker->driver->domain_list(conn, error);
	gboolean good = list != NULL;

	for (guint i = 0; list && good && i < list->len; i++) {
		const char *xml = list->pdata[i];
		struct domain_info *info = domain_info_parse(xml, strlen(xml), NULL);

		if (info && strcmp(info->name, except) != 0 && domain_info_has_path(info, path)) {
			g_set_error(error, VIRT_ERROR, VIRT_ERROR_BUSY, "%s is in use by %s", path,
				info->name);
			good = FALSE;
		}
		domain_info_free(info);
	}
	if (list)
		g_ptr_array_unref(list);
	return good;
}

/* The path of a whole volume; what has no mark was never finished. Owned by the caller. */
static char *volume_path(struct worker *worker, struct virt_conn *conn,
	const struct request *request, GError **error)
{
	const char *pool = conf_string(worker->conf, CONF_VOLUME_POOL);
	g_autofree char *name = volume_copy_name(request->volume, request->copy);
	g_autofree char *mark = g_strconcat(name, MARK_SUFFIX, NULL);
	g_autoptr(GError) cause = NULL;
	struct virt_volume found;

	if (!worker->driver->volume_get(conn, pool, name, &found, error))
		return NULL;
	char *path = found.path;
	if (worker->driver->volume_get(conn, pool, mark, &found, &cause)) {
		free(found.path);
		return path;
	}
	free(path);
	if (g_error_matches(cause, VIRT_ERROR, VIRT_ERROR_NOT_FOUND))
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE,
			"volume %s has no %s beside it in pool %s: it was not finished, or was "
			"copied without it; if its contents are known to be whole, make that empty "
			"file",
			name, mark, pool);
	else
		g_propagate_error(error, g_steal_pointer(&cause));
	return NULL;
}

static gboolean volume_attach(struct worker *worker, struct virt_conn *conn,
	const struct request *request, GError **error)
{
	g_autofree char *name = domain_name(request->desktop);
	g_autofree char *alias = volume_alias(request->volume);
	g_autoptr(GError) cause = NULL;
	struct domain_info *info = look(worker, conn, name, error);
	gboolean there = info && domain_info_has_alias(info, alias);
	int slot = info ? domain_info_free_slot(info) : -1;

	domain_info_free(info);
	if (!info || there)
		return there;
	char *path = volume_path(worker, conn, request, error);
	if (!path || !disk_free(worker, conn, path, name, error)) {
		free(path);
		return FALSE;
	}
	if (slot < 0) {
		free(path);
		g_set_error(
			error, VIRT_ERROR, VIRT_ERROR_LIBVIRT, "%s has no disk slot left", name);
		return FALSE;
	}
	g_autofree char *xml = domain_disk_xml(request->volume, path, (unsigned)slot);
	free(path);
	if (worker->driver->device_change(conn, name, VIRT_ATTACH, xml, &cause))
		return TRUE;
	/* A failed answer is not a failed attach: what the hypervisor has, counts. */
	info = look(worker, conn, name, NULL);
	there = info && domain_info_has_alias(info, alias);
	domain_info_free(info);
	if (!there)
		g_propagate_error(error, g_steal_pointer(&cause));
	return there;
}

/* TRUE: answered here or by the watch lane, which takes the request. */
static gboolean volume_detach(
	struct worker *worker, struct virt_conn *conn, struct request *request, GError **error)
{
	g_autofree char *name = domain_name(request->desktop);
	g_autofree char *alias = volume_alias(request->volume);
	g_autoptr(GError) cause = NULL;
	struct domain_info *info = look(worker, conn, name, &cause);
	gboolean there = info && domain_info_has_alias(info, alias);
	json_int_t id = request->id;

	if (!info && !g_error_matches(cause, VIRT_ERROR, VIRT_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&cause));
		return FALSE;
	}
	domain_info_free(info);
	if (!there) {
		worker_ok(worker, request, NULL);
		request_free(request);
		return TRUE;
	}
	/* First the waiting, then the asking: the event may come before this call is back. */
	worker_post(worker, LANE_WATCH,
		(struct job){.kind = JOB_DETACH,
			.request = request,
			.name = g_strdup(name),
			.text = g_strdup(alias)});
	if (!worker->driver->device_change(conn, name, VIRT_DETACH, alias, &cause) &&
		!strstr(cause->message, "already in the process of unplug"))
		worker_post(worker, LANE_WATCH,
			(struct job){.kind = JOB_DETACH_FAILED,
				.number = (uintptr_t)id,
				.error = g_steal_pointer(&cause)});
	return TRUE;
}

/* Sets the VNC password, valid until `valid_to` (seconds since the epoch). */
static gboolean set_password(struct worker *worker, struct virt_conn *conn, uint64_t desktop,
	const char *password, int64_t valid_to, GError **error)
{
	g_autofree char *name = domain_name(desktop);
	struct domain_info *info = look(worker, conn, name, error);
	gboolean good = FALSE;

	if (info && info->vnc_port && info->vnc_host) {
		char *xml = domain_graphics_xml(info->vnc_port, info->vnc_host, password, valid_to);

		good = worker->driver->device_change(conn, name, VIRT_UPDATE, xml, error);
		explicit_bzero(xml, strlen(xml));
		g_free(xml);
	} else if (info) {
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_LIBVIRT, "%s has no VNC server", name);
	}
	domain_info_free(info);
	return good;
}

static gboolean ticket_clear(struct worker *worker, struct virt_conn *conn,
	const struct request *request, GError **error)
{
	char password[REQUEST_PASSWORD_MAX + 1];

	random_password(password);
	gboolean good = set_password(worker, conn, request->desktop, password, 1, error);
	explicit_bzero(password, sizeof(password));
	return good;
}

static gboolean desktop_destroy(struct worker *worker, struct virt_conn *conn,
	const struct request *request, GError **error)
{
	g_autofree char *name = domain_name(request->desktop);
	gboolean good;

	worker_post(worker, LANE_WATCH,
		(struct job){.kind = JOB_LEAVING, .number = (uintptr_t)request->desktop});
	good = worker->driver->domain_destroy(conn, name, error);
	worker_post(worker, LANE_WATCH, (struct job){.kind = JOB_LEAVING});
	return good;
}

gboolean control_handle(struct worker *worker, struct virt_conn *conn, struct request *request)
{
	g_autoptr(GError) error = NULL;
	json_t *more = NULL;
	gboolean good;

	switch (request->op) {
	case REQUEST_PING:
		good = TRUE;
		break;
	case REQUEST_DESKTOP_START:
		more = desktop_start(worker, conn, request, &error);
		good = more != NULL;
		break;
	case REQUEST_DESKTOP_DESTROY:
		good = desktop_destroy(worker, conn, request, &error);
		break;
	case REQUEST_DESKTOP_LIST:
		more = desktop_list(worker, conn, &error);
		good = more != NULL;
		break;
	case REQUEST_VOLUME_ATTACH:
		good = volume_attach(worker, conn, request, &error);
		break;
	case REQUEST_VOLUME_DETACH:
		if (volume_detach(worker, conn, request, &error))
			return TRUE;
		good = FALSE;
		break;
	case REQUEST_TICKET_SET:
		good = set_password(worker, conn, request->desktop, request->password,
			(int64_t)time(NULL) + request->seconds, &error);
		break;
	case REQUEST_TICKET_CLEAR:
		good = ticket_clear(worker, conn, request, &error);
		break;
	default:
		good = FALSE;
		g_set_error(&error, VIRT_ERROR, VIRT_ERROR_BAD_REQUEST, "not an op of this lane");
	}
	if (good)
		worker_ok(worker, request, more);
	else
		worker_error(worker, request, error);
	request_free(request);
	return good || !g_error_matches(error, VIRT_ERROR, VIRT_ERROR_UNREACHABLE);
}

/* The trial of KVM */

/* From the event thread. */
static void on_domain(void *user, const char *name, bool running, const char *reason)
{
	struct worker *worker = user;

	g_mutex_lock(&worker->lock);
	if (!running && g_strcmp0(name, worker->trial_name) == 0) {
		g_free(worker->trial_reason);
		worker->trial_reason = g_strdup(reason);
		g_cond_signal(&worker->trial_over);
	}
	g_mutex_unlock(&worker->lock);
}

static void on_closed(void *user, const char *reason)
{
	worker_post(user, LANE_CONTROL, (struct job){.kind = JOB_CLOSED, .text = g_strdup(reason)});
}

bool control_kvm_works(struct worker *worker, struct virt_conn *conn, const struct virt_host *host)
{
	g_autofree char *name = g_strdup_printf("carrel-trial-%08x", g_random_int());
	g_autofree char *xml = domain_trial_xml(name, true);
	g_autoptr(GError) error = NULL;
	gint64 deadline = g_get_monotonic_time() + TRIAL_MS * 1000;
	bool works;

	if (!host->kvm || worker->kvm_known)
		return host->kvm && worker->kvm;
	g_mutex_lock(&worker->lock);
	worker->trial_name = g_strdup(name);
	g_mutex_unlock(&worker->lock);
	gboolean created = worker->driver->domain_create(conn, xml, &error);
	g_mutex_lock(&worker->lock);
	while (created && !worker->trial_reason &&
		g_cond_wait_until(&worker->trial_over, &worker->lock, deadline))
		;
	works = g_strcmp0(worker->trial_reason, "shutdown") == 0;
	g_clear_pointer(&worker->trial_name, g_free);
	g_clear_pointer(&worker->trial_reason, g_free);
	g_mutex_unlock(&worker->lock);
	if (created && !works)
		worker->driver->domain_destroy(conn, name, NULL);
	/* A connection that broke meanwhile has proved nothing. */
	worker->kvm_known = works || !g_error_matches(error, VIRT_ERROR, VIRT_ERROR_UNREACHABLE);
	worker->kvm = works;
	log_event(LOG_INFO, "kvm-trial", "server", worker->name, "works", works ? "yes" : "no",
		"message",
		error   ? error->message
		: works ? ""
			: "a guest on KVM does not get past its firmware",
		NULL);
	return works;
}

/* The lane */

static struct virt_conn *control_connect(struct worker *worker, GError **error)
{
	const struct virt_callbacks callbacks = {
		.closed = on_closed, .domain = on_domain, .user = worker};
	struct virt_conn *conn = worker_connect(worker, LANE_CONTROL, &callbacks, error);
	struct virt_host host;

	if (!conn)
		return NULL;
	if (!worker->driver->host(conn, &host, error)) {
		worker->driver->close(conn);
		return NULL;
	}
	host.kvm = control_kvm_works(worker, conn, &host);
	g_mutex_lock(&worker->lock);
	worker->host = host;
	g_mutex_unlock(&worker->lock);
	worker_lane_up(worker, LANE_CONTROL);
	return conn;
}

static void refuse(struct worker *worker, struct job *job, const char *reason)
{
	g_autoptr(GError) error = g_error_new(
		VIRT_ERROR, VIRT_ERROR_UNREACHABLE, "server %s was lost: %s", worker->name, reason);

	if (job->kind == JOB_REQUEST)
		worker_error(worker, job->request, error);
}

/* TRUE: the connection works still. */
static gboolean control_job(struct worker *worker, struct virt_conn *conn, struct job *job)
{
	struct virt_host host;

	if (job->kind == JOB_REQUEST)
		return control_handle(worker, conn, g_steal_pointer(&job->request));
	/* JOB_CLOSED may be of the connection before this one: ask. */
	return worker->driver->host(conn, &host, NULL);
}

gpointer control_run(gpointer data)
{
	struct worker *worker = data;
	struct virt_conn *conn = NULL;
	gint64 retry_at = 0;
	unsigned attempt = 0;

	for (;;) {
		if (!conn && g_get_monotonic_time() >= retry_at) {
			g_autoptr(GError) error = NULL;

			conn = control_connect(worker, &error);
			if (conn) {
				attempt = 0;
			} else {
				worker_lane_down(worker, LANE_CONTROL, error->message);
				retry_at = g_get_monotonic_time() +
					   worker_backoff_ms(attempt++) * 1000;
			}
		}
		struct job *job = worker_next(worker, LANE_CONTROL, conn ? -1 : retry_at);
		if (job && !conn) {
			refuse(worker, job, "reconnecting");
		} else if (job && !control_job(worker, conn, job)) {
			worker->driver->close(conn);
			conn = NULL;
			retry_at = 0;
			worker_lane_down(worker, LANE_CONTROL,
				job->text ? job->text : "the connection broke");
		}
		job_free(job);
	}
	return NULL;
}
