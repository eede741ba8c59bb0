/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Versions of the desktops' image, as the `carrel` command asks for them. */
#include "broker/api/routes.h"
#include "broker/daemon/channels.h"

static struct channels *channels_of(struct call *call)
{
	return call->api->broker->channels;
}

/* The answer is what is true now: a version may be on its way still. */
static void answer(struct call *call, gboolean good, const GError *error)
{
	if (good)
		http_reply(call->request, 200, channels_json(channels_of(call)));
	else
		call_failed(call, error, "unknown-image");
}

void image_status(struct call *call)
{
	answer(call, TRUE, NULL);
}

void image_publish(struct call *call)
{
	g_autoptr(GError) error = NULL;
	gboolean good = channels_test(channels_of(call), shape_text(call->body, "image"), &error);

	answer(call, good, error);
}

void image_promote(struct call *call)
{
	g_autoptr(GError) error = NULL;
	gboolean good = channels_promote(channels_of(call), shape_text(call->body, "image"),
		shape_int(call->body, "canary", -1), shape_int(call->body, "within", 0), &error);

	answer(call, good, error);
}

void image_rollback(struct call *call)
{
	g_autoptr(GError) error = NULL;
	gboolean good =
		channels_rollback(channels_of(call), shape_text(call->body, "reason"), &error);

	answer(call, good, error);
}

void image_cancel(struct call *call)
{
	g_autoptr(GError) error = NULL;
	gboolean good = channels_cancel(channels_of(call), &error);

	answer(call, good, error);
}

/* The servers answer later; what they have removed is seen in GET /v1/images. */
void image_sweep(struct call *call)
{
	channels_sweep(channels_of(call));
	answer(call, TRUE, NULL);
}

void image_try(struct call *call)
{
	g_autoptr(GError) error = NULL;
	gboolean good = channels_try(channels_of(call), shape_text(call->body, "image"),
		json_object_get(call->body, "members"), shape_text(call->body, "group"), &error);

	answer(call, good, error);
}

void image_untry(struct call *call)
{
	g_autoptr(GError) error = NULL;
	gboolean good = channels_untry(channels_of(call), call->param, &error);

	answer(call, good, error);
}
