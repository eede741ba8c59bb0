/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The watch lane on its own thread, with a hypervisor in memory. One worker serves all tests, in
 * their order: a lane never ends. */
#include "broker/shared/msg.h"
#include "broker/virt/worker.h"
#include "tests/unit/test_virt_fake.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#define PATIENCE_MS 20000
/* More than the first wait before a channel that broke is opened again. */
#define NEVER_MS 900

struct virt_channel {
	void (*ready)(uintptr_t user, int what);
	uintptr_t user;
};

static struct worker *worker;
static int carreld;         /* its end of the socket */
static GAsyncQueue *opened; /* of owned struct virt_channel: a copy of each that was opened */
static gint ended;          /* atomic: channels are at their end */
static gint refuse;         /* atomic: closing a channel has the next connect fail */

static struct virt_channel *channel_open(struct virt_conn *conn, const char *domain,
	void (*ready)(uintptr_t user, int what), uintptr_t user, GError **error)
{
	struct virt_channel *channel = g_new0(struct virt_channel, 1);

	(void)error;
	if (!conn || strcmp(domain, "carrel-d7") != 0) /* not in cmocka's thread */
		g_error("a channel of %s was opened", domain);
	channel->ready = ready;
	channel->user = user;
	g_async_queue_push(opened, g_memdup2(channel, sizeof(*channel)));
	return channel;
}

static gssize channel_read(struct virt_channel *channel, void *buffer, size_t length)
{
	(void)channel, (void)buffer, (void)length;
	return g_atomic_int_get(&ended) ? 0 : -2;
}

static gssize channel_write(struct virt_channel *channel, const void *data, size_t length)
{
	(void)channel, (void)data;
	return (gssize)length;
}

static void channel_arm(struct virt_channel *channel, bool write)
{
	(void)channel, (void)write;
}

static void channel_close(struct virt_channel *channel)
{
	if (channel && g_atomic_int_get(&refuse))
		fake.fail_call = "open";
	g_free(channel);
}

static const struct virt_channel_driver channels = {.open = channel_open,
	.read = channel_read,
	.write = channel_write,
	.arm = channel_arm,
	.close = channel_close};

/* What the worker says next must be this event, or the answer "ok". */
static void expect(const char *event)
{
	struct pollfd pollfd = {.fd = carreld, .events = POLLIN};

	assert_int_equal(poll(&pollfd, 1, PATIENCE_MS), 1);
	json_t *json = msg_recv(carreld, NULL);
	const char *word = json_string_value(json_object_get(json, "event"));
	assert_string_equal(word                                        ? word
			    : json_is_true(json_object_get(json, "ok")) ? "ok"
									: "failed",
		event);
	json_decref(json);
}

/* The channel that is opened next; owned by the caller. */
static struct virt_channel *wait_opened(void)
{
	struct virt_channel *channel = g_async_queue_timeout_pop(opened, PATIENCE_MS * 1000);

	assert_non_null(channel);
	return channel;
}

/* The lane has done all that it was given before. */
static void lane_is_idle(void)
{
	worker_request(worker, json_pack("{s:i, s:s, s:i, s:{s:s}}", "id", 1, "op", "agent-send",
				       "desktop", 7, "message", "op", "hello"));
	expect("ok");
}

static void leaving(uintptr_t desktop)
{
	worker_post(worker, LANE_WATCH, (struct job){.kind = JOB_LEAVING, .number = desktop});
}

static int set_up(void **state)
{
	g_autoptr(GPtrArray) problems = conf_problems_new();
	int pair[2];

	(void)state;
	fake_reset();
	assert_true(
		fake_driver.domain_create(NULL, "<name>carrel-d7</name><source file='/r'/>", NULL));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	carreld = pair[0];
	opened = g_async_queue_new_full(g_free);
	worker = worker_new(&fake_driver, &fake_storage, &fake_memory, &channels,
		conf_parse("test", "", 0, NULL, problems), "s1", "qemu:///system", pair[1]);
	worker_lane_up(worker, LANE_CONTROL);
	g_thread_unref(g_thread_new("watch", watch_run, worker));
	return 0;
}

static void channel_of_a_desktop_is_opened(void **state)
{
	(void)state;
	expect("server-up");
	g_free(wait_opened());
	lane_is_idle();
}

static void lost_agents_connection_is_no_lost_server(void **state)
{
	(void)state;
	fake.fail_code = VIRT_ERROR_UNREACHABLE;
	fake.fail_call = "domain_list";
	fake.callbacks.closed(fake.callbacks.user, "the connection broke");
	expect("agent-down");
	g_free(wait_opened());
	lane_is_idle();
	/* Old news: it answers. */
	fake.callbacks.closed(fake.callbacks.user, "the connection broke");
	lane_is_idle();
	assert_null(g_async_queue_try_pop(opened));
}

static void agents_connection_that_stays_away_is_a_lost_server(void **state)
{
	(void)state;
	fake.fail_call = "domain_list";
	g_atomic_int_set(&refuse, 1);
	fake.callbacks.closed(fake.callbacks.user, "the connection broke");
	expect("agent-down");
	expect("server-down");
	expect("server-up");
	g_atomic_int_set(&refuse, 0);
	g_free(wait_opened());
	lane_is_idle();
}

static void channel_that_breaks_is_opened_unless_the_desktop_leaves(void **state)
{
	struct virt_channel *channel;

	(void)state;
	/* Its number is known only from when it is opened. */
	fake.fail_call = "domain_list";
	fake.callbacks.closed(fake.callbacks.user, "the connection broke");
	expect("agent-down");
	channel = wait_opened();
	leaving(7);
	g_atomic_int_set(&ended, 1);
	channel->ready(channel->user, VIRT_CAN_READ);
	g_free(channel);
	expect("agent-down");
	assert_null(g_async_queue_timeout_pop(opened, NEVER_MS * 1000));
	leaving(0);
	channel = wait_opened();
	channel->ready(channel->user, VIRT_CAN_READ);
	g_free(channel);
	expect("agent-down");
	g_atomic_int_set(&ended, 0);
	g_free(wait_opened());
	lane_is_idle();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(channel_of_a_desktop_is_opened),
		cmocka_unit_test(lost_agents_connection_is_no_lost_server),
		cmocka_unit_test(agents_connection_that_stays_away_is_a_lost_server),
		cmocka_unit_test(channel_that_breaks_is_opened_unless_the_desktop_leaves),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
