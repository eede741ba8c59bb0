/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver on libvirt: connections, domains, agents' channels. It and its other half,
 * driver_libvirt_storage.c, are the only files that include libvirt's headers.
 *
 * Threads. libvirt's default event loop runs in a thread of its own, which does nothing but call
 * callbacks; those only post to the worker's queues. Every other call is made by the lane that has
 * the connection, one at a time: with several calls in flight on a server that hangs, libvirt's
 * keepalive no longer frees them, and its client library has been seen to crash.
 *
 * Hung servers. Keepalive ends an idle connection, and the one call in flight, after
 * KEEPALIVE_INTERVAL * (KEEPALIVE_COUNT + 1) seconds. virConnectOpen is not covered by it: an
 * address that does not answer is found by a TCP probe first, and main.c ends the process when an
 * open takes too long.
 */
#include "broker/virt/driver_libvirt.h"
#include "broker/virt/uri.h"

#include <libvirt/virterror.h>
#include <string.h>

#define KEEPALIVE_INTERVAL 2
#define KEEPALIVE_COUNT 3
#define PROBE_MS 5000
/* Below libvirt's limit for the data of one stream packet (262120 bytes). */
#define CHUNK (256 * 1024 - 64)

struct virt_channel {
	virStreamPtr stream; /* owned */
};

/* Errors */

static enum virt_error classify(virErrorPtr e)
{
	const char *text = e && e->message ? e->message : "";

	switch (e ? e->code : VIR_ERR_INTERNAL_ERROR) {
	case VIR_ERR_NO_DOMAIN:
	case VIR_ERR_NO_STORAGE_VOL:
	case VIR_ERR_DEVICE_MISSING:
		return VIRT_ERROR_NOT_FOUND;
	case VIR_ERR_STORAGE_VOL_EXIST:
	case VIR_ERR_DOM_EXIST:
		return VIRT_ERROR_EXISTS;
	case VIR_ERR_NO_STORAGE_POOL:
		return VIRT_ERROR_STORAGE;
	case VIR_ERR_NO_MEMORY:
		return VIRT_ERROR_NO_MEMORY;
	case VIR_ERR_RESOURCE_BUSY:
		return VIRT_ERROR_BUSY;
	case VIR_ERR_OPERATION_TIMEOUT:
	case VIR_ERR_AGENT_UNRESPONSIVE:
		return VIRT_ERROR_TIMEOUT;
	default:
		break;
	}
	/* QEMU's and libvirt's own words, where there is no code: its image lock, a lock of
	 * virtlockd, memory, names. */
	if (strstr(text, "Failed to get \"write\" lock") ||
		strstr(text, "Failed to get shared \"write\" lock") ||
		strstr(text, "Lockspace resource") || strstr(text, "is locked"))
		return VIRT_ERROR_BUSY;
	if (strstr(text, "Cannot allocate memory"))
		return VIRT_ERROR_NO_MEMORY;
	if (strstr(text, "already exists") || strstr(text, "already active"))
		return VIRT_ERROR_EXISTS;
	return VIRT_ERROR_LIBVIRT;
}

gboolean libvirt_fail(struct virt_conn *conn, GError **error, const char *what, const char *name)
{
	virErrorPtr e = virGetLastError();
	enum virt_error code = classify(e);
	/* A copy: the next call, also the one below, resets the error. */
	g_autofree char *message =
		g_strdup(e && e->message ? e->message : "libvirt gives no reason");

	if (!conn || virConnectIsAlive(conn->c) <= 0)
		code = VIRT_ERROR_UNREACHABLE;
	g_set_error(error, VIRT_ERROR, code, "cannot %s %s: %s", what, name, message);
	virResetLastError();
	return FALSE;
}

/* Connection and events */

static void on_close(virConnectPtr c, int reason, void *opaque)
{
	static const char *const words[] = {"the connection broke",
		"the server ended the connection", "the server does not answer (keepalive)",
		"closed"};
	struct virt_conn *conn = opaque;

	(void)c;
	if (conn->callbacks.closed && !g_atomic_int_get(&conn->closing))
		conn->callbacks.closed(conn->callbacks.user,
			reason >= 0 && reason < (int)G_N_ELEMENTS(words) ? words[reason]
									 : "closed");
}

