/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The driver on libvirt: storage pools, and the bytes of volumes. */
#include "broker/virt/domain_xml.h"
#include "broker/virt/driver_libvirt.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <unistd.h>

static gboolean fail_storage(
	struct virt_conn *conn, GError **error, const char *what, const char *name)
{
	g_autoptr(GError) cause = NULL;

	libvirt_fail(conn, &cause, what, name);
	if (cause->code == VIRT_ERROR_LIBVIRT)
		cause->code = VIRT_ERROR_STORAGE;
	g_propagate_error(error, g_steal_pointer(&cause));
	return FALSE;
}

static virStorageVolPtr volume_find(
	struct virt_conn *conn, const char *pool_name, const char *name, GError **error)
{
	virStoragePoolPtr pool = virStoragePoolLookupByName(conn->c, pool_name);
	virStorageVolPtr volume;

	if (!pool) {
		fail_storage(conn, error, "find the storage pool", pool_name);
		return NULL;
	}
	volume = virStorageVolLookupByName(pool, name);
	if (!volume && virGetLastErrorCode() == VIR_ERR_NO_STORAGE_VOL) {
		/* Another server may have made it on the common storage. */
		virStoragePoolRefresh(pool, 0);
		volume = virStorageVolLookupByName(pool, name);
	}
	if (!volume)
		fail_storage(conn, error, "find the volume", name);
	virStoragePoolFree(pool);
	return volume;
}

gboolean libvirt_volume_get(struct virt_conn *conn, const char *pool, const char *name,
	struct virt_volume *out, GError **error)
{
	virStorageVolPtr volume = volume_find(conn, pool, name, error);
	virStorageVolInfo info;
	char *path;

	if (!volume)
		return FALSE;
	path = virStorageVolGetInfo(volume, &info) < 0 ? NULL : virStorageVolGetPath(volume);
	if (!path)
		fail_storage(conn, error, "look at the volume", name);
	virStorageVolFree(volume);
	if (!path)
		return FALSE;
	out->path = path;
	out->capacity = info.capacity;
	out->allocation = info.allocation;
	return TRUE;
}

struct upload {
	const struct virt_source *source;
	uint64_t left;
	GError *error;
};

static int read_source(virStreamPtr stream, char *data, size_t length, void *opaque)
{
	struct upload *upload = opaque;
	ssize_t n;

	(void)stream;
	do
		n = read(upload->source->fd, data, MIN(length, upload->left));
	while (n < 0 && errno == EINTR);
	if (n < 0 || (n == 0 && upload->left)) {
		g_set_error(&upload->error, VIRT_ERROR, VIRT_ERROR_STORAGE,
			"the source of the upload ended early: %s",
			n ? g_strerror(errno) : "short");
		return -1;
	}
	upload->left -= (uint64_t)n;
	if (n && upload->source->sent &&
		!upload->source->sent(upload->source->user, data, (size_t)n, &upload->error))
		return -1;
	return (int)n;
}

/* Is the source at data or in a hole, and how many bytes of it? Zero bytes are its end. */
static int find_hole(virStreamPtr stream, int *in_data, long long *length, void *opaque)
{
	struct upload *upload = opaque;
	int fd = upload->source->fd;
	off_t end = (off_t)upload->source->size;
	off_t here = lseek(fd, 0, SEEK_CUR);
	off_t data, next;

	(void)stream;
	*in_data = 0;
	*length = 0;
	if (here < 0 || here >= end)
		return here < 0 ? -1 : 0;
	data = lseek(fd, here, SEEK_DATA);
	if (data < 0 && errno == ENXIO)
		data = end; /* the rest is a hole */
	*in_data = data == here;
	next = *in_data ? lseek(fd, here, SEEK_HOLE) : data;
	*length = next - here;
	return next < 0 || lseek(fd, here, SEEK_SET) < 0 ? -1 : 0;
}

static int skip_hole(virStreamPtr stream, long long length, void *opaque)
{
	struct upload *upload = opaque;

	(void)stream;
	upload->left -= MIN(upload->left, (uint64_t)length);
	return lseek(upload->source->fd, length, SEEK_CUR) < 0 ? -1 : 0;
}

