/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The translator between carreld and QEMU's guest agent: what each is told, word by word. */
#include "broker/virt/guest_agent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define S ((gint64)1000000)

struct bench {
	struct guest_agent *agent;
	GQueue sent; /* owned strings: to the guest */
	GQueue said; /* owned strings: to carreld, as sorted JSON */
	gint64 now;
};

static void on_send(void *user, const char *line)
{
	struct bench *bench = user;

	g_queue_push_tail(&bench->sent, g_strdup(line));
}

static void on_say(void *user, json_t *message)
{
	struct bench *bench = user;
	char *text = json_dumps(message, JSON_COMPACT | JSON_SORT_KEYS);

	g_queue_push_tail(&bench->said, g_strdup(text));
	free(text);
	json_decref(message);
}

static int set_up(void **state)
{
	struct bench *bench = g_new0(struct bench, 1);

	g_queue_init(&bench->sent);
	g_queue_init(&bench->said);
	bench->now = 1000 * S;
	bench->agent = guest_agent_new("win@20260301.1",
		&(struct guest_agent_calls){.send = on_send, .say = on_say, .user = bench});
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	guest_agent_free(bench->agent);
	g_queue_clear_full(&bench->sent, g_free);
	g_queue_clear_full(&bench->said, g_free);
	g_free(bench);
	return 0;
}

/* The next line for the guest has all these parts, which NULL ends. The line, static. */
static const char *sends(struct bench *bench, ...)
{
	static char line[4096];
	g_autofree char *next = g_queue_pop_head(&bench->sent);
	const char *part;
	va_list ap;

	if (!next)
		fail_msg("nothing is sent to the guest");
	g_strlcpy(line, next, sizeof(line));
	va_start(ap, bench);
	while ((part = va_arg(ap, const char *)))
		if (!strstr(line, part))
			fail_msg("\"%s\" is missing in %s", part, line);
	va_end(ap);
	assert_true(g_str_has_suffix(line, "\n"));
	return line;
}

static void says(struct bench *bench, const char *text)
{
	g_autofree char *next = g_queue_pop_head(&bench->said);

	assert_non_null(next);
	assert_string_equal(next, text);
}

static void says_part(struct bench *bench, const char *part)
{
	g_autofree char *next = g_queue_pop_head(&bench->said);

	if (!next || !strstr(next, part))
		fail_msg("\"%s\" is missing in %s", part, next ? next : "nothing");
}

static void quiet(struct bench *bench)
{
	assert_null(g_queue_peek_head(&bench->sent));
	assert_null(g_queue_peek_head(&bench->said));
}

static void hears(struct bench *bench, const char *text)
{
	guest_agent_line(bench->agent, text, strlen(text), bench->now);
}

static void ask(struct bench *bench, const char *text)
{
	json_t *message = json_loads(text, 0, NULL);

	assert_non_null(message);
	guest_agent_ask(bench->agent, message, bench->now);
	json_decref(message);
}

/* The time goes on to its next deadline, which is so far away. */
static void wait_for(struct bench *bench, gint64 us)
{
	assert_int_equal(guest_agent_deadline(bench->agent) - bench->now, us);
	bench->now += us;
	guest_agent_tick(bench->agent, bench->now);
}

/* The program ends with this status and words. */
static void ends(struct bench *bench, int status, const char *out, const char *err)
{
	g_autofree char *a = g_base64_encode((const guchar *)out, strlen(out));
	g_autofree char *b = g_base64_encode((const guchar *)err, strlen(err));
	g_autofree char *text = g_strdup_printf("{\"return\":{\"exited\":true,\"exitcode\":%d,"
						"\"out-data\":\"%s\",\"err-data\":\"%s\"}}",
		status, a, b);

	hears(bench, "{\"return\":{\"pid\":77}}");
	quiet(bench);
	wait_for(bench, S / 4);
	sends(bench, "guest-exec-status", "\"pid\":77", NULL);
	hears(bench, "{\"return\":{\"exited\":false}}");
	wait_for(bench, S / 4);
	sends(bench, "guest-exec-status", "\"pid\":77", NULL);
	hears(bench, text);
}

static void synchronized(struct bench *bench)
{
	const char *line = sends(bench, "\xff{\"execute\":\"guest-sync-delimited\"", NULL);
	g_autofree char *answer = g_strdup_printf("{\"return\": %s}", strstr(line, "\"id\":") + 5);

	*strchr(answer, '}') = 0;
	g_autofree char *whole = g_strdup_printf("torn}\xff%s}", answer);
	hears(bench, whole);
}

