/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The root image, from the boot server into memory: by NFS, else (or from where NFS broke off) by
 * HTTP, which goes on behind the last byte after a broken connection. The sum is taken on the way.
 */
#ifndef CARREL_CLIENT_FETCH_H
#define CARREL_CLIENT_FETCH_H

#include <stdbool.h>

#include "client-initrd/boot.h"
#include "client-initrd/modules.h"
#include "client-initrd/sha256.h"

struct fetch {
	int out; /* the file in memory */
	uint64_t done;
	int64_t start_ms;
	struct sha256 sum;
	bool refused; /* the server has answered, and not with the image: no use asking again */
	const char *source; /* "NFS" or "HTTP": where the last byte came from */
	char nfs_reason[80], http_reason[80];
};

/*
 * Copies the image to `path`, whose folder has room for it. BOOT_OK when all of carrel.size bytes
 * are there; BOOT_NO_IMAGE; BOOT_WRONG_IMAGE when a server has a file of another size.
 */
enum boot_code fetch_image(
	struct fetch *fetch, struct boot *boot, struct modules *modules, const char *path);

/* Compares the sum with carrel.sha256: BOOT_OK or BOOT_WRONG_IMAGE. Ends the sum. */
enum boot_code fetch_verify(struct fetch *fetch, struct boot *boot);

#endif
