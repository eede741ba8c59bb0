/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lane of work on users' volumes: snapshots, restoring, checks, growing, export, import,
 * deletion. carreld asks only for a volume that no desktop has, one thing at a time for a volume,
 * and gives nobody the volume until it is answered; that no desktop of this server has it is looked
 * at here once more.
 *
 * New contents are written to a copy of a number that was never used (`to`), and its mark is made
 * last. carreld's row names the copy that counts, so a worker that is killed anywhere in here
 * leaves the old volume as it was, and beside it something that has no mark, or that no row names.
 * Each work begins by clearing such leftovers away: copies of a lower number than `to`, or than the
 * volume's own, and snapshots without a mark. What has a higher number is never touched: it can
 * only be of a later work than this one.
 *
 * A check needs the bytes on the boot server: they are fetched into a file without a name, which
 * goes with the process, and what e2fsck has repaired is sent back as a new copy.
 */
#include "broker/shared/log.h"
#include "broker/virt/beat.h"
#include "broker/virt/domain_info.h"
#include "broker/virt/domain_xml.h"
#include "broker/virt/fsck.h"
#include "broker/virt/marks.h"
#include "broker/virt/mkfs.h"
#include "broker/virt/volume_names.h"
#include "broker/virt/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* One work under way. */
struct work {
	struct worker *worker; /* borrowed, as are the next two */
	struct virt_conn *conn;
	const struct request *request;
	const char *pool;
	char *own;                 /* owned: name of the copy that is the volume */
	struct virt_volume volume; /* path owned; what work_begin has seen of it */
	struct beat *beat;         /* owned; NULL while nothing is sent or checked */
	uint64_t sent;
};

/* No desktop of this server has the volume. */
static gboolean idle(struct work *work, GError **error)
{
	g_autofree char *alias = volume_alias(work->request->volume);
	GPtrArray *list = work->worker->driver->domain_list(work->conn, error);
	gboolean good = list != NULL;

	for (guint i = 0; list && good && i < list->len; i++) {
		const char *xml = list->pdata[i];
		struct domain_info *info = domain_info_parse(xml, strlen(xml), NULL);

		good = !info || !domain_info_has_alias(info, alias);
		if (!good)
			g_set_error(error, VIRT_ERROR, VIRT_ERROR_BUSY,
				"volume %s is in use by %s on server %s", work->own, info->name,
				work->worker->name);
		domain_info_free(info);
	}
	if (list)
		g_ptr_array_unref(list);
	return good;
}

/* A leftover that cannot be deleted now is deleted by the next work. */
static void clear_one(struct work *work, const char *name)
{
	g_autoptr(GError) error = NULL;

	if (marks_delete_whole(work->worker, work->conn, work->pool, name, &error))
		log_event(LOG_INFO, "volume-cleared", "server", work->worker->name, "volume", name,
			NULL);
	else
		log_event(LOG_WARN, "volume-not-cleared", "server", work->worker->name, "volume",
			name, "reason", error->message, NULL);
}

static bool is_leftover(const struct work *work, const GPtrArray *list, const char *name)
{
	const struct request *request = work->request;
	struct volume_part part = volume_part(name, request->volume);

	if (part.mark)
		return false; /* goes with what it marks */
	if (part.kind == VOLUME_PART_COPY)
		return part.copy != request->copy && part.copy < MAX(request->to, request->copy);
	return part.kind == VOLUME_PART_SNAPSHOT && !volume_list_whole(list, name);
}

static gboolean clear_leftovers(struct work *work, GError **error)
{
	g_autoptr(GPtrArray) list = work->worker->storage->list(work->conn, work->pool, error);

	for (guint i = 0; list && i < list->len; i++)
		if (is_leftover(work, list, list->pdata[i]))
			clear_one(work, list->pdata[i]);
	return list != NULL;
}

/* What is whole and has this name; the path is the caller's. */
static gboolean whole(
	struct work *work, const char *name, struct virt_volume *volume, GError **error)
{
	enum mark mark = mark_look(work->worker, work->conn, work->pool, name, error);

	if (mark == MARK_THERE)
		return work->worker->driver->volume_get(
			work->conn, work->pool, name, volume, error);
	if (mark == MARK_MISSING)
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_NOT_FOUND,
			"there is no %s in pool %s that is complete", name, work->pool);
	return FALSE;
}

