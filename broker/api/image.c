/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Versions of the desktops' image and of the PCs', as the `carrel` command asks for them. */
#include "broker/api/routes.h"
#include "broker/daemon/channels.h"
#include "broker/daemon/clientimage.h"

#include <string.h>

static struct channels *channels_of(struct call *call)
{
	return call->api->broker->channels;
}

static struct clientimage *clients_of(struct call *call)
{
	return call->api->broker->clientimage;
}

/* Is it the PCs' image that the body's "image" names? */
static gboolean of_clients(struct call *call)
{
	return clientimage_is(clients_of(call), shape_text(call->body, "image"));
}

/* The answer is what is true now: a version may be on its way still. */
static void answer(struct call *call, gboolean good, const GError *error)
{
	if (!good) {
		call_failed(call, error, "unknown-image");
		return;
	}
	json_t *all = channels_json(channels_of(call));
	json_object_set_new(all, "clients", clientimage_json(clients_of(call)));
	http_reply(call->request, 200, all);
}

void image_status(struct call *call)
{
	answer(call, TRUE, NULL);
}

void image_publish(struct call *call)
{
	g_autoptr(GError) error = NULL;
	const char *image = shape_text(call->body, "image");
	gboolean good = of_clients(call) ? clientimage_test(clients_of(call), image, &error)
					 : channels_test(channels_of(call), image, &error);

	answer(call, good, error);
}

/* PCs that are on go on until they boot again: there is no `within` for them. */
static gboolean promote_client(struct call *call, GError **error)
{
	if (shape_int(call->body, "within", 0) > 0)
		return broker_refuse(error, BROKER_ERROR_INVALID,
			"--within is of desktops: a PC has the new version when it boots next "
			"(\"carrel seat reboot\")");
	return clientimage_promote(clients_of(call), shape_text(call->body, "image"),
		shape_int(call->body, "canary", -1), error);
}

void image_promote(struct call *call)
{
	g_autoptr(GError) error = NULL;
	gboolean good = of_clients(call) ? promote_client(call, &error)
					 : channels_promote(channels_of(call),
						   shape_text(call->body, "image"),
						   shape_int(call->body, "canary", -1),
						   shape_int(call->body, "within", 0), &error);

	answer(call, good, error);
}

/* "image" may be missing, else it is a name: the desktops' or the PCs'. */
static gboolean is_named(struct call *call, gboolean *clients, GError **error)
{
	const char *image = shape_text(call->body, "image");
	const struct conf *conf = call->api->broker->conf;

	*clients = *image && !strcmp(image, conf_string(conf, CONF_BOOT_IMAGE));
	return !*image || *clients || !strcmp(image, conf_string(conf, CONF_DESKTOP_IMAGE)) ||
	       broker_refuse(error, BROKER_ERROR_INVALID,
		       "\"%s\" is no image in use: write %s, which desktops run, or %s, which PCs "
		       "boot",
		       image, conf_string(conf, CONF_DESKTOP_IMAGE),
		       conf_string(conf, CONF_BOOT_IMAGE));
}

void image_rollback(struct call *call)
{
	g_autoptr(GError) error = NULL;
	const char *reason = shape_text(call->body, "reason");
	gboolean clients;
	gboolean good = is_named(call, &clients, &error) &&
			(clients ? clientimage_rollback(clients_of(call), reason, &error)
				 : channels_rollback(channels_of(call), reason, &error));

	answer(call, good, error);
}

void image_cancel(struct call *call)
{
	g_autoptr(GError) error = NULL;
	gboolean clients;
	gboolean good = is_named(call, &clients, &error) &&
			(clients ? clientimage_cancel(clients_of(call), &error)
				 : channels_cancel(channels_of(call), &error));

	answer(call, good, error);
}

/* The servers answer later; what they have removed is seen in GET /v1/images. */
void image_sweep(struct call *call)
{
	channels_sweep(channels_of(call));
	answer(call, TRUE, NULL);
}

static gboolean try_client(struct call *call, GError **error)
{
	if (*shape_text(call->body, "group"))
		return broker_refuse(error, BROKER_ERROR_INVALID,
			"groups are of desktops: name PCs with --seats, 'room-301/*' say");
	return clientimage_try(clients_of(call), shape_text(call->body, "image"),
		json_object_get(call->body, "members"), error);
}

void image_try(struct call *call)
{
	g_autoptr(GError) error = NULL;
	gboolean good = of_clients(call)
				? try_client(call, &error)
				: channels_try(channels_of(call), shape_text(call->body, "image"),
					  json_object_get(call->body, "members"),
					  shape_text(call->body, "group"), &error);

	answer(call, good, error);
}

void image_untry(struct call *call)
{
	g_autoptr(GError) error = NULL;
	gboolean good = clientimage_is(clients_of(call), call->param)
				? clientimage_untry(clients_of(call), call->param, &error)
				: channels_untry(channels_of(call), call->param, &error);

	answer(call, good, error);
}
