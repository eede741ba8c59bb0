/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/sha256.h"

#include <stdio.h>
#include <string.h>

/* First 32 bits of the fractional parts of the cube roots of the first 64 primes (4.2.2). */
static const uint32_t constants[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
	0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
	0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
	0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
	0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
	0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static inline uint32_t rotate(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static inline uint32_t load_be(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* One round; the caller turns the eight working variables by the order of its arguments. */
static inline void round_step(const uint32_t v[8], uint32_t word, uint32_t *d, uint32_t *h)
{
	uint32_t sum1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
	uint32_t choose = v[6] ^ (v[4] & (v[5] ^ v[6]));
	uint32_t sum0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
	uint32_t majority = (v[0] & v[1]) | (v[2] & (v[0] | v[1]));
	uint32_t t = v[7] + sum1 + choose + word;
	*d = v[3] + t;
	*h = t + sum0 + majority;
}

static void compress(uint32_t state[8], const uint8_t *block)
{
	uint32_t w[64], v[8];
	for (int i = 0; i < 16; i++)
		w[i] = load_be(block + 4 * i);
	for (int i = 16; i < 64; i++) {
		uint32_t a = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >> 3);
		uint32_t b = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >> 10);
		w[i] = w[i - 16] + a + w[i - 7] + b;
	}
	memcpy(v, state, sizeof v);
	for (int i = 0; i < 64; i++) {
		uint32_t e, a;
		round_step(v, constants[i] + w[i], &e, &a);
		v[7] = v[6];
		v[6] = v[5];
		v[5] = v[4];
		v[4] = e;
		v[3] = v[2];
		v[2] = v[1];
		v[1] = v[0];
		v[0] = a;
	}
	for (int i = 0; i < 8; i++)
		state[i] += v[i];
}

void sha256_init(struct sha256 *sha)
{
	static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	memcpy(sha->state, start, sizeof start);
	sha->length = 0;
}

void sha256_update(struct sha256 *sha, const void *data, size_t length)
{
	const uint8_t *at = data;
	size_t used = sha->length % 64;
	sha->length += length;
	if (used) {
		size_t take = 64 - used < length ? 64 - used : length;
		memcpy(sha->block + used, at, take);
		at += take;
		length -= take;
		if (used + take < 64)
			return;
		compress(sha->state, sha->block);
	}
	for (; length >= 64; at += 64, length -= 64)
		compress(sha->state, at);
	if (length)
		memcpy(sha->block, at, length);
}

void sha256_hex(struct sha256 *sha, char text[65])
{
	static const uint8_t padding[64] = {0x80};
	uint64_t bits = sha->length * 8;
	uint8_t tail[8];
	for (int i = 0; i < 8; i++)
		tail[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha256_update(sha, padding, 1 + (119 - sha->length % 64) % 64);
	sha256_update(sha, tail, sizeof tail);
	for (int i = 0; i < 8; i++)
		snprintf(text + 8 * i, 9, "%08x", sha->state[i]);
}
