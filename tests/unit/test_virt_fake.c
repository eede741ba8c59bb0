/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test_virt_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

struct fake fake;

/* A connection has nothing of its own here. */
static char connection;

static void disks_free(gpointer disks)
{
	g_ptr_array_unref(disks);
}

void fake_reset(void)
{
	g_clear_pointer(&fake.domains, g_hash_table_unref);
	g_clear_pointer(&fake.volumes, g_hash_table_unref);
	g_free(fake.last_screen);
	g_free(fake.last_detach);
	fake = (struct fake){
		.domains = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, disks_free),
		.volumes = g_hash_table_new_full(
			g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_byte_array_unref),
		.available = (uint64_t)100 << 30,
		.guest_mib = 512,
		.target_mib = 512,
		.used_mib = 100,
		.gives_mib = 100};
}

struct worker *fake_worker(const char *folder, int *fd)
{
	g_autofree char *text = g_strdup_printf(
		"[paths]\nimages = %s\npki = %s\nstate = %s\n", folder, folder, folder);
	g_autoptr(GPtrArray) problems = conf_problems_new();
	struct conf *conf = conf_parse("test", text, strlen(text), NULL, problems);
	int pair[2];

	assert_non_null(conf);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	*fd = pair[0];
	return worker_new(&fake_driver, &fake_storage, &fake_memory, NULL, conf, "s1",
		"qemu:///system", pair[1]);
}

/* 1: the call is to fail now; 2: it is to fail after its effect; 0: neither. */
static int planned(const char *call)
{
	if (g_strcmp0(fake.cancel_call, call) == 0) {
		fake.cancel_call = NULL;
		storage_cancel(fake.cancel_worker, 3);
	}
	if (g_strcmp0(fake.fail_call, call) != 0)
		return 0;
	fake.fail_call = NULL;
	return fake.fail_after ? 2 : 1;
}

static gboolean set_error(GError **error, enum virt_error code)
{
	g_set_error(error, VIRT_ERROR, code, "fake failure");
	return FALSE;
}

static char *between(const char *text, const char *before)
{
	const char *start = strstr(text, before);

	if (!start)
		return g_strdup("");
	start += strlen(before);
	return g_strndup(start, strcspn(start, "'<"));
}

static struct virt_conn *fake_open(
	const char *uri, const struct virt_callbacks *callbacks, GError **error)
{
	(void)uri;
	if (planned("open")) {
		set_error(error, VIRT_ERROR_UNREACHABLE);
		return NULL;
	}
	if (callbacks)
		fake.callbacks = *callbacks;
	return (struct virt_conn *)&connection;
}

static void fake_close(struct virt_conn *conn)
{
	(void)conn;
}

static gboolean fake_host(struct virt_conn *conn, struct virt_host *host, GError **error)
{
	(void)conn;
	if (planned("host"))
		return set_error(error, fake.fail_code);
	*host = (struct virt_host){.memory_mib = 8192, .cpus = 4, .kvm = true};
	return TRUE;
}

static gboolean fake_domain_create(struct virt_conn *conn, const char *xml, GError **error)
{
	g_autofree char *name = between(xml, "<name>");
	g_autofree char *root = between(xml, "<source file='");
	int plan = planned("domain_create");
	GPtrArray *disks = g_ptr_array_new_with_free_func(g_free);

	(void)conn;
	if (plan == 1 || g_hash_table_contains(fake.domains, name)) {
		g_ptr_array_unref(disks);
		return set_error(error, plan ? fake.fail_code : VIRT_ERROR_EXISTS);
	}
	g_ptr_array_add(disks, g_strdup_printf("%s|virtio-disk0|vda", root));
	g_hash_table_insert(fake.domains, g_strdup(name), disks);
	if (strstr(xml, "rebootTimeout") && fake.trial_ends) {
		g_hash_table_remove(fake.domains, name);
		fake.callbacks.domain(fake.callbacks.user, name, false, "shutdown");
	}
	return plan ? set_error(error, fake.fail_code) : TRUE;
}

