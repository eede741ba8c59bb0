/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/store/tar.h"
#include "images/store/transfer.h"

#define CHUNK (1 << 20)

struct export
{
	const struct version *version;        /* borrowed */
	const struct disk_progress *progress; /* borrowed */
	int fd;
	guint64 done;
};

static gboolean fail(GError **error, const char *path, const char *what)
{
	g_set_error(error, DISK_ERROR, DISK_ERROR_FILE, "%s: %s", path, what);
	return FALSE;
}

/* Exactly `size` bytes of `file`, then zeros up to a whole block. */
static gboolean copy(struct export *self, int file, guint64 size, GChecksum *sum, const char *path,
	GError **error)
{
	static const guint8 zeros[TAR_BLOCK];
	g_autofree guint8 *buffer = g_malloc(CHUNK);
	guint64 left = size;

	while (left) {
		ssize_t n = read(file, buffer, MIN(left, CHUNK));

		if (n <= 0)
			return fail(error, path, n ? g_strerror(errno) : "became shorter");
		g_checksum_update(sum, buffer, n);
		if (!disk_write(self->fd, buffer, (gsize)n, "the archive", error))
			return FALSE;
		left -= (guint64)n;
		self->done += (guint64)n;
		if (!disk_step(self->progress, self->done, self->version->bytes, error))
			return FALSE;
	}
	return disk_write(self->fd, zeros, tar_padding(size), "the archive", error);
}

static gboolean add_open(struct export *self, int file, const char *name, const char *path,
	const char *sha256, GError **error)
{
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	guint8 block[TAR_BLOCK];
	struct stat about;

	if (fstat(file, &about) < 0 || !S_ISREG(about.st_mode))
		return fail(error, path, "is no file");
	tar_header(block, name, (guint64)about.st_size);
	if (!disk_write(self->fd, block, sizeof(block), "the archive", error) ||
		!copy(self, file, (guint64)about.st_size, sum, path, error))
		return FALSE;
	if (!sha256 || !strcmp(g_checksum_get_string(sum), sha256))
		return TRUE;
	return fail(error, path, "is not what the manifest says (sha256): build the image again");
}

/* `sha256` NULL: no sum is known. */
static gboolean add(struct export *self, const char *name, const char *sha256, GError **error)
{
	g_autofree char *path = g_build_filename(self->version->folder, name, NULL);
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (file < 0)
		return fail(error, path, g_strerror(errno));
	gboolean good = add_open(self, file, name, path, sha256, error);
	close(file);
	return good;
}

gboolean transfer_export(
	const struct version *version, int fd, const struct disk_progress *progress, GError **error)
{
	static const guint8 end[2 * TAR_BLOCK];
	struct export self = {version, progress, fd, 0};
	g_autofree char *log = g_build_filename(version->folder, "build.log", NULL);
	gboolean good =
		add(&self, "manifest.json", NULL, error) && add(&self, "manifest.sig", NULL, error);

	for (int id = 0; good && id < IMAGE_FILE_COUNT; id++)
		good = !version->image->files[id].name ||
		       add(&self, version->image->files[id].name, version->image->files[id].sha256,
			       error);
	if (good && version->lock.name)
		good = add(&self, version->lock.name, version->lock.sha256, error);
	if (good && version->sbom.name)
		good = add(&self, version->sbom.name, version->sbom.sha256, error);
	if (good && g_file_test(log, G_FILE_TEST_EXISTS))
		good = add(&self, "build.log", NULL, error);
	return good && disk_write(fd, end, sizeof(end), "the archive", error);
}
