/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/control/decode.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "sdl-viewer/app/utf8.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* Copies a word: letters, digits and a few signs only. False when empty, too long or other. */
static bool take_word(char *out, size_t size, const char *text, const char *others)
{
	size_t n = strlen(text);

	if (n == 0 || n >= size)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		bool plain =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (!plain && !strchr(others, c))
			return false;
	}
	memcpy(out, text, n + 1);
	return true;
}

/* A number that is shown; 0 when it is missing or makes no sense. */
static unsigned count_of(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value < 0 || value > 1000000 ? 0 : (unsigned)value;
}

static bool fill_stage(struct event *event, const json_t *data)
{
	json_int_t percent = json_integer_value(json_object_get(data, "percent"));

	event->percent = percent < 0 ? 0 : percent > 100 ? 100 : (unsigned)percent;
	event->position = count_of(data, "position");
	event->minutes = count_of(data, "minutes");
	utf8_clean(event->text, sizeof(event->text), text_of(data, "message"));
	return take_word(event->code, sizeof(event->code), text_of(data, "stage"), "-");
}

static bool fill_ready(struct event *event, const json_t *data)
{
	json_int_t port = json_integer_value(json_object_get(data, "port"));
	unsigned char address[sizeof(struct in6_addr)];

	if (port < 1 || port > 65535)
		return false;
	event->port = (uint16_t)port;
	/* An address, not a name: nothing is looked up. */
	return take_word(event->host, sizeof(event->host), text_of(data, "host"), ".:") &&
	       (inet_pton(AF_INET, event->host, address) == 1 ||
		       inet_pton(AF_INET6, event->host, address) == 1) &&
	       take_word(event->tls_name, sizeof(event->tls_name), text_of(data, "tls_name"),
		       ".-_:") &&
	       take_word(event->ticket, sizeof(event->ticket), text_of(data, "ticket"), "-_+/=.");
}

/* A number that must be there; false when it is not, or above `most`. */
static bool take_number(unsigned *out, const json_t *object, const char *key, json_int_t most)
{
	const json_t *value = json_object_get(object, key);
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || number > most)
		return false;
	*out = (unsigned)number;
	return true;
}

static bool fill_handoff(struct event *event, const json_t *data)
{
	static const struct {
		const char *step;
		enum event_type type;
	} steps[] = {{"announced", EVENT_HANDOFF_ANNOUNCED}, {"moving", EVENT_HANDOFF_MOVING},
		{"cancelled", EVENT_HANDOFF_CANCELLED}};
	const char *step = text_of(data, "step");
	size_t i = 0;

	while (i < sizeof(steps) / sizeof(steps[0]) && strcmp(step, steps[i].step) != 0)
		i++;
	if (i == sizeof(steps) / sizeof(steps[0]))
		return false;
	event->type = steps[i].type;
	utf8_clean(event->text, sizeof(event->text), text_of(data, "message"));
	return take_number(&event->ms, data, "ms", DECODE_HANDOFF_MS_MAX) &&
	       take_number(&event->from_mib, data, "from_mib", DECODE_SIZE_MIB_MAX) &&
	       take_number(&event->size_mib, data, "size_mib", DECODE_SIZE_MIB_MAX);
}

static bool fill_words(struct event *event, const json_t *data)
{
	utf8_clean(event->text, sizeof(event->text), text_of(data, "message"));
	if (!take_word(event->code, sizeof(event->code), text_of(data, "code"), "-"))
		event->code[0] = 0;
	if (event->type == EVENT_REFUSED && strcmp(event->code, "denied") == 0)
		event->type = EVENT_DENIED;
	return true;
}

static const struct {
	const char *name;
	enum event_type type;
	bool (*fill)(struct event *event, const json_t *data);
} streams[] = {
	{"stage", EVENT_STAGE, fill_stage},
	{"ready", EVENT_READY, fill_ready},
	{"refused", EVENT_REFUSED, fill_words},
	{"moved", EVENT_MOVED, fill_words},
	{"ended", EVENT_ENDED, fill_words},
	{"handoff", EVENT_HANDOFF_ANNOUNCED, fill_handoff},
};

/* The copy of a string value (a ticket, a token) that jansson holds is wiped with it. */
static void wipe(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (json_is_string(value))
		explicit_bzero(
			(char *)(uintptr_t)json_string_value(value), json_string_length(value));
}

struct event *decode_stream(const char *name, const char *data)
{
	for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		struct event *event;
		json_t *object;
		bool good;

		if (strcmp(name, streams[i].name) != 0)
			continue;
		object = json_loads(data, JSON_REJECT_DUPLICATES, NULL);
		event = event_new(streams[i].type);
		good = json_is_object(object) && streams[i].fill(event, object);
		if (object)
			wipe(object, "ticket");
		json_decref(object);
		if (good)
			return event;
		event_free(event);
		return NULL;
	}
	return NULL;
}

struct event *decode_hello(const char *body, size_t size)
{
	json_t *object = json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL);
	struct event *event = NULL;

	if (json_is_object(object) && json_is_string(json_object_get(object, "site"))) {
		event = event_new(EVENT_HELLO);
		utf8_clean(event->text, sizeof(event->text), text_of(object, "site"));
		if (!take_word(event->code, sizeof(event->code), text_of(object, "language"), "-_"))
			event->code[0] = 0;
		if (!take_word(
			    event->screen, sizeof(event->screen), text_of(object, "screen"), "@"))
			event->screen[0] = 0;
		if (!take_word(event->keyboard, sizeof(event->keyboard),
			    text_of(object, "keyboard"), "()_-"))
			event->keyboard[0] = 0;
		utf8_clean(event->notice, sizeof(event->notice), text_of(object, "held"));
		event->power = !strcmp(text_of(object, "power"), "off")      ? POWER_OFF
			       : !strcmp(text_of(object, "power"), "reboot") ? POWER_REBOOT
									     : POWER_STAY;
	}
	json_decref(object);
	return event;
}

bool decode_token(const char *body, size_t size, char token[DECODE_TOKEN_MAX])
{
	json_t *object = json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL);
	bool good = json_is_object(object) &&
		    take_word(token, DECODE_TOKEN_MAX, text_of(object, "login"), "-_+/=.~");

	if (object)
		wipe(object, "login");
	json_decref(object);
	return good;
}

void decode_error(
	const char *body, size_t size, char *code, size_t code_size, char *text, size_t text_size)
{
	json_t *object = json_loadb(body, size, 0, NULL);

	if (!take_word(code, code_size, text_of(object, "code"), "-"))
		code[0] = 0;
	utf8_clean(text, text_size, text_of(object, "message"));
	json_decref(object);
}

size_t decode_quote(char *out, size_t size, const char *text)
{
	size_t used = 0, left = strlen(text);

	if (size < 3)
		return 0;
	out[used++] = '"';
	while (left > 0) {
		uint32_t code;
		size_t n = utf8_read(text, left, &code);

		/* The longest form of a character, the closing quote, the terminator. */
		if (n == 0 || used + 6 + 2 > size) {
			explicit_bzero(out, used);
			return 0;
		}
		if (code == '"' || code == '\\') {
			out[used++] = '\\';
			out[used++] = (char)code;
		} else if (code < 0x20 || code == 0x7f) {
			used += (size_t)snprintf(out + used, size - used, "\\u%04x", code);
		} else {
			memcpy(out + used, text, n);
			used += n;
		}
		text += n;
		left -= n;
	}
	out[used++] = '"';
	out[used] = 0;
	return used;
}
