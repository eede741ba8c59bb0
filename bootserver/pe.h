/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * As much of Microsoft's "PE Format" as a unified kernel image needs: where further sections can go
 * behind those of the stub, and what a section holds. 64-bit x86 programs alone.
 */
#ifndef CARREL_BOOTSERVER_PE_H
#define CARREL_BOOTSERVER_PE_H

#include <glib.h>

/*
 * The first free address behind the last section (with ImageBase, as objcopy counts), and the
 * alignment of sections in memory, both in bytes. FALSE: the bytes are no such program.
 */
gboolean pe_free_address(const guint8 *bytes, gsize length, guint64 *address, guint64 *alignment);

/* A section's contents within `bytes`, `size` bytes; NULL: there is no whole section of that name.
 */
const guint8 *pe_section(const guint8 *bytes, gsize length, const char *name, gsize *size);

#endif
