/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/display/uevent.h"

#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int uevent_open(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int fd = socket(
		AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

bool uevent_is_hotplug(const char *message, size_t size)
{
	bool drm = false, hotplug = false;

	for (size_t at = 0; at < size;) {
		size_t length = strnlen(message + at, size - at);

		if (length == strlen("SUBSYSTEM=drm") &&
			memcmp(message + at, "SUBSYSTEM=drm", length) == 0)
			drm = true;
		if (length == strlen("HOTPLUG=1") && memcmp(message + at, "HOTPLUG=1", length) == 0)
			hotplug = true;
		at += length + 1;
	}
	return drm && hotplug;
}

bool uevent_screen_changed(int fd)
{
	bool changed = false;
	char message[8192];

	for (;;) {
		struct sockaddr_nl from = {0};
		socklen_t from_size = sizeof(from);
		ssize_t n = recvfrom(
			fd, message, sizeof(message), 0, (struct sockaddr *)&from, &from_size);

		if (n < 0)
			return changed;
		/* Port 0 is the kernel; others may send to the group too. */
		if (from.nl_pid == 0 && uevent_is_hotplug(message, (size_t)n))
			changed = true;
	}
}