static gboolean fake_domain_destroy(struct virt_conn *conn, const char *name, GError **error)
{
	(void)conn;
	if (planned("domain_destroy"))
		return set_error(error, fake.fail_code);
	g_hash_table_remove(fake.domains, name);
	return TRUE;
}

static char *xml_of(const char *name, const GPtrArray *disks)
{
	GString *xml = g_string_new(NULL);

	g_string_printf(xml,
		"<domain type='kvm'><name>%s</name><memory unit='KiB'>524288</memory>"
		"<currentMemory unit='KiB'>%u</currentMemory><devices><memballoon model='%s'/>",
		name, fake.guest_mib * 1024, fake.balloon ? "virtio" : "none");
	for (guint i = 0; i < disks->len; i++) {
		g_auto(GStrv) parts = g_strsplit(disks->pdata[i], "|", 3);

		g_string_append_printf(xml,
			"<disk><source file='%s'/><alias name='%s'/><target dev='%s'/></disk>",
			parts[0], parts[1], parts[2]);
	}
	g_string_append_printf(xml, "<graphics type='vnc' port='%d' listen='10.78.0.11'/>",
		fake.no_vnc ? -1 : 5900);
	g_string_append(xml, "</devices></domain>");
	return g_string_free(xml, FALSE);
}

static char *fake_domain_xml(struct virt_conn *conn, const char *name, GError **error)
{
	const GPtrArray *disks = g_hash_table_lookup(fake.domains, name);

	(void)conn;
	if (planned("domain_xml")) {
		set_error(error, fake.fail_code);
		return NULL;
	}
	if (!disks) {
		set_error(error, VIRT_ERROR_NOT_FOUND);
		return NULL;
	}
	return xml_of(name, disks);
}

static GPtrArray *fake_domain_list(struct virt_conn *conn, GError **error)
{
	GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
	GHashTableIter iter;
	gpointer name, disks;

	(void)conn;
	if (planned("domain_list")) {
		g_ptr_array_unref(list);
		set_error(error, fake.fail_code);
		return NULL;
	}
	g_hash_table_iter_init(&iter, fake.domains);
	while (g_hash_table_iter_next(&iter, &name, &disks))
		g_ptr_array_add(list, xml_of(name, disks));
	return list;
}

static gboolean fake_device_change(struct virt_conn *conn, const char *name,
	enum virt_change change, const char *text, GError **error)
{
	GPtrArray *disks = g_hash_table_lookup(fake.domains, name);
	int plan = planned("device_change");

	(void)conn;
	if (plan == 1)
		return set_error(error, fake.fail_code);
	if (!disks)
		return set_error(error, VIRT_ERROR_NOT_FOUND);
	if (change == VIRT_ATTACH) {
		g_autofree char *path = between(text, "<source file='");
		g_autofree char *alias = between(text, "<alias name='");
		g_autofree char *target = between(text, "<target dev='");

		g_ptr_array_add(disks, g_strdup_printf("%s|%s|%s", path, alias, target));
	} else if (change == VIRT_UPDATE) {
		g_free(fake.last_screen);
		fake.last_screen = g_strdup(text);
	} else {
		g_free(fake.last_detach);
		fake.last_detach = g_strdup_printf("%s %s", name, text);
	}
	return plan ? set_error(error, fake.fail_code) : TRUE;
}

void fake_disk_out(const char *domain, const char *alias)
{
	GPtrArray *disks = g_hash_table_lookup(fake.domains, domain);
	g_autofree char *middle = g_strdup_printf("|%s|", alias);

	for (guint i = disks->len; i-- > 0;)
		if (strstr(disks->pdata[i], middle))
			g_ptr_array_remove_index(disks, i);
}