static const char *stop_reason(int detail)
{
	switch ((virDomainEventStoppedDetailType)detail) {
	case VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN:
		return "shutdown";
	case VIR_DOMAIN_EVENT_STOPPED_DESTROYED:
		return "destroyed";
	case VIR_DOMAIN_EVENT_STOPPED_CRASHED:
		return "crashed";
	case VIR_DOMAIN_EVENT_STOPPED_MIGRATED:
		return "migrated";
	case VIR_DOMAIN_EVENT_STOPPED_SAVED:
		return "saved";
	case VIR_DOMAIN_EVENT_STOPPED_FAILED:
		return "failed";
	default:
		return "stopped";
	}
}

static int on_lifecycle(virConnectPtr c, virDomainPtr domain, int event, int detail, void *opaque)
{
	struct virt_conn *conn = opaque;

	(void)c;
	if (g_atomic_int_get(&conn->closing))
		return 0;
	if (event == VIR_DOMAIN_EVENT_STARTED)
		conn->callbacks.domain(conn->callbacks.user, virDomainGetName(domain), true, "");
	else if (event == VIR_DOMAIN_EVENT_STOPPED)
		conn->callbacks.domain(
			conn->callbacks.user, virDomainGetName(domain), false, stop_reason(detail));
	return 0;
}

static void on_removed(virConnectPtr c, virDomainPtr domain, const char *alias, void *opaque)
{
	struct virt_conn *conn = opaque;

	(void)c;
	if (!g_atomic_int_get(&conn->closing))
		conn->callbacks.device_removed(
			conn->callbacks.user, virDomainGetName(domain), alias);
}

static void conn_release(void *conn)
{
	g_atomic_rc_box_release(conn);
}

static void driver_close(struct virt_conn *conn)
{
	if (!conn)
		return;
	g_atomic_int_set(&conn->closing, 1);
	if (conn->lifecycle_id >= 0)
		virConnectDomainEventDeregisterAny(conn->c, conn->lifecycle_id);
	if (conn->removed_id >= 0)
		virConnectDomainEventDeregisterAny(conn->c, conn->removed_id);
	virConnectUnregisterCloseCallback(conn->c, on_close);
	virConnectClose(conn->c);
	virResetLastError();
	conn_release(conn);
}

/* Registers one event; libvirt drops the reference when it is done with it. Returns its id. */
static int event_register(
	struct virt_conn *conn, int event, virConnectDomainEventGenericCallback cb)
{
	int id = virConnectDomainEventRegisterAny(
		conn->c, NULL, event, cb, g_atomic_rc_box_acquire(conn), conn_release);

	if (id < 0)
		conn_release(conn);
	return id;
}

static gboolean events_register(struct virt_conn *conn)
{
	if (conn->callbacks.domain)
		conn->lifecycle_id = event_register(conn, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
			VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle));
	if (conn->callbacks.device_removed)
		conn->removed_id = event_register(conn, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
			VIR_DOMAIN_EVENT_CALLBACK(on_removed));
	return (!conn->callbacks.domain || conn->lifecycle_id >= 0) &&
	       (!conn->callbacks.device_removed || conn->removed_id >= 0);
}

static struct virt_conn *driver_open(
	const char *uri, const struct virt_callbacks *callbacks, GError **error)
{
	struct virt_conn *conn;
	virConnectPtr c;

	if (!uri_probe(uri, PROBE_MS, error))
		return NULL;
	c = virConnectOpen(uri);
	if (!c) {
		libvirt_fail(NULL, error, "connect to", uri);
		return NULL;
	}
	conn = g_atomic_rc_box_new0(struct virt_conn);
	conn->c = c;
	conn->lifecycle_id = conn->removed_id = -1;
	if (callbacks)
		conn->callbacks = *callbacks;
	/* Local drivers (test:///) have neither keepalive nor a way to be closed; that is no error.
	 */
	virConnectSetKeepAlive(c, KEEPALIVE_INTERVAL, KEEPALIVE_COUNT);
	if (virConnectRegisterCloseCallback(
		    c, on_close, g_atomic_rc_box_acquire(conn), conn_release) < 0)
		conn_release(conn);
	if (!events_register(conn)) {
		libvirt_fail(conn, error, "receive the events of", uri);
		driver_close(conn);
		return NULL;
	}
	virResetLastError();
	return conn;
}

