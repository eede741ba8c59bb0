/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/store/image.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/store/signature.h"

/* A manifest is a page of text; more is not one. */
#define MANIFEST_MAX (256 * 1024)

G_DEFINE_QUARK(carrel - image - error, image_error)

static const char *const kinds[] = {"client", "desktop", "disk", NULL};
static const char *const agents[] = {"carrel", "qemu-ga", NULL};
static const char *const file_keys[IMAGE_FILE_COUNT] = {
	"kernel", "initrd", "root", "disk", "drivers"};

const char *image_kind_word(enum image_kind kind)
{
	return kinds[kind];
}

const char *image_agent_word(enum image_agent agent)
{
	return agents[agent];
}

const char *image_file_key(enum image_file_id id)
{
	return file_keys[id];
}

static gboolean matches(const char *text, const char *pattern)
{
	return g_regex_match_simple(pattern, text, G_REGEX_DOLLAR_ENDONLY, 0);
}

/* The index of a word in a list that NULL ends; -1: it is not there. */
static int find_word(const char *const *words, const char *word)
{
	for (int i = 0; words[i]; i++)
		if (!strcmp(words[i], word))
			return i;
	return -1;
}

static gboolean is_hex(const char *text, gsize length)
{
	gsize n = strlen(text);
	return (length ? n == length : n > 0 && n <= 64 && n % 2 == 0) &&
	       strspn(text, "0123456789abcdef") == n;
}

gboolean image_name_is_good(const char *name)
{
	return matches(name, "^[a-z0-9][a-z0-9-]{0,31}$");
}

gboolean image_version_is_good(const char *version)
{
	return matches(version, "^[0-9]{8}\\.[0-9]{1,4}$");
}

static gboolean set_problem(GError **error, const char *what)
{
	g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD, "%s", what);
	return FALSE;
}

static gboolean parse_file(json_t *root, enum image_file_id id, struct image *image, GError **error)
{
	const char *name, *sum;
	json_int_t size;
	struct image_file *file = &image->files[id];
	if (json_unpack(root, "{s:{s:{s:s, s:I, s:s}}}", "files", file_keys[id], "file", &name,
		    "size", &size, "sha256", &sum) < 0 ||
		!matches(name, "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$") || size <= 0 ||
		!is_hex(sum, 64)) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
			"files.%s needs file (a plain name), size and sha256", file_keys[id]);
		return FALSE;
	}
	file->name = g_strdup(name);
	file->size = (guint64)size;
	file->sha256 = g_strdup(sum);
	return TRUE;
}

static gboolean parse_root(json_t *root, struct image *image, GError **error)
{
	const char *format, *hash, *salt;
	json_int_t blocks, block_size;
	if (json_unpack(root, "{s:{s:s, s:I, s:I, s:s, s:s}}", "root", "format", &format,
		    "data_blocks", &blocks, "block_size", &block_size, "root_hash", &hash, "salt",
		    &salt) < 0)
		return set_problem(
			error, "root needs format, data_blocks, block_size, root_hash and salt");
	if (strcmp(format, "squashfs") && strcmp(format, "erofs"))
		return set_problem(error, "root.format must be squashfs or erofs");
	if (block_size != 4096 || blocks <= 0 || blocks > (json_int_t)1 << 32 ||
		(guint64)blocks >= image->files[IMAGE_ROOT].size / 4096)
		return set_problem(
			error, "root.data_blocks of 4096 bytes do not fit into the file");
	if (!is_hex(hash, 64) || !is_hex(salt, 0))
		return set_problem(error, "root.root_hash and root.salt must be lower case hex");
	image->erofs = !strcmp(format, "erofs");
	image->data_blocks = (guint64)blocks;
	image->root_hash = g_strdup(hash);
	image->salt = g_strdup(salt);
	return TRUE;
}

