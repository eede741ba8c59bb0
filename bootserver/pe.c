/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bootserver/pe.h"

#include <string.h>

#define MACHINE_X86_64 0x8664
#define MAGIC_64_BIT 0x20b
/* Sizes and places of the headers, as the format's description has them. */
#define FILE_HEADER 24     /* the signature "PE\0\0" and the COFF header */
#define OPTIONAL_LEAST 112 /* the part of the optional header that is always there */
#define SECTION_HEADER 40
#define ADDRESS_END (G_GUINT64_CONSTANT(1) << 40)

struct headers {
	const guint8 *sections; /* borrowed */
	guint count;
	guint64 base, alignment;
};

static guint64 number(const guint8 *at, int bytes)
{
	guint64 value = 0;
	for (int i = bytes - 1; i >= 0; i--)
		value = value << 8 | at[i];
	return value;
}

static gboolean read_headers(const guint8 *bytes, gsize length, struct headers *headers)
{
	if (length < 64 || memcmp(bytes, "MZ", 2))
		return FALSE;
	guint64 at = number(bytes + 0x3c, 4);
	if (at + FILE_HEADER + OPTIONAL_LEAST > length || memcmp(bytes + at, "PE\0\0", 4))
		return FALSE;
	const guint8 *file = bytes + at, *optional = file + FILE_HEADER;
	guint64 sections = at + FILE_HEADER + number(file + 20, 2);
	headers->count = (guint)number(file + 6, 2);
	headers->base = number(optional + 24, 8);
	headers->alignment = number(optional + 32, 4);
	if (number(file + 4, 2) != MACHINE_X86_64 || number(optional, 2) != MAGIC_64_BIT ||
		sections + (guint64)headers->count * SECTION_HEADER > length ||
		headers->alignment == 0 || (headers->alignment & (headers->alignment - 1)) ||
		headers->base >= ADDRESS_END)
		return FALSE;
	headers->sections = bytes + sections;
	return TRUE;
}

gboolean pe_free_address(const guint8 *bytes, gsize length, guint64 *address, guint64 *alignment)
{
	struct headers headers;
	guint64 end = 0;
	if (!read_headers(bytes, length, &headers) || headers.count == 0)
		return FALSE;
	for (guint i = 0; i < headers.count; i++) {
		const guint8 *section = headers.sections + (gsize)i * SECTION_HEADER;
		guint64 size = MAX(number(section + 8, 4), number(section + 16, 4));
		end = MAX(end, number(section + 12, 4) + size);
	}
	*address = headers.base + end;
	*alignment = headers.alignment;
	return TRUE;
}

const guint8 *pe_section(const guint8 *bytes, gsize length, const char *name, gsize *size)
{
	struct headers headers;
	char padded[8] = {0};
	gsize name_length = strlen(name);
	if (name_length > sizeof padded || !read_headers(bytes, length, &headers))
		return NULL;
	memcpy(padded, name, name_length);
	for (guint i = 0; i < headers.count; i++) {
		const guint8 *section = headers.sections + (gsize)i * SECTION_HEADER;
		guint64 used = number(section + 8, 4), in_file = number(section + 16, 4),
			at = number(section + 20, 4);
		if (memcmp(section, padded, sizeof padded))
			continue;
		if (used > in_file || at + used > length)
			return NULL;
		*size = (gsize)used;
		return bytes + at;
	}
	return NULL;
}