static gboolean fake_memory_look(
	struct virt_conn *conn, const char *name, struct virt_memory *memory, GError **error)
{
	(void)conn;
	g_mutex_lock(&fake.hung);
	g_mutex_unlock(&fake.hung);
	if (planned("memory_look"))
		return set_error(error, fake.fail_code);
	if (fake.vanishes && --fake.vanishes == 0)
		g_hash_table_remove(fake.domains, name);
	if (fake.starves && --fake.starves == 0)
		fake.used_mib = fake.guest_mib - 10;
	if (!g_hash_table_contains(fake.domains, name))
		return set_error(error, VIRT_ERROR_NOT_FOUND);
	*memory = (struct virt_memory){.guest_mib = fake.guest_mib,
		.resident_mib = fake.guest_mib + fake.keeps_mib,
		.usable_mib = fake.guest_mib - MIN(fake.used_mib, fake.guest_mib),
		.said = fake.said};
	if (fake.guest_mib > fake.target_mib)
		fake.guest_mib -= MIN(fake.gives_mib, fake.guest_mib - fake.target_mib);
	else
		fake.guest_mib = fake.target_mib;
	return TRUE;
}

static gboolean fake_memory_set(
	struct virt_conn *conn, const char *name, uint32_t mib, GError **error)
{
	int plan = planned("memory_set");

	(void)conn;
	if (!g_hash_table_contains(fake.domains, name))
		return set_error(error, VIRT_ERROR_NOT_FOUND);
	if (plan != 1)
		fake.target_mib = mib;
	return plan ? set_error(error, fake.fail_code) : TRUE;
}

static gboolean fake_memory_listen(
	struct virt_conn *conn, const char *name, unsigned seconds, GError **error)
{
	(void)conn;
	if (!g_hash_table_contains(fake.domains, name))
		return set_error(error, VIRT_ERROR_NOT_FOUND);
	fake.said += seconds && !fake.silent;
	return TRUE;
}

static char *key_of(const char *pool, const char *name)
{
	return g_strdup_printf("%s/%s", pool, name);
}

void fake_volume(const char *pool, const char *name, const void *data, size_t length)
{
	GByteArray *bytes = g_byte_array_new();

	g_byte_array_append(bytes, data, (guint)length);
	g_hash_table_insert(fake.volumes, key_of(pool, name), bytes);
}

const GByteArray *fake_volume_look(const char *pool, const char *name)
{
	g_autofree char *key = key_of(pool, name);

	return g_hash_table_lookup(fake.volumes, key);
}

static gboolean fake_volume_get(struct virt_conn *conn, const char *pool, const char *name,
	struct virt_volume *volume, GError **error)
{
	const GByteArray *bytes = fake_volume_look(pool, name);

	(void)conn;
	if (planned("volume_get"))
		return set_error(error, fake.fail_code);
	if (!bytes)
		return set_error(error, VIRT_ERROR_NOT_FOUND);
	volume->path = g_strdup_printf("/%s/%s", pool, name);
	volume->capacity = bytes->len;
	volume->allocation = bytes->len;
	return TRUE;
}

static gboolean fake_volume_put(struct virt_conn *conn, const char *pool, const char *name,
	const struct virt_source *source, GError **error)
{
	int plan = planned("volume_put");
	char buffer[4096];
	ssize_t n;

	(void)conn;
	if (plan == 1)
		return set_error(error, fake.fail_code);
	if (fake_volume_look(pool, name))
		return set_error(error, VIRT_ERROR_EXISTS);
	fake_volume(pool, name, "", 0);
	/* As with libvirt, what failed half-way is left behind. */
	if (plan == 2)
		return set_error(error, fake.fail_code);
	while (source->size && (n = read(source->fd, buffer, sizeof(buffer))) > 0) {
		g_byte_array_append(
			(GByteArray *)fake_volume_look(pool, name), (guint8 *)buffer, (guint)n);
		if (source->sent && !source->sent(source->user, buffer, (size_t)n, error))
			return FALSE;
	}
	return TRUE;
}

