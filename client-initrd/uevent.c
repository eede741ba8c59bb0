/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_BYTES (4 << 20)

int uevent_open(void)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int fd = socket(
		AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (fd < 0)
		return -errno;
	/* A driver that starts makes hundreds of them, and one that is lost may be a request. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){QUEUE_BYTES}, sizeof(int));
	if (bind(fd, (struct sockaddr *)&kernel, sizeof kernel) < 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

static void take(const char *line, const char *key, char *value, size_t size)
{
	size_t length = strlen(key);
	if (!strncmp(line, key, length) && strlen(line + length) < size)
		snprintf(value, size, "%s", line + length);
}

bool uevent_parse(const char *message, size_t length, struct uevent *event)
{
	memset(event, 0, sizeof *event);
	if (!length || message[length - 1] || !strchr(message, '@'))
		return false;
	event->add = !strncmp(message, "add@", 4);
	for (const char *line = message; line < message + length; line += strlen(line) + 1) {
		take(line, "MODALIAS=", event->modalias, sizeof event->modalias);
		take(line, "DEVNAME=", event->node, sizeof event->node);
		take(line, "FIRMWARE=", event->firmware, sizeof event->firmware);
		take(line, "DEVPATH=", event->device, sizeof event->device);
	}
	if (strstr(event->node, ".."))
		event->node[0] = '\0';
	if (event->device[0] != '/' || strstr(event->device, ".."))
		event->firmware[0] = event->device[0] = '\0';
	return true;
}

bool uevent_next(int fd, struct uevent *event)
{
	char message[4096];
	for (;;) {
		struct sockaddr_nl from = {0};
		socklen_t from_length = sizeof from;
		ssize_t n = recvfrom(
			fd, message, sizeof message - 1, 0, (struct sockaddr *)&from, &from_length);
		if (n < 0)
			return false;
		/* only the kernel is port 0: other programs can send to the group too */
		if (n > 0 && from.nl_pid == 0 && uevent_parse(message, (size_t)n, event))
			return true;
	}
}
