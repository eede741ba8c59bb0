/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/agent/agent_msg.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define ID_MIN 1000 /* below are the system's users */
#define ID_MAX 4294967293LL

bool agent_msg_user_ok(const char *user)
{
	size_t length = strlen(user);

	if (length == 0 || length >= AGENT_NAME_MAX || *user == '-' || *user == '.')
		return false;
	for (const unsigned char *p = (const unsigned char *)user; *p; p++)
		if (*p <= ' ' || *p == 0x7f || strchr(":/,\\\"'`$", *p))
			return false;
	return true;
}

/* Volumes are named by the host; the name is compared with a disk's serial and never made a path.
 */
static bool volume_ok(const char *volume)
{
	size_t length = strlen(volume);

	return length > 0 && length < AGENT_VOLUME_MAX &&
	       strspn(volume,
		       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		       length;
}

/*
 * The name that people see goes into passwd's GECOS field, where ':' and ',' have a meaning. One
 * that is too long is cut between characters.
 */
static void copy_full_name(char *to, size_t size, const char *from)
{
	size_t n = 0;

	for (; *from && n + 1 < size; from++) {
		unsigned char c = (unsigned char)*from;

		to[n++] = c < ' ' || c == 0x7f || c == ':' || c == ',' ? ' ' : (char)c;
	}
	if (((unsigned char)*from & 0xc0) ==
		0x80) { /* the next byte belongs to the last character */
		while (n > 0 && ((unsigned char)to[n - 1] & 0xc0) == 0x80)
			n--;
		n -= n > 0;
	}
	to[n] = '\0';
}

static const char *parse_claim(json_t *json, struct agent_request *request)
{
	const char *op, *user, *full_name = "", *volume;
	json_int_t id, uid, gid;

	if (json_unpack(json, "{s:s, s:I, s:s, s?:s, s:I, s:I, s:s !}", "op", &op, "id", &id,
		    "user", &user, "full_name", &full_name, "uid", &uid, "gid", &gid, "volume",
		    &volume))
		return "claim needs id, user, full_name, uid, gid, volume and nothing else";
	if (!agent_msg_user_ok(user))
		return "user is not a name that a user may have here";
	if (!volume_ok(volume))
		return "volume is not a disk's serial (1 to 20 letters, digits, '-', '_', '.')";
	if (uid < ID_MIN || uid > ID_MAX || gid < 100 || gid > ID_MAX)
		return "uid must be 1000 or more, gid 100 or more";
	snprintf(request->user, sizeof(request->user), "%s", user);
	snprintf(request->volume, sizeof(request->volume), "%s", volume);
	copy_full_name(request->full_name, sizeof(request->full_name), full_name);
	request->uid = (uid_t)uid;
	request->gid = (gid_t)gid;
	return NULL;
}

static const char *parse_plain(json_t *json)
{
	const char *op;
	json_int_t id;

	return json_unpack(json, "{s:s, s:I !}", "op", &op, "id", &id)
		       ? "release and status need an integer id and nothing else"
		       : NULL;
}

static const char *parse_keyboard(json_t *json, struct agent_request *request)
{
	const char *op, *keyboard;
	json_int_t id;

	if (json_unpack(json, "{s:s, s:I, s:s !}", "op", &op, "id", &id, "keyboard", &keyboard))
		return "keyboard needs id, keyboard and nothing else";
	if (*keyboard && !keyboard_parse(keyboard, &request->keyboard))
		return "keyboard is not an X layout with or without a variant";
	return NULL;
}

static const char *parse_object(json_t *json, struct agent_request *request)
{
	const char *op = json_string_value(json_object_get(json, "op"));
	json_t *id = json_object_get(json, "id");

	if (json_is_integer(id))
		request->id = json_integer_value(id);
	if (!op)
		return "op is missing";
	if (strcmp(op, "hello") == 0) {
		request->op = AGENT_OP_HELLO;
		return NULL;
	}
	if (strcmp(op, "claim") == 0) {
		request->op = AGENT_OP_CLAIM;
		return parse_claim(json, request);
	}
	if (strcmp(op, "release") == 0) {
		request->op = AGENT_OP_RELEASE;
		return parse_plain(json);
	}
	if (strcmp(op, "status") == 0) {
		request->op = AGENT_OP_STATUS;
		return parse_plain(json);
	}
	if (strcmp(op, "keyboard") == 0) {
		request->op = AGENT_OP_KEYBOARD;
		return parse_keyboard(json, request);
	}
	return "op is not one of hello, claim, release, status, keyboard";
}

const char *agent_msg_parse(const char *line, size_t length, struct agent_request *request)
{
	json_t *json = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	const char *wrong;

	memset(request, 0, sizeof(*request));
	if (!json)
		return "the line is not JSON";
	wrong = json_is_object(json) ? parse_object(json, request)
				     : "the line is not a JSON object";
	json_decref(json);
	return wrong;
}

void agent_lines_init(struct agent_lines *lines)
{
	lines->used = 0;
	lines->skipping = false;
}

void agent_lines_feed(struct agent_lines *lines, const char *data, size_t size,
	void (*line)(void *context, const char *text, size_t length), void *context)
{
	for (size_t i = 0; i < size; i++) {
		if (data[i] == '\n') {
			if (!lines->skipping && lines->used)
				line(context, lines->buffer, lines->used);
			agent_lines_init(lines);
		} else if (lines->used < sizeof(lines->buffer) - 1) {
			lines->buffer[lines->used++] = data[i];
		} else if (!lines->skipping) {
			lines->skipping = true;
			line(context, NULL, 0);
		}
	}
}