static gboolean upload(struct virt_conn *conn, virStorageVolPtr volume, uint64_t offset,
	const struct virt_source *source, GError **error)
{
	struct upload state = {.source = source, .left = source->size};
	virStreamPtr stream = virStreamNew(conn->c, 0);
	const char *name = virStorageVolGetName(volume);
	int result = -1;

	if (!stream)
		return fail_storage(conn, error, "send the volume", name);
	if (virStorageVolUpload(volume, stream, offset, source->size,
		    source->sparse ? VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM : 0) == 0) {
		result = source->sparse ? virStreamSparseSendAll(
						  stream, read_source, find_hole, skip_hole, &state)
					: virStreamSendAll(stream, read_source, &state);
		/* SendAll aborts the stream itself when it fails. */
		if (result == 0)
			result = virStreamFinish(stream);
	}
	if (result < 0) {
		g_autoptr(GError) cause = NULL;

		fail_storage(conn, &cause, "send the volume", name);
		/* What stopped the source is the reason, unless the server is lost. */
		if (state.error && cause->code != VIRT_ERROR_UNREACHABLE)
			g_propagate_error(error, g_steal_pointer(&state.error));
		else
			g_propagate_error(error, g_steal_pointer(&cause));
	}
	g_clear_error(&state.error);
	virStreamFree(stream);
	return result == 0;
}

/* A raw one with nothing in it; NULL with `error`. */
static virStorageVolPtr volume_make(struct virt_conn *conn, const char *pool_name, const char *name,
	uint64_t size, GError **error)
{
	g_autofree char *xml = volume_xml(name, size);
	virStoragePoolPtr pool = virStoragePoolLookupByName(conn->c, pool_name);
	virStorageVolPtr volume;

	if (!pool) {
		fail_storage(conn, error, "find the storage pool", pool_name);
		return NULL;
	}
	volume = virStorageVolCreateXML(pool, xml, 0);
	virStoragePoolFree(pool);
	if (!volume)
		fail_storage(conn, error, "make the volume", name);
	return volume;
}

gboolean libvirt_volume_put(struct virt_conn *conn, const char *pool_name, const char *name,
	const struct virt_source *source, GError **error)
{
	virStorageVolPtr volume = volume_make(conn, pool_name, name, source->size, error);
	gboolean good;

	if (!volume)
		return FALSE;
	good = !source->size || upload(conn, volume, 0, source, error);
	virStorageVolFree(volume);
	return good;
}

gssize libvirt_volume_head(struct virt_conn *conn, const char *pool, const char *name, void *buffer,
	size_t length, GError **error)
{
	virStorageVolPtr volume = volume_find(conn, pool, name, error);
	virStreamPtr stream = volume ? virStreamNew(conn->c, 0) : NULL;
	size_t done = 0;
	int n = -1;

	if (stream && virStorageVolDownload(volume, stream, 0, length, 0) == 0) {
		while (done < length &&
			(n = virStreamRecv(stream, (char *)buffer + done, length - done)) > 0)
			done += (size_t)n;
		if (n < 0)
			virStreamAbort(stream);
		else
			n = virStreamFinish(stream);
	}
	if (volume && n < 0)
		fail_storage(conn, error, "read the volume", name);
	if (stream)
		virStreamFree(stream);
	if (volume)
		virStorageVolFree(volume);
	return n < 0 ? -1 : (gssize)done;
}

gboolean libvirt_volume_delete(
	struct virt_conn *conn, const char *pool, const char *name, GError **error)
{
	virStorageVolPtr volume = volume_find(conn, pool, name, error);
	int result;

	if (!volume)
		return FALSE;
	result = virStorageVolDelete(volume, 0);
	if (result < 0)
		fail_storage(conn, error, "delete the volume", name);
	virStorageVolFree(volume);
	return result == 0;
}

static virStoragePoolPtr pool_find(struct virt_conn *conn, const char *name, GError **error)
{
	virStoragePoolPtr pool = virStoragePoolLookupByName(conn->c, name);

	if (!pool) {
		fail_storage(conn, error, "find the storage pool", name);
		return NULL;
	}
	/* It cannot be while something is made in it; what is known is good enough then. */
	virStoragePoolRefresh(pool, 0);
	virResetLastError();
	return pool;
}

static gboolean storage_pool(
	struct virt_conn *conn, const char *name, struct virt_pool *out, GError **error)
{
	virStoragePoolPtr pool = pool_find(conn, name, error);
	virStoragePoolInfo info;
	int result;

	if (!pool)
		return FALSE;
	result = virStoragePoolGetInfo(pool, &info);
	if (result < 0)
		fail_storage(conn, error, "look at the storage pool", name);
	else
		*out = (struct virt_pool){.capacity = info.capacity, .available = info.available};
	virStoragePoolFree(pool);
	return result == 0;
}

