/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bootserver/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bootserver/error.h"
#include "images/store/bootplan.h"

#define VERSION_FILE "version"
#define VERSIONS_KEPT 2
#define VARIANTS "variant"
/* from gen/N/tftp and gen/N/variant/ID: PXELINUX's second way to kernel and initrd */
#define KERNELS_FROM_TFTP "../../../http/boot"
#define KERNELS_FROM_VARIANT "../../../../http/boot"

/* Of others: the name that PCs ask for, and that of the package's file. */
struct program {
	const char *name, *from;
};
static const struct program pxelinux_programs[] = {
	{"lpxelinux.0", "lpxelinux.0"}, {"ldlinux.c32", "ldlinux.c32"}, {0}};
/* shim asks for grubx64.efi where it came from. */
static const struct program shim_programs[] = {
	{TREE_SHIM, "shimx64.efi.signed"}, {"grubx64.efi", "grubnetx64.efi.signed"}, {0}};

G_DEFINE_QUARK(carrel - bootconf - error, bootconf_error)

gboolean bootconf_failed(GError **error, const char *path, const char *what)
{
	g_set_error(error, BOOTCONF_ERROR, BOOTCONF_FAILED, "%s: %s", path, what);
	return FALSE;
}

static gboolean make_folder(const char *path, GError **error)
{
	if (g_mkdir_with_parents(path, 0755) < 0)
		return bootconf_failed(error, path, g_strerror(errno));
	return TRUE;
}

/* dnsmasq would make its log for itself alone; the broker, another user, is to follow it. */
static gboolean make_log(const char *boot, GError **error)
{
	g_autofree char *log = g_build_filename(boot, "log", "dnsmasq.log", NULL);
	int fd = g_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 && errno != EACCES) /* dnsmasq's own, by systemd-tmpfiles */
		return bootconf_failed(error, log, g_strerror(errno));
	if (fd >= 0)
		close(fd);
	return TRUE;
}

gboolean tree_prepare(const char *boot, gboolean wait, GError **error)
{
	static const char *const folders[] = {"gen", "http/boot", "http/images", "log", "ganesha"};
	for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
		g_autofree char *path = g_build_filename(boot, folders[i], NULL);
		if (!make_folder(path, error))
			return FALSE;
	}
	if (!make_log(boot, error))
		return FALSE;
	g_autofree char *lock = g_build_filename(boot, ".lock", NULL);
	int fd = g_open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) < 0)
		return bootconf_failed(error, lock,
			fd >= 0 && errno == EWOULDBLOCK
				? "another carrel-bootconf is at work; wait "
				  "for it"
				: g_strerror(errno));
	return TRUE; /* the descriptor stays open: it is the lock */
}

gboolean tree_check_reachable(const char *boot, GError **error)
{
	g_autofree char *path = g_strdup(boot);
	for (;;) {
		struct stat about;
		if (stat(path, &about) == 0 && !(about.st_mode & S_IXOTH)) {
			g_set_error(error, BOOTCONF_ERROR, BOOTCONF_FAILED,
				"%s: other users may not pass through it, so dnsmasq and nginx "
				"cannot read the boot tree; run: chmod o+x %s",
				path, path);
			return FALSE;
		}
		if (!strcmp(path, "/"))
			return TRUE;
		char *up = g_path_get_dirname(path);
		g_free(path);
		path = up;
	}
}

static gboolean write_text(const char *path, const char *text, GError **error)
{
	g_autofree char *folder = g_path_get_dirname(path);
	GError *cause = NULL;
	if (!make_folder(folder, error))
		return FALSE;
	if (!g_file_set_contents_full(
		    path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0644, &cause)) {
		bootconf_failed(error, path, cause->message);
		g_error_free(cause);
		return FALSE;
	}
	return TRUE;
}

static gboolean copy_file(const char *from, const char *to, GError **error)
{
	g_autoptr(GFile) source = g_file_new_for_path(from);
	g_autoptr(GFile) target = g_file_new_for_path(to);
	GError *cause = NULL;
	if (!g_file_copy(source, target, G_FILE_COPY_OVERWRITE, NULL, NULL, NULL, &cause)) {
		bootconf_failed(error, to, cause->message);
		g_error_free(cause);
		return FALSE;
	}
	return g_chmod(to, 0644) == 0 || bootconf_failed(error, to, g_strerror(errno));
}

