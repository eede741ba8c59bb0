/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The XML that describes a desktop and its devices to libvirt, made from plain values: pure
 * functions, everything escaped. The format is libvirt's: https://libvirt.org/formatdomain.html.
 * All results are owned by the caller.
 */
#ifndef CARREL_VIRT_DOMAIN_XML_H
#define CARREL_VIRT_DOMAIN_XML_H

#include <stdbool.h>
#include <stdint.h>

/* What QEMU keeps of translated code at most, for a desktop in software emulation. Without a bound
 * it grows to a quarter of the guest's memory or more. */
#define DOMAIN_TCG_CACHE_MIB 128

/* Strings are borrowed. */
struct domain_spec {
	uint64_t desktop;
	const char *image; /* "name@version" */
	bool kvm;          /* else software emulation (TCG) */
	uint32_t memory_mib, vcpus;
	const char *kernel, *initrd, *root; /* paths on the server; NULL of a whole disk */
	const char *cmdline;
	/* of a whole disk */
	const char *disk;     /* path of the image's file, which is only read; NULL: it is none */
	const char *overlay;  /* path of what is written */
	const char *nvram;    /* path of UEFI's variables, which libvirt makes; NULL: BIOS */
	bool qemu_ga;         /* QEMU's guest agent speaks for it; else carrel-agent */
	const char *network;  /* none, network:NAME, bridge:NAME */
	const char *password; /* of VNC, at most 8 characters; made expired */
	bool live;            /* its memory can be changed while it runs */
};

/* "carrel-d7" */
char *domain_name(uint64_t desktop);
/* 7 for "carrel-d7", 0 for what is not a desktop's name. */
uint64_t domain_id(const char *name);

/* "home-7" and the alias of its disk in a desktop, "ua-vol7" (ua- marks aliases of the user's). */
char *volume_name(uint64_t volume);
char *volume_alias(uint64_t volume);

/*
 * A q35 machine without USB: kernel and initrd directly, the root as the first virtio disk (serial
 * "root", read-only), agent channel, virtio keyboard and tablet, VNC that nobody can open yet on
 * the address that the server's qemu.conf says, and six free PCIe ports for what is plugged later.
 * It is destroyed when the guest halts, reboots or crashes. A whole disk is the first virtio disk
 * instead, read-only below its overlay, and firmware starts what is on it.
 */
char *domain_xml(const struct domain_spec *spec);

/* The disk of a user's volume; `slot` 0 is vdb, at most 24. */
char *domain_disk_xml(uint64_t volume, const char *path, unsigned slot);

/*
 * The VNC server as it is (port, address), with a new password that is valid until `valid_to`
 * (seconds since the epoch, server's clock). A viewer that is on stays.
 */
char *domain_graphics_xml(
	uint16_t port, const char *address, const char *password, int64_t valid_to);

/*
 * A guest of 16 MiB that only runs its firmware: it finds nothing to boot, reboots, and is thereby
 * destroyed. It ends by itself exactly when guests of that kind really run.
 */
char *domain_trial_xml(const char *name, bool kvm);

/* A qcow2 storage volume of `size` bytes above the qcow2 file `base`, nothing of it allocated. */
char *volume_overlay_xml(const char *name, uint64_t size, const char *base);

/* A raw storage volume of `size` bytes, nothing of it allocated. */
char *volume_xml(const char *name, uint64_t size);

#endif