static gboolean work_begin(struct work *work, GError **error)
{
	return idle(work, error) && whole(work, work->own, &work->volume, error) &&
	       clear_leftovers(work, error);
}

/* `from`, of `size` bytes of which so many are `allocated`, as `name`; with its mark. */
static gboolean copy_whole(
	struct work *work, const char *from, uint64_t allocated, const char *name, GError **error)
{
	if (!pool_room(work->worker, work->conn, allocated, error))
		return FALSE;
	work->beat = beat_new(work->worker, work->request->volume, name, allocated);
	gboolean good = work->worker->storage->copy(work->conn, work->pool, from, name, error);
	g_clear_pointer(&work->beat, beat_free);
	return good;
}

static gboolean mark_it(struct work *work, const char *name, GError **error)
{
	return !storage_cancelled(work->request, error) &&
	       mark_make(work->worker, work->conn, work->pool, name, error);
}

/* --- snapshots --- */

static gboolean snapshot(struct work *work, GError **error)
{
	g_autofree char *name =
		volume_snapshot_name(work->request->volume, work->request->snapshot);

	return copy_whole(work, work->own, work->volume.allocation, name, error) &&
	       mark_it(work, name, error);
}

static json_t *do_snapshot(struct work *work, GError **error)
{
	g_autoptr(GPtrArray) list = NULL, expired = NULL;

	if (!work_begin(work, error) || !snapshot(work, error))
		return NULL;
	/* Older ones go only now that the new one is there. */
	if (work->request->keep)
		list = work->worker->storage->list(work->conn, work->pool, NULL);
	if (list) {
		volume_list_sort(list);
		expired = volume_list_expired(list, work->request->volume, work->request->keep);
		for (guint i = 0; i < expired->len; i++)
			clear_one(work, expired->pdata[i]);
	}
	return json_object();
}

/* The copy `to` is complete but for its mark: as large as the volume was, at least. */
static json_t *finish_copy(struct work *work, const char *name, uint64_t size, GError **error)
{
	if (size < work->volume.capacity) {
		if (!work->worker->storage->resize(
			    work->conn, work->pool, name, work->volume.capacity, false, error))
			return NULL;
		size = work->volume.capacity;
	}
	if (!mark_it(work, name, error))
		return NULL;
	return json_pack("{s:I, s:I}", "copy", (json_int_t)work->request->to, "size_mib",
		(json_int_t)(size >> 20));
}

static json_t *do_restore(struct work *work, GError **error)
{
	const struct request *request = work->request;
	g_autofree char *from = volume_snapshot_name(request->volume, request->snapshot);
	g_autofree char *name = volume_copy_name(request->volume, request->to);
	struct virt_volume source;

	if (!work_begin(work, error) || !whole(work, from, &source, error))
		return NULL;
	free(source.path);
	if (!copy_whole(work, from, source.allocation, name, error))
		return NULL;
	return finish_copy(work, name, source.capacity, error);
}

static json_t *do_grow(struct work *work, GError **error)
{
	const uint64_t size = (uint64_t)work->request->size_mib << 20;
	json_t *answer = NULL;

	if (!work_begin(work, error))
		return NULL;
	/* It may have been done by a try whose answer was lost. */
	if ((work->volume.capacity >= size ||
		    pool_room(work->worker, work->conn, size - work->volume.capacity, error)) &&
		work->worker->storage->resize(
			work->conn, work->pool, work->own, size, false, error))
		answer = json_pack(
			"{s:I}", "size_mib", (json_int_t)(MAX(size, work->volume.capacity) >> 20));
	return answer;
}

/* --- bytes on the boot server --- */

static char *folder_of(struct work *work, GError **error)
{
	g_autofree char *folder = conf_path(work->worker->conf, CONF_PATH_STATE, "volumes");

	if (g_mkdir_with_parents(folder, 0700) == 0)
		return g_steal_pointer(&folder);
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE, "cannot make the folder %s: %s", folder,
		g_strerror(errno));
	return NULL;
}

/* A file without a name that has room for the volume; it goes with the process. */
static int file_open(struct work *work, const char *folder, GError **error)
{
	struct statvfs fs;
	int fd = open(folder, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0) {
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE,
			"no file can be made in %s for the volume: %s", folder, g_strerror(errno));
		return -1;
	}
	if (fstatvfs(fd, &fs) == 0 &&
		(uint64_t)fs.f_bavail * fs.f_frsize < work->volume.allocation) {
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE,
			"%s on the boot server has no room for the %" G_GUINT64_FORMAT
			" MiB of volume %s; make room there",
			folder, work->volume.allocation >> 20, work->own);
		close(fd);
		return -1;
	}
	return fd;
}

