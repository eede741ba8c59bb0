/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/firmware.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client-initrd/screen.h"
#include "client-initrd/uevent.h"
#include "client-initrd/util.h"

/* Should an answer fail to come, the driver goes on without. */
#define KERNEL_WAITS_S "30"

static void set(const char *folder, const char *name, const char *text)
{
	char path[352];
	if (snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path)
		util_set(path, text);
}

void firmware_give(const char *folder, const char *content, size_t size)
{
	char path[352];
	int fd = -1, error = content ? 0 : -ENOENT;
	if (!error && snprintf(path, sizeof path, "%s/data", folder) >= (int)sizeof path)
		error = -ENAMETOOLONG;
	if (!error) {
		set(folder, "loading", "1");
		fd = open(path, O_WRONLY | O_CLOEXEC);
		error = fd < 0 ? -errno : util_write_all(fd, content, size);
	}
	if (fd >= 0)
		close(fd);
	set(folder, "loading", error ? "-1" : "0");
}

static void answer(struct drivers *drivers, const struct uevent *event)
{
	char path[sizeof DRIVERS_FIRMWARE + sizeof event->firmware];
	char folder[sizeof event->device + 8];
	char *content = NULL;
	size_t size = 0;
	snprintf(path, sizeof path, DRIVERS_FIRMWARE "%s", event->firmware);
	snprintf(folder, sizeof folder, "/sys%s", event->device);
	int error = drivers_get(drivers, path, &content, &size);
	if (!error)
		screen_say("firmware %s, %zu kB", event->firmware, (size + 999) / 1000);
	else if (error == -ENOENT)
		drivers_lacks(drivers, path, "not in the image");
	firmware_give(folder, error ? NULL : content, size);
	free(content);
}

static void serve(struct drivers *drivers, int events)
{
	struct pollfd wait = {.fd = events, .events = POLLIN};
	struct uevent event;
	for (;;) {
		poll(&wait, 1, -1);
		while (uevent_next(events, &event)) {
			if (event.add && event.firmware[0])
				answer(drivers, &event);
		}
	}
}

pid_t firmware_start(struct drivers *drivers)
{
	int events = uevent_open();
	if (events < 0)
		return events;
	util_set("/sys/class/firmware/timeout", KERNEL_WAITS_S);
	util_set("/proc/sys/kernel/firmware_config/force_sysfs_fallback", "1");
	pid_t child = fork();
	if (child == 0)
		serve(drivers, events);
	int error = errno;
	close(events);
	return child < 0 ? -error : child;
}
