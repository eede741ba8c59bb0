/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lane of desktop-resize: a running desktop gives memory back to its host, by its balloon.
 *
 * What counts is what the host has: the resident size of the hypervisor's process, which must fall
 * to the new size and what the process needs for itself. A balloon does that for any size and any
 * image that has its driver; the guest's kernel fills it with free pages and page cache, and ends
 * no program for it. What could end one is a guest that is left with less than its programs use, so
 * it is asked first what it can do without, and watched meanwhile.
 *
 * libvirt's calls for it hang for as long as the hypervisor's process is stopped, and hold one of
 * the few threads that libvirtd has for calls. Each resize therefore has a thread and a connection
 * of its own, and there are never more than RESIZES_MAX; the lane's own thread answers for those
 * that hang.
 */
#include "broker/virt/worker.h"
#include "broker/shared/log.h"
#include "broker/virt/domain_info.h"
#include "broker/virt/domain_xml.h"

#include <stdlib.h>
#include <string.h>

/* A few of libvirtd's 20 threads (max_workers of libvirtd.conf). */
#define RESIZES_MAX 4
#define LOOK_US (100 * 1000)
/* QEMU says the size of a balloon that moves once a second; until then libvirt describes the domain
 * with an older one. */
#define LISTED_MS 1500
/* How long after its deadline a resize may need until the old size is back, and it answers. */
#define RESTORE_MS 2000
#define HANG_MS (RESTORE_MS + 500)
/* What the guest must still be able to do without at the new size, so that the next program that is
 * started, or a burst of writes, finds memory. Half of it, while the size falls, ends the attempt.
 */
#define MARGIN_MIB 64

/* Resident as well, but not this desktop's alone: QEMU, its libraries and the guest's kernel are
 * mapped from files, 95 MiB of them with QEMU 7.2 and a kernel of 66 MB. */
#define MAPPED_MIB 128

struct resize {
	struct worker *worker;   /* borrowed */
	struct virt_conn *conn;  /* owned */
	struct request *request; /* owned */
	char *name;              /* owned; of the domain */
	gint64 deadline;         /* monotonic, us; the lane's thread looks at it too */
	uint32_t before_mib;     /* the guest's size at the beginning */
	uint32_t resident_mib;   /* at most, when it is done */
	bool answered;           /* under the worker's lock */
};

typedef gboolean (*look_done)(
	const struct resize *resize, const struct virt_memory *memory, gint64 value);

/* Looks until `done`, or fails: with TIMEOUT at `deadline`, then `memory` is as of the last look.
 */
static gboolean look_until(struct resize *resize, look_done done, gint64 value, gint64 deadline,
	struct virt_memory *memory, GError **error)
{
	for (;;) {
		if (!resize->worker->memory->look(resize->conn, resize->name, memory, error))
			return FALSE;
		if (done(resize, memory, value))
			return TRUE;
		if (g_get_monotonic_time() >= deadline)
			break;
		g_usleep(LOOK_US);
	}
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_TIMEOUT, "not in time");
	return FALSE;
}

static gboolean has_spoken(
	const struct resize *resize, const struct virt_memory *memory, gint64 before)
{
	(void)resize;
	return memory->said > before;
}

/* Has the guest so much, or as little as that and the host the rest? Or is the guest in danger? */
static gboolean has_size(
	const struct resize *resize, const struct virt_memory *memory, gint64 wanted)
{
	if (wanted > resize->before_mib)
		return memory->guest_mib >= wanted;
	return memory->usable_mib < MARGIN_MIB / 2 ||
	       (memory->guest_mib <= wanted && memory->resident_mib <= resize->resident_mib);
}

static gboolean has_old_size(
	const struct resize *resize, const struct virt_memory *memory, gint64 wanted)
{
	(void)wanted;
	return memory->guest_mib >= resize->before_mib;
}

static gboolean refuse_small(
	const struct resize *resize, const struct virt_memory *memory, GError **error)
{
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_NO_MEMORY,
		"%s cannot do with %u MiB: of its %u MiB it can give up %u, and %d must stay free; "
		"move its user to another desktop",
		resize->name, resize->request->memory_mib, memory->guest_mib, memory->usable_mib,
		MARGIN_MIB);
	return FALSE;
}

/* Is the guest alive, and does what its programs use fit? Nothing has been changed yet. */
static gboolean guest_agrees(struct resize *resize, struct virt_memory *memory, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (!resize->worker->memory->listen(resize->conn, resize->name, 1, error))
		return FALSE;
	if (!look_until(resize, has_spoken, memory->said, resize->deadline, memory, &cause)) {
		if (g_error_matches(cause, VIRT_ERROR, VIRT_ERROR_TIMEOUT))
			g_set_error(error, VIRT_ERROR, VIRT_ERROR_TIMEOUT,
				"the guest of %s does not say how much memory it uses; is "
				"virtio_balloon among its image's modules?",
				resize->name);
		else
			g_propagate_error(error, g_steal_pointer(&cause));
		return FALSE;
	}
	if ((gint64)memory->usable_mib - memory->guest_mib + resize->request->memory_mib <
		MARGIN_MIB)
		return refuse_small(resize, memory, error);
	if (g_get_monotonic_time() < resize->deadline)
		return TRUE;
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_TIMEOUT,
		"the hypervisor of %s did not answer within %u ms; nothing was changed",
		resize->name, resize->request->ms);
	return FALSE;
}

