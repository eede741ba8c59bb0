/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/store/guest_file.h"

#include <jansson.h>
#include <string.h>

#include "images/store/image.h"

#define QCOW2_EXTERNAL_DATA ((guint64)1 << 2) /* of the incompatible features */
#define QCOW2_CORRUPT ((guint64)1 << 1)

static const char *const words[GUEST_FORMAT_COUNT] = {"raw", "qcow2", "vmdk", "vhdx"};

const char *guest_format_word(enum guest_format format)
{
	return words[format];
}

enum guest_format guest_format_of(const char *file)
{
	const char *dot = strrchr(file, '.');
	int format = 0;

	while (format < GUEST_FORMAT_COUNT &&
		(!dot || g_ascii_strcasecmp(dot + 1, words[format]) != 0))
		format++;
	return (enum guest_format)format;
}

static gboolean refuse(GError **error, const char *what)
{
	g_set_error_literal(error, IMAGE_ERROR, IMAGE_ERROR_BAD, what);
	return FALSE;
}

static guint64 number(const guint8 *at, gsize bytes, gboolean big)
{
	guint64 value = 0;

	for (gsize i = 0; i < bytes; i++)
		value = value << 8 | at[big ? i : bytes - 1 - i];
	return value;
}

static gboolean backing_refused(GError **error)
{
	return refuse(error,
		"it is a part of another disk (it names a backing file): make one file of both "
		"first, \"qemu-img convert -O qcow2 FILE WHOLE.qcow2\" where it was made");
}

static gboolean data_refused(GError **error)
{
	return refuse(error,
		"its data lie in another file (external data file): make one file of both first, "
		"\"qemu-img convert -O qcow2 FILE WHOLE.qcow2\" where it was made");
}

static gboolean encrypted_refused(GError **error)
{
	return refuse(error, "it is encrypted: desktops have no key; decrypt it first");
}

static gboolean damaged_refused(GError **error)
{
	return refuse(error, "it says itself that it is damaged: \"qemu-img check\" shows how");
}

static gboolean check_qcow2(const guint8 *head, gsize length, GError **error)
{
	guint64 version = length >= 72 ? number(head + 4, 4, TRUE) : 0;
	guint64 features = version >= 3 && length >= 80 ? number(head + 72, 8, TRUE) : 0;

	if (length < 72 || memcmp(head, "QFI\xfb", 4) != 0 ||
		(version != 2 && (version != 3 || length < 104)))
		return refuse(error, "it is no qcow2 file of version 2 or 3; its name must end in "
				     "the format that it has (.raw, .qcow2, .vmdk, .vhdx)");
	if (number(head + 8, 8, TRUE))
		return backing_refused(error);
	if (features & QCOW2_EXTERNAL_DATA)
		return data_refused(error);
	if (features & QCOW2_CORRUPT)
		return damaged_refused(error);
	return !number(head + 32, 4, TRUE) || encrypted_refused(error);
}

/* A text that names extents, and a head that only leads to such a text (no capacity), may name any
 * file of this machine. */
static gboolean check_vmdk(const guint8 *head, gsize length, GError **error)
{
	static const char text[] = "# Disk DescriptorFile";

	if (length >= GUEST_HEAD && !memcmp(head, "KDMV", 4) && number(head + 12, 8, FALSE))
		return TRUE;
	if ((length >= sizeof(text) && !memcmp(head, text, sizeof(text) - 1)) ||
		(length >= 4 && !memcmp(head, "KDMV", 4)))
		return refuse(error, "its data lie in other files: export the machine with a disk "
				     "of one file (monolithicSparse or streamOptimized)");
	return refuse(error, "it is no VMDK file of one piece (monolithicSparse or "
			     "streamOptimized)");
}

gboolean guest_head_check(
	enum guest_format format, const guint8 *head, gsize length, GError **error)
{
	switch (format) {
	case GUEST_QCOW2:
		return check_qcow2(head, length, error);
	case GUEST_VMDK:
		return check_vmdk(head, length, error);
	case GUEST_VHDX:
		return (length >= 8 && !memcmp(head, "vhdxfile", 8)) ||
		       refuse(error, "it is no VHDX file");
	default:
		break;
	}
	/* Raw: any bytes will do, but what has another format's beginning is misnamed. */
	if (length >= 8 && (!memcmp(head, "QFI\xfb", 4) || !memcmp(head, "KDMV", 4) ||
				   !memcmp(head, "vhdxfile", 8)))
		return refuse(error,
			"it is named .raw, but it is a file of another format: name it "
			".qcow2, .vmdk or .vhdx");
	return length >= GUEST_HEAD || refuse(error, "it is shorter than one sector");
}

static gboolean check_info(
	enum guest_format format, const json_t *root, guint64 *size, GError **error)
{
	const json_t *specific = json_object_get(json_object_get(root, "format-specific"), "data");
	const char *is = json_string_value(json_object_get(root, "format"));
	json_int_t bytes = json_integer_value(json_object_get(root, "virtual-size"));

	if (g_strcmp0(is, words[format]) != 0)
		return refuse(error, "qemu-img takes it for a file of another format");
	if (json_object_get(root, "backing-filename") ||
		json_object_get(root, "full-backing-filename"))
		return backing_refused(error);
	if (json_object_get(specific, "data-file"))
		return data_refused(error);
	if (json_is_true(json_object_get(root, "encrypted")) ||
		json_object_get(specific, "encrypt"))
		return encrypted_refused(error);
	if (json_is_true(json_object_get(specific, "corrupt")))
		return damaged_refused(error);
	if (format == GUEST_VMDK && json_array_size(json_object_get(specific, "extents")) != 1)
		return refuse(error, "it is made of several extents");
	if (bytes <= 0)
		return refuse(error, "it is empty");
	if ((guint64)bytes > IMAGE_DISK_MAX)
		return refuse(error, "the disk in it is larger than 4 TiB");
	*size = (guint64)bytes;
	return TRUE;
}

gboolean guest_info_check(
	enum guest_format format, const char *text, gsize length, guint64 *size, GError **error)
{
	json_t *root = json_loadb(text, length, 0, NULL);
	gboolean good = json_is_object(root)
				? check_info(format, root, size, error)
				: refuse(error, "qemu-img says nothing of use about it");

	json_decref(root);
	return good;
}

double guest_percent(const char *text)
{
	const char *end = g_strrstr(text, "/100%)");
	const char *begin = end;

	while (begin && begin > text && *begin != '(')
		begin--;
	return end && *begin == '(' ? CLAMP(g_ascii_strtod(begin + 1, NULL), 0, 100) : -1;
}
