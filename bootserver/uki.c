/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bootserver/uki.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "bootserver/check.h"
#include "bootserver/error.h"
#include "bootserver/pe.h"

#define KEY "secure-boot.key"
#define CERTIFICATE "secure-boot.crt"
/* What the kernel's page tables and the firmware's loader like; more than the stub asks for. */
#define LEAST_ALIGNMENT 4096

static GMappedFile *read_part(const char *path, GError **error)
{
	GError *cause = NULL;
	GMappedFile *file = g_mapped_file_new(path, FALSE, &cause);
	if (!file) {
		bootconf_failed(error, path, cause->message);
		g_error_free(cause);
	}
	return file;
}

/* 1: can be read; 0: is not there; -1: failed. */
static int look_for(const char *path, GError **error)
{
	if (access(path, R_OK) == 0)
		return 1;
	if (errno == ENOENT)
		return 0;
	g_set_error(error, BOOTCONF_ERROR, BOOTCONF_FAILED,
		"%s: %s; what UEFI PCs start is signed with it: run this as root", path,
		g_strerror(errno));
	return -1;
}

static gboolean find_key(struct uki *uki, const struct conf *conf, GError **error)
{
	g_autofree char *key = conf_path(conf, CONF_PATH_PKI, KEY);
	g_autofree char *certificate = conf_path(conf, CONF_PATH_PKI, CERTIFICATE);
	int has_key = look_for(key, error);
	int has_certificate = has_key < 0 ? -1 : look_for(certificate, error);
	if (has_key < 0 || has_certificate < 0)
		return FALSE;
	if (has_key != has_certificate)
		return bootconf_failed(error, has_key ? certificate : key,
			"is missing, but its other half is there: restore it from the backup, or "
			"make both anew with carrel boot key make --force");
	if (has_key) {
		uki->key = g_steal_pointer(&key);
		uki->certificate = g_steal_pointer(&certificate);
	}
	return TRUE;
}

gboolean uki_init(struct uki *uki, const struct site *site, const struct image *image,
	const char *kernel, const char *stub, GError **error)
{
	*uki = (struct uki){.stub = g_strdup(stub),
		.kernel = g_build_filename(image->folder, image->files[IMAGE_KERNEL].name, NULL),
		.initrd = g_build_filename(image->folder, image->files[IMAGE_INITRD].name, NULL),
		.cmdline = render_cmdline(site, image, kernel)};
	if (!g_file_test(stub, G_FILE_TEST_IS_REGULAR))
		return bootconf_failed(
			error, stub, "is not there: install the package systemd-boot-efi");
	return find_key(uki, site->conf, error);
}

void uki_clear(struct uki *uki)
{
	g_free(uki->stub);
	g_free(uki->kernel);
	g_free(uki->initrd);
	g_free(uki->cmdline);
	g_free(uki->key);
	g_free(uki->certificate);
	*uki = (struct uki){0};
}

char *uki_words(const struct uki *uki)
{
	return uki->key ? g_strdup_printf("Secure Boot: signed with %s", uki->key)
			: g_strdup("Secure Boot: no key, so not signed: UEFI PCs start only with "
				   "Secure Boot switched off, and from whatever this network gives "
				   "them; carrel boot key make makes a key");
}

char *uki_name(const struct uki *uki, GError **error)
{
	const char *const paths[] = {uki->stub, uki->kernel, uki->initrd, uki->certificate};
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	g_checksum_update(sum, (const guchar *)uki->cmdline, -1);
	for (gsize i = 0; i < G_N_ELEMENTS(paths) && paths[i]; i++) {
		g_autoptr(GMappedFile) file = read_part(paths[i], error);
		if (!file)
			return NULL;
		gsize length = g_mapped_file_get_length(file);
		/* the lengths keep the parts apart */
		g_autofree char *mark = g_strdup_printf("\n%zu\n", length);
		g_checksum_update(sum, (const guchar *)mark, -1);
		g_checksum_update(
			sum, (const guchar *)g_mapped_file_get_contents(file), (gssize)length);
	}
	return g_strdup_printf("carrel-%.16s.efi", g_checksum_get_string(sum));
}

static gboolean run_tool(const char *const *argv, const char *package, GError **error)
{
	g_autofree char *found = g_find_program_in_path(argv[0]);
	if (found)
		return check_run(argv, error);
	g_set_error(error, BOOTCONF_ERROR, BOOTCONF_FAILED,
		"%s is missing, which makes what UEFI PCs start: install the package %s", argv[0],
		package);
	return FALSE;
}

