/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nothing of ours runs on a virtualization server: all that can be asked of it is what libvirt does
 * with volumes. That is enough to send only what it lacks.
 *
 * - It has another version of the image: that one is copied there, by the server itself, and the
 *   blocks that differ are written over it. Which ones differ is found out here, where both files
 *   lie.
 * - It has none, or little would be saved: the file is sent in pieces. What has arrived is written
 *   down after each, so that who is interrupted goes on there.
 *
 * Whatever was not sent in one go from the beginning to the end is read back and must have the
 * manifest's hash; else it is thrown away and sent as a whole. The hash of what is sent in one go
 * is taken on the way.
 */
#include "broker/virt/delivery.h"
#include "broker/shared/log.h"
#include "broker/virt/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRESS_US (G_USEC_PER_SEC / 2)
#define BLOCK 4096
#define GAP (64 * 1024)     /* a new range costs about as much as so many bytes */
#define PIECE (32ULL << 20) /* sent between two notes of how far it is */
#define LOOK (1024 * 1024)  /* read at once */
#define WORTH_PERCENT 60    /* more than so much of a file to be sent: it is sent as a whole */

struct delivery {
	struct worker *worker; /* borrowed, as all that follows but what says owned */
	struct virt_conn *conn;
	const struct image *base; /* what is there already, or NULL */
	const struct image_file *file;
	enum image_file_id id;
	const char *key, *pool;
	char *image, *path, *volume, *note; /* owned; note: the file that says how far it is */
	int fd;                             /* owned; the file */
	GChecksum *sum;                     /* owned; of what is sent or read; NULL = not wanted */
	bool copied;                        /* it was made from `base` */
	uint64_t done, total, sent;         /* bytes; sent: over the wire in all */
	gint64 told;                        /* monotonic, us */
};

static void tell_progress(struct delivery *d)
{
	d->told = g_get_monotonic_time();
	worker_event(d->worker, json_pack("{s:s, s:s, s:s, s:I, s:I}", "event", "image-progress",
					"image", d->image, "file", d->key, "done",
					(json_int_t)d->done, "total", (json_int_t)d->total));
}

static void passed(struct delivery *d, const void *data, size_t length)
{
	if (d->sum)
		g_checksum_update(d->sum, data, (gssize)length);
	d->done += length;
	if (g_get_monotonic_time() - d->told > PROGRESS_US)
		tell_progress(d);
}

static bool on_sent(void *user, const void *data, size_t length, GError **error)
{
	struct delivery *d = user;

	(void)error;
	d->sent += length;
	passed(d, data, length);
	return true;
}

static bool on_read(void *user, const void *data, size_t length)
{
	passed(user, data, length);
	return true;
}

static void begin_sum(struct delivery *d, bool wanted, uint64_t total)
{
	if (d->sum)
		g_checksum_free(d->sum);
	d->sum = wanted ? g_checksum_new(G_CHECKSUM_SHA256) : NULL;
	d->done = 0;
	d->total = total;
	tell_progress(d);
}

static bool sum_is_good(struct delivery *d)
{
	return !strcmp(g_checksum_get_string(d->sum), d->file->sha256);
}

static gboolean bad_source(const struct delivery *d, const char *why, GError **error)
{
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_NO_IMAGE,
		"%s of image %s is not the file of its manifest: %s; build the image again",
		d->path, d->image, why);
	return FALSE;
}

/* The file at `path`, which must have `size` bytes; -1 with errno, 0 when the size differs. */
static int open_file(const char *path, uint64_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size)
		return fd;
	close(fd);
	errno = 0;
	return -1;
}

/* --- how far it is --- */

/* Bytes that a delivery which was interrupted has brought; 0 = none, or of another file. */
static uint64_t note_read(const struct delivery *d)
{
	g_autofree char *text = NULL;
	guint64 offset = 0;

	if (!g_file_get_contents(d->note, &text, NULL, NULL))
		return 0;
	g_auto(GStrv) words = g_strsplit(g_strchomp(text), " ", 3);
	if (g_strv_length(words) != 2 || strcmp(words[0], d->file->sha256) != 0 ||
		!g_ascii_string_to_unsigned(words[1], 10, 0, d->file->size, &offset, NULL))
		return 0;
	return offset;
}

/* Without it the whole is sent again, which costs time alone. */
static void note_write(const struct delivery *d, uint64_t offset)
{
	g_autofree char *folder = g_path_get_dirname(d->note);
	g_autofree char *text =
		g_strdup_printf("%s %" G_GUINT64_FORMAT "\n", d->file->sha256, offset);

	if (g_mkdir_with_parents(folder, 0750) < 0 || !g_file_set_contents(d->note, text, -1, NULL))
		log_event(LOG_WARN, "image-note", "file", d->note, NULL);
}

/* --- pieces --- */

static gboolean send_range(struct delivery *d, uint64_t offset, uint64_t length, GError **error)
{
	const struct virt_source source = {.fd = d->fd, .size = length, .sent = on_sent, .user = d};

	if (lseek(d->fd, (off_t)offset, SEEK_SET) < 0)
		return bad_source(d, g_strerror(errno), error);
	return d->worker->storage->patch(d->conn, d->pool, d->volume, offset, &source, error);
}