static gboolean copy_program(
	const char *folders, const char *name, const char *to, const char *packages, GError **error)
{
	g_auto(GStrv) list = g_strsplit(folders, ":", -1);
	for (char **folder = list; *folder; folder++) {
		g_autofree char *from = g_build_filename(*folder, name, NULL);
		if (g_file_test(from, G_FILE_TEST_IS_REGULAR))
			return copy_file(from, to, error);
	}
	g_set_error(error, BOOTCONF_ERROR, BOOTCONF_FAILED,
		"%s is not in %s: install the packages %s", name, folders, packages);
	return FALSE;
}

static gboolean copy_programs(const char *served, const struct program *programs,
	const char *folders, const char *packages, GError **error)
{
	for (; programs->name; programs++) {
		g_autofree char *to = g_build_filename(served, programs->name, NULL);
		if (!copy_program(folders, programs->from, to, packages, error))
			return FALSE;
	}
	return TRUE;
}

/* All that PCs load by TFTP but the menus; `kernels`: the way to them from there. */
static gboolean write_served(const char *served, const struct tree_programs *programs,
	const char *kernels, GError **error)
{
	g_autofree char *link = g_build_filename(served, "boot", NULL);
	if (!copy_programs(served, pxelinux_programs, programs->pxelinux,
		    "pxelinux and syslinux-common", error) ||
		(programs->shim && !copy_programs(served, shim_programs, programs->shim,
					   "shim-signed and grub-efi-amd64-signed", error)))
		return FALSE;
	return symlink(kernels, link) == 0 || errno == EEXIST ||
	       bootconf_failed(error, link, g_strerror(errno));
}

void tree_menus_clear(struct tree_menus *menus)
{
	g_clear_pointer(&menus->pxelinux, g_free);
	g_clear_pointer(&menus->grub, g_free);
}

gboolean tree_write(const char *folder, GHashTable *texts, const struct tree_programs *programs,
	const GPtrArray *versions, GError **error)
{
	g_autofree char *served = g_build_filename(folder, TREE_TFTP, NULL);
	g_autofree char *path = g_build_filename(folder, VERSION_FILE, NULL);
	g_autoptr(GString) lines = g_string_new(NULL);
	GHashTableIter at;
	gpointer name, text;
	g_hash_table_iter_init(&at, texts);
	while (g_hash_table_iter_next(&at, &name, &text)) {
		g_autofree char *file = g_build_filename(folder, name, NULL);
		if (!write_text(file, text, error))
			return FALSE;
	}
	for (guint i = 0; i < versions->len; i++)
		g_string_append_printf(lines, "%s\n", (const char *)versions->pdata[i]);
	return write_served(served, programs, KERNELS_FROM_TFTP, error) &&
	       write_text(path, lines->str, error);
}

char *tree_variant(guint number)
{
	return g_strdup_printf(VARIANTS "/%u", number);
}

gboolean tree_write_variant(const char *folder, const char *served, const struct tree_menus *menus,
	const struct tree_programs *programs, GError **error)
{
	g_autofree char *path = g_build_filename(folder, served, NULL);
	g_autofree char *pxelinux = g_build_filename(path, "pxelinux.cfg/default", NULL);
	g_autofree char *grub = g_build_filename(path, "grub/grub.cfg", NULL);
	return write_text(pxelinux, menus->pxelinux, error) &&
	       (!menus->grub || write_text(grub, menus->grub, error)) &&
	       write_served(path, programs, KERNELS_FROM_VARIANT, error);
}

gboolean tree_link_seat(const char *folder, const char *mac, const char *served, GError **error)
{
	g_autofree char *name = g_strdelimit(g_strdup(mac), ":", '-');
	g_autofree char *link = g_build_filename(folder, TREE_TFTP, name, NULL);
	g_autofree char *target = g_build_filename("..", served, NULL);
	return symlink(target, link) == 0 || bootconf_failed(error, link, g_strerror(errno));
}

