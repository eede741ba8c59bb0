/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

uint64_t sim_random(struct world *w, uint64_t below)
{
	uint64_t x = w->random += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return (x ^ (x >> 31)) % below;
}

bool sim_percent(struct world *w, unsigned percent)
{
	return sim_random(w, 100) < percent;
}

void sim_break(struct world *w, const char *sentence)
{
	if (!w->broken)
		w->broken = sentence;
}

static bool earlier(const struct sim_item *a, const struct sim_item *b)
{
	return a->ms != b->ms ? a->ms < b->ms : a->order < b->order;
}

/* The item must be filled in before the next call; its place in the heap is already right. */
struct sim_item *sim_later(struct world *w, int64_t delay_ms, enum sim_kind kind)
{
	struct sim_item item = {.ms = w->now_ms + delay_ms, .order = ++w->order, .kind = kind};

	if (w->queue_count == w->queue_capacity) {
		w->queue_capacity = w->queue_capacity ? 2 * w->queue_capacity : 256;
		w->queue = realloc(w->queue, w->queue_capacity * sizeof(*w->queue));
		if (!w->queue)
			abort();
	}
	size_t i = w->queue_count++;
	while (i > 0 && earlier(&item, &w->queue[(i - 1) / 2])) {
		w->queue[i] = w->queue[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->queue[i] = item;
	return &w->queue[i];
}

bool sim_next(struct world *w, struct sim_item *item)
{
	size_t i = 0;

	if (w->queue_count == 0)
		return false;
	*item = w->queue[0];
	struct sim_item last = w->queue[--w->queue_count];
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= w->queue_count)
			break;
		if (child + 1 < w->queue_count && earlier(&w->queue[child + 1], &w->queue[child]))
			child++;
		if (!earlier(&w->queue[child], &last))
			break;
		w->queue[i] = w->queue[child];
		i = child;
	}
	w->queue[i] = last;
	return true;
}