static gboolean send_rest(struct delivery *d, uint64_t offset, GError **error)
{
	while (offset < d->file->size) {
		uint64_t length = MIN(PIECE, d->file->size - offset);

		if (!send_range(d, offset, length, error))
			return FALSE;
		offset += length;
		note_write(d, offset);
	}
	return TRUE;
}

/* Reads it back. FALSE without an error: it is not what it should be. */
static gboolean arrived(struct delivery *d, GError **error)
{
	begin_sum(d, true, d->file->size);
	if (!d->worker->storage->read(d->conn, d->pool, d->volume, on_read, d, error))
		return FALSE;
	if (sum_is_good(d))
		return TRUE;
	log_event(LOG_WARN, "image-arrived-damaged", "server", d->worker->name, "image", d->image,
		"file", d->key, "action", "it is sent as a whole", NULL);
	return FALSE;
}

static gboolean send_whole(struct delivery *d, GError **error)
{
	uint64_t length = 0;

	d->copied = false;
	note_write(d, 0);
	if (!marks_delete(d->worker, d->conn, d->pool, d->volume, error) ||
		!d->worker->storage->make(d->conn, d->pool, d->volume, d->file->size, error))
		return FALSE;
	begin_sum(d, true, d->file->size);
	if (!send_rest(d, 0, error) ||
		!d->worker->storage->length(d->conn, d->pool, d->volume, &length, error))
		return FALSE;
	if (sum_is_good(d) && length == d->file->size)
		return TRUE;
	return bad_source(d, "the hash differs", error);
}

/* Goes on where an earlier one was interrupted. FALSE without an error: it cannot. */
static gboolean resume(struct delivery *d, GError **error)
{
	uint64_t offset = note_read(d);
	uint64_t length = 0;

	if (offset == 0 ||
		!d->worker->storage->length(d->conn, d->pool, d->volume, &length, NULL) ||
		length != d->file->size)
		return FALSE;
	begin_sum(d, false, d->file->size);
	d->done = offset;
	return send_rest(d, offset, error) && arrived(d, error);
}

/* --- from another version --- */

/* TRUE when the blocks at `offset` of both are the same; what one of them lacks is not. */
static bool same_block(const char *a, ssize_t a_length, const char *b, ssize_t b_length, ssize_t at)
{
	ssize_t length = MIN(BLOCK, b_length - at);

	return a_length - at >= length && !memcmp(a + at, b + at, (size_t)length);
}

static void add_block(GArray *ranges, uint64_t offset, uint64_t length)
{
	struct delivery_range *last =
		ranges->len ? &g_array_index(ranges, struct delivery_range, ranges->len - 1) : NULL;
	struct delivery_range range = {offset, length};

	if (last && offset - last->offset - last->length <= GAP)
		last->length = offset + length - last->offset;
	else
		g_array_append_val(ranges, range);
}

