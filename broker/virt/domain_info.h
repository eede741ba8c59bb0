/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What carrel-virtd needs to know of a running domain, read from its live XML. */
#ifndef CARREL_VIRT_DOMAIN_INFO_H
#define CARREL_VIRT_DOMAIN_INFO_H

#include <glib.h>
#include <stdint.h>

/* Disks of a desktop that are looked at; libvirt gives no more letters than that here. */
#define DOMAIN_DISKS_MAX 26

struct domain_info {
	char *name;           /* owned; never NULL after domain_info_parse */
	uint64_t desktop;     /* 0: not one of ours */
	uint32_t memory_mib;  /* what the guest may use now, rounded up */
	uint32_t largest_mib; /* what it was started with */
	gboolean balloon;     /* the memory can be changed while it runs */
	gboolean emulated;    /* runs in software (TCG) */
	char *image;          /* owned; "name@version", or NULL: not one of ours */
	gboolean guest;       /* it runs from a whole disk: there is an overlay */
	gboolean qemu_ga;     /* QEMU's guest agent speaks for it */
	uint16_t vnc_port;    /* 0: none */
	char *vnc_host;       /* owned; address the VNC server listens on, or NULL */
	unsigned disk_count;
	struct {
		char *path, *alias, *target; /* owned; may be NULL */
	} disks[DOMAIN_DISKS_MAX];
};

/* NULL with VIRT_ERROR_LIBVIRT for what is not a domain's XML. */
struct domain_info *domain_info_parse(const char *xml, size_t length, GError **error);
void domain_info_free(struct domain_info *info); /* NULL-safe */

/* Is there a disk of that alias, or of that path? */
gboolean domain_info_has_alias(const struct domain_info *info, const char *alias);
gboolean domain_info_has_path(const struct domain_info *info, const char *path);
/* The first slot of domain_disk_xml (0 = vdb) that no disk has; -1 when all are taken. */
int domain_info_free_slot(const struct domain_info *info);

#endif