static bool on_got(void *user, size_t length, GError **error)
{
	struct work *work = user;

	work->sent += length;
	beat_set(work->beat, work->sent, work->volume.allocation);
	return !storage_cancelled(work->request, error);
}

static gboolean fetch(struct work *work, int fd, GError **error)
{
	const struct virt_sink sink = {.fd = fd, .got = on_got, .user = work};

	work->sent = 0;
	work->beat = beat_new(work->worker, work->request->volume, NULL, 0);
	gboolean good =
		work->worker->storage->fetch(work->conn, work->pool, work->own, &sink, error);
	g_clear_pointer(&work->beat, beat_free);
	return good;
}

static bool on_sent(void *user, const void *data, size_t length, GError **error)
{
	(void)data;
	return on_got(user, length, error);
}

/* The file as copy `to`, without its mark. */
static gboolean send_back(struct work *work, int fd, uint64_t size, uint64_t need, GError **error)
{
	g_autofree char *name = volume_copy_name(work->request->volume, work->request->to);
	const struct virt_source source = {
		.fd = fd, .size = size, .sparse = true, .sent = on_sent, .user = work};

	if (lseek(fd, 0, SEEK_SET) < 0 || !pool_room(work->worker, work->conn, need, error))
		return FALSE;
	work->sent = 0;
	work->beat = beat_new(work->worker, work->request->volume, NULL, 0);
	gboolean good =
		work->worker->driver->volume_put(work->conn, work->pool, name, &source, error);
	g_clear_pointer(&work->beat, beat_free);
	return good;
}

static enum fsck_result fsck(struct work *work, int fd, gboolean repair, gboolean untouched,
	GString *log, GError **error)
{
	work->beat = beat_new(work->worker, work->request->volume, NULL, 0);
	enum fsck_result result =
		fsck_run(fd, repair, untouched, log, work->request->cancel, error);
	g_clear_pointer(&work->beat, beat_free);
	/* It was killed: what else it says of that is of no use. */
	if (g_cancellable_is_cancelled(work->request->cancel)) {
		g_clear_error(error);
		storage_cancelled(work->request, error);
		return FSCK_ERROR;
	}
	return result;
}

/* --- checks --- */

/* The log that the user can be shown: of the last check alone. */
static void log_write(struct work *work, const char *folder, const char *what, const GString *said,
	const char *outcome)
{
	g_autofree char *path =
		g_strdup_printf("%s/%" G_GUINT64_FORMAT ".log", folder, work->request->volume);
	g_autoptr(GDateTime) now = g_date_time_new_now_utc();
	g_autofree char *time = g_date_time_format(now, "%Y-%m-%d %H:%M:%S UTC");
	g_autofree char *text = g_strdup_printf("%s of the home of %s (volume %s), %s\n\n%s\n%s\n",
		what, work->request->user, work->own, time, said->str, outcome);
	g_autoptr(GError) error = NULL;

	if (!g_file_set_contents(path, text, -1, &error))
		log_event(
			LOG_WARN, "check-log", "volume", work->own, "reason", error->message, NULL);
}

static const char *outcome_text(enum fsck_result result, gboolean repair)
{
	switch (result) {
	case FSCK_CLEAN:
		return "Result: the file system is whole.";
	case FSCK_REPAIRED:
		return "Result: the file system was damaged and is whole now. Files that had lost "
		       "their names are in lost+found. What was there before the repair is kept "
		       "as a snapshot.";
	case FSCK_DAMAGED:
		return repair ? "Result: not everything could be repaired. Nothing was changed."
			      : "Result: the file system is damaged. Nothing was changed.";
	default:
		return "Result: the check could not be done. Nothing was changed.";
	}
}

/* Fetches, checks and writes the log. The file is the caller's, -1 when it failed. */
static int check_file(struct work *work, gboolean repair, enum fsck_result *result, GError **error)
{
	g_autoptr(GString) said = g_string_new(NULL);
	g_autofree char *folder = folder_of(work, error);
	int fd = folder ? file_open(work, folder, error) : -1;

	if (fd < 0)
		return -1;
	*result = FSCK_ERROR;
	if (fetch(work, fd, error)) {
		*result = fsck(work, fd, repair, FALSE, said, error);
		log_write(work, folder, repair ? "Repair" : "Check", said,
			outcome_text(*result, repair));
	}
	if (*result != FSCK_ERROR)
		return fd;
	close(fd);
	return -1;
}