static GPtrArray *storage_list(struct virt_conn *conn, const char *name, GError **error)
{
	virStoragePoolPtr pool = pool_find(conn, name, error);
	virStorageVolPtr *volumes = NULL;
	GPtrArray *list = NULL;
	int count;

	if (!pool)
		return NULL;
	count = virStoragePoolListAllVolumes(pool, &volumes, 0);
	if (count < 0)
		fail_storage(conn, error, "list the volumes of", name);
	else
		list = g_ptr_array_new_with_free_func(g_free);
	for (int i = 0; i < count; i++) {
		g_ptr_array_add(list, g_strdup(virStorageVolGetName(volumes[i])));
		virStorageVolFree(volumes[i]);
	}
	free(volumes);
	virStoragePoolFree(pool);
	return list;
}

static gboolean storage_copy(struct virt_conn *conn, const char *pool_name, const char *from,
	const char *name, GError **error)
{
	virStorageVolPtr source = volume_find(conn, pool_name, from, error);
	virStoragePoolPtr pool = source ? virStoragePoolLookupByVolume(source) : NULL;
	virStorageVolPtr volume = NULL;
	virStorageVolInfo info;

	if (!source)
		return FALSE;
	if (pool && virStorageVolGetInfo(source, &info) == 0) {
		g_autofree char *xml = volume_xml(name, info.capacity);

		/* Blocks are shared where the storage can do that; where it cannot they are copied,
		 * holes stay holes. */
		volume = virStorageVolCreateXMLFrom(
			pool, xml, source, VIR_STORAGE_VOL_CREATE_REFLINK);
		if (!volume)
			volume = virStorageVolCreateXMLFrom(pool, xml, source, 0);
	}
	if (!volume)
		fail_storage(conn, error, "copy the volume", from);
	else
		virStorageVolFree(volume);
	if (pool)
		virStoragePoolFree(pool);
	virStorageVolFree(source);
	virResetLastError();
	return volume != NULL;
}

static gboolean storage_overlay(struct virt_conn *conn, const char *pool_name, const char *base,
	const char *name, uint64_t size, GError **error)
{
	virStorageVolPtr below = volume_find(conn, pool_name, base, error);
	virStoragePoolPtr pool = below ? virStoragePoolLookupByVolume(below) : NULL;
	char *path = below ? virStorageVolGetPath(below) : NULL;
	virStorageVolPtr volume = NULL;

	if (!below)
		return FALSE;
	if (pool && path) {
		g_autofree char *xml = volume_overlay_xml(name, size, path);

		volume = virStorageVolCreateXML(pool, xml, 0);
	}
	if (!volume)
		fail_storage(conn, error, "make the overlay", name);
	else
		virStorageVolFree(volume);
	if (pool)
		virStoragePoolFree(pool);
	free(path);
	virStorageVolFree(below);
	return volume != NULL;
}

static gboolean storage_length(struct virt_conn *conn, const char *pool, const char *name,
	uint64_t *length, GError **error)
{
	virStorageVolPtr volume = volume_find(conn, pool, name, error);
	virStorageVolInfo info;
	int result;

	if (!volume)
		return FALSE;
	result = virStorageVolGetInfoFlags(volume, &info, VIR_STORAGE_VOL_GET_PHYSICAL);
	if (result < 0)
		fail_storage(conn, error, "look at the volume", name);
	else
		*length = info.allocation;
	virStorageVolFree(volume);
	return result == 0;
}

static gboolean storage_resize(struct virt_conn *conn, const char *pool, const char *name,
	uint64_t size, bool smaller, GError **error)
{
	virStorageVolPtr volume = volume_find(conn, pool, name, error);
	virStorageVolInfo info;
	int result;

	if (!volume)
		return FALSE;
	result = virStorageVolGetInfo(volume, &info);
	if (result == 0 && info.capacity < size)
		result = virStorageVolResize(volume, size, 0);
	else if (result == 0 && smaller && info.capacity > size)
		result = virStorageVolResize(volume, size, VIR_STORAGE_VOL_RESIZE_SHRINK);
	if (result < 0)
		fail_storage(conn, error, "change the size of the volume", name);
	virStorageVolFree(volume);
	return result == 0;
}

struct download {
	const struct virt_sink *sink;
	GError *error;
};

