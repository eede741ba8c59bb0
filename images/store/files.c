/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/store/files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "images/store/check.h"
#include "images/store/erofs.h"

static void file_free(struct file *file)
{
	g_free(file->path);
	g_free(file->content);
	g_free(file);
}

static int by_path(const void *a, const void *b)
{
	return strcmp((*(struct file *const *)a)->path, (*(struct file *const *)b)->path);
}

/* A walk; all borrowed but `list`. */
struct walk {
	GPtrArray *list;
	const char *top;
	const struct disk_progress *progress;
	guint64 bytes; /* read so far */
};

static char *content_of(
	struct walk *walk, const char *real, const struct stat *about, GError **error)
{
	if (S_ISREG(about->st_mode)) {
		guint64 size;

		walk->bytes += (guint64)about->st_size;
		if (!disk_step(walk->progress, walk->bytes, 0, error))
			return NULL;
		return file_sum(real, &size, NULL, error);
	}
	if (S_ISLNK(about->st_mode))
		return g_file_read_link(real, error);
	if (S_ISBLK(about->st_mode) || S_ISCHR(about->st_mode))
		return g_strdup_printf("%u:%u", major(about->st_rdev), minor(about->st_rdev));
	return g_strdup("");
}

static gboolean walk_folder(struct walk *walk, const char *path, GError **error);

static gboolean walk_entry(struct walk *walk, const char *path, GError **error)
{
	g_autofree char *real = g_strconcat(walk->top, path, NULL);
	struct stat about;

	if (lstat(real, &about) < 0) {
		g_set_error(error, DISK_ERROR, DISK_ERROR_FILE, "%s: %s", real, g_strerror(errno));
		return FALSE;
	}
	char *content = content_of(walk, real, &about, error);
	if (!content)
		return FALSE;
	struct file *file = g_new0(struct file, 1);
	*file = (struct file){g_strdup(path), about.st_mode, about.st_uid, about.st_gid,
		S_ISREG(about.st_mode) ? (guint64)about.st_size : 0, content};
	g_ptr_array_add(walk->list, file);
	return !S_ISDIR(about.st_mode) || walk_folder(walk, path, error);
}

static gboolean walk_folder(struct walk *walk, const char *path, GError **error)
{
	g_autofree char *real = g_strconcat(walk->top, path, NULL);
	g_autoptr(GDir) dir = g_dir_open(real, 0, error);
	const char *entry;

	while (dir && (entry = g_dir_read_name(dir))) {
		g_autofree char *below = g_strconcat(path, "/", entry, NULL);

		if (!walk_entry(walk, below, error))
			return FALSE;
	}
	return dir != NULL;
}

GPtrArray *files_in(const char *folder, const struct disk_progress *progress, GError **error)
{
	struct walk walk = {
		g_ptr_array_new_with_free_func((GDestroyNotify)file_free), folder, progress, 0};

	if (!walk_folder(&walk, "", error)) {
		g_ptr_array_free(walk.list, TRUE);
		return NULL;
	}
	g_ptr_array_sort(walk.list, by_path);
	return walk.list;
}

/* What the boot would find, and no other bytes. */
static gboolean root_is_good(const struct version *version, const char *path,
	const struct disk_progress *progress, GError **error)
{
	const struct image_file *root = &version->image->files[IMAGE_ROOT];
	guint64 size;
	g_autofree char *sum = file_sum(path, &size, progress, error);

	if (!sum || !strcmp(sum, root->sha256))
		return sum != NULL;
	g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
		"%s is not what its manifest says (sha256): build the image again", path);
	return FALSE;
}

/* Modes and owners from the image itself. */
static gboolean take_owners(GPtrArray *list, const char *image, GError **error)
{
	g_autoptr(GMappedFile) map = g_mapped_file_new(image, FALSE, error);
	g_autoptr(GHashTable) known =
		map ? erofs_read((const guint8 *)g_mapped_file_get_contents(map),
			      g_mapped_file_get_length(map), error)
		    : NULL;

	for (guint i = 0; known && i < list->len; i++) {
		struct file *file = list->pdata[i];
		const struct erofs_file *own = g_hash_table_lookup(known, file->path);

		if (!own) {
			g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
				"%s: fsck.erofs has unpacked %s, which is not in it", image,
				file->path);
			return FALSE;
		}
		file->mode = own->mode;
		file->uid = own->uid;
		file->gid = own->gid;
	}
	return known != NULL;
}

static GPtrArray *load_erofs(
	const char *image, const char *target, const struct disk_progress *progress, GError **error)
{
	g_autofree char *extract = g_strconcat("--extract=", target, NULL);
	const char *argv[] = {"fsck.erofs", extract, "--no-preserve", image, NULL};
	GPtrArray *list = NULL;

	if (disk_run(argv, "erofs-utils", error))
		list = files_in(target, progress, error);
	if (!list || take_owners(list, image, error))
		return list;
	g_ptr_array_free(list, TRUE);
	return NULL;
}

static GPtrArray *load_squashfs(
	const char *image, const char *target, const struct disk_progress *progress, GError **error)
{
	const char *argv[] = {"unsquashfs", "-quiet", "-no-progress", "-dest", target, image, NULL};

	return disk_run(argv, "squashfs-tools", error) ? files_in(target, progress, error) : NULL;
}

GPtrArray *files_load(const struct version *version, const char *scratch,
	const struct disk_progress *progress, GError **error)
{
	const char *name = version->image->files[IMAGE_ROOT].name;
	g_autofree char *image = g_build_filename(version->folder, name, NULL);
	g_autofree char *target = g_build_filename(scratch, "root", NULL);
	GPtrArray *list;

	if (!root_is_good(version, image, progress, error))
		return NULL;
	list = version->image->erofs ? load_erofs(image, target, progress, error)
				     : load_squashfs(image, target, progress, error);
	if (!disk_remove(target, list ? error : NULL) && list) {
		g_ptr_array_free(list, TRUE);
		list = NULL;
	}
	return list;
}

GArray *files_compare(const GPtrArray *before, const GPtrArray *after)
{
	GArray *changes = g_array_new(FALSE, FALSE, sizeof(struct file_change));
	guint b = 0, a = 0;

	while (b < before->len || a < after->len) {
		const struct file *x = b < before->len ? before->pdata[b] : NULL;
		const struct file *y = a < after->len ? after->pdata[a] : NULL;
		int order = !x ? 1 : !y ? -1 : strcmp(x->path, y->path);
		struct file_change change = {
			order <= 0 ? x : NULL, order >= 0 ? y : NULL, order != 0};

		b += order <= 0;
		a += order >= 0;
		if (!order)
			change.content = strcmp(x->content, y->content) != 0 ||
					 (x->mode & S_IFMT) != (y->mode & S_IFMT);
		if (change.content || x->mode != y->mode || x->uid != y->uid || x->gid != y->gid)
			g_array_append_val(changes, change);
	}
	return changes;
}