static json_t *do_check(struct work *work, GError **error)
{
	enum fsck_result result;

	if (!work_begin(work, error))
		return NULL;
	int fd = check_file(work, FALSE, &result, error);
	if (fd < 0)
		return NULL;
	close(fd);
	return json_pack("{s:b}", "damaged", result != FSCK_CLEAN);
}

/* The bytes that a file takes. */
static uint64_t file_allocation(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static json_t *do_repair(struct work *work, GError **error)
{
	g_autofree char *name = volume_copy_name(work->request->volume, work->request->to);
	enum fsck_result result;
	json_t *answer = NULL;

	if (!work_begin(work, error))
		return NULL;
	int fd = check_file(work, TRUE, &result, error);
	if (fd < 0)
		return NULL;
	if (result == FSCK_DAMAGED)
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE,
			"e2fsck could not repair everything in volume %s; nothing was changed. "
			"\"carrel volume show %s --log\" shows why; restore a snapshot",
			work->own, work->request->user);
	else if (result == FSCK_CLEAN)
		answer = json_pack("{s:I}", "copy", (json_int_t)work->request->copy);
	else if (snapshot(work, error) &&
		 send_back(work, fd, work->volume.capacity, file_allocation(fd), error))
		answer = finish_copy(work, name, work->volume.capacity, error);
	close(fd);
	return answer;
}

/* --- files --- */

static json_t *do_export(struct work *work, GError **error)
{
	const char *path = work->request->path;
	g_autofree char *part = g_strconcat(path, ".carrel-part", NULL);
	gboolean good = FALSE;
	int fd;

	if (!work_begin(work, error))
		return NULL;
	if (access(path, F_OK) == 0) {
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_EXISTS,
			"there is a file %s already; move it away or give another name", path);
		return NULL;
	}
	unlink(part); /* of a try that was cut short */
	fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd >= 0 && fetch(work, fd, error))
		good = fsync(fd) == 0 && rename(part, path) == 0;
	if (!good && error && !*error)
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE,
			"%s cannot be written on the boot server by carreld's user: %s", path,
			g_strerror(errno));
	if (!good && fd >= 0)
		unlink(part);
	if (fd >= 0)
		close(fd);
	return good ? json_object() : NULL;
}

/* Open for reading, with its size; -1 when it can be nobody's home. */
static int import_open(struct work *work, uint64_t *size, GError **error)
{
	const char *path = work->request->path;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *wrong = NULL;
	uid_t owner = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		wrong = g_strerror(errno);
	else if (!S_ISREG(st.st_mode))
		wrong = "it is not a file";
	else
		wrong = mkfs_root_owner(fd, &owner);
	if (!wrong && owner != work->request->uid && owner != 0)
		wrong = log_fmt("its files belong to user id %u and %s has %u: another user's home",
			(unsigned)owner, work->request->user, work->request->uid);
	if (!wrong) {
		*size = (uint64_t)st.st_size;
		return fd;
	}
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE,
		"%s cannot be imported: %s. What can be is a raw image of an ext4 file system, as "
		"\"carrel volume export\" makes it, that carreld's user may read",
		path, wrong);
	if (fd >= 0)
		close(fd);
	return -1;
}

static json_t *do_import(struct work *work, GError **error)
{
	const struct request *request = work->request;
	g_autofree char *name = volume_copy_name(request->volume, request->to);
	g_autoptr(GString) said = g_string_new(NULL);
	const uint64_t largest = (uint64_t)request->size_mib << 20;
	uint64_t size = 0;
	json_t *answer = NULL;

	/* Of a volume that is damaged beyond use its size alone is asked for. */
	if (!idle(work, error) || !clear_leftovers(work, error))
		return NULL;
	work->volume.capacity = largest;
	int fd = import_open(work, &size, error);
	if (fd < 0)
		return NULL;
	work->volume.allocation = file_allocation(fd);
	enum fsck_result result =
		size > largest ? FSCK_CLEAN : fsck(work, fd, FALSE, TRUE, said, error);
	if (size > largest)
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE,
			"%s has %" G_GUINT64_FORMAT
			" MiB, more than %s's home may have: \"carrel volume grow %s --size "
			"%" G_GUINT64_FORMAT "\" first",
			request->path, (size + 0xfffff) >> 20, request->user, request->user,
			(size + 0xfffff) >> 20);
	else if (result == FSCK_DAMAGED)
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_STORAGE,
			"the file system in %s is damaged, or was not unmounted: run \"e2fsck -f "
			"%s\" and try again",
			request->path, request->path);
	else if (result == FSCK_CLEAN && send_back(work, fd, size, file_allocation(fd), error))
		answer = finish_copy(work, name, size, error);
	close(fd);
	return answer;
}