static gboolean driver_host(struct virt_conn *conn, struct virt_host *host, GError **error)
{
	virNodeInfo info;
	char *caps;

	if (virNodeGetInfo(conn->c, &info) < 0)
		return libvirt_fail(conn, error, "ask for the host's", "memory");
	host->memory_mib = (uint32_t)MIN(info.memory / 1024, G_MAXUINT32);
	host->cpus = info.cpus;
	caps = virConnectGetCapabilities(conn->c);
	if (!caps)
		return libvirt_fail(conn, error, "ask for the host's", "capabilities");
	host->kvm = strstr(caps, "<domain type='kvm'") != NULL;
	free(caps);
	return TRUE;
}

/* Domains */

static gboolean driver_domain_create(struct virt_conn *conn, const char *xml, GError **error)
{
	virDomainPtr domain = virDomainCreateXML(conn->c, xml, 0);

	if (!domain)
		return libvirt_fail(conn, error, "start", "the desktop");
	virDomainFree(domain);
	return TRUE;
}

static gboolean driver_domain_destroy(struct virt_conn *conn, const char *name, GError **error)
{
	virDomainPtr domain = virDomainLookupByName(conn->c, name);
	g_autoptr(GError) cause = NULL;

	if (domain && virDomainDestroyFlags(domain, 0) < 0 &&
		virGetLastErrorCode() != VIR_ERR_NO_DOMAIN &&
		virGetLastErrorCode() != VIR_ERR_OPERATION_INVALID)
		libvirt_fail(conn, &cause, "destroy", name);
	if (domain)
		virDomainFree(domain);
	if (cause) {
		g_propagate_error(error, g_steal_pointer(&cause));
		return FALSE;
	}
	/* Certain only when the server no longer knows it: transient domains go with their VM. */
	virResetLastError();
	domain = virDomainLookupByName(conn->c, name);
	if (!domain) {
		if (virGetLastErrorCode() == VIR_ERR_NO_DOMAIN) {
			virResetLastError();
			return TRUE;
		}
		return libvirt_fail(conn, error, "look for", name);
	}
	gboolean off = virDomainIsActive(domain) == 0;
	virDomainFree(domain);
	if (!off)
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_TIMEOUT,
			"%s still runs after it was destroyed; look at its QEMU process on the "
			"server",
			name);
	return off;
}

static char *driver_domain_xml(struct virt_conn *conn, const char *name, GError **error)
{
	virDomainPtr domain = virDomainLookupByName(conn->c, name);
	char *xml = domain ? virDomainGetXMLDesc(domain, 0) : NULL;

	if (!xml)
		libvirt_fail(conn, error, "find", name);
	if (domain)
		virDomainFree(domain);
	return xml;
}

