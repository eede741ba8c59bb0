/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/virt/guest_agent.h"

#include <stdlib.h>
#include <string.h>

#include "broker/virt/lines.h"

#define S ((gint64)G_USEC_PER_SEC)
#define SYNC_EVERY (3 * S)  /* until the guest has booted and answers */
#define ANSWER_IN (20 * S)  /* the guest agent itself answers at once */
#define POLL_EVERY (S / 4)  /* is a program at its end? */
#define LOOK_EVERY (10 * S) /* has the user logged out? */
#define STATE_IN (30 * S)   /* what the program may take for each of its words */
#define CLAIM_IN (3600 * S) /* carreld's patience, [desktop] claim_timeout, ends before */
#define RELEASE_IN (120 * S)
#define SHUTDOWN_IN (60 * S)
#define WAITING_MAX 8
#define SAID_MAX 200 /* bytes of what a program said that are passed on */

/* Exit statuses of the claim program, and the codes of the protocol for them. */
static const struct {
	int status;
	const char *code;
} codes[] = {{10, "volume-missing"}, {11, "volume-damaged"}, {12, "volume-mount"}, {13, "session"},
	{14, "state"}, {15, "volume-busy"}};

/* The command of the guest agent that has not been answered. */
enum command { NOTHING, SYNC, INFO, OSINFO, EXEC, STATUS, SHUTDOWN };

enum work { NO_WORK, STATE, CLAIM, RELEASE };

struct guest_agent {
	struct guest_agent_calls calls;
	char *image, *version; /* owned; version: of the guest agent */
	gboolean ready;        /* synchronized, and told what it can */
	gboolean windows;
	gboolean barred;  /* it may not run programs */
	gboolean greeted; /* carreld has had its hello on this connection */
	gboolean active;  /* a user is in it */
	char *user;       /* owned; who, or "" */
	enum command command;
	gint64 answer_by; /* of `command` */
	gint64 sync;      /* the number that the answer must bear */
	enum work work;
	json_int_t id;  /* of the request behind `work` */
	json_int_t pid; /* in the guest; 0: not running yet */
	gint64 poll_at, work_by;
	gint64 look_at; /* when a user's desktop is looked at next */
	GQueue waiting; /* of owned json_t: requests */
};

static void next(struct guest_agent *self, gint64 now);

struct guest_agent *guest_agent_new(const char *image, const struct guest_agent_calls *calls)
{
	struct guest_agent *self = g_new0(struct guest_agent, 1);

	self->calls = *calls;
	self->image = g_strdup(image);
	self->version = g_strdup("");
	self->user = g_strdup("");
	self->sync = g_random_int();
	g_queue_init(&self->waiting);
	return self;
}

void guest_agent_free(struct guest_agent *self)
{
	if (!self)
		return;
	g_queue_clear_full(&self->waiting, (GDestroyNotify)json_decref);
	g_free(self->image);
	g_free(self->version);
	g_free(self->user);
	g_free(self);
}

/* --- to carreld --- */

static void say_log(struct guest_agent *self, const char *text)
{
	self->calls.say(self->calls.user, json_pack("{s:s, s:s}", "event", "log", "text", text));
}

static void say_hello(struct guest_agent *self)
{
	const char *state = self->work == CLAIM     ? "claiming"
			    : self->work == RELEASE ? "releasing"
			    : self->active          ? "active"
						    : "standby";
	g_autofree char *agent = g_strconcat("qemu-ga ", self->version, NULL);

	self->greeted = TRUE;
	self->calls.say(self->calls.user,
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "event", "hello", "agent", agent, "image",
			self->image, "state", state, "user", self->user));
}

static void say_failed(
	struct guest_agent *self, json_int_t id, const char *code, const char *message)
{
	self->calls.say(self->calls.user, json_pack("{s:I, s:b, s:s, s:s}", "id", id, "ok", 0,
						  "code", code, "message", message));
}

