/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/store/arrival.h"
#include "images/store/signature.h"
#include "images/store/tar.h"
#include "images/store/transfer.h"

#define CHUNK (1 << 20)
#define MANIFEST_MAX (256 * 1024)
#define SIGNATURE_MAX 1024
/* Of what has no size in the manifest. */
#define BESIDE_MAX (64 * 1024 * 1024)

/* A member that has to come, or may. */
struct wanted {
	const char *name;   /* borrowed from the version */
	const char *sha256; /* NULL: no sum is known, and the member may be missing */
	guint64 size;       /* 0: anything up to BESIDE_MAX */
	gboolean seen;
};

struct import {
	const struct transfer_import *options; /* borrowed */
	int fd;
	guint64 done, total;
	struct version *version; /* owned; its folder is the scratch folder */
	char *manifest, *signature;
	gsize manifest_length;
	struct wanted wanted[IMAGE_FILE_COUNT + 3];
	guint wanted_count;
};

static gboolean bad(GError **error, const char *what, const char *member)
{
	g_autofree char *text = g_strdup_printf("the member %s %s", member, what);

	g_set_error_literal(error, IMAGE_ERROR, IMAGE_ERROR_BAD, text);
	return FALSE;
}

/* Up to `size` bytes; fewer at the end only. -1 with `error`. */
static gssize take(struct import *self, void *data, gsize size, GError **error)
{
	gsize have = 0;

	while (have < size) {
		ssize_t n = read(self->fd, (char *)data + have, size - have);

		if (n < 0 && errno == EINTR) {
			if (!disk_step(&self->options->progress, self->done, self->total, error))
				return -1;
			continue;
		}
		if (n < 0) {
			g_set_error(error, DISK_ERROR, DISK_ERROR_FILE,
				"the archive cannot be read: %s", g_strerror(errno));
			return -1;
		}
		if (!n)
			break;
		have += (gsize)n;
	}
	self->done += have;
	if (!disk_step(&self->options->progress, self->done, MAX(self->total, self->done), error))
		return -1;
	return (gssize)have;
}

static gboolean take_all(
	struct import *self, void *data, gsize size, const char *member, GError **error)
{
	gssize n = take(self, data, size, error);

	if (n >= 0 && (gsize)n < size) {
		g_set_error(
			error, IMAGE_ERROR, IMAGE_ERROR_BAD, "it ends in the middle of %s", member);
		return FALSE;
	}
	return n >= 0;
}

static gboolean skip_padding(struct import *self, const struct tar_member *member, GError **error)
{
	guint8 rest[TAR_BLOCK];

	return take_all(self, rest, tar_padding(member->size), member->name, error);
}

/* A member that has to be the next one, as text; the caller frees it. */
static char *take_text(
	struct import *self, const char *name, gsize most, gsize *length, GError **error)
{
	guint8 block[TAR_BLOCK];
	struct tar_member member;

	if (!take_all(self, block, sizeof(block), name, error) || !tar_read(block, &member, error))
		return NULL;
	if (strcmp(member.name, name) != 0 || member.size > most) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
			"its first members must be manifest.json and manifest.sig; %s of "
			"%" G_GUINT64_FORMAT " bytes is where %s should be",
			member.name, member.size, name);
		return NULL;
	}
	g_autofree char *text = g_malloc0(member.size + 1);
	if (!take_all(self, text, member.size, name, error) || !skip_padding(self, &member, error))
		return NULL;
	*length = member.size;
	return g_steal_pointer(&text);
}

static void want(struct import *self, const char *name, const char *sha256, guint64 size)
{
	if (name)
		self->wanted[self->wanted_count++] = (struct wanted){name, sha256, size, FALSE};
	self->total += size;
}

/* Manifest and signature: whom it is from and what has to follow. */
static gboolean take_head(struct import *self, GError **error)
{
	gsize length;

	self->manifest =
		take_text(self, "manifest.json", MANIFEST_MAX, &self->manifest_length, error);
	if (!self->manifest)
		return FALSE;
	self->signature = take_text(self, "manifest.sig", SIGNATURE_MAX, &length, error);
	if (!self->signature)
		return FALSE;
	if (signature_check(self->options->public_key, self->manifest, self->manifest_length,
		    self->signature, error))
		return TRUE;
	g_prefix_error(error, "it is not signed by the key in %s: ", self->options->public_key);
	return FALSE;
}

/* Signs by the site's key where another's was trusted. */
static gboolean sign(struct import *self, GError **error)
{
	char *signature;

	if (!self->options->private_key)
		return TRUE;
	signature = signature_make(
		self->options->private_key, self->manifest, self->manifest_length, error);
	g_free(self->signature);
	self->signature = signature;
	return signature != NULL;
}

static gboolean list_wanted(struct import *self, GError **error)
{
	struct version *version = version_parse(self->manifest, self->manifest_length, error);

	if (!version) {
		g_prefix_error(error, "manifest.json is not usable: ");
		return FALSE;
	}
	self->version = version;
	for (int id = 0; id < IMAGE_FILE_COUNT; id++)
		want(self, version->image->files[id].name, version->image->files[id].sha256,
			version->image->files[id].size);
	want(self, version->lock.name, version->lock.sha256, 0);
	want(self, version->sbom.name, version->sbom.sha256, 0);
	want(self, "build.log", NULL, 0);
	return TRUE;
}