static GPtrArray *driver_domain_list(struct virt_conn *conn, GError **error)
{
	virDomainPtr *domains = NULL;
	int count = virConnectListAllDomains(conn->c, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
	GPtrArray *list;

	if (count < 0) {
		libvirt_fail(conn, error, "list", "the domains");
		return NULL;
	}
	list = g_ptr_array_new_with_free_func(free);
	for (int i = 0; i < count; i++) {
		/* One that ended meanwhile is left out; a broken connection shows below. */
		char *xml = virDomainGetXMLDesc(domains[i], 0);

		if (xml)
			g_ptr_array_add(list, xml);
		virDomainFree(domains[i]);
	}
	free(domains);
	if (virConnectIsAlive(conn->c) <= 0) {
		libvirt_fail(conn, error, "list", "the domains");
		g_ptr_array_unref(list);
		return NULL;
	}
	virResetLastError();
	return list;
}

static gboolean driver_device_change(struct virt_conn *conn, const char *name,
	enum virt_change change, const char *text, GError **error)
{
	static const char *const words[] = {
		"attach a disk to", "change the screen of", "detach a disk from"};
	virDomainPtr domain = virDomainLookupByName(conn->c, name);
	int result = -1;

	if (domain && change == VIRT_ATTACH)
		result = virDomainAttachDeviceFlags(domain, text, VIR_DOMAIN_AFFECT_LIVE);
	else if (domain && change == VIRT_UPDATE)
		result = virDomainUpdateDeviceFlags(domain, text, VIR_DOMAIN_AFFECT_LIVE);
	else if (domain)
		result = virDomainDetachDeviceAlias(domain, text, VIR_DOMAIN_AFFECT_LIVE);
	if (result < 0)
		libvirt_fail(conn, error, words[change], name);
	if (domain)
		virDomainFree(domain);
	return result >= 0;
}

/* Memory */

static gboolean memory_look(
	struct virt_conn *conn, const char *name, struct virt_memory *memory, GError **error)
{
	virDomainPtr domain = virDomainLookupByName(conn->c, name);
	virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
	int count = domain ? virDomainMemoryStats(domain, stats, G_N_ELEMENTS(stats), 0) : -1;

	if (count < 0)
		libvirt_fail(conn, error, "ask for the memory of", name);
	if (domain)
		virDomainFree(domain);
	*memory = (struct virt_memory){0};
	for (int i = 0; i < count; i++) {
		uint32_t mib = (uint32_t)MIN(stats[i].val / 1024, G_MAXUINT32 - 1);

		if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON)
			memory->guest_mib = mib + (stats[i].val % 1024 != 0);
		else if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_RSS)
			memory->resident_mib = mib + (stats[i].val % 1024 != 0);
		else if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_USABLE)
			memory->usable_mib = mib;
		else if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE)
			memory->said = (int64_t)stats[i].val;
	}
	/* Without these two a resize would be done before it began. */
	if (count >= 0 && (!memory->guest_mib || !memory->resident_mib)) {
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_LIBVIRT,
			"libvirt does not say how much memory %s has", name);
		return FALSE;
	}
	return count >= 0;
}

static gboolean memory_set(struct virt_conn *conn, const char *name, uint32_t mib, GError **error)
{
	virDomainPtr domain = virDomainLookupByName(conn->c, name);
	int result = domain ? virDomainSetMemoryFlags(
				      domain, (unsigned long)mib * 1024, VIR_DOMAIN_AFFECT_LIVE)
			    : -1;

	if (result < 0)
		libvirt_fail(conn, error, "change the memory of", name);
	if (domain)
		virDomainFree(domain);
	return result >= 0;
}

static gboolean memory_listen(
	struct virt_conn *conn, const char *name, unsigned seconds, GError **error)
{
	virDomainPtr domain = virDomainLookupByName(conn->c, name);
	int result =
		domain ? virDomainSetMemoryStatsPeriod(domain, (int)seconds, VIR_DOMAIN_AFFECT_LIVE)
		       : -1;

	if (result < 0)
		libvirt_fail(conn, error, "ask for the memory that is used in", name);
	if (domain)
		virDomainFree(domain);
	return result >= 0;
}

/* The agent's channel */

struct channel_user {
	void (*ready)(uintptr_t user, int what);
	uintptr_t user;
};

static void on_stream(virStreamPtr stream, int events, void *opaque)
{
	struct channel_user *channel = opaque;
	int what = 0;

	if (events & VIR_STREAM_EVENT_READABLE)
		what |= VIRT_CAN_READ;
	if (events & VIR_STREAM_EVENT_WRITABLE)
		what |= VIRT_CAN_WRITE;
	if (events & (VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP))
		what |= VIRT_BROKEN;
	/* Level-triggered: silent until the lane has looked and armed it again. */
	virStreamEventUpdateCallback(stream, 0);
	channel->ready(channel->user, what);
}