static void set_user(struct guest_agent *self, gboolean active, const char *user)
{
	self->active = active;
	g_free(self->user);
	self->user = g_strdup(user);
}

/* --- to the guest --- */

/* Takes `arguments`, which may be NULL. */
static void command(struct guest_agent *self, enum command which, const char *name,
	json_t *arguments, gint64 now)
{
	json_t *message = json_pack("{s:s, s:o*}", "execute", name, "arguments", arguments);
	char *text = json_dumps(message, JSON_COMPACT);
	g_autofree char *line = g_strconcat(which == SYNC ? "\xff" : "", text, "\n", NULL);

	self->command = which;
	self->answer_by = now + (which == SYNC              ? SYNC_EVERY
					: which == SHUTDOWN ? SHUTDOWN_IN
							    : ANSWER_IN);
	self->calls.send(self->calls.user, line);
	free(text);
	json_decref(message);
}

/* Whatever is under way in the stream is over when the answer to this comes. */
static void synchronize(struct guest_agent *self, gint64 now)
{
	self->ready = FALSE;
	/* The guest agent gives it back as it is; its parser has signed numbers. */
	self->sync = (self->sync + 1) & G_MAXINT32;
	command(self, SYNC, "guest-sync-delimited",
		json_pack("{s:I}", "id", (json_int_t)self->sync), now);
}