/* Also after a failed call, whose effect is not known. A connection that broke, or a VM that is
 * gone, needs nothing that could be done here: desktop-list says what is. */
static void restore(struct resize *resize)
{
	const gint64 deadline = g_get_monotonic_time() + RESTORE_MS * 1000;
	struct virt_memory memory;

	if (resize->worker->memory->set(resize->conn, resize->name, resize->before_mib, NULL))
		look_until(resize, has_old_size, 0, deadline, &memory, NULL);
}

/* To the size of the request; the old one is put back when it fails. */
static gboolean change(struct resize *resize, GError **error)
{
	const struct virt_memory_driver *driver = resize->worker->memory;
	const uint32_t wanted = resize->request->memory_mib;
	g_autoptr(GError) cause = NULL;
	struct virt_memory memory;

	if (!driver->look(resize->conn, resize->name, &memory, error))
		return FALSE;
	resize->before_mib = memory.guest_mib;
	const bool shrinks = wanted < resize->before_mib;
	if (shrinks && !guest_agrees(resize, &memory, error))
		return FALSE;
	if (driver->set(resize->conn, resize->name, wanted, &cause) &&
		look_until(resize, has_size, wanted, resize->deadline, &memory, &cause)) {
		if (!shrinks || memory.usable_mib >= MARGIN_MIB / 2)
			return TRUE;
		refuse_small(resize, &memory, &cause);
	} else if (g_error_matches(cause, VIRT_ERROR, VIRT_ERROR_TIMEOUT)) {
		g_clear_error(&cause);
		g_set_error(&cause, VIRT_ERROR, VIRT_ERROR_TIMEOUT,
			"%s was not at %u MiB within %u ms: its guest had %u, its process held %u "
			"where %u are allowed; it has its %u MiB again",
			resize->name, wanted, resize->request->ms, memory.guest_mib,
			memory.resident_mib, resize->resident_mib, resize->before_mib);
	}
	restore(resize);
	g_propagate_error(error, g_steal_pointer(&cause));
	return FALSE;
}

static struct domain_info *describe(struct resize *resize, GError **error)
{
	char *xml = resize->worker->driver->domain_xml(resize->conn, resize->name, error);
	struct domain_info *info = xml ? domain_info_parse(xml, strlen(xml), error) : NULL;

	free(xml);
	return info;
}

/* So that a desktop-list after the answer says the new size; not worth a failure. */
static void wait_listed(struct resize *resize)
{
	const gint64 deadline = g_get_monotonic_time() + LISTED_MS * 1000;
	gboolean listed = FALSE;

	while (!listed && g_get_monotonic_time() < deadline) {
		struct domain_info *info = describe(resize, NULL);

		listed = !info || info->memory_mib == resize->request->memory_mib;
		domain_info_free(info);
		if (!listed)
			g_usleep(LOOK_US);
	}
}

/* A call that fails because the VM ends under it has libvirt's words for what it was doing; the VM
 * is still listed then for a moment. */
static void say_if_gone(struct resize *resize, GError **error)
{
	const gint64 deadline = g_get_monotonic_time() + LISTED_MS * 1000;

	while (g_error_matches(*error, VIRT_ERROR, VIRT_ERROR_LIBVIRT) &&
		g_get_monotonic_time() < deadline) {
		g_autoptr(GError) why = NULL;
		struct domain_info *info = describe(resize, &why);

		domain_info_free(info);
		if (g_error_matches(why, VIRT_ERROR, VIRT_ERROR_NOT_FOUND)) {
			g_clear_error(error);
			g_propagate_error(error, g_steal_pointer(&why));
		} else {
			g_usleep(LOOK_US);
		}
	}
}

static gboolean resize_do(struct resize *resize, GError **error)
{
	struct worker *worker = resize->worker;
	struct domain_info *info = describe(resize, error);
	gboolean good = FALSE;

	if (!info)
		return FALSE;
	/* [desktop] overhead_mib is what the broker counts for the process besides the guest's
	 * memory; the cache of translated code, which is bounded, comes to it without KVM. */
	resize->resident_mib = resize->request->memory_mib +
			       (uint32_t)conf_int(worker->conf, CONF_DESKTOP_OVERHEAD) +
			       MAPPED_MIB + (info->emulated ? DOMAIN_TCG_CACHE_MIB : 0);
	if (!info->balloon)
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_NOT_SUPPORTED,
			"%s was started without a balloon: its image's recipe says handoff = hard",
			resize->name);
	else if (resize->request->memory_mib > info->largest_mib)
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_NOT_SUPPORTED,
			"%s was started with %u MiB and cannot have more", resize->name,
			info->largest_mib);
	else
		good = change(resize, error);
	if (good)
		wait_listed(resize);
	else
		say_if_gone(resize, error);
	/* It ends with the VM anyway; a failure would only leave the guest a little busier. */
	if (info->balloon)
		worker->memory->listen(resize->conn, resize->name, 0, NULL);
	domain_info_free(info);
	return good;
}