/* All of `length` bytes, or to the end of the file; -1 with errno. */
static ssize_t read_full(int fd, char *buffer, size_t length, uint64_t offset)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = pread(fd, buffer + done, length - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -1 : (ssize_t)done;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

GArray *delivery_differences(int old, int new, uint64_t size, GError **error)
{
	GArray *ranges = g_array_new(FALSE, FALSE, sizeof(struct delivery_range));
	g_autofree char *a = g_malloc(LOOK), *b = g_malloc(LOOK);

	for (uint64_t offset = 0; offset < size; offset += LOOK) {
		size_t length = (size_t)MIN(LOOK, size - offset);
		ssize_t m = read_full(old, a, length, offset);
		ssize_t n = read_full(new, b, length, offset);

		if (m < 0 || n < 0 || (size_t)n != length) {
			g_set_error(error, VIRT_ERROR, VIRT_ERROR_NO_IMAGE,
				"two versions cannot be compared: %s",
				m < 0 || n < 0 ? g_strerror(errno) : "a file became shorter");
			g_array_unref(ranges);
			return NULL;
		}
		for (ssize_t at = 0; at < n; at += BLOCK)
			if (!same_block(a, m, b, n, at))
				add_block(ranges, offset + (uint64_t)at,
					(uint64_t)MIN(BLOCK, n - at));
	}
	return ranges;
}

static uint64_t bytes_of(const GArray *ranges)
{
	uint64_t bytes = 0;

	for (guint i = 0; i < ranges->len; i++)
		bytes += g_array_index(ranges, struct delivery_range, i).length;
	return bytes;
}

/* What has to be written over a copy of the base; NULL = it is no use. */
static GArray *plan(struct delivery *d)
{
	const struct image_file *file = &d->base->files[d->id];
	g_autofree char *path = g_build_filename(d->base->folder, file->name, NULL);
	int fd = open_file(path, file->size);
	GArray *ranges = NULL;

	if (fd < 0)
		return NULL;
	ranges = delivery_differences(fd, d->fd, d->file->size, NULL);
	close(fd);
	if (ranges && bytes_of(ranges) * 100 <= d->file->size * WORTH_PERCENT)
		return ranges;
	if (ranges)
		g_array_unref(ranges);
	return NULL;
}

static gboolean patch(struct delivery *d, const GArray *ranges, GError **error)
{
	g_autofree char *base = image_id(d->base);
	g_autofree char *from = g_strconcat(base, ".", d->key, NULL);

	note_write(d, 0);
	if (!marks_delete(d->worker, d->conn, d->pool, d->volume, error) ||
		!d->worker->storage->copy(d->conn, d->pool, from, d->volume, error) ||
		!d->worker->storage->resize(
			d->conn, d->pool, d->volume, d->file->size, true, error))
		return FALSE;
	begin_sum(d, false, bytes_of(ranges));
	for (guint i = 0; i < ranges->len; i++) {
		const struct delivery_range *range =
			&g_array_index(ranges, struct delivery_range, i);

		if (!send_range(d, range->offset, range->length, error))
			return FALSE;
	}
	d->copied = true;
	return arrived(d, error);
}

/* A server that cannot list or copy can still be sent all of it. */
static void not_copied(
	const struct worker *worker, const char *image, GError *cause, GError **error)
{
	if (g_error_matches(cause, VIRT_ERROR, VIRT_ERROR_UNREACHABLE)) {
		g_propagate_error(error, cause);
		return;
	}
	log_event(LOG_WARN, "image-copy", "server", worker->name, "image", image, "reason",
		cause->message, NULL);
	g_error_free(cause);
}

/* FALSE without an error: it has to be sent as a whole. */
static gboolean send_differences(struct delivery *d, GError **error)
{
	GError *cause = NULL;
	GArray *ranges = d->base ? plan(d) : NULL;
	gboolean good = ranges && patch(d, ranges, &cause);

	if (ranges)
		g_array_unref(ranges);
	if (cause)
		not_copied(d->worker, d->image, cause, error);
	return good;
}

static gboolean deliver(struct delivery *d, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (resume(d, &cause) || (!cause && send_differences(d, &cause)))
		return TRUE;
	if (cause) {
		g_propagate_error(error, g_steal_pointer(&cause));
		return FALSE;
	}
	return send_whole(d, error);
}

struct image *delivery_base(
	struct worker *worker, struct virt_conn *conn, const struct image *version, GError **error)
{
	g_autofree char *own = image_id(version);
	g_autofree char *prefix = g_strconcat(version->name, "@", NULL);
	GError *cause = NULL;
	GPtrArray *names =
		worker->storage->list(conn, conf_string(worker->conf, CONF_IMAGE_POOL), &cause);
	const char *best = NULL;

	if (!names) {
		not_copied(worker, own, cause, error);
		return NULL;
	}
	for (guint i = 0; i < names->len; i++) {
		char *name = names->pdata[i];

		if (!g_str_has_prefix(name, prefix) || !g_str_has_suffix(name, MARK_SUFFIX))
			continue;
		name[strlen(name) - strlen(MARK_SUFFIX)] = '\0';
		if (strcmp(name, own) != 0 && image_version_is_good(name + strlen(prefix)) &&
			(!best || strverscmp(name, best) > 0))
			best = name;
	}
	struct image *base = best ? worker_image(worker, best, NULL) : NULL;
	g_ptr_array_unref(names);
	if (base && base->kind != version->kind)
		g_clear_pointer(&base, image_free);
	return base;
}

gboolean delivery_send(struct worker *worker, struct virt_conn *conn, const struct image *version,
	const struct image *base, enum image_file_id id, GError **error)
{
	struct delivery d = {.worker = worker,
		.conn = conn,
		.base = base,
		.id = id,
		.file = &version->files[id],
		.key = image_file_key(id),
		.pool = conf_string(worker->conf, CONF_IMAGE_POOL),
		.image = image_id(version),
		.path = g_build_filename(version->folder, version->files[id].name, NULL)};
	g_autofree char *folder = conf_path(worker->conf, CONF_PATH_STATE, "uploads");

	d.volume = g_strconcat(d.image, ".", d.key, NULL);
	d.note = g_strdup_printf("%s/%s.%s", folder, worker->name, d.volume);
	d.fd = open_file(d.path, d.file->size);
	gboolean good =
		d.fd >= 0 ? deliver(&d, error)
			  : bad_source(&d, errno ? g_strerror(errno) : "the size differs", error);
	if (good) {
		d.done = d.total = d.file->size;
		tell_progress(&d);
		g_unlink(d.note);
		g_autofree char *from = d.copied ? image_id(base) : NULL;
		log_event(LOG_INFO, "image-sent", "server", worker->name, "image", d.image, "file",
			d.key, "bytes", log_fmt("%" G_GUINT64_FORMAT, d.sent), "of",
			log_fmt("%" G_GUINT64_FORMAT, d.file->size), "from", from, NULL);
	}
	if (d.fd >= 0)
		close(d.fd);
	if (d.sum)
		g_checksum_free(d.sum);
	g_free(d.image);
	g_free(d.path);
	g_free(d.volume);
	g_free(d.note);
	return good;
}