gboolean tree_link_efi(const char *folder, const char *served, const char *version,
	const char *name, GError **error)
{
	g_autofree char *link = g_build_filename(folder, served, TREE_EFI, NULL);
	g_autofree char *target = g_build_filename("boot", version, name, NULL);
	return symlink(target, link) == 0 || bootconf_failed(error, link, g_strerror(errno));
}

gboolean tree_answer(const char *boot, const char *sum, const char *problem, GError **error)
{
	g_autofree char *state = g_path_get_dirname(boot);
	g_autofree char *path = g_build_filename(state, BOOTPLAN_ANSWER, NULL);
	g_autofree char *text = bootplan_answer(sum, problem);
	return write_text(path, text, error);
}

char *tree_efi_path(const char *boot, const char *version, const char *name)
{
	return g_build_filename(boot, "http/boot", version, name, NULL);
}

static gboolean same_link(const char *one, const char *other)
{
	g_autofree char *a = g_file_read_link(one, NULL);
	g_autofree char *b = g_file_read_link(other, NULL);
	return a && !g_strcmp0(a, b);
}

static gboolean same_file(const char *one, const char *other)
{
	g_autofree char *a = NULL, *b = NULL;
	gsize a_length, b_length;
	return g_file_get_contents(one, &a, &a_length, NULL) &&
	       g_file_get_contents(other, &b, &b_length, NULL) && a_length == b_length &&
	       !memcmp(a, b, a_length);
}

static gboolean contains(const char *one, const char *other);

/* A link is where it leads to, not what is there. */
static gboolean same_entry(const char *one, const char *other)
{
	if (g_file_test(one, G_FILE_TEST_IS_SYMLINK))
		return same_link(one, other);
	return g_file_test(one, G_FILE_TEST_IS_DIR) ? contains(one, other) : same_file(one, other);
}

/* Is all that is in `one` in `other` too, and the same? */
static gboolean contains(const char *one, const char *other)
{
	g_autoptr(GDir) dir = g_dir_open(one, 0, NULL);
	const char *name;
	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *a = g_build_filename(one, name, NULL);
		g_autofree char *b = g_build_filename(other, name, NULL);
		if (!same_entry(a, b))
			return FALSE;
	}
	return dir != NULL;
}

gboolean tree_same(const char *one, const char *other)
{
	return contains(one, other) && contains(other, one);
}

char *tree_root_name(const struct image *image)
{
	return g_strdup_printf("%s-%s.root", image->name, image->version);
}

static gboolean publish_file(
	const struct image_file *file, const char *from, const char *to, GError **error)
{
	struct stat a, b;
	g_autofree char *temporary = g_strconcat(to, ".new", NULL);
	gboolean there = stat(to, &b) == 0;
	if (there && stat(from, &a) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev)
		return TRUE;
	if (there && image_check_file(file, to, NULL))
		return TRUE;
	g_unlink(temporary);
	if (link(from, temporary) < 0 && !copy_file(from, temporary, error))
		return FALSE;
	if (g_chmod(temporary, 0644) < 0)
		return bootconf_failed(error, temporary, g_strerror(errno));
	if (!image_check_file(file, temporary, error)) {
		g_unlink(temporary);
		return FALSE;
	}
	return g_rename(temporary, to) == 0 || bootconf_failed(error, to, g_strerror(errno));
}

gboolean tree_publish(const char *boot, const struct image *image, GError **error)
{
	g_autofree char *folder = g_build_filename(boot, "http/boot", image->version, NULL);
	g_autofree char *root = tree_root_name(image);
	g_autofree char *drivers = g_strdup_printf("%s-%s.drivers", image->name, image->version);
	char *to[IMAGE_FILE_COUNT] = {
		[IMAGE_KERNEL] = g_build_filename(folder, "vmlinuz", NULL),
		[IMAGE_INITRD] = g_build_filename(folder, "initrd", NULL),
		[IMAGE_ROOT] = g_build_filename(boot, "http/images", root, NULL),
		[IMAGE_DRIVERS] = g_build_filename(boot, "http/images", drivers, NULL),
	};
	gboolean good = make_folder(folder, error);
	for (int id = 0; id < IMAGE_FILE_COUNT; id++) {
		const struct image_file *file = &image->files[id];
		if (good && file->name) {
			g_autofree char *from = g_build_filename(image->folder, file->name, NULL);
			good = publish_file(file, from, to[id], error);
		}
		g_free(to[id]);
	}
	return good;
}

