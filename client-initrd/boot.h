/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client knows about its own start, and the codes of the failure screen
 * (docs/protocols.md). The steps return a code; the reason in words is left in `detail`.
 */
#ifndef CARREL_CLIENT_BOOT_H
#define CARREL_CLIENT_BOOT_H

#include <net/if.h>
#include <stdint.h>

#include "client-initrd/dhcp.h"
#include "client-initrd/params.h"

#define BOOT_RUN "/run/carrel"
#define BOOT_NETWORK_FILE BOOT_RUN "/network"
#define BOOT_STAGES_FILE BOOT_RUN "/boot.json"
#define BOOT_NEW_ROOT "/new"
#define BOOT_IMAGE_DIR "/image"

enum boot_code {
	BOOT_OK,
	BOOT_NO_CARD,
	BOOT_NO_LINK,
	BOOT_NO_DHCP,
	BOOT_NO_IMAGE,
	BOOT_WRONG_IMAGE,
	BOOT_NO_MEMORY,
	BOOT_NO_ROOT,
	BOOT_NO_PARAM,
	BOOT_NO_VIEWER,
	BOOT_NO_SCREEN,
	BOOT_CODE_COUNT
};

struct boot {
	struct params params;
	char interface[IF_NAMESIZE]; /* "" before a card was chosen */
	char mac[18];                /* "" before */
	struct dhcp_lease lease;
	int64_t lease_start_ms; /* clock of util_now_ms() */
	char detail[160];       /* why the last step failed, for the screen */
};

/* Sets `detail` and returns the code. */
enum boot_code boot_fail(struct boot *boot, enum boot_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* "CARREL-B05", and the sentence of the table. Static text. */
const char *boot_code_name(enum boot_code code);
const char *boot_code_text(enum boot_code code);

#endif
