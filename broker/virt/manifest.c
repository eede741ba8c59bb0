/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/virt/manifest.h"
#include "broker/virt/virt.h"

#include <jansson.h>
#include <string.h>

/* A manifest is a page of text; more is not one. */
#define MANIFEST_MAX (256 * 1024)

static const char *const names[MANIFEST_FILES] = {"kernel", "initrd", "root"};

const char *manifest_file_name(enum manifest_file file)
{
	return names[file];
}

static gboolean hex_ok(const char *text, size_t least, size_t most)
{
	size_t length = strlen(text);

	if (length < least || length > most || length % 2)
		return FALSE;
	for (size_t i = 0; i < length; i++)
		if (!g_ascii_isxdigit(text[i]))
			return FALSE;
	return TRUE;
}

static gboolean fail(GError **error, const char *image, const char *what)
{
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_NO_IMAGE,
		"the manifest of image %s is not usable: %s; build the image again", image, what);
	return FALSE;
}

static gboolean read_files(
	struct manifest *manifest, json_t *files, const char *image, GError **error)
{
	for (int i = 0; i < MANIFEST_FILES; i++) {
		json_t *entry = json_object_get(files, names[i]);
		const char *file, *sha256;
		json_int_t size;

		if (json_unpack(entry, "{s:s, s:I, s:s}", "file", &file, "size", &size, "sha256",
			    &sha256) < 0)
			return fail(error, image,
				"\"files\" must have kernel, initrd and root, each with file, size "
				"and sha256");
		if (!*file || strchr(file, '/') || file[0] == '.')
			return fail(error, image, "a file must be a plain name");
		if (size < 1 || !hex_ok(sha256, 64, 64))
			return fail(error, image, "a size or a sha256 is wrong");
		manifest->files[i].file = g_strdup(file);
		manifest->files[i].size = (uint64_t)size;
		manifest->files[i].sha256 = g_ascii_strdown(sha256, -1);
	}
	return TRUE;
}

static gboolean read_all(struct manifest *manifest, json_t *json, const char *image, GError **error)
{
	const char *name, *version, *kind, *hash, *salt, *cmdline, *handoff = "hard";
	json_t *files;
	json_int_t blocks;

	if (json_unpack(json, "{s:s, s:s, s:s, s:o, s:s, s:{s:I, s:s, s:s}, s?s}", "name", &name,
		    "version", &version, "kind", &kind, "files", &files, "cmdline", &cmdline,
		    "root", "data_blocks", &blocks, "root_hash", &hash, "salt", &salt, "handoff",
		    &handoff) < 0)
		return fail(error, image, "a member is missing or of the wrong type");
	g_autofree char *full = g_strdup_printf("%s@%s", name, version);
	if (strcmp(full, image) != 0)
		return fail(error, image, "it is the manifest of another image");
	if (strcmp(kind, "desktop") != 0)
		return fail(error, image, "it is not the image of a desktop");
	manifest->live = !strcmp(handoff, "live");
	if (!manifest->live && strcmp(handoff, "hard") != 0)
		return fail(error, image, "\"handoff\" must be hard or live");
	if (blocks < 1 || !hex_ok(hash, 32, 128) || !hex_ok(salt, 0, 512))
		return fail(error, image, "the root's hash is wrong");
	for (const char *p = cmdline; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return fail(error, image, "cmdline has control characters");
	/* An empty salt is written as "-", veritysetup's word for it. */
	manifest->cmdline =
		g_strdup_printf("%s%scarrel.verity=%" JSON_INTEGER_FORMAT ":%s:%s carrel.image=%s",
			cmdline, *cmdline ? " " : "", blocks, hash, *salt ? salt : "-", image);
	return read_files(manifest, files, image, error);
}

struct manifest *manifest_parse(const char *text, size_t length, const char *image, GError **error)
{
	json_error_t problem;
	json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
	struct manifest *manifest = g_new0(struct manifest, 1);
	gboolean good =
		json ? read_all(manifest, json, image, error) : fail(error, image, problem.text);

	json_decref(json);
	if (good)
		return manifest;
	manifest_free(manifest);
	return NULL;
}

struct manifest *manifest_load(const char *folder, const char *image, GError **error)
{
	g_autofree char *path = g_build_filename(folder, "manifest.json", NULL);
	g_autofree char *text = NULL;
	g_autoptr(GError) cause = NULL;
	gsize length;

	if (!g_file_get_contents(path, &text, &length, &cause)) {
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_NO_IMAGE,
			"image %s is not there: %s; build or publish it", image, cause->message);
		return NULL;
	}
	if (length > MANIFEST_MAX) {
		fail(error, image, "it is larger than 256 KiB");
		return NULL;
	}
	return manifest_parse(text, length, image, error);
}

void manifest_free(struct manifest *manifest)
{
	if (!manifest)
		return;
	for (int i = 0; i < MANIFEST_FILES; i++) {
		g_free(manifest->files[i].file);
		g_free(manifest->files[i].sha256);
	}
	g_free(manifest->cmdline);
	g_free(manifest);
}
