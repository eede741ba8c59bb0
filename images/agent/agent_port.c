/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "images/agent/agent_port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

void agent_port_init(struct agent_port *port)
{
	port->fd = -1;
	port->connected = false;
	port->out_used = 0;
	agent_lines_init(&port->in);
}

void agent_port_clear(struct agent_port *port)
{
	if (port->fd >= 0)
		close(port->fd);
	agent_port_init(port);
}

static bool name_is(const char *path, const char *name)
{
	char text[64];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, name) == 0;
}

bool agent_port_open(struct agent_port *port, const char *sys, const char *dev, const char *name)
{
	DIR *dir = opendir(sys);

	if (!dir)
		return false;
	for (struct dirent *e; port->fd < 0 && (e = readdir(dir));) {
		char path[512];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s/name", sys, e->d_name);
		if (!name_is(path, name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dev, e->d_name);
		port->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	}
	closedir(dir);
	return port->fd >= 0;
}

static void flush(struct agent_port *port)
{
	while (port->out_used) {
		ssize_t n = write(port->fd, port->out, port->out_used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		port->out_used -= (size_t)n;
		memmove(port->out, port->out + n, port->out_used);
	}
}

static void drain(struct agent_port *port,
	void (*line)(void *context, const char *text, size_t length), void *context)
{
	char data[4096];
	ssize_t n;

	while ((n = read(port->fd, data, sizeof(data))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			agent_lines_feed(&port->in, data, (size_t)n, line, context);
}

bool agent_port_ready(struct agent_port *port, unsigned events,
	void (*line)(void *context, const char *text, size_t length), void *context)
{
	bool was = port->connected;

	port->connected = !(events & EPOLLHUP);
	if (!port->connected) {
		port->out_used = 0;
		agent_lines_init(&port->in);
		return false;
	}
	if (events & EPOLLIN)
		drain(port, line, context);
	flush(port);
	return !was;
}

void agent_port_send(struct agent_port *port, const char *text)
{
	size_t length = strlen(text);

	if (port->fd < 0 || !port->connected || length + 1 > sizeof(port->out) - port->out_used)
		return;
	memcpy(port->out + port->out_used, text, length);
	port->out[port->out_used + length] = '\n';
	port->out_used += length + 1;
	flush(port);
}
