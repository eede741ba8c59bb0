/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/store/tar.h"

#include <string.h>

#include "images/store/image.h"

/* Offsets and lengths of the fields. */
enum {
	MODE = 100,
	UID = 108,
	GID = 116,
	SIZE = 124,
	SIZE_LENGTH = 12,
	MTIME = 136,
	SUM = 148,
	SUM_LENGTH = 8,
	TYPE = 156,
	LINK = 157,
	MAGIC = 257,
	VERSION = 263,
	PREFIX = 345
};
#define OCTAL_MAX ((guint64)1 << 33)

static guint sum_of(const guint8 *block)
{
	guint sum = SUM_LENGTH * ' ';

	for (guint i = 0; i < TAR_BLOCK; i++)
		sum += i < SUM || i >= SUM + SUM_LENGTH ? block[i] : 0;
	return sum;
}

static void put_octal(guint8 *at, gsize length, guint64 value)
{
	at[--length] = '\0';
	while (length--) {
		at[length] = (guint8)('0' + value % 8);
		value /= 8;
	}
}

void tar_header(guint8 block[TAR_BLOCK], const char *name, guint64 size)
{
	memset(block, 0, TAR_BLOCK);
	memcpy(block, name, MIN(strlen(name), TAR_NAME_MAX));
	put_octal(block + MODE, 8, 0644);
	put_octal(block + UID, 8, 0);
	put_octal(block + GID, 8, 0);
	if (size < OCTAL_MAX) {
		put_octal(block + SIZE, SIZE_LENGTH, size);
	} else {
		guint64 big = GUINT64_TO_BE(size);

		block[SIZE] = 0x80;
		memcpy(block + SIZE + SIZE_LENGTH - sizeof(big), &big, sizeof(big));
	}
	put_octal(block + MTIME, 12, 0);
	block[TYPE] = '0';
	memcpy(block + MAGIC, "ustar", sizeof("ustar"));
	memcpy(block + VERSION, "00", 2);
	put_octal(block + SUM, SUM_LENGTH - 1, sum_of(block));
	block[SUM + SUM_LENGTH - 1] = ' ';
}

/* Octal digits, which blanks may precede and a blank or NUL ends. */
static gboolean get_octal(const guint8 *at, gsize length, guint64 *value)
{
	gsize i = 0, digits = 0;

	while (i < length && at[i] == ' ')
		i++;
	for (*value = 0; i < length && at[i] >= '0' && at[i] <= '7'; i++, digits++)
		*value = *value * 8 + (guint64)(at[i] - '0');
	return digits > 0 && (i == length || at[i] == ' ' || at[i] == '\0');
}

static gboolean get_size(const guint8 *at, guint64 *size)
{
	guint64 big;

	if (at[0] != 0x80)
		return get_octal(at, SIZE_LENGTH, size);
	for (gsize i = 1; i < SIZE_LENGTH - sizeof(big); i++)
		if (at[i])
			return FALSE;
	memcpy(&big, at + SIZE_LENGTH - sizeof(big), sizeof(big));
	*size = GUINT64_FROM_BE(big);
	return *size <= G_MAXINT64 - TAR_BLOCK;
}

static gboolean fail(GError **error, const char *what)
{
	g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD, "%s", what);
	return FALSE;
}

gboolean tar_read(const guint8 block[TAR_BLOCK], struct tar_member *member, GError **error)
{
	static const guint8 zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
	guint64 sum;

	if (!memcmp(block, zstd, sizeof(zstd)))
		return fail(error, "it is compressed by zstd: give it a name that ends in .zst, or "
				   "put zstd -dc before");
	if (memcmp(block + MAGIC, "ustar", 5) != 0)
		return fail(error, "it is no tar archive, or damaged");
	if (!get_octal(block + SUM, SUM_LENGTH, &sum) || sum != sum_of(block))
		return fail(error, "the header of a member is damaged");
	memcpy(member->name, block, TAR_NAME_MAX);
	member->name[TAR_NAME_MAX] = '\0';
	g_autofree char *name = g_strescape(member->name, NULL);
	if ((block[TYPE] != '0' && block[TYPE]) || block[LINK]) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
			"the member \"%s\" is no plain file", name);
		return FALSE;
	}
	if (block[PREFIX] || !g_regex_match_simple("^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
				     member->name, G_REGEX_DOLLAR_ENDONLY, 0)) {
		g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD,
			"the member \"%s\" has an unsafe name", name);
		return FALSE;
	}
	if (get_size(block + SIZE, &member->size))
		return TRUE;
	g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_BAD, "the size of the member %s is damaged",
		member->name);
	return FALSE;
}

gboolean tar_is_end(const guint8 block[TAR_BLOCK])
{
	for (guint i = 0; i < TAR_BLOCK; i++)
		if (block[i])
			return FALSE;
	return TRUE;
}

guint64 tar_padding(guint64 size)
{
	return (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
}
