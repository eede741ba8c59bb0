/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is a file of somebody else's a disk of a guest that can be imported? All here is pure: the head
 * of the file is judged before any other program opens it, and what qemu-img says of it afterwards.
 *
 * A format has means to name other files of the machine that opens it (backing files, external data
 * files, extents, parents): what does so is refused, as is what is encrypted or known to be
 * damaged. Offsets: docs/interop/qcow2.txt of QEMU; "VMware Virtual Disks, Virtual Disk
 * Format 1.1"; [MS-VHDX].
 */
#ifndef CARREL_IMAGES_GUEST_FILE_H
#define CARREL_IMAGES_GUEST_FILE_H

#include <glib.h>

enum guest_format { GUEST_RAW, GUEST_QCOW2, GUEST_VMDK, GUEST_VHDX, GUEST_FORMAT_COUNT };

/* So much of the file's beginning guest_head_check looks at, in bytes. */
#define GUEST_HEAD 512

/* By the ending of a file's name (.raw, .qcow2, .vmdk, .vhdx); GUEST_FORMAT_COUNT: it is none of
 * them. What is in a file never says how it is read. */
enum guest_format guest_format_of(const char *file);

/* qemu-img's word for it, which is the ending without its dot. */
const char *guest_format_word(enum guest_format format);

/* FALSE with IMAGE_ERROR_BAD, which says why; `length` is less than GUEST_HEAD of a short file. */
gboolean guest_head_check(
	enum guest_format format, const guint8 *head, gsize length, GError **error);

/*
 * The answer of "qemu-img info --output=json". `*size` is how large the guest sees the disk, bytes.
 * FALSE with IMAGE_ERROR_BAD.
 */
gboolean guest_info_check(
	enum guest_format format, const char *text, gsize length, guint64 *size, GError **error);

/* The per cent in the last whole "(12.34/100%)" of what qemu-img -p printed; -1: there is none. */
double guest_percent(const char *text);

#endif
