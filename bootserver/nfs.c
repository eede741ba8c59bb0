/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bootserver/nfs.h"

#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "bootserver/error.h"

/* Of linux/magic.h: no file handles, so no NFS. */
#define OVERLAY_MAGIC 0x794c7630

static gboolean file_has(const char *path, const char *word)
{
	g_autofree char *text = NULL;
	return g_file_get_contents(path, &text, NULL, NULL) && strstr(text, word);
}

static gboolean is_program(const char *name)
{
	g_autofree char *found = g_find_program_in_path(name);
	g_autofree char *path = g_build_filename("/usr/sbin", name, NULL);
	return found || g_file_test(path, G_FILE_TEST_IS_EXECUTABLE);
}

void nfs_look(const char *tree, struct nfs_host *host)
{
	struct utsname kernel;
	struct statfs about;
	uname(&kernel);
	g_autofree char *modules =
		g_build_filename("/lib/modules", kernel.release, "modules.dep", NULL);
	host->kernel_nfsd =
		file_has("/proc/filesystems", "\tnfsd\n") || file_has(modules, "/nfsd.ko");
	host->exportfs = is_program("exportfs");
	host->ganesha = is_program("ganesha.nfsd");
	/* A tree that is not there yet lies where its folder lies. */
	g_autofree char *folder = g_strdup(tree);
	while (statfs(folder, &about) < 0 && strcmp(folder, "/")) {
		char *up = g_path_get_dirname(folder);
		g_free(folder);
		folder = up;
	}
	host->exportable = statfs(folder, &about) == 0 && about.f_type != OVERLAY_MAGIC;
}

static const char *lacks_kernel(const struct nfs_host *host)
{
	if (!host->kernel_nfsd)
		return "this kernel has no nfsd";
	if (!host->exportfs)
		return "exportfs is missing (package nfs-kernel-server)";
	return NULL;
}

static const char *lacks_ganesha(const struct nfs_host *host)
{
	return host->ganesha ? NULL
			     : "ganesha.nfsd is missing (packages nfs-ganesha, nfs-ganesha-vfs)";
}

gboolean nfs_choose(const char *wish, const struct nfs_host *host, enum nfs_kind *kind, char **why,
	GError **error)
{
	gboolean automatic = !strcmp(wish, "auto");
	const char *kernel = lacks_kernel(host), *ganesha = lacks_ganesha(host), *problem = NULL;
	*kind = NFS_OFF;
	if (!strcmp(wish, "off")) {
		*why = g_strdup("NFS is off in carrel.conf: the root image goes by HTTP");
		return TRUE;
	}
	if (!host->exportable)
		problem = "[paths] state lies on an overlay file system, which NFS cannot export";
	else if (!strcmp(wish, "kernel"))
		problem = kernel;
	else if (!strcmp(wish, "ganesha"))
		problem = ganesha;
	if (!automatic && problem) {
		g_set_error(error, BOOTCONF_ERROR, BOOTCONF_CONFIG,
			"[boot] nfs = %s cannot be had: %s", wish, problem);
		return FALSE;
	}
	if (problem || (automatic && kernel && ganesha)) {
		*why = problem ? g_strdup_printf("no NFS, HTTP alone: %s", problem)
			       : g_strdup_printf("no NFS, HTTP alone: %s; %s", kernel, ganesha);
		return TRUE;
	}
	*kind = !strcmp(wish, "kernel") || (automatic && !kernel) ? NFS_KERNEL : NFS_GANESHA;
	*why = *kind == NFS_KERNEL ? g_strdup("NFS by the kernel's nfsd")
	       : automatic         ? g_strdup_printf("NFS by nfs-ganesha: %s", kernel)
				   : g_strdup("NFS by nfs-ganesha");
	return TRUE;
}

const char *nfs_name(enum nfs_kind kind)
{
	static const char *const names[] = {"kernel", "ganesha", "off"};
	return names[kind];
}
