/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/store/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (1 << 20)
/* 64 bytes in base64, and a newline. */
#define SIGNATURE_LENGTH 89

/* FALSE with `error` when reading fails, or the progress wants an end. */
static gboolean sum_all(
	int fd, GChecksum *sum, guint64 size, const struct disk_progress *progress, GError **error)
{
	g_autofree guchar *buffer = g_malloc(CHUNK);
	guint64 done = 0;
	ssize_t n;

	while ((n = read(fd, buffer, CHUNK)) > 0) {
		g_checksum_update(sum, buffer, n);
		done += (guint64)n;
		if (!disk_step(progress, done, size, error))
			return FALSE;
	}
	if (!n)
		return TRUE;
	g_set_error(error, DISK_ERROR, DISK_ERROR_FILE, "%s", g_strerror(errno));
	return FALSE;
}

char *file_sum(
	const char *path, guint64 *size, const struct disk_progress *progress, GError **error)
{
	struct stat about;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char *text = NULL;

	if (fd < 0 || fstat(fd, &about) < 0 || !S_ISREG(about.st_mode)) {
		g_set_error(error, DISK_ERROR, DISK_ERROR_FILE, "%s: %s", path,
			fd < 0 ? g_strerror(errno) : "is no file");
	} else {
		g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);

		*size = (guint64)about.st_size;
		if (sum_all(fd, sum, *size, progress, error))
			text = g_strdup(g_checksum_get_string(sum));
		else
			g_prefix_error(error, "%s: ", path);
	}
	if (fd >= 0)
		close(fd);
	return text;
}

struct check {
	const struct version *version;        /* borrowed */
	const struct disk_progress *progress; /* borrowed */
	GPtrArray *problems;                  /* owned, of owned strings */
};

/* FALSE when the work is to end. `size` 0: the manifest does not say. */
static gboolean check_file(
	struct check *check, const char *name, guint64 size, const char *sha256, GError **error)
{
	g_autofree char *path = g_build_filename(check->version->folder, name, NULL);
	g_autoptr(GError) cause = NULL;
	guint64 real = 0;
	g_autofree char *sum = file_sum(path, &real, check->progress, &cause);

	if (g_error_matches(cause, DISK_ERROR, DISK_ERROR_INTERRUPTED)) {
		g_propagate_error(error, g_steal_pointer(&cause));
		return FALSE;
	}
	if (!sum)
		g_ptr_array_add(check->problems, g_strdup(cause->message));
	else if (size && real != size)
		g_ptr_array_add(check->problems,
			g_strdup_printf("%s has %" G_GUINT64_FORMAT
					" bytes, its manifest says %" G_GUINT64_FORMAT,
				path, real, size));
	else if (strcmp(sum, sha256) != 0)
		g_ptr_array_add(check->problems,
			g_strdup_printf("%s is not what its manifest says (sha256)", path));
	return TRUE;
}

/* Beyond being good, a signature has one form only. */
static void check_signature(struct check *check)
{
	g_autofree char *path = g_build_filename(check->version->folder, "manifest.sig", NULL);
	g_autofree char *text = NULL;
	gsize length = 0;

	if (!g_file_get_contents(path, &text, &length, NULL) || length != SIGNATURE_LENGTH ||
		text[length - 1] != '\n')
		g_ptr_array_add(check->problems,
			g_strdup_printf("%s is not 64 bytes in base64 and a newline", path));
}

static void check_verity(struct check *check)
{
	const struct image *image = check->version->image;
	const char *name = image->files[IMAGE_ROOT].name;
	g_autofree char *path = g_build_filename(check->version->folder, name, NULL);
	g_autofree char *blocks =
		g_strdup_printf("--data-blocks=%" G_GUINT64_FORMAT, image->data_blocks);
	g_autofree char *offset =
		g_strdup_printf("--hash-offset=%" G_GUINT64_FORMAT, image->data_blocks * 4096);
	g_autofree char *salt = g_strdup_printf("--salt=%s", image->salt);
	const char *const argv[] = {"veritysetup", "verify", "--no-superblock", "--hash=sha256",
		"--data-block-size=4096", "--hash-block-size=4096", blocks, offset, salt, path,
		path, image->root_hash, NULL};
	g_autoptr(GError) cause = NULL;

	if (!disk_run(argv, "cryptsetup-bin", &cause))
		g_ptr_array_add(
			check->problems, g_strdup_printf("%s does not fit its dm-verity tree (%s)",
						 path, cause->message));
}

GPtrArray *version_check(
	const struct version *version, const struct disk_progress *progress, GError **error)
{
	struct check check = {version, progress, g_ptr_array_new_with_free_func(g_free)};
	/* A disk has no tree of sums. */
	gboolean tree = !version->image || version->image->kind != IMAGE_GUEST;
	g_autofree char *tool = tree ? disk_program("veritysetup", "cryptsetup-bin", error) : NULL;
	gboolean good = !tree || tool;

	/* What is not signed is not looked at. */
	if (good && !version->image) {
		g_ptr_array_add(check.problems, g_strdup(version->problem));
		return check.problems;
	}
	if (good)
		check_signature(&check);
	for (int id = 0; good && id < IMAGE_FILE_COUNT; id++) {
		const struct image_file *file = &version->image->files[id];

		if (!file->name)
			continue;
		good = check_file(&check, file->name, file->size, file->sha256, error);
	}
	if (good && version->lock.name)
		good = check_file(&check, version->lock.name, 0, version->lock.sha256, error);
	if (good && version->sbom.name)
		good = check_file(&check, version->sbom.name, 0, version->sbom.sha256, error);
	if (good) {
		if (tree)
			check_verity(&check);
		return check.problems;
	}
	g_ptr_array_free(check.problems, TRUE);
	return NULL;
}
