/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel modules without kmod: depmod's modules.dep says what a module needs, modules.alias which
 * device wants it. The kernel's own request_module() finds no /sbin/modprobe in a client, so all
 * that is needed is loaded from here.
 */
#ifndef CARREL_CLIENT_MODULES_H
#define CARREL_CLIENT_MODULES_H

#include <stdbool.h>
#include <stddef.h>

#define MODULES_MAX 512

struct module {
	const char *path;  /* below the folder; into `dep_text` */
	const char *needs; /* paths separated by blanks, the nearest first; into `dep_text` */
	bool tried;
};

struct module_alias {
	const char *pattern; /* into `alias_text` */
	const char *name;
	unsigned plain; /* bytes of the pattern before its first wildcard */
};

struct modules {
	char folder[192];
	char *dep_text, *alias_text;  /* owned */
	struct module_alias *aliases; /* owned */
	size_t alias_count;
	struct module items[MODULES_MAX];
	size_t count;
	size_t loaded; /* modules that this program has loaded */
	/* Gets the content of a module whose file is not there, which the caller frees; 0 or
	 * -errno. NULL: there are no others. */
	int (*absent)(void *context, const char *path, char **content, size_t *size);
	void *context; /* borrowed */
};

/*
 * Reads `folder`/modules.dep and modules.alias. 0 or -errno; after an error the tables are empty
 * and the other functions find nothing. modules_free() in both cases.
 */
int modules_open(struct modules *modules, const char *folder);

/* The folder of the running kernel, /lib/modules/RELEASE. */
int modules_open_running(struct modules *modules);

void modules_free(struct modules *modules);

/*
 * Loads a module with all it needs, in order. A name without a file counts as built in. 0, or the
 * first -errno; a second try of the same module does nothing, unless it could not be got.
 */
int modules_load(struct modules *modules, const char *name);

/*
 * Loads what the present devices ask for by modalias, again as long as that brings up new devices
 * (virtio's children appear only after virtio_pci). Modules whose path has one of the words of
 * `skip` (NULL-terminated list, may be NULL) are left out. The number loaded.
 */
size_t modules_coldplug(struct modules *modules, const char *const *skip);

/*
 * Loads what one modalias asks for; the number loaded. Of modules that are to be got first, only
 * those that name the device most exactly are: amdgpu says that it may be for any card of AMD's.
 */
size_t modules_load_alias(struct modules *modules, const char *modalias, const char *const *skip);

/*
 * The parameters that a kernel command line has for a module, "MODULE.NAME=VALUE", as the kernel
 * takes them: "NAME=VALUE ...", cut to whole words that fit into `size` bytes. Without kmod nobody
 * else gives them to a module. Returns `parameters`.
 */
char *modules_parameters(const char *cmdline, const char *module, char *parameters, size_t size);

/* The module's index for a name ('-' and '_' are the same), or -1. For tests too. */
int modules_find(const struct modules *modules, const char *name);

#endif
