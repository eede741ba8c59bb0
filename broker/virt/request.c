/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/virt/request.h"
#include "broker/virt/virt.h"
#include "broker/virt/volume_names.h"

#include <stddef.h>
#include <string.h>

enum member {
	M_DESKTOP = 1 << 0,
	M_VOLUME = 1 << 1,
	M_MEMORY = 1 << 2,
	M_VCPUS = 1 << 3,
	M_SIZE = 1 << 4,
	M_UID = 1 << 5,
	M_SECONDS = 1 << 6,
	M_IMAGE = 1 << 7,
	M_NETWORK = 1 << 8,
	M_USER = 1 << 9,
	M_PASSWORD = 1 << 10,
	M_MESSAGE = 1 << 11,
	M_MS = 1 << 12,
	M_COPY = 1 << 13,
	M_TO = 1 << 14,
	M_KEEP = 1 << 15,
	M_SNAPSHOT = 1 << 16,
	M_PATH = 1 << 17,
};

/* May be missing: zero. */
#define OPTIONAL M_COPY

static const struct {
	const char *name;
	int members;
} ops[REQUEST_COUNT] = {
	[REQUEST_PING] = {"ping", 0},
	[REQUEST_IMAGE_ENSURE] = {"image-ensure", M_IMAGE},
	[REQUEST_IMAGE_LIST] = {"image-list", 0},
	[REQUEST_IMAGE_REMOVE] = {"image-remove", M_IMAGE},
	[REQUEST_DESKTOP_START] = {"desktop-start",
		M_DESKTOP | M_IMAGE | M_MEMORY | M_VCPUS | M_NETWORK},
	[REQUEST_DESKTOP_DESTROY] = {"desktop-destroy", M_DESKTOP},
	[REQUEST_DESKTOP_RESIZE] = {"desktop-resize", M_DESKTOP | M_MEMORY | M_MS},
	[REQUEST_DESKTOP_LIST] = {"desktop-list", 0},
	[REQUEST_VOLUME_CREATE] = {"volume-create", M_VOLUME | M_SIZE | M_UID | M_USER},
	[REQUEST_VOLUME_ATTACH] = {"volume-attach", M_VOLUME | M_DESKTOP | M_COPY},
	[REQUEST_VOLUME_DETACH] = {"volume-detach", M_VOLUME | M_DESKTOP},
	[REQUEST_VOLUME_SHOW] = {"volume-show", M_VOLUME | M_COPY},
	[REQUEST_VOLUME_DROP] = {"volume-drop", M_VOLUME | M_SNAPSHOT},
	[REQUEST_POOL_SHOW] = {"pool-show", 0},
	[REQUEST_VOLUME_SNAPSHOT] = {"volume-snapshot", M_VOLUME | M_COPY | M_SNAPSHOT | M_KEEP},
	[REQUEST_VOLUME_RESTORE] = {"volume-restore", M_VOLUME | M_COPY | M_TO | M_SNAPSHOT},
	[REQUEST_VOLUME_CHECK] = {"volume-check", M_VOLUME | M_COPY | M_USER},
	[REQUEST_VOLUME_REPAIR] = {"volume-repair", M_VOLUME | M_COPY | M_TO | M_SNAPSHOT | M_USER},
	[REQUEST_VOLUME_GROW] = {"volume-grow", M_VOLUME | M_COPY | M_SIZE},
	[REQUEST_VOLUME_EXPORT] = {"volume-export", M_VOLUME | M_COPY | M_PATH},
	[REQUEST_VOLUME_IMPORT] = {"volume-import",
		M_VOLUME | M_COPY | M_TO | M_PATH | M_SIZE | M_UID | M_USER},
	[REQUEST_VOLUME_DELETE] = {"volume-delete", M_VOLUME},
	[REQUEST_VOLUME_SWEEP] = {"volume-sweep", M_VOLUME | M_COPY},
	[REQUEST_VOLUME_CANCEL] = {"volume-cancel", M_VOLUME},
	[REQUEST_TICKET_SET] = {"ticket-set", M_DESKTOP | M_PASSWORD | M_SECONDS},
	[REQUEST_TICKET_CLEAR] = {"ticket-clear", M_DESKTOP},
	[REQUEST_AGENT_SEND] = {"agent-send", M_DESKTOP | M_MESSAGE},
};