static gboolean parse_disk(json_t *root, struct image *image, GError **error)
{
	const char *format, *firmware, *agent;
	json_int_t size;
	if (json_unpack(root, "{s:{s:s, s:I, s:s, s:s}}", "disk", "format", &format, "size", &size,
		    "firmware", &firmware, "agent", &agent) < 0)
		return set_problem(error, "disk needs format, size, firmware and agent");
	if (strcmp(format, "qcow2"))
		return set_problem(error, "disk.format must be qcow2");
	if (size <= 0 || (guint64)size > IMAGE_DISK_MAX || size % 512)
		return set_problem(
			error, "disk.size must be whole sectors of 512 bytes, 4 TiB at most");
	if (strcmp(firmware, "bios") && strcmp(firmware, "uefi"))
		return set_problem(error, "disk.firmware must be bios or uefi");
	int speaker = find_word(agents, agent);
	if (speaker < 0)
		return set_problem(error, "disk.agent must be carrel or qemu-ga");
	image->disk_size = (guint64)size;
	image->uefi = !strcmp(firmware, "uefi");
	image->agent = (enum image_agent)speaker;
	return TRUE;
}

/* What a version of its kind is made of. */
static gboolean parse_parts(json_t *root, struct image *image, GError **error)
{
	if (image->kind == IMAGE_GUEST)
		return parse_file(root, IMAGE_DISK, image, error) && parse_disk(root, image, error);
	for (int id = IMAGE_KERNEL; id <= IMAGE_ROOT; id++)
		if (!parse_file(root, (enum image_file_id)id, image, error))
			return FALSE;
	const json_t *drivers = json_object_get(json_object_get(root, "files"), "drivers");
	if (image->kind == IMAGE_CLIENT && drivers &&
		!parse_file(root, IMAGE_DRIVERS, image, error))
		return FALSE;
	return parse_root(root, image, error);
}

static gboolean parse_head(json_t *root, struct image *image, GError **error)
{
	const char *name, *version, *kind, *cmdline = NULL, *handoff = "hard";
	if (json_unpack(root, "{s:s, s:s, s:s, s?s, s?s}", "name", &name, "version", &version,
		    "kind", &kind, "cmdline", &cmdline, "handoff", &handoff) < 0)
		return set_problem(error, "name, version, kind and cmdline are needed");
	int which = find_word(kinds, kind);
	if (which < 0)
		return set_problem(error, "kind must be client, desktop or disk");
	image->kind = (enum image_kind)which;
	if ((image->kind == IMAGE_GUEST) != !cmdline)
		return set_problem(error, cmdline ? "a disk has no cmdline"
						  : "name, version, kind and cmdline are needed");
	if (!image_name_is_good(name))
		return set_problem(error, "name must be of a-z, 0-9 and -");
	if (!image_version_is_good(version))
		return set_problem(error, "version must be YYYYMMDD.N");
	if (!matches(cmdline ? cmdline : "", "^[ -~]{0,1000}$"))
		return set_problem(error, "cmdline must be one line of printable ASCII");
	if (strcmp(handoff, "hard") && strcmp(handoff, "live"))
		return set_problem(error, "handoff must be hard or live");
	image->live = !strcmp(handoff, "live");
	image->name = g_strdup(name);
	image->version = g_strdup(version);
	image->cmdline = g_strdup(cmdline ? cmdline : "");
	return TRUE;
}

struct image *image_parse(const char *text, gsize length, GError **error)
{
	json_error_t problem;
	json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
	if (!root) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD, "line %d: %s", problem.line,
			problem.text);
		return NULL;
	}
	struct image *image = g_new0(struct image, 1);
	if (!parse_head(root, image, error) || !parse_parts(root, image, error)) {
		image_free(image);
		image = NULL;
	}
	json_decref(root);
	return image;
}

static char *read_text(const char *path, gsize *length, GError **error)
{
	g_autofree char *text = NULL;
	g_autoptr(GError) cause = NULL;

	if (!g_file_get_contents(path, &text, length, &cause)) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MISSING, "%s", cause->message);
		return NULL;
	}
	if (*length <= MANIFEST_MAX)
		return g_steal_pointer(&text);
	g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD, "%s is longer than %d KiB", path,
		MANIFEST_MAX / 1024);
	return NULL;
}