static void comes_up(struct bench *bench, const char *system, const char *state)
{
	g_autofree char *osinfo = g_strdup_printf("{\"return\":{\"id\":\"%s\"}}", system);

	guest_agent_open(bench->agent, bench->now);
	synchronized(bench);
	sends(bench, "guest-info", NULL);
	hears(bench, "{\"return\":{\"version\":\"7.2.1\",\"supported_commands\":"
		     "[{\"name\":\"guest-exec\",\"enabled\":true}]}}");
	sends(bench, "guest-get-osinfo", NULL);
	hears(bench, osinfo);
	sends(bench, "guest-exec\"", "\"state\"", NULL);
	ends(bench, 0, state, "");
}

static const char claim[] =
	"{\"op\":\"claim\",\"id\":5,\"user\":\"alice\",\"full_name\":\"A \\u00e9\","
	"\"uid\":20001,\"gid\":20001,\"volume\":\"vol-7\"}";
static const char standby[] = "{\"agent\":\"qemu-ga 7.2.1\",\"event\":\"hello\","
			      "\"image\":\"win@20260301.1\",\"state\":\"standby\",\"user\":\"\"}";

static void a_whole_session(void **state)
{
	struct bench *bench = *state;

	comes_up(bench, "debian", "standby\n");
	says(bench, standby);
	quiet(bench);
	assert_int_equal(guest_agent_deadline(bench->agent), -1);
	ask(bench, claim);
	says(bench, "{\"event\":\"progress\",\"id\":5,\"percent\":10,\"stage\":\"disk\"}");
	const char *line = sends(bench, "\"path\":\"" GUEST_AGENT_LINUX "\"", "\"arg\":[\"claim\"]",
		"\"capture-output\":true", NULL);
	/* the claim is the program's input, and nothing of it on its command line */
	const char *data = strstr(line, "\"input-data\":\"") + strlen("\"input-data\":\"");
	g_autofree char *base64 = g_strndup(data, strcspn(data, "\""));
	gsize length;
	g_autofree char *input = (char *)g_base64_decode(base64, &length);
	json_t *json = json_loadb(input, length, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(json, "user")), "alice");
	assert_string_equal(json_string_value(json_object_get(json, "full_name")), "A \u00e9");
	assert_string_equal(json_string_value(json_object_get(json, "volume")), "vol-7");
	assert_int_equal(json_integer_value(json_object_get(json, "uid")), 20001);
	assert_int_equal(json_object_size(json), 5);
	json_decref(json);
	assert_null(strstr(line, "alice"));
	ends(bench, 0, "", "");
	says(bench, "{\"id\":5,\"ok\":true}");
	/* the user is looked for, and found; then he has logged out */
	wait_for(bench, 10 * S);
	sends(bench, "\"state\"", NULL);
	ends(bench, 0, "active alice", "");
	quiet(bench);
	wait_for(bench, 10 * S);
	sends(bench, "\"state\"", NULL);
	ends(bench, 0, "standby", "");
	says(bench, "{\"event\":\"session-ended\"}");
	ask(bench, "{\"op\":\"release\",\"id\":6}");
	sends(bench, "\"arg\":[\"release\"]", NULL);
	ends(bench, 0, "", "");
	says(bench, "{\"id\":6,\"ok\":true}");
	quiet(bench);
}

static void windows(void **state)
{
	struct bench *bench = *state;

	comes_up(bench, "mswindows", "standby\r\n");
	says(bench, standby);
	ask(bench, claim);
	says_part(bench, "progress");
	sends(bench, "\"path\":\"C:\\\\Windows\\\\System32\\\\cmd.exe\"",
		"\"arg\":[\"/c\",\"C:\\\\Program Files\\\\Carrel\\\\claim.cmd\",\"claim\"]", NULL);
	ends(bench, 10, "", "no disk\r\nof that serial\r\n");
	says(bench, "{\"code\":\"volume-missing\",\"id\":5,\"message\":\"of that serial\","
		    "\"ok\":false}");
}