static gssize fake_volume_head(struct virt_conn *conn, const char *pool, const char *name,
	void *buffer, size_t length, GError **error)
{
	const GByteArray *bytes = fake_volume_look(pool, name);

	(void)conn;
	if (planned("volume_head")) {
		set_error(error, fake.fail_code);
		return -1;
	}
	length = MIN(length, bytes->len);
	if (length)
		memcpy(buffer, bytes->data, length);
	return (gssize)length;
}

static gboolean fake_volume_delete(
	struct virt_conn *conn, const char *pool, const char *name, GError **error)
{
	g_autofree char *key = key_of(pool, name);

	(void)conn;
	if (planned("volume_delete"))
		return set_error(error, fake.fail_code);
	return g_hash_table_remove(fake.volumes, key) ? TRUE
						      : set_error(error, VIRT_ERROR_NOT_FOUND);
}

const struct virt_driver fake_driver = {
	.open = fake_open,
	.close = fake_close,
	.host = fake_host,
	.domain_create = fake_domain_create,
	.domain_destroy = fake_domain_destroy,
	.domain_xml = fake_domain_xml,
	.domain_list = fake_domain_list,
	.device_change = fake_device_change,
	.volume_get = fake_volume_get,
	.volume_put = fake_volume_put,
	.volume_head = fake_volume_head,
	.volume_delete = fake_volume_delete,
};

static gboolean fake_pool(
	struct virt_conn *conn, const char *pool, struct virt_pool *out, GError **error)
{
	(void)conn;
	(void)pool;
	if (planned("pool"))
		return set_error(error, fake.fail_code);
	*out = (struct virt_pool){.capacity = (uint64_t)200 << 30, .available = fake.available};
	return TRUE;
}

static GPtrArray *fake_list(struct virt_conn *conn, const char *pool, GError **error)
{
	GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *prefix = key_of(pool, "");
	GHashTableIter iter;
	gpointer key;

	(void)conn;
	if (planned("list")) {
		g_ptr_array_unref(list);
		set_error(error, fake.fail_code);
		return NULL;
	}
	g_hash_table_iter_init(&iter, fake.volumes);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		if (g_str_has_prefix(key, prefix))
			g_ptr_array_add(list, g_strdup((char *)key + strlen(prefix)));
	return list;
}

static gboolean fake_copy(struct virt_conn *conn, const char *pool, const char *from,
	const char *name, GError **error)
{
	const GByteArray *bytes = fake_volume_look(pool, from);
	int plan = planned("copy");

	(void)conn;
	if (plan == 1)
		return set_error(error, fake.fail_code);
	if (!bytes || fake_volume_look(pool, name))
		return set_error(error, bytes ? VIRT_ERROR_EXISTS : VIRT_ERROR_NOT_FOUND);
	fake_volume(pool, name, bytes->data, plan ? bytes->len / 2 : bytes->len);
	return plan ? set_error(error, fake.fail_code) : TRUE;
}

/* What an overlay shows is not played; its first bytes say what it is above. */
static gboolean fake_overlay(struct virt_conn *conn, const char *pool, const char *base,
	const char *name, uint64_t size, GError **error)
{
	(void)conn;
	if (planned("overlay"))
		return set_error(error, fake.fail_code);
	if (!fake_volume_look(pool, base) || fake_volume_look(pool, name))
		return set_error(error,
			fake_volume_look(pool, base) ? VIRT_ERROR_EXISTS : VIRT_ERROR_NOT_FOUND);
	g_autofree char *text = g_strdup_printf("%s %" G_GUINT64_FORMAT, base, size);
	fake_volume(pool, name, text, strlen(text));
	return TRUE;
}

static gboolean fake_length(struct virt_conn *conn, const char *pool, const char *name,
	uint64_t *length, GError **error)
{
	const GByteArray *bytes = fake_volume_look(pool, name);

	(void)conn;
	if (planned("length") || !bytes)
		return set_error(error, bytes ? fake.fail_code : VIRT_ERROR_NOT_FOUND);
	*length = bytes->len;
	return TRUE;
}