static int write_sink(virStreamPtr stream, const char *data, size_t length, void *opaque)
{
	struct download *download = opaque;
	size_t done = 0;

	(void)stream;
	while (done < length) {
		ssize_t n = write(download->sink->fd, data + done, length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			g_set_error(&download->error, VIRT_ERROR, VIRT_ERROR_STORAGE,
				"the volume does not go into its file on the boot server: %s",
				g_strerror(errno));
			return -1;
		}
		done += (size_t)n;
	}
	if (download->sink->got &&
		!download->sink->got(download->sink->user, length, &download->error))
		return -1;
	return (int)length;
}

static int skip_sink(virStreamPtr stream, long long length, void *opaque)
{
	struct download *download = opaque;

	(void)stream;
	return lseek(download->sink->fd, length, SEEK_CUR) < 0 ? -1 : 0;
}

static gboolean storage_fetch(struct virt_conn *conn, const char *pool, const char *name,
	const struct virt_sink *sink, GError **error)
{
	virStorageVolPtr volume = volume_find(conn, pool, name, error);
	virStreamPtr stream = volume ? virStreamNew(conn->c, 0) : NULL;
	struct download download = {.sink = sink};
	virStorageVolInfo info = {0};
	int result = -1;

	if (!volume)
		return FALSE;
	if (stream && virStorageVolGetInfo(volume, &info) == 0 &&
		virStorageVolDownload(
			volume, stream, 0, 0, VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM) == 0) {
		/* It aborts the stream itself when it fails. */
		result = virStreamSparseRecvAll(stream, write_sink, skip_sink, &download);
		if (result == 0)
			result = virStreamFinish(stream);
	}
	if (result < 0) {
		g_autoptr(GError) cause = NULL;

		fail_storage(conn, &cause, "read the volume", name);
		if (download.error && cause->code != VIRT_ERROR_UNREACHABLE)
			g_propagate_error(error, g_steal_pointer(&download.error));
		else
			g_propagate_error(error, g_steal_pointer(&cause));
	} else if (ftruncate(sink->fd, (off_t)info.capacity) < 0) {
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE,
			"the volume's file on the boot server cannot be made as long as it: %s",
			g_strerror(errno));
		result = -1;
	}
	g_clear_error(&download.error);
	if (stream)
		virStreamFree(stream);
	virStorageVolFree(volume);
	return result == 0;
}

static gboolean storage_make(
	struct virt_conn *conn, const char *pool, const char *name, uint64_t size, GError **error)
{
	virStorageVolPtr volume = volume_make(conn, pool, name, size, error);

	if (volume)
		virStorageVolFree(volume);
	return volume != NULL;
}

static gboolean storage_patch(struct virt_conn *conn, const char *pool, const char *name,
	uint64_t offset, const struct virt_source *source, GError **error)
{
	virStorageVolPtr volume = volume_find(conn, pool, name, error);
	gboolean good = volume && upload(conn, volume, offset, source, error);

	if (volume)
		virStorageVolFree(volume);
	return good;
}

struct reading {
	bool (*got)(void *user, const void *data, size_t length);
	void *user;
};

static int give(virStreamPtr stream, const char *data, size_t length, void *opaque)
{
	const struct reading *reading = opaque;

	(void)stream;
	return reading->got(reading->user, data, length) ? (int)length : -1;
}

static gboolean storage_read(struct virt_conn *conn, const char *pool, const char *name,
	bool (*got)(void *user, const void *data, size_t length), void *user, GError **error)
{
	virStorageVolPtr volume = volume_find(conn, pool, name, error);
	virStreamPtr stream = volume ? virStreamNew(conn->c, 0) : NULL;
	struct reading reading = {got, user};
	int result = -1;

	if (!volume)
		return FALSE;
	if (stream && virStorageVolDownload(volume, stream, 0, 0, 0) == 0) {
		/* It aborts the stream itself when it fails. */
		result = virStreamRecvAll(stream, give, &reading);
		if (result == 0)
			result = virStreamFinish(stream);
	}
	if (result < 0)
		fail_storage(conn, error, "read the volume", name);
	if (stream)
		virStreamFree(stream);
	virStorageVolFree(volume);
	return result == 0;
}

const struct virt_storage_driver virt_libvirt_storage = {
	.pool = storage_pool,
	.list = storage_list,
	.copy = storage_copy,
	.overlay = storage_overlay,
	.length = storage_length,
	.resize = storage_resize,
	.make = storage_make,
	.patch = storage_patch,
	.read = storage_read,
	.fetch = storage_fetch,
};
