/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pack of drivers: kernel modules and firmware that a PC fetches from the boot server piece by
 * piece, when it has the device ("The pack of drivers" in docs/protocols.md). The index is part of
 * the verified root and has the sum of every piece. A process without privilege speaks with the
 * server; nothing of what it brings is looked at before its sum is.
 */
#ifndef CARREL_CLIENT_DRIVERS_H
#define CARREL_CLIENT_DRIVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client-initrd/params.h"

#define DRIVERS_INDEX "/usr/lib/carrel/drivers"
#define DRIVERS_MODULES "modules/"   /* what a path in the pack begins with */
#define DRIVERS_FIRMWARE "firmware/" /* the same */

struct drivers_item {
	const char *path, *sha256; /* into `text`; the sum is that of the packed bytes */
	uint64_t offset;
	size_t packed, size;
};

/* What both processes that fetch have to tell; in memory that they share. */
struct drivers_state {
	_Atomic uint64_t bytes;    /* fetched */
	_Atomic int64_t failed_ms; /* clock of util_now_ms(); 0: nothing has failed */
	char problem[96];          /* the first one, for people: "i915.ko: ..."; "" */
};

struct drivers {
	const struct params *params; /* borrowed */
	char file[136];              /* the pack's name on the server */
	char *text;                  /* owned: the index */
	struct drivers_item *items;  /* owned */
	size_t count;
	struct drivers_state *state; /* owned */
};

/* Reads the index. 0 or -errno (-EPROTO: it is none); then there is nothing in it. */
int drivers_open(struct drivers *drivers, const char *index, const struct params *params);

void drivers_close(struct drivers *drivers);

/*
 * The content of the file `path` of the pack, which the caller frees. 0; -ENOENT: the pack has no
 * such file; another -errno: it could not be fetched, which is in `state`. For some seconds after a
 * failure no other is tried.
 */
int drivers_get(struct drivers *drivers, const char *path, char **content, size_t *size);

/* Says why something of that name, in the pack or not, does not serve, unless something was said
 * already. */
void drivers_lacks(struct drivers *drivers, const char *path, const char *why);

/* Forgets what has failed, before another try. */
void drivers_retry(struct drivers *drivers);

#endif