static void run(
	struct guest_agent *self, enum work work, json_int_t id, const json_t *input, gint64 now)
{
	static const char *const words[] = {"", "state", "claim", "release"};
	char *text = input ? json_dumps(input, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	g_autofree char *base64 = text ? g_base64_encode((const guchar *)text, strlen(text)) : NULL;
	json_t *arguments =
		self->windows
			? json_pack("{s:s, s:[s, s, s]}", "path", "C:\\Windows\\System32\\cmd.exe",
				  "arg", "/c", GUEST_AGENT_WINDOWS, words[work])
			: json_pack("{s:s, s:[s]}", "path", GUEST_AGENT_LINUX, "arg", words[work]);

	json_object_set_new(arguments, "capture-output", json_true());
	if (base64)
		json_object_set_new(arguments, "input-data", json_string(base64));
	free(text);
	self->work = work;
	self->id = id;
	self->pid = 0;
	self->work_by = now + (work == STATE ? STATE_IN : work == CLAIM ? CLAIM_IN : RELEASE_IN);
	command(self, EXEC, "guest-exec", arguments, now);
}

/* --- the end of a work --- */

static void state_done(struct guest_agent *self, int status, const char *said, gint64 now)
{
	gboolean was = self->active;
	gboolean known =
		status == 0 && (!strcmp(said, "standby") || g_str_has_prefix(said, "active "));

	if (known)
		set_user(self, *said == 'a', said + strlen(*said == 'a' ? "active " : "standby"));
	else if (!self->greeted) {
		g_autofree char *text = g_strdup_printf(
			"the claim program of the guest, %s, does not say its state, so users will "
			"not get in (%s); docs/guests.md says what it is",
			self->windows ? GUEST_AGENT_WINDOWS : GUEST_AGENT_LINUX, said);

		say_log(self, text);
	}
	if (!self->greeted)
		say_hello(self);
	else if (was && !self->active)
		self->calls.say(self->calls.user, json_pack("{s:s}", "event", "session-ended"));
	self->look_at = now + LOOK_EVERY;
}

static const char *code_of(int status)
{
	for (gsize i = 0; i < G_N_ELEMENTS(codes); i++)
		if (codes[i].status == status)
			return codes[i].code;
	return "session";
}

/* The program could not release: the guest ends all of itself, and then the VM is gone. */
static void shut_down(struct guest_agent *self, const char *said, gint64 now)
{
	g_autofree char *text = g_strdup_printf(
		"the claim program of the guest could not release (%s): the guest is shut down",
		said);

	say_log(self, text);
	self->work = RELEASE;
	command(self, SHUTDOWN, "guest-shutdown", json_pack("{s:s}", "mode", "powerdown"), now);
}

/* The program has ended with `status`, or -1: it was not run, or nobody knows how it ended. `said`
 * is its last word, or why. */
static void work_done(struct guest_agent *self, int status, const char *said, gint64 now)
{
	enum work work = self->work;

	self->work = NO_WORK;
	self->pid = 0;
	if (work == STATE) {
		state_done(self, status, said, now);
	} else if (status == 0) {
		if (work == RELEASE)
			set_user(self, FALSE, "");
		self->active = work == CLAIM;
		self->look_at = now + LOOK_EVERY;
		self->calls.say(self->calls.user, json_pack("{s:I, s:b}", "id", self->id, "ok", 1));
	} else if (work == CLAIM) {
		set_user(self, FALSE, "");
		say_failed(self, self->id, code_of(status), said);
	} else if (work == RELEASE) {
		shut_down(self, said, now);
	}
}

/* A part of what a program wrote, in base64: its first line, or its last. The caller frees it. */
static char *line_of(const json_t *answer, const char *key, gboolean last)
{
	const char *base64 = json_string_value(json_object_get(answer, key));
	gsize length = 0;
	g_autofree guchar *bytes = g_base64_decode(base64 ? base64 : "", &length);
	g_autofree char *text = g_strndup((const char *)bytes, length);
	const char *line = g_strchomp(text);
	const char *end = strrchr(line, '\n');

	if (last && end)
		line = end + 1;
	g_autofree char *part = g_strndup(line, MIN(strcspn(line, "\r\n"), SAID_MAX));
	return g_utf8_make_valid(part, -1);
}

static void status_came(struct guest_agent *self, const json_t *answer, gint64 now)
{
	const json_t *code = json_object_get(answer, "exitcode");
	const json_t *signal = json_object_get(answer, "signal");

	if (!json_is_true(json_object_get(answer, "exited"))) {
		self->poll_at = now + POLL_EVERY;
		return;
	}
	int status = json_is_integer(code) && json_integer_value(code) >= 0 &&
				     json_integer_value(code) <= 255
			     ? (int)json_integer_value(code)
			     : -1;
	g_autofree char *said =
		line_of(answer, self->work == STATE && !status ? "out-data" : "err-data",
			self->work != STATE || status);
	if (!*said && status) {
		g_free(said);
		said = signal ? g_strdup_printf("the claim program was ended by signal %d",
					(int)json_integer_value(signal))
			      : g_strdup_printf("the claim program ended with %d", status);
	}
	work_done(self, status, said, now);
}

/* --- from the guest --- */

static void info_came(struct guest_agent *self, const json_t *answer)
{
	const char *version = json_string_value(json_object_get(answer, "version"));
	const json_t *list = json_object_get(answer, "supported_commands"), *item;
	size_t i;

	g_free(self->version);
	self->version = g_strndup(version ? version : "", 32);
	self->barred = FALSE;
	json_array_foreach (list, i, item) {
		const char *name = json_string_value(json_object_get(item, "name"));

		if (name && g_str_has_prefix(name, "guest-exec") &&
			json_is_false(json_object_get(item, "enabled")))
			self->barred = TRUE;
	}
	if (self->barred)
		say_log(self, "the guest agent may not run programs (guest-exec is disabled in its "
			      "configuration), so users will not get in");
}

/* All is known of it. A work that an earlier connection began goes on. */
static void became_ready(struct guest_agent *self, gint64 now)
{
	self->ready = TRUE;
	if (self->work == CLAIM || self->work == RELEASE) {
		say_hello(self);
		self->poll_at = now;
		return;
	}
	self->greeted = FALSE;
	run(self, STATE, 0, NULL, now);
}

static void exec_came(struct guest_agent *self, const json_t *answer, gint64 now)
{
	json_int_t pid = json_integer_value(json_object_get(answer, "pid"));

	if (pid <= 0) {
		work_done(
			self, -1, "the guest agent says nothing of the program that it runs", now);
		return;
	}
	self->pid = pid;
	self->poll_at = now + POLL_EVERY;
}

static void failure_came(
	struct guest_agent *self, enum command which, const char *reason, gint64 now)
{
	if (which == INFO || which == OSINFO) {
		/* An old one: what it cannot say is taken for what it mostly is. */
		if (which == INFO)
			command(self, OSINFO, "guest-get-osinfo", NULL, now);
		else
			became_ready(self, now);
	} else if (which == EXEC) {
		g_autofree char *text = g_strdup_printf(
			"the guest has no claim program that can be run, %s: %s; docs/guests.md",
			self->windows ? GUEST_AGENT_WINDOWS : GUEST_AGENT_LINUX, reason);

		work_done(self, -1, text, now);
	} else if (which == STATUS) {
		work_done(self, -1, reason, now);
	} else if (which == SHUTDOWN) {
		self->work = NO_WORK;
		say_failed(self, self->id, "volume-busy", reason);
	}
}

static void answer_came(
	struct guest_agent *self, enum command which, const json_t *answer, gint64 now)
{
	switch (which) {
	case INFO:
		info_came(self, answer);
		command(self, OSINFO, "guest-get-osinfo", NULL, now);
		break;
	case OSINFO:
		self->windows = g_strcmp0(json_string_value(json_object_get(answer, "id")),
					"mswindows") == 0;
		became_ready(self, now);
		break;
	case EXEC:
		exec_came(self, answer, now);
		break;
	case STATUS:
		status_came(self, answer, now);
		break;
	default:
		/* A shutdown that is begun: its deadline stays. */
		self->command = which;
		break;
	}
}

static gboolean is_sync(const struct guest_agent *self, const json_t *answer)
{
	const json_t *number = json_object_get(answer, "return");

	return json_is_integer(number) && json_integer_value(number) == self->sync;
}

void guest_agent_line(struct guest_agent *self, const char *text, gsize length, gint64 now)
{
	/* 0xFF is in no text: what stands before it is the torn end of something older. */
	for (gsize i = length; i-- > 0;)
		if ((guchar)text[i] == 0xff) {
			text += i + 1;
			length -= i + 1;
			break;
		}
	json_t *answer = lines_object(text, length);
	const json_t *result = json_object_get(answer, "return");
	const json_t *error = json_object_get(answer, "error");
	enum command which = self->command;

	if (which == SYNC && is_sync(self, answer)) {
		command(self, INFO, "guest-info", NULL, now);
	} else if (which != SYNC && which != NOTHING && (result || error)) {
		const char *reason = json_string_value(json_object_get(error, "desc"));
		g_autofree char *part = g_strndup(
			reason ? reason : "", MIN(strlen(reason ? reason : ""), SAID_MAX));
		g_autofree char *valid = g_utf8_make_valid(part, -1);

		self->command = NOTHING;
		if (error)
			failure_came(self, which, *valid ? valid : "no reason is given", now);
		else
			answer_came(self, which, result, now);
		next(self, now);
	}
	json_decref(answer);
}

void guest_agent_too_long(struct guest_agent *self, gint64 now)
{
	enum command which = self->command;

	if (which == NOTHING || which == SYNC || which == SHUTDOWN)
		return;
	self->command = NOTHING;
	failure_came(self, which,
		"the answer is longer than 16 KiB: the claim program says too much", now);
	next(self, now);
}

void guest_agent_open(struct guest_agent *self, gint64 now)
{
	/* Whether it was begun is not known. */
	if (self->work == STATE || (self->work && !self->pid && self->command != SHUTDOWN)) {
		enum work work = self->work;

		self->work = NO_WORK;
		if (work != STATE)
			say_failed(self, self->id, work == CLAIM ? "session" : "volume-busy",
				"the channel to the guest broke before it had answered");
	}
	synchronize(self, now);
}

/* --- from carreld --- */

static void begin(struct guest_agent *self, const json_t *message, gint64 now)
{
	const char *op = json_string_value(json_object_get(message, "op"));
	json_int_t id = json_integer_value(json_object_get(message, "id"));
	const char *user, *full_name, *volume;
	json_int_t uid, gid;

	if (!g_strcmp0(op, "hello")) {
		say_hello(self);
	} else if (!g_strcmp0(op, "release")) {
		run(self, RELEASE, id, NULL, now);
	} else if (g_strcmp0(op, "claim") != 0) {
		say_failed(self, id, "bad-request",
			"a desktop with QEMU's guest agent knows hello, claim and release");
	} else if (json_unpack((json_t *)message, "{s:s, s:s, s:I, s:I, s:s}", "user", &user,
			   "full_name", &full_name, "uid", &uid, "gid", &gid, "volume",
			   &volume) < 0) {
		say_failed(self, id, "bad-request",
			"claim needs user, full_name, uid, gid and volume");
	} else if (self->barred) {
		say_failed(self, id, "session",
			"the guest agent may not run programs: allow guest-exec in the guest");
	} else {
		json_t *input = json_pack("{s:s, s:s, s:I, s:I, s:s}", "user", user, "full_name",
			full_name, "uid", uid, "gid", gid, "volume", volume);

		set_user(self, FALSE, user);
		self->calls.say(
			self->calls.user, json_pack("{s:s, s:I, s:s, s:i}", "event", "progress",
						  "id", id, "stage", "disk", "percent", 10));
		run(self, CLAIM, id, input, now);
		json_decref(input);
	}
}

/* What is to be done when the guest has answered all that it was asked. */
static void next(struct guest_agent *self, gint64 now)
{
	while (self->ready && self->command == NOTHING) {
		if (self->work) {
			if (now < self->poll_at)
				return;
			command(self, STATUS, "guest-exec-status",
				json_pack("{s:I}", "pid", self->pid), now);
			return;
		}
		json_t *message = g_queue_pop_head(&self->waiting);

		if (message)
			begin(self, message, now);
		else if (self->active && now >= self->look_at)
			run(self, STATE, 0, NULL, now);
		else
			return;
		json_decref(message);
	}
}

void guest_agent_ask(struct guest_agent *self, const json_t *message, gint64 now)
{
	if (g_queue_get_length(&self->waiting) >= WAITING_MAX) {
		say_failed(self, json_integer_value(json_object_get(message, "id")), "state",
			"the guest has not answered what it was asked before");
		return;
	}
	g_queue_push_tail(&self->waiting, json_deep_copy(message));
	next(self, now);
}

/* --- time --- */

gint64 guest_agent_deadline(const struct guest_agent *self)
{
	gint64 at = G_MAXINT64;

	if (self->command)
		at = MIN(at, self->answer_by);
	else if (self->ready && self->work)
		at = MIN(at, self->poll_at);
	else if (self->ready && self->active)
		at = MIN(at, self->look_at);
	if (self->ready && self->work && self->command == NOTHING)
		at = MIN(at, self->work_by);
	return at == G_MAXINT64 ? -1 : at;
}

static void answer_is_late(struct guest_agent *self, gint64 now)
{
	enum command which = self->command;

	self->command = NOTHING;
	if (which == SHUTDOWN) {
		self->work = NO_WORK;
		say_failed(self, self->id, "volume-busy",
			"the guest was told to shut down a minute ago and still runs");
	} else if (which != SYNC && self->work) {
		enum work work = self->work;

		self->work = NO_WORK;
		if (work != STATE)
			say_failed(self, self->id, work == CLAIM ? "session" : "volume-busy",
				"the guest agent does not answer any more");
	}
	synchronize(self, now);
}

void guest_agent_tick(struct guest_agent *self, gint64 now)
{
	if (self->command && now >= self->answer_by)
		answer_is_late(self, now);
	else if (self->ready && self->work && self->command == NOTHING && now >= self->work_by)
		work_done(self, -1, "the claim program does not come to an end", now);
	next(self, now);
}
