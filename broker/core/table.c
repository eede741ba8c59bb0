/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "broker/core/internal.h"

/* Index of the first object whose id is `id` or more. */
static size_t table_find(const struct table *table, uint64_t id)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (table->items[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void *table_get(const struct table *table, uint64_t id)
{
	size_t i = table_find(table, id);

	return i < table->count && table->items[i]->id == id ? table->items[i] : NULL;
}

void *table_live(const struct table *table, uint64_t id)
{
	struct object *object = table_get(table, id);

	return object && !object->dead ? object : NULL;
}

void object_end(struct core *core, struct object *object)
{
	object->dead = true;
	core->any_dead = true;
	timer_set(core, object, 0);
}

void *table_next(const struct table *table, uint64_t after)
{
	size_t i = after == UINT64_MAX ? table->count : table_find(table, after + 1);

	while (i < table->count && table->items[i]->dead)
		i++;
	return i < table->count ? table->items[i] : NULL;
}

void *table_add(struct table *table, size_t size, enum object_kind kind, uint64_t id)
{
	struct object *object = calloc(1, size);
	size_t i = table_find(table, id);

	if (table->count == table->capacity) {
		table->capacity = table->capacity ? 2 * table->capacity : 16;
		table->items = reallocarray(table->items, table->capacity, sizeof(*table->items));
	}
	if (!object || !table->items)
		abort();
	memmove(table->items + i + 1, table->items + i, (table->count - i) * sizeof(*table->items));
	table->items[i] = object;
	table->count++;
	object->id = id;
	object->kind = kind;
	if (kind == OBJECT_SESSION)
		((struct session *)(void *)object)->clock =
			(struct object){.id = id, .kind = OBJECT_MOVE};
	return object;
}

void table_remove(struct core *core, struct table *table, struct object *object)
{
	size_t i = table_find(table, object->id);

	timer_set(core, object, 0);
	memmove(table->items + i, table->items + i + 1,
		(table->count - i - 1) * sizeof(*table->items));
	table->count--;
	free(object);
}

void table_sweep(struct core *core, struct table *table)
{
	size_t kept = 0;

	for (size_t i = 0; i < table->count; i++) {
		struct object *object = table->items[i];
		if (object->dead) {
			timer_set(core, object, 0);
			free(object);
		} else {
			table->items[kept++] = object;
		}
	}
	table->count = kept;
}

void table_clear(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->items[i]);
	free(table->items);
	*table = (struct table){0};
}

void timer_set(struct core *core, struct object *object, int64_t deadline_ms)
{
	tree_remove(&core->timers, &object->timer);
	object->deadline_ms = deadline_ms;
	if (object->kind == OBJECT_DESKTOP)
		((struct desktop *)(void *)object)->row.deadline_ms = deadline_ms;
	else if (object->kind == OBJECT_SESSION)
		((struct session *)(void *)object)->row.deadline_ms = deadline_ms;
	if (deadline_ms != 0)
		tree_insert(&core->timers, &object->timer, (uint64_t)deadline_ms,
			object->id * OBJECT_KINDS + object->kind);
}

void timer_after(struct core *core, struct object *object, int64_t ms)
{
	if (ms < 1)
		ms = 1;
	int64_t deadline = core->now_ms > INT64_MAX - ms - 1 ? INT64_MAX - 1 : core->now_ms + ms;

	timer_set(core, object, deadline > 0 ? deadline : 1);
}

int64_t give_ms(const struct core *core)
{
	return (int64_t)core->config.boot_timeout_ms + core->config.claim_timeout_ms;
}
