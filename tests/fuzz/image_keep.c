/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes in with a version from another boot server: headers of a tar archive, a manifest with
 * all its members, a lock of packages, a file system; the head of a guest's disk, and what qemu-img
 * says of one; and the file of pins. The first byte says which. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "images/store/erofs.h"
#include "images/store/guest_file.h"
#include "images/store/packages.h"
#include "images/store/pins.h"
#include "images/store/tar.h"
#include "images/store/versions.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_tar(const uint8_t *data, size_t size)
{
	uint8_t block[TAR_BLOCK] = {0};
	struct tar_member member;

	memcpy(block, data, MIN(size, sizeof(block)));
	if (tar_read(block, &member, NULL) &&
		(!*member.name || *member.name == '.' || strpbrk(member.name, "/ \n") ||
			member.size > G_MAXINT64 - TAR_BLOCK))
		abort();
}

static void fuzz_lock(const char *text, size_t size)
{
	g_autoptr(GPtrArray) list = packages_parse(text, size, NULL);

	for (guint i = 0; list && i < list->len; i++) {
		const struct package *package = list->pdata[i];

		if (strpbrk(package->name, "/ \n") || strpbrk(package->version, "/ \n") ||
			!package->size)
			abort();
	}
	if (list) {
		g_autoptr(GArray) changes = packages_compare(list, list);

		if (changes->len)
			abort();
	}
}

static void fuzz_manifest(const char *text, size_t size)
{
	struct version *version = version_parse(text, size, NULL);

	if (version && ((version->lock.name && strpbrk(version->lock.name, "/ \n")) ||
			       (version->sbom.name && strpbrk(version->sbom.name, "/ \n")) ||
			       !image_version_is_good(version->version)))
		abort();
	version_free(version);
}

static void fuzz_guest(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	g_autofree char *printed = g_strndup(text, size);
	double percent = guest_percent(printed);

	if (percent != -1 && !(percent >= 0 && percent <= 100))
		abort();
	for (int format = 0; format < GUEST_FORMAT_COUNT; format++) {
		guint64 bytes = 0;

		guest_head_check(
			(enum guest_format)format, data, MIN(size, (size_t)GUEST_HEAD), NULL);
		if (guest_info_check((enum guest_format)format, text, size, &bytes, NULL) &&
			(!bytes || bytes > IMAGE_DISK_MAX))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	const char *text = (const char *)data + 1;
	switch (*data) {
	case 'T':
		fuzz_tar(data + 1, size - 1);
		break;
	case 'L':
		fuzz_lock(text, size - 1);
		break;
	case 'M':
		fuzz_manifest(text, size - 1);
		break;
	case 'E': {
		g_autoptr(GHashTable) files = erofs_read(data + 1, size - 1, NULL);
		break;
	}
	case 'G':
		fuzz_guest(data + 1, size - 1);
		break;
	case 'P':
		json_decref(pins_parse(text, size - 1, NULL));
		break;
	default:
		break;
	}
	return 0;
}