static gboolean name_ok(const char *name, size_t length)
{
	if (!length || length > 95 || name[0] == '.' || name[0] == '-')
		return FALSE;
	for (size_t i = 0; i < length; i++)
		if (!g_ascii_isalnum(name[i]) && !strchr("._-", name[i]))
			return FALSE;
	return TRUE;
}

gboolean request_image_split(const char *image, char **name, char **version)
{
	const char *at = strchr(image, '@');

	if (!at || !name_ok(image, (size_t)(at - image)) || !name_ok(at + 1, strlen(at + 1)))
		return FALSE;
	*name = g_strndup(image, (size_t)(at - image));
	*version = g_strdup(at + 1);
	return TRUE;
}

static gboolean image_ok(const char *text)
{
	g_autofree char *name = NULL, *version = NULL;

	return request_image_split(text, &name, &version);
}

static gboolean network_ok(const char *text)
{
	const char *colon = strchr(text, ':');

	if (!strcmp(text, "none"))
		return TRUE;
	return colon && (g_str_has_prefix(text, "network:") || g_str_has_prefix(text, "bridge:")) &&
	       name_ok(colon + 1, strlen(colon + 1));
}

static gboolean user_ok(const char *text)
{
	return *text && strlen(text) <= 95;
}

static gboolean path_ok(const char *text)
{
	return *text == '/' && strlen(text) <= 4000;
}

/* Printable ASCII without blanks: it travels in XML and over VNC. */
static gboolean password_ok(const char *text)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i++)
		if (!g_ascii_isgraph(text[i]))
			return FALSE;
	return length >= 6 && length <= REQUEST_PASSWORD_MAX;
}

static const struct {
	const char *key;
	enum member member;
	gint64 min, max;
	size_t offset;
} numbers[] = {
	{"memory_mib", M_MEMORY, 16, 4194304, offsetof(struct request, memory_mib)},
	{"vcpus", M_VCPUS, 1, 255, offsetof(struct request, vcpus)},
	{"size_mib", M_SIZE, 8, 16777216, offsetof(struct request, size_mib)},
	{"uid", M_UID, 1, G_MAXINT32, offsetof(struct request, uid)},
	{"seconds", M_SECONDS, 1, 3600, offsetof(struct request, seconds)},
	{"copy", M_COPY, 0, G_MAXINT32, offsetof(struct request, copy)},
	{"to", M_TO, 1, G_MAXINT32, offsetof(struct request, to)},
	{"keep", M_KEEP, 0, 1000, offsetof(struct request, keep)},
	{"ms", M_MS, 1, 3600000, offsetof(struct request, ms)},
};

static const struct {
	const char *key;
	enum member member;
	gboolean (*ok)(const char *text);
	const char *allowed;
	size_t offset;
} strings[] = {
	{"image", M_IMAGE, image_ok, "name@version", offsetof(struct request, image)},
	{"network", M_NETWORK, network_ok, "none, network:NAME or bridge:NAME",
		offsetof(struct request, network)},
	{"snapshot", M_SNAPSHOT, volume_snapshot_ok, "KIND-YYYYMMDDTHHMMSSZ",
		offsetof(struct request, snapshot)},
	{"path", M_PATH, path_ok, "an absolute path", offsetof(struct request, path)},
	{"user", M_USER, user_ok, "1 to 95 bytes", offsetof(struct request, user)},
	{"password", M_PASSWORD, password_ok, "6 to 8 printable characters",
		offsetof(struct request, password)},
};

