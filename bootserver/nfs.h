/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which NFS server this host has for the root image; found by looking, and said. */
#ifndef CARREL_BOOTSERVER_NFS_H
#define CARREL_BOOTSERVER_NFS_H

#include <glib.h>

enum nfs_kind { NFS_KERNEL, NFS_GANESHA, NFS_OFF };

/* What was looked at; nfs_look fills it from the host, tests fill it themselves. */
struct nfs_host {
	gboolean kernel_nfsd; /* in the kernel, or a module that it can load */
	gboolean exportfs;    /* nfs-utils */
	gboolean ganesha;
	gboolean exportable; /* the tree's file system has file handles (no overlay) */
};

void nfs_look(const char *tree, struct nfs_host *host);

/*
 * `wish` is the value of [boot] nfs. `why` gets a sentence for people (caller frees), also when
 * `auto` finds nothing and HTTP alone is left. FALSE with `error` when the wish cannot be met.
 */
gboolean nfs_choose(const char *wish, const struct nfs_host *host, enum nfs_kind *kind, char **why,
	GError **error);

/* "kernel", "ganesha", "off" */
const char *nfs_name(enum nfs_kind kind);

#endif
