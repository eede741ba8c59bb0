/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SHA-256 (FIPS 180-4), fed in pieces while the image is being copied. */
#ifndef CARREL_CLIENT_SHA256_H
#define CARREL_CLIENT_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t state[8];
	uint64_t length; /* bytes so far */
	uint8_t block[64];
};

void sha256_init(struct sha256 *sha);
void sha256_update(struct sha256 *sha, const void *data, size_t length);
/* Ends the sum and writes it as 64 lower case hex digits and a NUL. */
void sha256_hex(struct sha256 *sha, char text[65]);

#endif