static struct wanted *find_wanted(
	struct import *self, const struct tar_member *member, GError **error)
{
	for (guint i = 0; i < self->wanted_count; i++) {
		struct wanted *wanted = &self->wanted[i];

		if (strcmp(wanted->name, member->name) != 0)
			continue;
		if (wanted->seen)
			bad(error, "is there twice", member->name);
		else if (wanted->size ? member->size != wanted->size : member->size > BESIDE_MAX)
			bad(error, "has another size than it should have", member->name);
		else
			return wanted;
		return NULL;
	}
	bad(error, "is none that the manifest names", member->name);
	return NULL;
}

static gboolean unpack(struct import *self, const struct tar_member *member, int file,
	GChecksum *sum, GError **error)
{
	g_autofree guint8 *buffer = g_malloc(CHUNK);

	for (guint64 left = member->size; left;) {
		gsize part = (gsize)MIN(left, CHUNK);

		if (!take_all(self, buffer, part, member->name, error) ||
			!disk_write(file, buffer, part, member->name, error))
			return FALSE;
		g_checksum_update(sum, buffer, (gssize)part);
		left -= part;
	}
	if (fsync(file) < 0) {
		g_set_error(error, DISK_ERROR, DISK_ERROR_FILE, "%s cannot be written: %s",
			member->name, g_strerror(errno));
		return FALSE;
	}
	return skip_padding(self, member, error);
}

static gboolean take_member(
	struct import *self, const guint8 *block, const char *scratch, GError **error)
{
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	struct tar_member member;
	struct wanted *wanted;

	if (!tar_read(block, &member, error))
		return FALSE;
	wanted = find_wanted(self, &member, error);
	if (!wanted)
		return FALSE;
	g_autofree char *path = g_build_filename(scratch, member.name, NULL);
	int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (file < 0) {
		g_set_error(error, DISK_ERROR, DISK_ERROR_FILE, "cannot make %s: %s", path,
			g_strerror(errno));
		return FALSE;
	}
	gboolean good = unpack(self, &member, file, sum, error);
	close(file);
	wanted->seen = TRUE;
	if (good && wanted->sha256 && strcmp(wanted->sha256, g_checksum_get_string(sum)) != 0)
		good = bad(error, "is not what the manifest says (sha256)", member.name);
	return good;
}

/* After the members: two blocks of zeros, and nothing but zeros (tar fills its records). */
static gboolean take_end(struct import *self, GError **error)
{
	guint8 block[TAR_BLOCK];
	gssize n;

	if (!take_all(self, block, sizeof(block), "its end", error))
		return FALSE;
	do {
		if (!tar_is_end(block)) {
			g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
				"something follows behind its end");
			return FALSE;
		}
		memset(block, 0, sizeof(block));
		n = take(self, block, sizeof(block), error);
	} while (n > 0);
	for (guint i = 0; !n && i < self->wanted_count; i++)
		if (!self->wanted[i].seen && self->wanted[i].sha256)
			return bad(error, "is missing", self->wanted[i].name);
	return !n;
}

static gboolean take_members(struct import *self, const char *scratch, GError **error)
{
	guint8 block[TAR_BLOCK];

	for (;;) {
		if (!take_all(self, block, sizeof(block), "its list of members", error))
			return FALSE;
		if (tar_is_end(block))
			return take_end(self, error);
		if (!take_member(self, block, scratch, error))
			return FALSE;
	}
}

/* Is there a version of that name? FALSE with `error` when it is another one. */
static gboolean look_for_it(
	struct import *self, const char *folder, gboolean *known, GError **error)
{
	g_autofree char *path = g_build_filename(folder, "manifest.json", NULL);
	g_autofree char *text = NULL;
	gsize length = 0;

	*known = g_file_get_contents(path, &text, &length, NULL) &&
		 length == self->manifest_length && !memcmp(text, self->manifest, length);
	if (*known || !g_file_test(folder, G_FILE_TEST_EXISTS))
		return TRUE;
	g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
		"%s is there already, and is another one; versions never change: \"carrel image "
		"gc\" removes what nobody needs",
		folder);
	return FALSE;
}

static gboolean receive(struct import *self, const char *name, const char *folder, GError **error)
{
	g_autofree char *scratch = arrival_scratch(self->options->images, name, error);
	gboolean good = scratch && take_members(self, scratch, error) &&
			arrival_appear(scratch, folder, self->manifest, self->manifest_length,
				self->signature, error);

	if (scratch && !good)
		arrival_undo(scratch);
	return good;
}

static char *import(struct import *self, gboolean *known, GError **error)
{
	if (!take_head(self, error) || !list_wanted(self, error))
		return NULL;
	g_autofree char *folder = g_build_filename(
		self->options->images, self->version->name, self->version->version, NULL);
	if (!look_for_it(self, folder, known, error))
		return NULL;
	if (!*known && (!sign(self, error) || !receive(self, self->version->name, folder, error)))
		return NULL;
	return version_id(self->version);
}

char *transfer_import(
	const struct transfer_import *options, int fd, gboolean *known, GError **error)
{
	struct import self = {.options = options, .fd = fd};
	int lock = disk_lock(options->images, error);
	char *id = lock < 0 ? NULL : import(&self, known, error);

	if (lock >= 0)
		close(lock);
	version_free(self.version);
	g_free(self.manifest);
	g_free(self.signature);
	return id;
}