static void resize_free(struct resize *resize)
{
	request_free(resize->request);
	g_free(resize->name);
	g_free(resize);
}

/* TRUE: nobody has answered yet, and the caller must. */
static bool take_answer(struct resize *resize)
{
	bool mine = !resize->answered;

	resize->answered = true;
	return mine;
}

static gpointer resize_run(gpointer data)
{
	struct resize *resize = data;
	struct worker *worker = resize->worker;
	g_autoptr(GError) error = NULL;
	gint64 began = g_get_monotonic_time();
	gboolean good = resize_do(resize, &error);

	worker->driver->close(resize->conn);
	log_event(good ? LOG_INFO : LOG_WARN, "desktop-resize", "server", worker->name, "desktop",
		log_fmt("d%" G_GUINT64_FORMAT, resize->request->desktop), "memory_mib",
		log_fmt("%u", resize->request->memory_mib), "ms",
		log_fmt("%" G_GINT64_FORMAT, (g_get_monotonic_time() - began) / 1000), "message",
		good ? "" : error->message, NULL);
	g_mutex_lock(&worker->lock);
	g_ptr_array_remove_fast(worker->resizes, resize);
	bool mine = take_answer(resize);
	g_mutex_unlock(&worker->lock);
	if (mine && good)
		worker_ok(worker, resize->request,
			json_pack("{s:I}", "memory_mib", (json_int_t)resize->request->memory_mib));
	else if (mine)
		worker_error(worker, resize->request, error);
	resize_free(resize);
	return NULL;
}

/* With the lock. */
static gboolean may_begin(struct worker *worker, const struct request *request, GError **error)
{
	for (guint i = 0; i < worker->resizes->len; i++) {
		const struct resize *other = worker->resizes->pdata[i];

		if (other->request->desktop != request->desktop)
			continue;
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_BUSY, "%s is being resized already",
			other->name);
		return FALSE;
	}
	if (worker->resizes->len >= RESIZES_MAX)
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_BUSY,
			"%d desktops of server %s are being resized already", RESIZES_MAX,
			worker->name);
	return worker->resizes->len < RESIZES_MAX;
}

void sizes_begin(struct worker *worker, struct virt_conn *conn, struct request *request)
{
	struct resize *resize = g_new0(struct resize, 1);
	g_autoptr(GError) error = NULL;

	resize->worker = worker;
	resize->conn = conn;
	resize->request = request;
	resize->name = domain_name(request->desktop);
	resize->deadline = g_get_monotonic_time() + (gint64)request->ms * 1000;
	g_mutex_lock(&worker->lock);
	gboolean begin = may_begin(worker, request, &error);
	if (begin)
		g_ptr_array_add(worker->resizes, resize);
	g_mutex_unlock(&worker->lock);
	if (begin) {
		g_thread_unref(g_thread_new("resize", resize_run, resize));
		return;
	}
	worker->driver->close(conn);
	worker_error(worker, request, error);
	resize_free(resize);
}

gint64 sizes_overdue(struct worker *worker)
{
	gint64 now = g_get_monotonic_time(), next = -1;

	g_mutex_lock(&worker->lock);
	for (guint i = 0; i < worker->resizes->len; i++) {
		struct resize *resize = worker->resizes->pdata[i];
		gint64 left = (resize->deadline - now) / 1000 + HANG_MS;
		g_autoptr(GError) error = NULL;

		if (resize->answered)
			continue;
		if (left > 0) {
			next = next < 0 ? left : MIN(next, left);
			continue;
		}
		take_answer(resize);
		g_set_error(&error, VIRT_ERROR, VIRT_ERROR_TIMEOUT,
			"the hypervisor of %s does not answer; when it does, the desktop gets its "
			"size "
			"back",
			resize->name);
		worker_error(worker, resize->request, error);
	}
	g_mutex_unlock(&worker->lock);
	return next;
}

gpointer sizes_run(gpointer data)
{
	struct worker *worker = data;

	for (;;) {
		gint64 left = sizes_overdue(worker);
		struct job *job = worker_next(
			worker, LANE_SIZES, left < 0 ? -1 : g_get_monotonic_time() + left * 1000);
		g_autoptr(GError) error = NULL;
		struct virt_conn *conn =
			job ? worker_connect(worker, LANE_SIZES, NULL, &error) : NULL;

		if (conn)
			sizes_begin(worker, conn, g_steal_pointer(&job->request));
		else if (job)
			worker_error(worker, job->request, error);
		job_free(job);
	}
	return NULL;
}