char *image_read_signed(const char *folder, const char *public_key, gsize *length, GError **error)
{
	g_autofree char *path = g_build_filename(folder, "manifest.json", NULL);
	g_autofree char *beside = g_build_filename(folder, "manifest.sig", NULL);
	g_autofree char *text = read_text(path, length, error);
	g_autofree char *signature = NULL;
	g_autoptr(GError) cause = NULL;
	gsize signature_length;

	if (!text)
		return NULL;
	signature = read_text(beside, &signature_length, &cause);
	if (signature && signature_check(public_key, text, *length, signature, &cause))
		return g_steal_pointer(&text);
	g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_UNTRUSTED,
		"%s is not signed by this site (%s): build the image here, or have it signed with "
		"the key that belongs to %s",
		path, cause->message, public_key);
	return NULL;
}

/* A link to a version, such as "current", may stand for it. */
static gboolean says_its_name(
	const struct image *image, const char *name, const char *version, GError **error)
{
	if (!strcmp(image->name, name) &&
		(!image_version_is_good(version) || !strcmp(image->version, version)))
		return TRUE;
	g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
		"it is the manifest of %s@%s, not of %s@%s", image->name, image->version, name,
		version);
	return FALSE;
}

struct image *image_load(const char *images, const char *name, const char *version,
	const char *public_key, GError **error)
{
	g_autofree char *folder = g_build_filename(images, name, version, NULL);
	gsize length;
	g_autofree char *text = image_read_signed(folder, public_key, &length, error);
	g_autoptr(GError) cause = NULL;
	struct image *image = text ? image_parse(text, length, &cause) : NULL;

	if (!text)
		return NULL;
	if (image && says_its_name(image, name, version, &cause)) {
		image->folder = g_steal_pointer(&folder);
		return image;
	}
	image_free(image);
	g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
		"%s/manifest.json is not usable: %s; build the image again", folder,
		cause->message);
	return NULL;
}

char *image_id(const struct image *image)
{
	return g_strconcat(image->name, "@", image->version, NULL);
}

char *image_desktop_cmdline(const struct image *image)
{
	/* The init of a desktop reads it in this form (images/desktop-initrd/init.c). */
	return g_strdup_printf("%s%scarrel.verity=%" G_GUINT64_FORMAT ":%s:%s carrel.image=%s@%s",
		image->cmdline, *image->cmdline ? " " : "", image->data_blocks, image->root_hash,
		image->salt, image->name, image->version);
}

void image_free(struct image *image)
{
	if (!image)
		return;
	for (int id = 0; id < IMAGE_FILE_COUNT; id++) {
		g_free(image->files[id].name);
		g_free(image->files[id].sha256);
	}
	g_free(image->folder);
	g_free(image->name);
	g_free(image->version);
	g_free(image->root_hash);
	g_free(image->salt);
	g_free(image->cmdline);
	g_free(image);
}

static char *sum_of(int fd)
{
	GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
	g_autofree guchar *buffer = g_malloc(1 << 20);
	ssize_t n;
	while ((n = read(fd, buffer, 1 << 20)) > 0)
		g_checksum_update(sum, buffer, n);
	char *text = n < 0 ? NULL : g_strdup(g_checksum_get_string(sum));
	g_checksum_free(sum);
	return text;
}

gboolean image_check_file(const struct image_file *file, const char *path, GError **error)
{
	struct stat about;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &about) < 0 || !S_ISREG(about.st_mode)) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD, "%s: %s", path,
			fd < 0 ? g_strerror(errno) : "is no file");
		if (fd >= 0)
			close(fd);
		return FALSE;
	}
	g_autofree char *sum = (guint64)about.st_size == file->size ? sum_of(fd) : NULL;
	close(fd);
	if (sum && !strcmp(sum, file->sha256))
		return TRUE;
	g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
		"%s is not what its manifest says (%s): build the image again", path,
		(guint64)about.st_size == file->size ? "sha256" : "size");
	return FALSE;
}

gboolean image_check(const struct image *image, GError **error)
{
	for (int id = 0; id < IMAGE_FILE_COUNT; id++) {
		if (!image->files[id].name)
			continue;
		g_autofree char *path =
			g_build_filename(image->folder, image->files[id].name, NULL);
		if (!image_check_file(&image->files[id], path, error))
			return FALSE;
	}
	return TRUE;
}