static const struct {
	const char *key;
	enum member member;
	size_t offset;
} ids[] = {
	{"desktop", M_DESKTOP, offsetof(struct request, desktop)},
	{"volume", M_VOLUME, offsetof(struct request, volume)},
};

static gboolean bad(GError **error, const char *op, const char *key, const char *allowed)
{
	g_set_error(error, VIRT_ERROR, VIRT_ERROR_BAD_REQUEST, "%s: member \"%s\" must be %s", op,
		key, allowed);
	return FALSE;
}

/* One member into its field; `seen` gets its bit. */
static gboolean take(struct request *request, const char *op, const char *key, json_t *value,
	int *seen, GError **error)
{
	char *base = (char *)request;

	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++)
		if (!strcmp(key, ids[i].key)) {
			if (!json_is_integer(value) || json_integer_value(value) < 1)
				return bad(error, op, key, "a whole number above 0");
			*(uint64_t *)(base + ids[i].offset) = (uint64_t)json_integer_value(value);
			*seen |= (int)ids[i].member;
			return TRUE;
		}
	for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
		if (!strcmp(key, numbers[i].key)) {
			gint64 n = json_integer_value(value);

			if (!json_is_integer(value) || n < numbers[i].min || n > numbers[i].max) {
				g_autofree char *allowed = g_strdup_printf("from %" G_GINT64_FORMAT
									   " to %" G_GINT64_FORMAT,
					numbers[i].min, numbers[i].max);
				return bad(error, op, key, allowed);
			}
			*(uint32_t *)(base + numbers[i].offset) = (uint32_t)n;
			*seen |= (int)numbers[i].member;
			return TRUE;
		}
	for (size_t i = 0; i < G_N_ELEMENTS(strings); i++)
		if (!strcmp(key, strings[i].key)) {
			const char *text = json_string_value(value);

			if (!text || !strings[i].ok(text))
				return bad(error, op, key, strings[i].allowed);
			*(const char **)(base + strings[i].offset) = text;
			*seen |= (int)strings[i].member;
			return TRUE;
		}
	if (!strcmp(key, "message")) {
		if (!json_is_object(value))
			return bad(error, op, key, "an object");
		request->message = value;
		*seen |= M_MESSAGE;
		return TRUE;
	}
	return bad(error, op, key, "left out: there is no such member");
}

struct request *request_new(json_t *json, GError **error)
{
	struct request *request = g_new0(struct request, 1);
	const char *op = json_string_value(json_object_get(json, "op"));
	int wanted, seen = 0;
	const char *key;
	json_t *value;

	request->json = json;
	request->id = json_integer_value(json_object_get(json, "id"));
	while (op && request->op < REQUEST_COUNT && strcmp(ops[request->op].name, op) != 0)
		request->op++;
	if (!op || request->op == REQUEST_COUNT) {
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_BAD_REQUEST, "there is no op \"%s\"",
			op ? op : "");
		goto fail;
	}
	if (!json_is_integer(json_object_get(json, "id"))) {
		bad(error, op, "id", "a whole number");
		goto fail;
	}
	wanted = ops[request->op].members;
	json_object_foreach (json, key, value) {
		if (!strcmp(key, "op") || !strcmp(key, "id"))
			continue;
		if (!take(request, op, key, value, &seen, error))
			goto fail;
	}
	if ((seen | OPTIONAL) != (wanted | OPTIONAL) || (seen & ~wanted)) {
		g_set_error(error, VIRT_ERROR, VIRT_ERROR_BAD_REQUEST,
			"%s: a member is missing or is not one of this op", op);
		goto fail;
	}
	return request;
fail:
	request_free(request);
	return NULL;
}

const char *request_name(enum request_op op)
{
	return (unsigned)op < REQUEST_COUNT ? ops[op].name : "?";
}

void request_free(struct request *request)
{
	if (!request)
		return;
	json_decref(request->json);
	g_clear_object(&request->cancel);
	g_free(request);
}