static gboolean fake_resize(struct virt_conn *conn, const char *pool, const char *name,
	uint64_t size, bool smaller, GError **error)
{
	GByteArray *bytes = (GByteArray *)fake_volume_look(pool, name);
	int plan = planned("resize");
	guint old = bytes ? bytes->len : 0;

	(void)conn;
	if (plan == 1 || !bytes)
		return set_error(error, bytes ? fake.fail_code : VIRT_ERROR_NOT_FOUND);
	if (size > old) {
		g_byte_array_set_size(bytes, (guint)size);
		memset(bytes->data + old, 0, size - old);
	} else if (smaller) {
		g_byte_array_set_size(bytes, (guint)size);
	}
	return plan ? set_error(error, fake.fail_code) : TRUE;
}

static gboolean fake_fetch(struct virt_conn *conn, const char *pool, const char *name,
	const struct virt_sink *sink, GError **error)
{
	const GByteArray *bytes = fake_volume_look(pool, name);

	(void)conn;
	if (planned("fetch") || !bytes)
		return set_error(error, bytes ? fake.fail_code : VIRT_ERROR_NOT_FOUND);
	for (guint at = 0; at < bytes->len;) {
		ssize_t n = write(sink->fd, bytes->data + at, bytes->len - at);

		if (n <= 0)
			return set_error(error, VIRT_ERROR_STORAGE);
		at += (guint)n;
		if (sink->got && !sink->got(sink->user, (size_t)n, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean fake_make(
	struct virt_conn *conn, const char *pool, const char *name, uint64_t size, GError **error)
{
	g_autofree char *zeros = g_malloc0(size);

	(void)conn;
	if (planned("make") || fake_volume_look(pool, name))
		return set_error(
			error, fake_volume_look(pool, name) ? VIRT_ERROR_EXISTS : fake.fail_code);
	fake_volume(pool, name, zeros, size);
	return TRUE;
}

/* One that is planned to fail writes half of it. */
static gboolean fake_patch(struct virt_conn *conn, const char *pool, const char *name,
	uint64_t offset, const struct virt_source *source, GError **error)
{
	GByteArray *bytes = (GByteArray *)fake_volume_look(pool, name);
	int plan = fake.patches_before_failure == 0 ? planned("patch") : 0;
	g_autofree char *buffer = g_malloc(source->size);

	(void)conn;
	fake.patches_before_failure -= fake.patches_before_failure > 0;
	if (!bytes || offset + source->size > bytes->len)
		return set_error(error, bytes ? VIRT_ERROR_STORAGE : VIRT_ERROR_NOT_FOUND);
	if (read(source->fd, buffer, source->size) != (ssize_t)source->size)
		return set_error(error, VIRT_ERROR_STORAGE);
	memcpy(bytes->data + offset, buffer, plan ? source->size / 2 : source->size);
	if (plan)
		return set_error(error, fake.fail_code);
	fake.sent += source->size;
	return source->sent(source->user, buffer, source->size, error);
}

static gboolean fake_read(struct virt_conn *conn, const char *pool, const char *name,
	bool (*got)(void *user, const void *data, size_t length), void *user, GError **error)
{
	const GByteArray *bytes = fake_volume_look(pool, name);

	(void)conn;
	if (planned("read") || !bytes)
		return set_error(error, bytes ? fake.fail_code : VIRT_ERROR_NOT_FOUND);
	return got(user, bytes->data, bytes->len) ? TRUE : set_error(error, VIRT_ERROR_STORAGE);
}

const struct virt_storage_driver fake_storage = {
	.pool = fake_pool,
	.list = fake_list,
	.copy = fake_copy,
	.overlay = fake_overlay,
	.length = fake_length,
	.resize = fake_resize,
	.make = fake_make,
	.patch = fake_patch,
	.read = fake_read,
	.fetch = fake_fetch,
};

const struct virt_memory_driver fake_memory = {
	.look = fake_memory_look,
	.set = fake_memory_set,
	.listen = fake_memory_listen,
};