/* --- the end --- */

static gboolean delete_kind(
	struct work *work, const GPtrArray *list, enum volume_part_kind kind, GError **error)
{
	for (guint i = 0; i < list->len; i++) {
		struct volume_part part = volume_part(list->pdata[i], work->request->volume);
		g_autofree char *name = g_strdup(list->pdata[i]);

		if (part.kind != kind)
			continue;
		if (part.mark)
			name[strlen(name) - strlen(MARK_SUFFIX)] = 0;
		if (!marks_delete_whole(work->worker, work->conn, work->pool, name, error))
			return FALSE;
	}
	return TRUE;
}

static json_t *do_delete(struct work *work, GError **error)
{
	g_autofree char *log =
		g_strdup_printf("volumes/%" G_GUINT64_FORMAT ".log", work->request->volume);
	g_autofree char *path = conf_path(work->worker->conf, CONF_PATH_STATE, log);
	g_autoptr(GPtrArray) list = NULL;

	if (!idle(work, error))
		return NULL;
	list = work->worker->storage->list(work->conn, work->pool, error);
	if (!list || !delete_kind(work, list, VOLUME_PART_SNAPSHOT, error) ||
		!delete_kind(work, list, VOLUME_PART_COPY, error))
		return NULL;
	unlink(path);
	return json_object();
}

static json_t *do_sweep(struct work *work, GError **error)
{
	return clear_leftovers(work, error) ? json_object() : NULL;
}

/* What a failed work has made takes no room until the next one. Not what was there before it: a
 * snapshot that is whole is never touched here. */
static void give_back(struct work *work)
{
	const struct request *request = work->request;
	g_autofree char *copy = volume_copy_name(request->volume, request->to);
	g_autofree char *snapshot =
		request->snapshot ? volume_snapshot_name(request->volume, request->snapshot) : NULL;

	if (request->to)
		marks_delete_whole(work->worker, work->conn, work->pool, copy, NULL);
	if (snapshot && request->op != REQUEST_VOLUME_RESTORE &&
		mark_look(work->worker, work->conn, work->pool, snapshot, NULL) == MARK_MISSING)
		marks_delete(work->worker, work->conn, work->pool, snapshot, NULL);
}

gboolean storage_handle(struct worker *worker, struct virt_conn *conn, struct request *request)
{
	static json_t *(*const works[REQUEST_COUNT])(struct work *, GError **) = {
		[REQUEST_VOLUME_SNAPSHOT] = do_snapshot,
		[REQUEST_VOLUME_RESTORE] = do_restore,
		[REQUEST_VOLUME_CHECK] = do_check,
		[REQUEST_VOLUME_REPAIR] = do_repair,
		[REQUEST_VOLUME_GROW] = do_grow,
		[REQUEST_VOLUME_EXPORT] = do_export,
		[REQUEST_VOLUME_IMPORT] = do_import,
		[REQUEST_VOLUME_DELETE] = do_delete,
		[REQUEST_VOLUME_SWEEP] = do_sweep,
	};
	struct work work = {.worker = worker,
		.conn = conn,
		.request = request,
		.pool = conf_string(worker->conf, CONF_VOLUME_POOL),
		.own = volume_copy_name(request->volume, request->copy)};
	g_autoptr(GError) error = NULL;
	gboolean begun = storage_cancel_begin(worker, request);
	json_t *more = begun ? works[request->op](&work, &error) : NULL;

	if (begun && !more)
		give_back(&work);
	if (more)
		log_event(LOG_INFO, "volume-work", "server", worker->name, "volume", work.own, "op",
			request_name(request->op), NULL);
	free(work.volume.path);
	g_free(work.own);
	return worker_finish(worker, request, more != NULL, more, error);
}

gpointer storage_run(gpointer data)
{
	worker_lane_run(data, LANE_STORAGE, storage_handle);
	return NULL;
}
