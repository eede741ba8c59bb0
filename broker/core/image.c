/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The versions of the desktops' image, and who gets which.
 *
 * A session's version is chosen when it is placed, and stays what it is for as long as its programs
 * run: also the desktop that it is handed off to has it. New sessions get the stable version, or
 * the one that a trial names for them. What an admin promotes is stable at once, and the standby
 * desktops follow (pool.c); it has to prove itself, though: until so many logins have reached their
 * first frame on it, the first desktop of that version that fails its user, or that does not even
 * boot, takes it back. The version before it is stable again, whoever was waiting gets that, and
 * the reason stands in the channels. What the image is not to blame for (a server that is lost, a
 * volume that is damaged) does not count.
 *
 * From `until_wall_ms` on, those who are still on another version are handed off to the stable one,
 * one by one and with the notice of any hand-off (move_renew).
 */
#include <stdio.h>
#include <string.h>

#include "broker/core/internal.h"

#define LOOK_MS 60000

static bool same(const struct core_image *a, const struct core_image *b)
{
	return strcmp(a->id, b->id) == 0;
}

void image_choose(struct core *core, struct session *s)
{
	const struct core_image *tried = policy_trial(core, s);

	s->row.image = tried ? *tried : core->channels.stable;
}

bool image_outdated(const struct core *core, const struct session *s)
{
	const struct core_channels *c = &core->channels;

	return c->until_wall_ms != 0 && core->wall_ms >= c->until_wall_ms && c->stable.id[0] &&
	       !same(&s->row.image, &c->stable) && !policy_trial(core, s);
}

/* The time of day may be changed, and is not known before the first event: it is looked at again
 * and again. */
void image_due(struct core *core)
{
	int64_t until = core->channels.until_wall_ms, left = until - core->wall_ms;

	if (until == 0 || left <= 0)
		timer_set(core, &core->image_timer, 0);
	else
		timer_after(core, &core->image_timer, left < LOOK_MS ? left : LOOK_MS);
	core->room = true; /* move_renew looks */
}

static void changed(struct core *core)
{
	emit(core, CORE_ACT_PERSIST_CHANNELS);
	image_due(core);
}

static void promote(struct core *core, const struct core_event *ev)
{
	struct core_channels *c = &core->channels;

	if (!ev->image.id[0])
		return;
	if (!same(&ev->image, &c->stable)) {
		c->previous = c->stable;
		c->stable = ev->image;
		c->canary = c->previous.id[0] ? ev->number : 0;
	}
	if (same(&c->testing, &c->stable))
		c->testing = (struct core_image){0};
	c->until_wall_ms = ev->until_wall_ms;
	c->returned[0] = c->reason[0] = '\0';
	emit_audit(core, "image-promoted", 0, 0, "%s, after %s; %u logins have to prove it",
		c->stable.id, c->previous.id[0] ? c->previous.id : "none", (unsigned)c->canary);
	changed(core);
}

static void roll_back(struct core *core, const char *why)
{
	struct core_channels *c = &core->channels;

	if (!c->previous.id[0])
		return;
	COPY(c->returned, c->stable.id);
	COPY(c->reason, why);
	c->testing = c->stable;
	c->stable = c->previous;
	c->previous = (struct core_image){0};
	c->canary = 0;
	c->until_wall_ms = 0;
	emit_audit(core, "image-rolled-back", 0, 0, "%s is stable again, not %s: %s", c->stable.id,
		c->returned, why);
	changed(core);
}

void image_event(struct core *core, const struct core_event *ev)
{
	if (ev->type == CORE_EV_IMAGE_PROMOTE) {
		promote(core, ev);
	} else if (ev->type == CORE_EV_IMAGE_ROLLBACK) {
		roll_back(core, ev->text);
	} else {
		core->channels.testing = ev->image;
		changed(core);
	}
}

static bool on_trial(const struct core *core, const struct desktop *d)
{
	return core->channels.canary > 0 && !d->framed &&
	       strcmp(d->row.image, core->channels.stable.id) == 0;
}

void image_succeeded(struct core *core, struct desktop *d)
{
	if (on_trial(core, d)) {
		core->channels.canary--;
		if (core->channels.canary == 0)
			emit_audit(core, "image-proven", 0, 0, "%s", core->channels.stable.id);
		changed(core);
	}
	d->framed = true;
}

void image_failed(struct core *core, const struct desktop *d, const char *why)
{
	char text[CORE_TEXT_MAX];

	if (!on_trial(core, d) || desktop_leaving(d))
		return;
	snprintf(text, sizeof(text), "desktop d%u failed before its user saw it: %.200s",
		(unsigned)d->object.id, why);
	roll_back(core, text);
}

void core_load_channels(struct core *core, const struct core_channels *channels)
{
	core->channels = *channels;
}

const struct core_channels *core_channels(const struct core *core)
{
	return &core->channels;
}