/* Each exit status has its code; what is in no table is the session's. */
static void exit_codes(void **state)
{
	static const struct {
		int status;
		const char *code;
	} ways[] = {{10, "volume-missing"}, {11, "volume-damaged"}, {12, "volume-mount"},
		{13, "session"}, {14, "state"}, {1, "session"}, {255, "session"}};
	struct bench *bench = *state;

	comes_up(bench, "debian", "standby");
	says(bench, standby);
	for (gsize i = 0; i < G_N_ELEMENTS(ways); i++) {
		g_autofree char *answer = g_strdup_printf(
			"{\"code\":\"%s\",\"id\":5,\"message\":\"the claim program ended with "
			"%d\",\"ok\":false}",
			ways[i].code, ways[i].status);

		ask(bench, claim);
		says_part(bench, "progress");
		sends(bench, "guest-exec", NULL);
		ends(bench, ways[i].status, "", "");
		says(bench, answer);
	}
	/* a signal, and what is no text */
	ask(bench, claim);
	says_part(bench, "progress");
	sends(bench, "guest-exec", NULL);
	hears(bench, "{\"return\":{\"pid\":1}}");
	wait_for(bench, S / 4);
	sends(bench, "guest-exec-status", NULL);
	hears(bench, "{\"return\":{\"exited\":true,\"signal\":9}}");
	says_part(bench, "ended by signal 9");
	ask(bench, claim);
	says_part(bench, "progress");
	sends(bench, "guest-exec", NULL);
	ends(bench, 12, "", "bad \xfe\xc3 bytes");
	says_part(bench, "volume-mount");
}

static void no_claim_program(void **state)
{
	struct bench *bench = *state;

	guest_agent_open(bench->agent, bench->now);
	synchronized(bench);
	sends(bench, "guest-info", NULL);
	hears(bench, "{\"return\":{\"version\":\"7.2.1\"}}");
	sends(bench, "guest-get-osinfo", NULL);
	hears(bench, "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"unknown\"}}");
	sends(bench, "\"state\"", GUEST_AGENT_LINUX, NULL);
	hears(bench, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"No such file\"}}");
	says_part(bench, "does not say its state");
	says(bench, standby);
	ask(bench, claim);
	says_part(bench, "progress");
	sends(bench, "\"claim\"", NULL);
	hears(bench, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"No such file\"}}");
	says_part(bench, "\"code\":\"session\",\"id\":5,\"message\":\"the guest has no claim "
			 "program that can be run, " GUEST_AGENT_LINUX ": No such file");
	/* its release is a shutdown; the VM is gone before the answer */
	ask(bench, "{\"op\":\"release\",\"id\":6}");
	sends(bench, "\"release\"", NULL);
	hears(bench, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"No such file\"}}");
	says_part(bench, "the guest is shut down");
	sends(bench, "guest-shutdown", "powerdown", NULL);
	quiet(bench);
	/* or it is not */
	wait_for(bench, 60 * S);
	says_part(bench, "\"code\":\"volume-busy\",\"id\":6");
	sends(bench, "guest-sync-delimited", NULL);
}

static void guest_exec_is_disabled(void **state)
{
	struct bench *bench = *state;

	guest_agent_open(bench->agent, bench->now);
	synchronized(bench);
	sends(bench, "guest-info", NULL);
	hears(bench, "{\"return\":{\"version\":\"7.2.1\",\"supported_commands\":"
		     "[{\"name\":\"guest-exec\",\"enabled\":false}]}}");
	says_part(bench, "guest-exec is disabled");
	sends(bench, "guest-get-osinfo", NULL);
	hears(bench, "{\"return\":{\"id\":\"rhel\"}}");
	sends(bench, "guest-exec", NULL);
	hears(bench, "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"disabled\"}}");
	says_part(bench, "does not say its state");
	says(bench, standby);
	ask(bench, claim);
	says_part(bench, "allow guest-exec in the guest");
	quiet(bench);
}

/* Until it has booted nothing answers, and what is asked waits. An old number is no answer. */
static void a_guest_that_boots(void **state)
{
	struct bench *bench = *state;

	guest_agent_open(bench->agent, bench->now);
	g_autofree char *old = g_strdup(strstr(sends(bench, "guest-sync", NULL), "\"id\":") + 5);
	*strchr(old, '}') = 0;
	g_autofree char *answer = g_strdup_printf("\xff{\"return\":%s}", old);
	ask(bench, claim);
	wait_for(bench, 3 * S);
	hears(bench, answer);
	hears(bench, "{\"return\":{\"version\":\"7.2.1\"}}");
	hears(bench, "[ 1.0] not JSON \xff\xff");
	assert_null(g_queue_peek_head(&bench->said));
	/* no more than so many wait */
	for (int i = 0; i < 7; i++)
		ask(bench, claim);
	assert_null(g_queue_peek_head(&bench->said));
	ask(bench, claim);
	says_part(bench, "\"code\":\"state\"");
	synchronized(bench);
	sends(bench, "guest-info", NULL);
}

