/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/store/erofs.h"

#include <string.h>
#include <sys/stat.h>

#include "images/store/image.h"

/* Offsets in the superblock, which begins at 1024, and in inodes; all is little-endian. */
enum {
	SUPER = 1024,
	SUPER_LENGTH = 128,
	BLOCK_BITS = 12,
	ROOT_NID = 14,
	META_BLOCK = 40,
	SLOT = 32, /* inodes are numbered by slots of so many bytes */
	COMPACT = 32,
	EXTENDED = 64,
	DIRENT = 12
};
#define MAGIC 0xe0f5e1e2u
enum { FLAT_PLAIN = 0, FLAT_INLINE = 2 };
/* More is a circle. */
#define DEPTH_MAX 100
#define FILES_MAX 4000000u

struct reader {
	const guint8 *data; /* borrowed */
	guint64 size, meta, block;
	GHashTable *files; /* owned */
	GString *path;     /* owned; of the folder that is being read */
	guint left;
};

struct inode {
	struct erofs_file file;
	guint64 size, block, inline_at; /* bytes; first block; where the tail would be */
	guint layout;
};

static gboolean fail(GError **error, const char *what)
{
	g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD, "the erofs image is damaged: %s", what);
	return FALSE;
}

/* `bytes` (2, 4 or 8) at `at`, where there is room for them. */
static guint64 number(const struct reader *reader, guint64 at, guint bytes)
{
	guint64 value = 0;

	while (bytes--)
		value = value << 8 | reader->data[at + bytes];
	return value;
}

static gboolean has(const struct reader *reader, guint64 at, guint64 bytes)
{
	return at <= reader->size && bytes <= reader->size - at;
}

static gboolean read_inode(
	const struct reader *reader, guint64 nid, struct inode *inode, GError **error)
{
	guint64 at = reader->meta + nid * SLOT;

	if (nid > reader->size / SLOT || !has(reader, at, COMPACT))
		return fail(error, "an inode lies outside");
	guint format = (guint)number(reader, at, 2), count = (guint)number(reader, at + 2, 2);
	gboolean extended = format & 1;
	if (extended && !has(reader, at, EXTENDED))
		return fail(error, "an inode lies outside");
	inode->layout = format >> 1 & 7;
	inode->file.mode = (guint32)number(reader, at + 4, 2);
	inode->size = number(reader, at + 8, extended ? 8 : 4);
	inode->block = number(reader, at + 16, 4);
	inode->file.uid = (guint32)number(reader, at + 24, extended ? 4 : 2);
	inode->file.gid = (guint32)number(reader, at + (extended ? 28 : 26), extended ? 4 : 2);
	/* extended attributes: a head of 12 bytes, whose first entry counts one */
	inode->inline_at =
		at + (extended ? EXTENDED : COMPACT) + (count ? 12 + ((guint64)count - 1) * 4 : 0);
	return TRUE;
}

static gboolean read_folder(
	struct reader *reader, const struct inode *inode, guint depth, GError **error);

static gboolean read_entry(struct reader *reader, guint64 nid, const char *name, gsize length,
	guint depth, GError **error)
{
	gsize before = reader->path->len;
	struct inode inode;

	if (!length || memchr(name, '/', length))
		return fail(error, "a name is none");
	if ((length == 1 && name[0] == '.') || (length == 2 && !memcmp(name, "..", 2)))
		return TRUE;
	if (!reader->left-- || depth > DEPTH_MAX)
		return fail(error, "its folders go round in a circle");
	if (!read_inode(reader, nid, &inode, error))
		return FALSE;
	g_string_append_c(reader->path, '/');
	g_string_append_len(reader->path, name, (gssize)length);
	g_hash_table_replace(reader->files, g_strdup(reader->path->str),
		g_memdup2(&inode.file, sizeof(inode.file)));
	gboolean good = !S_ISDIR(inode.file.mode) || read_folder(reader, &inode, depth + 1, error);
	g_string_truncate(reader->path, before);
	return good;
}

/* A block of a folder: its entries, then their names, of which the last may end early by a NUL. */
static gboolean read_block(
	struct reader *reader, guint64 at, guint64 length, guint depth, GError **error)
{
	guint64 names = length >= DIRENT && has(reader, at, length) ? number(reader, at + 8, 2) : 0;

	if (!names || names % DIRENT || names > length)
		return fail(error, "a folder's block cannot be read");
	for (guint64 entry = 0; entry < names; entry += DIRENT) {
		guint64 from = number(reader, at + entry + 8, 2);
		guint64 to = entry + DIRENT < names ? number(reader, at + entry + DIRENT + 8, 2)
						    : length;

		if (from < names || to < from || to > length)
			return fail(error, "a name lies outside");
		const char *name = (const char *)reader->data + at + from;
		if (!read_entry(reader, number(reader, at + entry, 8), name,
			    strnlen(name, (gsize)(to - from)), depth, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean read_folder(
	struct reader *reader, const struct inode *inode, guint depth, GError **error)
{
	if (inode->layout != FLAT_PLAIN && inode->layout != FLAT_INLINE)
		return fail(error, "a folder is kept in an unknown way");
	if (inode->size > reader->size)
		return fail(error, "a folder is larger than all");
	for (guint64 done = 0; done < inode->size; done += reader->block) {
		guint64 length = MIN(reader->block, inode->size - done);
		gboolean tail = inode->layout == FLAT_INLINE && length < reader->block;
		guint64 at = tail ? inode->inline_at : inode->block * reader->block + done;

		if (!read_block(reader, at, length, depth, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean read_all(struct reader *reader, GError **error)
{
	struct inode root;

	if (!has(reader, SUPER, SUPER_LENGTH) || number(reader, SUPER, 4) != MAGIC)
		return fail(error, "it does not begin like one");
	guint bits = reader->data[SUPER + BLOCK_BITS];
	if (bits < 9 || bits > 16)
		return fail(error, "the size of its blocks is unknown");
	reader->block = (guint64)1 << bits;
	reader->meta = number(reader, SUPER + META_BLOCK, 4) << bits;
	if (!read_inode(reader, number(reader, SUPER + ROOT_NID, 2), &root, error))
		return FALSE;
	return S_ISDIR(root.file.mode) ? read_folder(reader, &root, 0, error)
				       : fail(error, "its root is no folder");
}

GHashTable *erofs_read(const guint8 *data, gsize size, GError **error)
{
	struct reader reader = {.data = data, .size = size, .left = FILES_MAX};

	reader.files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	reader.path = g_string_new(NULL);
	gboolean good = read_all(&reader, error);
	g_string_free(reader.path, TRUE);
	if (good)
		return reader.files;
	g_hash_table_unref(reader.files);
	return NULL;
}
