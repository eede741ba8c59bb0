/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/api/limit.h"

#define FORGET_MS (10 * 60 * 1000)
#define DELAY_MAX_MS 30000
#define FREE_BY_NAME 2
#define FREE_BY_ADDRESS 8
#define ENTRIES_MAX 4096 /* beyond it the oldest failures of all are forgotten at once */

struct failures {
	unsigned count;
	gint64 last_ms;
};

struct limit {
	GHashTable *entries; /* "address" or "address user" (owned) -> struct failures (owned) */
};

struct limit *limit_new(void)
{
	struct limit *limit = g_new0(struct limit, 1);

	limit->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	return limit;
}

void limit_free(struct limit *limit)
{
	if (!limit)
		return;
	g_hash_table_destroy(limit->entries);
	g_free(limit);
}

static unsigned delay_of(struct limit *limit, const char *key, unsigned allowed, gint64 now_ms)
{
	const struct failures *failures = g_hash_table_lookup(limit->entries, key);

	if (!failures || failures->count <= allowed - 1 || now_ms - failures->last_ms > FORGET_MS)
		return 0;
	unsigned doublings = MIN(failures->count - allowed, 5u);
	return MIN(1000u << doublings, DELAY_MAX_MS);
}

unsigned limit_delay_ms(struct limit *limit, const char *client, const char *user, gint64 now_ms)
{
	g_autofree char *name = g_strdup_printf("%s %s", client, user);
	unsigned by_name = delay_of(limit, name, FREE_BY_NAME, now_ms);
	unsigned by_address = delay_of(limit, client, FREE_BY_ADDRESS, now_ms);

	return MAX(by_name, by_address);
}

static gboolean is_old(gpointer key, gpointer value, gpointer data)
{
	(void)key;
	return *(gint64 *)data - ((struct failures *)value)->last_ms > FORGET_MS;
}

static void count(struct limit *limit, const char *key, gint64 now_ms)
{
	struct failures *failures = g_hash_table_lookup(limit->entries, key);

	if (!failures) {
		failures = g_new0(struct failures, 1);
		g_hash_table_insert(limit->entries, g_strdup(key), failures);
	}
	if (now_ms - failures->last_ms > FORGET_MS)
		failures->count = 0;
	failures->count++;
	failures->last_ms = now_ms;
}

void limit_failed(struct limit *limit, const char *client, const char *user, gint64 now_ms)
{
	g_autofree char *name = g_strdup_printf("%s %s", client, user);

	g_hash_table_foreach_remove(limit->entries, is_old, &now_ms);
	if (g_hash_table_size(limit->entries) >= ENTRIES_MAX)
		g_hash_table_remove_all(limit->entries);
	count(limit, name, now_ms);
	count(limit, client, now_ms);
}

void limit_passed(struct limit *limit, const char *client, const char *user)
{
	g_autofree char *name = g_strdup_printf("%s %s", client, user);

	g_hash_table_remove(limit->entries, name);
}