guint tree_next(const char *boot)
{
	g_autofree char *path = g_build_filename(boot, "gen", NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;
	guint last = 0;
	while (dir && (name = g_dir_read_name(dir)))
		last = MAX(last, (guint)strtoul(name, NULL, 10));
	return last + 1;
}

static gboolean set_link(const char *boot, const char *link, const char *name, GError **error)
{
	g_autofree char *target = g_build_filename("gen", name, NULL);
	g_autofree char *path = g_build_filename(boot, link, NULL);
	g_autofree char *temporary = g_strconcat(path, ".new", NULL);
	g_unlink(temporary);
	if (symlink(target, temporary) < 0 || g_rename(temporary, path) < 0)
		return bootconf_failed(error, path, g_strerror(errno));
	return TRUE;
}

gboolean tree_switch(const char *boot, const char *name, GError **error)
{
	g_autofree char *before = tree_linked(boot, TREE_CURRENT);
	if (before && strcmp(before, name) && !set_link(boot, TREE_PREVIOUS, before, error))
		return FALSE;
	return set_link(boot, TREE_CURRENT, name, error);
}

char *tree_linked(const char *boot, const char *link)
{
	g_autofree char *path = g_build_filename(boot, link, NULL);
	g_autofree char *target = g_file_read_link(path, NULL);
	return target && g_str_has_prefix(target, "gen/") ? g_strdup(target + 4) : NULL;
}

/* "20260301.2" before "20260301.10": the newest first. */
static int by_version(gconstpointer a, gconstpointer b)
{
	return strverscmp(*(char *const *)b, *(char *const *)a);
}

static GPtrArray *names_in(const char *boot, const char *below)
{
	g_autofree char *path = g_build_filename(boot, below, NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	const char *name;
	while (dir && (name = g_dir_read_name(dir)))
		g_ptr_array_add(names, g_strdup(name));
	g_ptr_array_sort(names, by_version);
	return names;
}

char **tree_versions(const char *boot, const char *name)
{
	g_autofree char *path = g_build_filename(boot, "gen", name, VERSION_FILE, NULL);
	g_autofree char *text = NULL;
	return g_file_get_contents(path, &text, NULL, NULL) && *g_strstrip(text)
		       ? g_strsplit(text, "\n", -1)
		       : NULL;
}

/* The links to EFI programs of a generation, paths. */
static GPtrArray *efi_links(const char *boot, const char *name)
{
	g_autofree char *below = g_build_filename("gen", name, VARIANTS, NULL);
	g_autoptr(GPtrArray) variants = names_in(boot, below);
	GPtrArray *links = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(links, g_build_filename(boot, "gen", name, TREE_TFTP, TREE_EFI, NULL));
	for (guint i = 0; i < variants->len; i++)
		g_ptr_array_add(
			links, g_build_filename(boot, below, variants->pdata[i], TREE_EFI, NULL));
	return links;
}

static gboolean check_version(const char *boot, const char *version, GError **error)
{
	static const char *const files[] = {"vmlinuz", "initrd"};
	for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
		g_autofree char *path =
			g_build_filename(boot, "http/boot", version, files[i], NULL);
		if (!g_file_test(path, G_FILE_TEST_IS_REGULAR))
			return bootconf_failed(error, path, "is missing: its image was removed");
	}
	return TRUE;
}

gboolean tree_check_generation(const char *boot, const char *name, GError **error)
{
	g_auto(GStrv) versions = tree_versions(boot, name);
	g_autoptr(GPtrArray) links = efi_links(boot, name);
	g_autofree char *menu =
		g_build_filename(boot, "gen", name, "tftp/pxelinux.cfg/default", NULL);
	if (!versions || !g_file_test(menu, G_FILE_TEST_IS_REGULAR))
		return bootconf_failed(error, menu, "is missing: this generation is not whole");
	for (char **version = versions; *version; version++)
		if (!check_version(boot, *version, error))
			return FALSE;
	for (guint i = 0; i < links->len; i++) {
		const char *efi = links->pdata[i];
		/* renderings of earlier versions of Carrel have none */
		if (g_file_test(efi, G_FILE_TEST_IS_SYMLINK) &&
			!g_file_test(efi, G_FILE_TEST_IS_REGULAR))
			return bootconf_failed(
				error, efi, "leads nowhere: its EFI program was removed");
	}
	return TRUE;
}

void tree_remove(const char *folder)
{
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;
	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(folder, name, NULL);
		if (!g_file_test(path, G_FILE_TEST_IS_SYMLINK) &&
			g_file_test(path, G_FILE_TEST_IS_DIR))
			tree_remove(path);
		else
			g_unlink(path);
	}
	g_rmdir(folder);
}

