/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/core/tier.h"

bool tier_table_init(
	struct tier_table *table, uint32_t max_mib, uint32_t min_mib, uint32_t overhead_mib)
{
	uint64_t size = min_mib;
	uint32_t last = 0;

	while (size < max_mib && size > 0) {
		size *= 2;
		last++;
	}
	if (min_mib == 0 || size != max_mib || overhead_mib > UINT32_MAX - min_mib)
		return false;
	*table = (struct tier_table){
		.min_mib = min_mib,
		.max_mib = max_mib,
		.unit_mib = min_mib + overhead_mib,
		.last = last,
	};
	return true;
}

uint32_t tier_size_mib(const struct tier_table *table, unsigned tier)
{
	return table->max_mib >> tier;
}

uint64_t tier_units(const struct tier_table *table, unsigned tier)
{
	return UINT64_C(1) << (table->last - tier);
}

uint64_t tier_units_of(const struct tier_table *table, uint32_t size_mib)
{
	return ((uint64_t)size_mib + table->min_mib - 1) / table->min_mib;
}

unsigned tier_of(const struct tier_table *table, uint32_t size_mib)
{
	unsigned tier = 0;

	while (tier < table->last && tier_size_mib(table, tier) > size_mib)
		tier++;
	return tier;
}

uint64_t tier_capacity(
	const struct tier_table *table, uint32_t memory_mib, uint32_t host_reserve_mib)
{
	return memory_mib > host_reserve_mib ? (memory_mib - host_reserve_mib) / table->unit_mib
					     : 0;
}
