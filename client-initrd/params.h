/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words of the kernel command line that carrel-bootconf writes ("The PC's kernel command line"
 * in docs/protocols.md). They come over an unauthenticated network: each is bounded and checked.
 */
#ifndef CARREL_CLIENT_PARAMS_H
#define CARREL_CLIENT_PARAMS_H

#include <stdint.h>

#include "images/verity/verity.h"

struct params {
	uint32_t server; /* host byte order */
	uint16_t http, report, broker;
	uint32_t nfs_server; /* 0: no NFS */
	char nfs_path[128];
	char root[128];  /* file name without a folder */
	uint64_t size;   /* bytes */
	char sha256[65]; /* lower case hex */
	struct verity verity;
	char bootif[18]; /* "52:54:00:12:34:56", or "" when PXELINUX gave none */
};

/*
 * Fills `params`; what could be read is there even when something is wrong. NULL, or the name of
 * the first parameter that is missing or malformed (static text).
 */
const char *params_parse(const char *cmdline, struct params *params);

/* Reads /proc/cmdline and parses it. */
const char *params_load(struct params *params);

/* Dotted text; `text` has 16 bytes. Returns it. */
const char *params_ipv4(uint32_t address, char text[16]);

#endif
