/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/agent/agent_port.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char got[256];

static void line(void *context, const char *text, size_t length)
{
	(void)context;
	if (text)
		strncat(got, text, length);
	strcat(got, "|");
}

/* A socket pair stands for the port: [0] is the agent's side. */
static void open_pair(struct agent_port *port, int *host)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	agent_port_init(port);
	port->fd = pair[0];
	*host = pair[1];
	got[0] = '\0';
}

static void test_life(void **state)
{
	static struct agent_port port;
	char text[64];
	int host;

	(void)state;
	open_pair(&port, &host);
	agent_port_send(&port, "lost: nobody is there");
	assert_false(agent_port_ready(&port, EPOLLHUP, line, NULL));
	assert_int_equal(recv(host, text, sizeof(text), 0), -1);
	assert_true(agent_port_ready(&port, EPOLLOUT, line, NULL));  /* the host came */
	assert_false(agent_port_ready(&port, EPOLLOUT, line, NULL)); /* it has been there */
	agent_port_send(&port, "hello");
	assert_int_equal(recv(host, text, sizeof(text), 0), 6);
	assert_memory_equal(text, "hello\n", 6);
	assert_int_equal(send(host, "\n{1}\n{2}\n{to", 12, 0), 12);
	assert_false(agent_port_ready(&port, EPOLLIN | EPOLLOUT, line, NULL));
	assert_string_equal(got, "{1}|{2}|");
	/* the host goes in the middle of a line: its rest must not be glued to a later one */
	assert_false(agent_port_ready(&port, EPOLLHUP, line, NULL));
	assert_true(agent_port_ready(&port, EPOLLOUT, line, NULL));
	assert_int_equal(send(host, "{3}\n", 4, 0), 4);
	assert_false(agent_port_ready(&port, EPOLLIN, line, NULL));
	assert_string_equal(got, "{1}|{2}|{3}|");
	close(host);
	agent_port_clear(&port);
	assert_int_equal(port.fd, -1);
}

/* A host that does not read costs memory up to a bound, and gets whole lines afterwards. */
static void test_slow_host(void **state)
{
	static struct agent_port port;
	static char big[8192], in[65536];
	int host, size = 4096;
	ssize_t n;
	size_t total = 0;

	(void)state;
	open_pair(&port, &host);
	setsockopt(port.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)agent_port_ready(&port, EPOLLOUT, line, NULL);
	memset(big, 'x', sizeof(big) - 1);
	for (int i = 0; i < 100; i++)
		agent_port_send(&port, big);
	assert_true(port.out_used <= sizeof(port.out));
	for (int i = 0; i < 200; i++) {
		while ((n = recv(host, in, sizeof(in), 0)) > 0) {
			total += (size_t)n;
			if (in[n - 1] == '\n')
				assert_int_equal(total % sizeof(big), 0);
		}
		(void)agent_port_ready(&port, EPOLLOUT, line, NULL);
	}
	assert_int_equal(port.out_used, 0);
	assert_int_equal(total % sizeof(big), 0);
	assert_true(total >= 4 * sizeof(big));
	close(host);
	agent_port_clear(&port);
}

static void test_find(void **state)
{
	static struct agent_port port;
	char dir[] = "/tmp/carrel-test-port-XXXXXX", command[512];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command),
		"cd %s && mkdir -p sys/vport1p1 sys/vport1p2 dev && echo other >sys/vport1p1/name "
		"&& "
		"echo org.carrel.agent.0 >sys/vport1p2/name && touch dev/vport1p1 dev/vport1p2",
		dir);
	assert_int_equal(system(command), 0);
	char sys[64], dev[64];
	snprintf(sys, sizeof(sys), "%s/sys", dir);
	snprintf(dev, sizeof(dev), "%s/dev", dir);
	agent_port_init(&port);
	assert_false(agent_port_open(&port, sys, dev, "org.carrel.agent.1"));
	assert_true(agent_port_open(&port, sys, dev, AGENT_PORT_NAME));
	agent_port_clear(&port);
	assert_false(agent_port_open(&port, "/nonexistent", dev, AGENT_PORT_NAME));
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_slow_host),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
