/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/internal.h"

void core_copy_text(char *to, size_t size, const char *from)
{
	size_t length = strnlen(from, size - 1);

	memmove(to, from, length);
	to[length] = '\0';
}

struct core_action *emit(struct core *core, enum core_action_type type)
{
	struct core_actions *list = core->actions;

	if (list->count == list->capacity) {
		list->capacity = list->capacity ? 2 * list->capacity : 16;
		list->items = reallocarray(list->items, list->capacity, sizeof(*list->items));
		if (!list->items)
			abort();
	}
	struct core_action *action = &list->items[list->count++];
	memset(action, 0, sizeof(*action));
	action->type = type;
	return action;
}

void core_actions_clear(struct core_actions *actions)
{
	free(actions->items);
	*actions = (struct core_actions){0};
}

/* A row is written once a step, as it is at the end of the step. */
static struct core_action *emit_row(
	struct core *core, struct object *object, enum core_action_type type)
{
	if (object->persisted == core->step)
		return NULL;
	object->persisted = core->step;
	return emit(core, type);
}

void emit_server(struct core *core, struct server *s)
{
	struct core_action *a = emit_row(core, &s->object, CORE_ACT_PERSIST_SERVER);

	if (a)
		a->server = s->object.id;
}

void emit_desktop(struct core *core, struct desktop *d)
{
	struct core_action *a = emit_row(core, &d->object, CORE_ACT_PERSIST_DESKTOP);

	if (a)
		a->desktop = d->object.id;
}

void emit_volume(struct core *core, struct volume *v)
{
	struct core_action *a = emit_row(core, &v->object, CORE_ACT_PERSIST_VOLUME);

	if (a)
		a->volume = v->object.id;
}

void emit_session(struct core *core, struct session *s)
{
	struct core_action *a = emit_row(core, &s->object, CORE_ACT_PERSIST_SESSION);

	if (a)
		a->session = s->object.id;
}

void emit_counters(struct core *core)
{
	if (core->counters_persisted == core->step)
		return;
	core->counters_persisted = core->step;
	emit(core, CORE_ACT_PERSIST_COUNTERS);
}

void emit_tell(struct core *core, enum core_action_type type, uint64_t login, const char *code,
	const char *format, ...)
{
	struct core_action *a;
	va_list args;

	if (login == 0)
		return;
	a = emit(core, type);
	a->login = login;
	COPY(a->code, code);
	va_start(args, format);
	vsnprintf(a->text, sizeof(a->text), format, args);
	va_end(args);
}

void emit_stage(struct core *core, struct session *s, const char *stage, unsigned percent,
	const char *format, ...)
{
	struct core_action *a;
	va_list args;

	/* A bar never runs backwards, except for a second try. */
	if (percent < s->percent)
		percent = s->percent;
	s->percent = percent;
	if (s->row.login == 0)
		return;
	a = emit(core, CORE_ACT_TELL_STAGE);
	a->login = s->row.login;
	a->session = s->object.id;
	a->percent = percent;
	COPY(a->code, stage);
	va_start(args, format);
	vsnprintf(a->text, sizeof(a->text), format, args);
	va_end(args);
}

void emit_audit(struct core *core, const char *code, uint64_t session, uint64_t desktop,
	const char *format, ...)
{
	struct core_action *a = emit(core, CORE_ACT_AUDIT);
	va_list args;

	a->session = session;
	a->desktop = desktop;
	COPY(a->code, code);
	va_start(args, format);
	vsnprintf(a->text, sizeof(a->text), format, args);
	va_end(args);
}
