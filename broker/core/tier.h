/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The arithmetic of memory tiers.
 *
 * Desktops come in sizes M_m = max / 2^m, m = 0..L, with max = min * 2^L. All sums are made in
 * *units*: a unit is what one smallest desktop takes of a server, its own memory and the
 * hypervisor's overhead for it,
 *
 *	unit = min + overhead   MiB.
 *
 * A desktop of size M_m takes 2^(L-m) units: the overhead is counted in proportion to the size.
 * So halving stays exact (two desktops of one tier fit exactly where one of the tier before did),
 * and a large desktop, which needs more page tables and buffers than a small one, gets more.
 * A server has floor((memory - host reserve) / unit) units; and since
 * floor(floor(C / u) / 2^k) = floor(C / (u * 2^k)), counting in units loses nothing at any tier.
 * With no overhead these are the plain figures: N_m = sum of floor(C_s / M_m).
 */
#ifndef CARREL_CORE_TIER_H
#define CARREL_CORE_TIER_H

#include <stdbool.h>
#include <stdint.h>

#define TIER_MAX 32 /* max / min < 2^32 in MiB */

struct tier_table {
	uint32_t min_mib, max_mib;
	uint32_t unit_mib; /* min + overhead */
	uint32_t last;     /* L */
};

/* False, and the table is unusable, when min is 0 or max is not min times a power of two. */
bool tier_table_init(
	struct tier_table *table, uint32_t max_mib, uint32_t min_mib, uint32_t overhead_mib);

/* Desktop size at a tier, MiB; what it takes of a server, units. tier <= L. */
uint32_t tier_size_mib(const struct tier_table *table, unsigned tier);
uint64_t tier_units(const struct tier_table *table, unsigned tier);

/* Units that a desktop of any size takes: rounded up, for sizes of an older configuration. */
uint64_t tier_units_of(const struct tier_table *table, uint32_t size_mib);
/* The tier of a desktop of that size: the largest allowed size it has; L when it is smaller. */
unsigned tier_of(const struct tier_table *table, uint32_t size_mib);

/* Units of a server with that much memory; 0 when the reserve is all of it. */
uint64_t tier_capacity(
	const struct tier_table *table, uint32_t memory_mib, uint32_t host_reserve_mib);

#endif
