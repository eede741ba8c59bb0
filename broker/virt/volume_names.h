/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of users' volumes in their pool. The copies of volume 7 are "home-7" (copy 0), "home-7.1",
 * "home-7.2" ...; carreld's database says which of them is the volume. Its snapshots are
 * "home-7.KIND-YYYYMMDDTHHMMSSZ", kind "snap" (asked for), "daily" (by policy) or "before" (a
 * repair). The name of each one's mark is its own with ".complete" behind it.
 */
#ifndef CARREL_VIRT_VOLUME_NAMES_H
#define CARREL_VIRT_VOLUME_NAMES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum volume_part_kind { VOLUME_PART_NONE, VOLUME_PART_COPY, VOLUME_PART_SNAPSHOT };

/* What a name in the pool is to a volume. */
struct volume_part {
	enum volume_part_kind kind; /* NONE: nothing of that volume's */
	bool mark;                  /* the mark of such a one */
	uint32_t copy;
	char snapshot[32]; /* "daily-20261127T030000Z" */
};

struct volume_part volume_part(const char *name, uint64_t volume);

/* Both are the caller's. */
char *volume_copy_name(uint64_t volume, uint32_t copy);
char *volume_snapshot_name(uint64_t volume, const char *snapshot);

/* Is it a snapshot's name, without its volume's? */
gboolean volume_snapshot_ok(const char *snapshot);

/* Sorts names: snapshots of one kind from the oldest to the newest. */
void volume_list_sort(GPtrArray *names);
/* Is the mark of `name` among the names? */
bool volume_list_whole(const GPtrArray *names, const char *name);

/*
 * Which daily snapshots of the volume are over: all that are whole but the newest `keep`. `names`
 * is a sorted list of a pool; returns an owned array of borrowed names out of it.
 */
GPtrArray *volume_list_expired(const GPtrArray *names, uint64_t volume, unsigned keep);

#endif