static void remove_images(const char *boot, const char *version)
{
	g_autofree char *folder = g_build_filename(boot, "http/boot", version, NULL);
	g_autofree char *root = g_strdup_printf("-%s.root", version);
	g_autofree char *drivers = g_strdup_printf("-%s.drivers", version);
	g_autoptr(GPtrArray) images = names_in(boot, "http/images");
	tree_remove(folder);
	for (guint i = 0; i < images->len; i++) {
		g_autofree char *path =
			g_build_filename(boot, "http/images", images->pdata[i], NULL);
		if (g_str_has_suffix(images->pdata[i], root) ||
			g_str_has_suffix(images->pdata[i], drivers))
			g_unlink(path);
	}
}

/*
 * The EFI programs of a version, but those that links in use lead to; also what a run that was cut
 * off has left of one.
 */
static void remove_unused_efi(const char *boot, const char *version, GHashTable *targets)
{
	g_autofree char *below = g_build_filename("http/boot", version, NULL);
	g_autoptr(GPtrArray) names = names_in(boot, below);
	for (guint i = 0; i < names->len; i++) {
		g_autofree char *target = g_build_filename("boot", version, names->pdata[i], NULL);
		g_autofree char *path = tree_efi_path(boot, version, names->pdata[i]);
		if (g_str_has_prefix(names->pdata[i], "carrel-") &&
			!g_hash_table_contains(targets, target))
			g_unlink(path);
	}
}

/* Adds what a generation (NULL: none) needs: versions, and where its EFI links lead. */
static void add_used(
	const char *boot, const char *generation, GHashTable *versions, GHashTable *targets)
{
	if (!generation)
		return;
	g_auto(GStrv) used = tree_versions(boot, generation);
	g_autoptr(GPtrArray) links = efi_links(boot, generation);
	for (char **version = used; version && *version; version++)
		g_hash_table_add(versions, g_strdup(*version));
	for (guint i = 0; i < links->len; i++) {
		char *target = g_file_read_link(links->pdata[i], NULL);
		if (target)
			g_hash_table_add(targets, target);
	}
}

void tree_prune(const char *boot)
{
	g_autofree char *current = tree_linked(boot, TREE_CURRENT);
	g_autofree char *previous = tree_linked(boot, TREE_PREVIOUS);
	g_autoptr(GHashTable) used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GHashTable) targets =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GPtrArray) generations = names_in(boot, "gen");
	g_autoptr(GPtrArray) versions = names_in(boot, "http/boot");
	add_used(boot, current, used, targets);
	add_used(boot, previous, used, targets);
	for (guint i = 0; i < generations->len; i++) {
		const char *name = generations->pdata[i];
		g_autofree char *path = g_build_filename(boot, "gen", name, NULL);
		if (g_strcmp0(name, current) && g_strcmp0(name, previous))
			tree_remove(path);
	}
	for (guint i = VERSIONS_KEPT; i < versions->len; i++)
		if (!g_hash_table_contains(used, versions->pdata[i]))
			remove_images(boot, versions->pdata[i]);
	for (guint i = 0; i < versions->len; i++)
		remove_unused_efi(boot, versions->pdata[i], targets);
}