static gboolean holds(GMappedFile *image, const char *section, const void *bytes, gsize length)
{
	gsize size;
	const guint8 *found = pe_section((const guint8 *)g_mapped_file_get_contents(image),
		g_mapped_file_get_length(image), section, &size);
	return found && size == length && !memcmp(found, bytes, length);
}

gboolean uki_check(const struct uki *uki, const char *path, GError **error)
{
	const char *const verify[] = {"sbverify", "--cert", uki->certificate, path, NULL};
	g_autoptr(GMappedFile) image = read_part(path, error);
	g_autoptr(GMappedFile) kernel = image ? read_part(uki->kernel, error) : NULL;
	g_autoptr(GMappedFile) initrd = kernel ? read_part(uki->initrd, error) : NULL;
	if (!initrd)
		return FALSE;
	if (!holds(image, ".cmdline", uki->cmdline, strlen(uki->cmdline)) ||
		!holds(image, ".initrd", g_mapped_file_get_contents(initrd),
			g_mapped_file_get_length(initrd)) ||
		!holds(image, ".linux", g_mapped_file_get_contents(kernel),
			g_mapped_file_get_length(kernel)))
		return bootconf_failed(error, path,
			"does not hold the published kernel, initramfs and command line");
	return !uki->key || run_tool(verify, "sbsigntool", error);
}

/* The next section begins behind `length` bytes of this one. */
static void add_section(GPtrArray *argv, const char *section, const char *file, guint64 *address,
	guint64 alignment, gsize length)
{
	g_ptr_array_add(argv, g_strdup("--add-section"));
	g_ptr_array_add(argv, g_strdup_printf("%s=%s", section, file));
	g_ptr_array_add(argv, g_strdup("--change-section-vma"));
	g_ptr_array_add(argv, g_strdup_printf("%s=0x%" G_GINT64_MODIFIER "x", section, *address));
	*address = (*address + length + alignment - 1) & ~(alignment - 1);
}

static gboolean join(const struct uki *uki, const char *cmdline, const char *to, GError **error)
{
	guint64 address = 0, alignment = 0;
	g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GMappedFile) stub = read_part(uki->stub, error);
	g_autoptr(GMappedFile) initrd = stub ? read_part(uki->initrd, error) : NULL;
	if (!initrd)
		return FALSE;
	if (!pe_free_address((const guint8 *)g_mapped_file_get_contents(stub),
		    g_mapped_file_get_length(stub), &address, &alignment))
		return bootconf_failed(error, uki->stub,
			"is no EFI program for 64-bit PCs: install the package systemd-boot-efi "
			"again");
	alignment = MAX(alignment, LEAST_ALIGNMENT);
	address = (address + alignment - 1) & ~(alignment - 1);
	g_ptr_array_add(argv, g_strdup("objcopy"));
	g_ptr_array_add(argv, g_strdup("--strip-all"));
	add_section(argv, ".cmdline", cmdline, &address, alignment, strlen(uki->cmdline));
	add_section(argv, ".initrd", uki->initrd, &address, alignment,
		g_mapped_file_get_length(initrd));
	add_section(argv, ".linux", uki->kernel, &address, alignment, 0);
	g_ptr_array_add(argv, g_strdup(uki->stub));
	g_ptr_array_add(argv, g_strdup(to));
	g_ptr_array_add(argv, NULL);
	return run_tool((const char *const *)argv->pdata, "binutils", error);
}

static gboolean sign(const struct uki *uki, const char *plain, const char *to, GError **error)
{
	const char *const argv[] = {"sbsign", "--key", uki->key, "--cert", uki->certificate,
		"--output", to, plain, NULL};
	if (!uki->key)
		return g_rename(plain, to) == 0 || bootconf_failed(error, to, g_strerror(errno));
	return run_tool(argv, "sbsigntool", error);
}

gboolean uki_put(const struct uki *uki, const char *path, GError **error)
{
	g_autofree char *cmdline = g_strconcat(path, ".cmdline", NULL);
	g_autofree char *plain = g_strconcat(path, ".plain", NULL);
	g_autofree char *finished = g_strconcat(path, ".new", NULL);
	if (g_file_test(path, G_FILE_TEST_IS_REGULAR) && uki_check(uki, path, NULL))
		return TRUE;
	gboolean good = g_file_set_contents(cmdline, uki->cmdline, -1, error) &&
			join(uki, cmdline, plain, error) && sign(uki, plain, finished, error) &&
			uki_check(uki, finished, error);
	if (good && (g_chmod(finished, 0644) < 0 || g_rename(finished, path) < 0))
		good = bootconf_failed(error, path, g_strerror(errno));
	g_unlink(cmdline);
	g_unlink(plain);
	g_unlink(finished);
	return good;
}
