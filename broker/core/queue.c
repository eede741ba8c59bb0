/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The queue: sessions in PLACING for which there was no room, in the order of their logins. Each
 * time that memory comes free the first one is tried, and who comes later is not tried before him,
 * even if a smaller desktop would do: first come, first served. Only a member of a reservation
 * whose seats are not all taken goes past them, to the seat that is kept for him and for nobody
 * else.
 *
 * The estimate is the mean time between the recent ends of sessions, times the position. It counts
 * up to now, so it grows while nobody leaves. With fewer than three ends in the last hour nothing
 * is known, and that is what is said.
 */
#include <stdio.h>
#include <string.h>

#include "broker/core/internal.h"

bool queue_holds(const struct core *core, const struct session *s)
{
	if (core->queue_length == 0 || policy_seat_kept(core, s))
		return false;
	EACH(session, other, &core->sessions)
	{
		if (other->object.id >= s->object.id)
			return false;
		if (other->queued && !policy_seat_kept(core, other))
			return true;
	}
	return false;
}

bool queue_enter(struct core *core, struct session *s)
{
	if (s->queued)
		return true;
	if (core->queue_length >= core->config.queue)
		return false;
	s->queued = true;
	s->position = 0;
	core->queue_length++;
	timer_after(core, &s->object, QUEUE_TELL_MS);
	emit_audit(core, "queued", s->object.id, 0, "%s waits with %u others", s->row.user,
		core->queue_length - 1);
	return true;
}

void queue_leave(struct core *core, struct session *s)
{
	if (!s->queued)
		return;
	s->queued = false;
	core->queue_length--;
	timer_set(core, &s->object, 0);
	core->room = true; /* he may have been in somebody's way */
}

void queue_ended(struct core *core)
{
	core->ends[core->end_count++ % QUEUE_ENDS] = core->now_ms;
}

/* Minutes until the one at that position has his turn; 0 = not known. */
static uint32_t estimate(const struct core *core, uint32_t position)
{
	unsigned known = core->end_count < QUEUE_ENDS ? core->end_count : QUEUE_ENDS;
	int64_t oldest = core->now_ms, minutes;
	unsigned count = 0;

	for (unsigned i = 0; i < known; i++) {
		int64_t end = core->ends[(core->end_count - 1 - i) % QUEUE_ENDS];
		if (core->now_ms - end > QUEUE_RECENT_MS)
			break;
		oldest = end;
		count++;
	}
	if (count < QUEUE_ENDS_LEAST)
		return 0;
	minutes = ((core->now_ms - oldest) * position / count + 59999) / 60000;
	return minutes < 1 ? 1 : minutes < 100000 ? (uint32_t)minutes : 100000;
}

static void tell(struct core *core, struct session *s)
{
	struct core_action *a;

	emit_stage(core, s, "queued", 10,
		"All desktops are taken. You are number %u in the queue; ", s->position);
	if (s->row.login == 0)
		return;
	a = &core->actions->items[core->actions->count - 1];
	a->position = s->position;
	a->minutes = s->minutes;
	size_t used = strlen(a->text);
	if (s->minutes > 0)
		snprintf(a->text + used, sizeof(a->text) - used,
			"your turn is in about %u minute%s.", s->minutes,
			s->minutes == 1 ? "" : "s");
	else
		snprintf(a->text + used, sizeof(a->text) - used,
			"how long it takes cannot be said yet.");
}

void queue_tell(struct core *core)
{
	uint32_t position = 0;

	if (core->queue_length == 0)
		return;
	EACH(session, s, &core->sessions)
	{
		if (!s->queued)
			continue;
		position++;
		if (s->position == position)
			continue;
		s->position = position;
		s->minutes = estimate(core, position);
		tell(core, s);
	}
}

void queue_deadline(struct core *core, struct session *s)
{
	uint32_t minutes = estimate(core, s->position);

	timer_after(core, &s->object, QUEUE_TELL_MS);
	if (s->minutes != minutes) {
		s->minutes = minutes;
		tell(core, s);
	}
}

bool core_session_queued(const struct core *core, uint64_t id)
{
	const struct session *s = table_live(&core->sessions, id);

	return s && s->queued;
}

bool core_queue_get(const struct core *core, uint32_t position, struct core_queue_entry *entry)
{
	uint32_t at = 0;

	EACH(session, s, &core->sessions)
	{
		at += s->queued;
		if (s->queued && at == position) {
			*entry = (struct core_queue_entry){s->object.id, position, s->minutes};
			return true;
		}
	}
	return false;
}