static struct virt_channel *channel_open(struct virt_conn *conn, const char *name,
	void (*ready)(uintptr_t user, int what), uintptr_t user, GError **error)
{
	virDomainPtr domain = virDomainLookupByName(conn->c, name);
	virStreamPtr stream = domain ? virStreamNew(conn->c, VIR_STREAM_NONBLOCK) : NULL;
	struct virt_channel *channel = NULL;
	struct channel_user *own = g_new0(struct channel_user, 1);

	own->ready = ready;
	own->user = user;
	/* FORCE: an earlier worker's stream may still hang on the server. */
	if (stream && virDomainOpenChannel(
			      domain, VIRT_AGENT_PORT, stream, VIR_DOMAIN_CHANNEL_FORCE) == 0) {
		if (virStreamEventAddCallback(stream,
			    VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_ERROR |
				    VIR_STREAM_EVENT_HANGUP,
			    on_stream, own, g_free) == 0) {
			channel = g_new0(struct virt_channel, 1);
			channel->stream = g_steal_pointer(&stream);
			own = NULL;
		} else {
			virStreamAbort(stream);
		}
	}
	if (!channel)
		libvirt_fail(conn, error, "open the agent's channel of", name);
	g_free(own);
	if (stream)
		virStreamFree(stream);
	if (domain)
		virDomainFree(domain);
	return channel;
}

static gssize channel_read(struct virt_channel *channel, void *buffer, size_t length)
{
	int n = virStreamRecv(channel->stream, buffer, length);

	if (n == -1)
		virResetLastError();
	return n;
}

static gssize channel_write(struct virt_channel *channel, const void *data, size_t length)
{
	int n = virStreamSend(channel->stream, data, MIN(length, CHUNK));

	if (n == -1)
		virResetLastError();
	return n;
}

static void channel_arm(struct virt_channel *channel, bool write)
{
	virStreamEventUpdateCallback(channel->stream,
		VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP |
			(write ? VIR_STREAM_EVENT_WRITABLE : 0));
}

static void channel_close(struct virt_channel *channel)
{
	if (!channel)
		return;
	virStreamEventRemoveCallback(channel->stream);
	virStreamAbort(channel->stream);
	virStreamFree(channel->stream);
	virResetLastError();
	g_free(channel);
}

/* Start */

static void be_quiet(void *user, virErrorPtr error)
{
	/* Errors are returned; libvirt's own printing would only repeat them. */
	(void)user;
	(void)error;
}

static gpointer run_events(gpointer data)
{
	for (;;)
		if (virEventRunDefaultImpl() < 0)
			g_error("libvirt's event loop failed: %s", virGetLastErrorMessage());
	return data;
}

gboolean virt_libvirt_init(GError **error)
{
	virSetErrorFunc(NULL, be_quiet);
	if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
		return libvirt_fail(NULL, error, "start", "libvirt's client library");
	g_thread_unref(g_thread_new("events", run_events, NULL));
	return TRUE;
}

const struct virt_driver virt_libvirt = {
	.open = driver_open,
	.close = driver_close,
	.host = driver_host,
	.domain_create = driver_domain_create,
	.domain_destroy = driver_domain_destroy,
	.domain_xml = driver_domain_xml,
	.domain_list = driver_domain_list,
	.device_change = driver_device_change,
	.volume_get = libvirt_volume_get,
	.volume_put = libvirt_volume_put,
	.volume_head = libvirt_volume_head,
	.volume_delete = libvirt_volume_delete,
};

const struct virt_memory_driver virt_libvirt_memory = {
	.look = memory_look,
	.set = memory_set,
	.listen = memory_listen,
};

const struct virt_channel_driver virt_libvirt_channel = {
	.open = channel_open,
	.read = channel_read,
	.write = channel_write,
	.arm = channel_arm,
	.close = channel_close,
};