/* An agent that stops to answer is asked for a sign of life; the claim has failed. */
static void a_guest_agent_that_hangs(void **state)
{
	struct bench *bench = *state;

	comes_up(bench, "debian", "standby");
	says(bench, standby);
	ask(bench, claim);
	says_part(bench, "progress");
	sends(bench, "guest-exec", NULL);
	wait_for(bench, 20 * S);
	says_part(bench,
		"\"code\":\"session\",\"id\":5,\"message\":\"the guest agent does not answer");
	sends(bench, "guest-sync-delimited", NULL);
	wait_for(bench, 3 * S);
	synchronized(bench);
	sends(bench, "guest-info", NULL);
}

static void too_much_is_said(void **state)
{
	struct bench *bench = *state;

	comes_up(bench, "debian", "standby");
	says(bench, standby);
	guest_agent_too_long(bench->agent, bench->now);
	quiet(bench);
	ask(bench, claim);
	says_part(bench, "progress");
	sends(bench, "guest-exec", NULL);
	hears(bench, "{\"return\":{\"pid\":77}}");
	wait_for(bench, S / 4);
	sends(bench, "guest-exec-status", NULL);
	guest_agent_too_long(bench->agent, bench->now);
	says_part(bench, "says too much");
	quiet(bench);
}

/* The channel breaks and is opened again: what runs in the guest goes on, and is answered. */
static void a_new_channel(void **state)
{
	struct bench *bench = *state;

	comes_up(bench, "debian", "standby");
	says(bench, standby);
	ask(bench, claim);
	says_part(bench, "progress");
	sends(bench, "guest-exec", NULL);
	hears(bench, "{\"return\":{\"pid\":77}}");
	guest_agent_open(bench->agent, bench->now);
	synchronized(bench);
	sends(bench, "guest-info", NULL);
	hears(bench, "{\"return\":{\"version\":\"7.2.1\"}}");
	sends(bench, "guest-get-osinfo", NULL);
	hears(bench, "{\"return\":{\"id\":\"debian\"}}");
	says_part(bench, "\"state\":\"claiming\",\"user\":\"alice\"");
	sends(bench, "guest-exec-status", "\"pid\":77", NULL);
	hears(bench, "{\"return\":{\"exited\":true,\"exitcode\":0}}");
	says(bench, "{\"id\":5,\"ok\":true}");
	/* one that was only asked for has failed: whether it runs nobody knows */
	ask(bench, claim);
	says_part(bench, "progress");
	sends(bench, "guest-exec", NULL);
	guest_agent_open(bench->agent, bench->now);
	says_part(bench, "the channel to the guest broke");
}

/* A carrel-virtd that is new asks the guest who is in it. */
static void adopted(void **state)
{
	struct bench *bench = *state;

	comes_up(bench, "debian", "active alice\n");
	says_part(bench, "\"state\":\"active\",\"user\":\"alice\"");
	wait_for(bench, 10 * S);
	sends(bench, "\"state\"", NULL);
}

/* What a claim's program mounts while nobody waits for it would be lost data. */
static void a_release_waits_for_a_claim(void **state)
{
	struct bench *bench = *state;

	comes_up(bench, "debian", "standby");
	says(bench, standby);
	ask(bench, claim);
	says_part(bench, "progress");
	sends(bench, "guest-exec", NULL);
	ask(bench, "{\"op\":\"release\",\"id\":6}");
	quiet(bench);
	ends(bench, 0, "", "");
	says(bench, "{\"id\":5,\"ok\":true}");
	sends(bench, "\"release\"", NULL);
	ends(bench, 0, "", "");
	says(bench, "{\"id\":6,\"ok\":true}");
}

static void bad_requests(void **state)
{
	struct bench *bench = *state;

	comes_up(bench, "debian", "standby");
	says(bench, standby);
	ask(bench, "{\"op\":\"status\",\"id\":3}");
	says_part(bench, "\"code\":\"bad-request\",\"id\":3");
	ask(bench, "{\"op\":\"claim\",\"id\":4,\"user\":\"alice\"}");
	says_part(bench, "\"code\":\"bad-request\",\"id\":4");
	ask(bench, "{\"op\":\"hello\"}");
	says(bench, standby);
	quiet(bench);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_whole_session),
		TEST(windows),
		TEST(exit_codes),
		TEST(no_claim_program),
		TEST(guest_exec_is_disabled),
		TEST(a_guest_that_boots),
		TEST(a_guest_agent_that_hangs),
		TEST(too_much_is_said),
		TEST(a_new_channel),
		TEST(adopted),
		TEST(a_release_waits_for_a_claim),
		TEST(bad_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
