/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Relative devices move the pointer by what they say, without acceleration: the desktop's own
 * settings are not known here, and an absolute position is what the desktop gets. Absolute ones
 * (tablets, a virtual machine's pointer) are scaled by the range that the device tells. Key repeat
 * is the kernel's (value 2).
 */
#include "sdl-viewer/input/evdev.h"

#include <SDL.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "broker/shared/log.h"
#include "sdl-viewer/app/event.h"
#include "sdl-viewer/input/keys.h"

struct device {
	int fd; /* -1 = free */
	char name[32];
	struct input_absinfo range[2]; /* x, y; maximum 0 = not absolute */
	bool absolute_moved;
};

struct evdev {
	char folder[64];
	int watch;
	int width, height, x, y;
	bool moved;
	unsigned leds;
	struct device devices[EVDEV_MAX];
};

static void push_motion(struct evdev *evdev)
{
	SDL_Event event = {.type = SDL_MOUSEMOTION};

	if (!evdev->moved)
		return;
	evdev->moved = false;
	event.motion.x = evdev->x;
	event.motion.y = evdev->y;
	SDL_PushEvent(&event);
}

static void push_button(struct evdev *evdev, unsigned code, bool down)
{
	static const struct {
		unsigned code;
		Uint8 button;
	} buttons[] = {{BTN_LEFT, SDL_BUTTON_LEFT}, {BTN_MIDDLE, SDL_BUTTON_MIDDLE},
		{BTN_RIGHT, SDL_BUTTON_RIGHT}, {BTN_TOUCH, SDL_BUTTON_LEFT}};

	for (size_t i = 0; i < sizeof(buttons) / sizeof(buttons[0]); i++) {
		SDL_Event event = {.type = down ? SDL_MOUSEBUTTONDOWN : SDL_MOUSEBUTTONUP};

		if (buttons[i].code != code)
			continue;
		push_motion(evdev);
		event.button.button = buttons[i].button;
		event.button.state = down ? SDL_PRESSED : SDL_RELEASED;
		event.button.x = evdev->x;
		event.button.y = evdev->y;
		SDL_PushEvent(&event);
		return;
	}
}

static void push_wheel(struct evdev *evdev, int x, int y)
{
	SDL_Event event = {.type = SDL_MOUSEWHEEL};

	push_motion(evdev);
	event.wheel.x = x;
	event.wheel.y = y;
	SDL_PushEvent(&event);
}

static void push_key(unsigned code, int value)
{
	const struct key *key = key_by_evdev(code);
	SDL_Event event = {.type = value ? SDL_KEYDOWN : SDL_KEYUP};

	if (!key)
		return;
	event.key.state = value ? SDL_PRESSED : SDL_RELEASED;
	event.key.repeat = value == 2;
	event.key.keysym.scancode = (SDL_Scancode)key->scancode;
	event.key.keysym.sym = SDL_GetKeyFromScancode((SDL_Scancode)key->scancode);
	SDL_PushEvent(&event);
}

static int limit(int value, int size)
{
	return value < 0 ? 0 : value >= size ? size - 1 : value;
}

static int scale(const struct input_absinfo *range, int value, int size)
{
	int64_t span = (int64_t)range->maximum - range->minimum;

	return span <= 0
		       ? 0
		       : limit((int)(((int64_t)value - range->minimum) * (size - 1) / span), size);
}

static void on_relative(struct evdev *evdev, const struct input_event *event)
{
	switch (event->code) {
	case REL_X:
		evdev->x = limit(evdev->x + event->value, evdev->width);
		evdev->moved = true;
		break;
	case REL_Y:
		evdev->y = limit(evdev->y + event->value, evdev->height);
		evdev->moved = true;
		break;
	case REL_WHEEL:
		push_wheel(evdev, 0, event->value);
		break;
	case REL_HWHEEL:
		push_wheel(evdev, event->value, 0);
		break;
	default:
		break;
	}
}

static void on_event(struct evdev *evdev, struct device *device, const struct input_event *event)
{
	if (event->type == EV_KEY && event->code >= BTN_MISC && event->code < KEY_OK)
		push_button(evdev, event->code, event->value != 0);
	else if (event->type == EV_KEY)
		push_key(event->code, event->value);
	else if (event->type == EV_REL)
		on_relative(evdev, event);
	else if (event->type == EV_ABS && event->code == ABS_X && device->range[0].maximum > 0) {
		evdev->x = scale(&device->range[0], event->value, evdev->width);
		evdev->moved = true;
	} else if (event->type == EV_ABS && event->code == ABS_Y && device->range[1].maximum > 0) {
		evdev->y = scale(&device->range[1], event->value, evdev->height);
		evdev->moved = true;
	} else if (event->type == EV_SYN) {
		push_motion(evdev);
	}
}

static void write_leds(const struct evdev *evdev, const struct device *device)
{
	struct input_event events[] = {
		{.type = EV_LED, .code = LED_CAPSL, .value = (evdev->leds & LED_CAPS) != 0},
		{.type = EV_LED, .code = LED_NUML, .value = (evdev->leds & LED_NUM) != 0},
		{.type = EV_LED, .code = LED_SCROLLL, .value = (evdev->leds & LED_SCROLL) != 0},
		{.type = EV_SYN}};

	/* Devices without lamps refuse; that is all right. */
	if (write(device->fd, events, sizeof(events)) < 0)
		return;
}

static bool is_wanted(int fd)
{
	unsigned char types[EV_MAX / 8 + 1] = {0};
	unsigned char keys[KEY_MAX / 8 + 1] = {0};

	if (ioctl(fd, EVIOCGBIT(0, sizeof(types)), types) < 0)
		return false;
	if (types[EV_REL / 8] & (1 << EV_REL % 8))
		return true;
	if (ioctl(fd, EVIOCGBIT(EV_KEY, sizeof(keys)), keys) < 0)
		return false;
	for (size_t i = 0; i < sizeof(keys); i++)
		if (keys[i])
			return true;
	return false;
}

static void device_add(struct evdev *evdev, const char *name)
{
	struct device *free_one = NULL;
	char path[128];
	int fd;

	if (strncmp(name, "event", 5) != 0 || strlen(name) >= sizeof(free_one->name))
		return;
	for (int i = 0; i < EVDEV_MAX; i++) {
		struct device *device = &evdev->devices[i];

		if (device->fd >= 0 && strcmp(device->name, name) == 0)
			return;
		if (device->fd < 0 && !free_one)
			free_one = device;
	}
	snprintf(path, sizeof(path), "%s/%s", evdev->folder, name);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || !free_one || !is_wanted(fd)) {
		/* A new node may not have its rights yet; their change is an inotify event too. */
		if (fd < 0)
			log_event(LOG_WARN, "input-device-refused", "device", path, "error",
				strerror(errno), NULL);
		else
			close(fd);
		return;
	}
	if (ioctl(fd, EVIOCGRAB, 1) < 0)
		log_event(LOG_WARN, "input-device-not-grabbed", "device", path, "error",
			strerror(errno), NULL);
	memset(free_one, 0, sizeof(*free_one));
	free_one->fd = fd;
	snprintf(free_one->name, sizeof(free_one->name), "%s", name);
	for (unsigned axis = 0; axis < 2; axis++)
		if (ioctl(fd, EVIOCGABS(axis), &free_one->range[axis]) < 0)
			free_one->range[axis].maximum = 0;
	write_leds(evdev, free_one);
	log_event(LOG_INFO, "input-device", "device", path, NULL);
}

static void device_remove(struct device *device)
{
	log_event(LOG_INFO, "input-device-gone", "device", device->name, NULL);
	close(device->fd);
	device->fd = -1;
}

struct evdev *evdev_open(const char *folder)
{
	struct evdev *evdev = calloc(1, sizeof(*evdev));
	struct dirent *entry;
	DIR *dir;

	if (!evdev)
		return NULL;
	for (int i = 0; i < EVDEV_MAX; i++)
		evdev->devices[i].fd = -1;
	snprintf(evdev->folder, sizeof(evdev->folder), "%s", folder);
	evdev_set_size(evdev, 1280, 800);
	evdev->x = evdev->width / 2;
	evdev->y = evdev->height / 2;
	evdev->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	dir = opendir(folder);
	if (evdev->watch < 0 || !dir ||
		inotify_add_watch(evdev->watch, folder, IN_CREATE | IN_ATTRIB) < 0) {
		int error = errno;

		if (dir)
			closedir(dir);
		evdev_close(evdev);
		errno = error;
		return NULL;
	}
	while ((entry = readdir(dir)))
		device_add(evdev, entry->d_name);
	closedir(dir);
	return evdev;
}

void evdev_close(struct evdev *evdev)
{
	if (!evdev)
		return;
	for (int i = 0; i < EVDEV_MAX; i++)
		if (evdev->devices[i].fd >= 0)
			close(evdev->devices[i].fd);
	if (evdev->watch >= 0)
		close(evdev->watch);
	free(evdev);
}

void evdev_set_size(struct evdev *evdev, int width, int height)
{
	evdev->width = width;
	evdev->height = height;
	evdev->x = limit(evdev->x, width);
	evdev->y = limit(evdev->y, height);
}

int evdev_polls(struct evdev *evdev, struct pollfd *polls)
{
	int count = 0;

	polls[count++] = (struct pollfd){.fd = evdev->watch, .events = POLLIN};
	for (int i = 0; i < EVDEV_MAX; i++)
		if (evdev->devices[i].fd >= 0)
			polls[count++] =
				(struct pollfd){.fd = evdev->devices[i].fd, .events = POLLIN};
	return count;
}

static void read_watch(struct evdev *evdev)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	while ((n = read(evdev->watch, buffer, sizeof(buffer))) > 0) {
		for (char *at = buffer; at < buffer + n;) {
			const struct inotify_event *event = (const void *)at;

			if (event->len > 0)
				device_add(evdev, event->name);
			at += sizeof(*event) + event->len;
		}
	}
}

void evdev_read(struct evdev *evdev)
{
	read_watch(evdev);
	for (int i = 0; i < EVDEV_MAX; i++) {
		struct device *device = &evdev->devices[i];
		struct input_event events[64];
		ssize_t n;

		if (device->fd < 0)
			continue;
		while ((n = read(device->fd, events, sizeof(events))) > 0)
			for (size_t e = 0; e < (size_t)n / sizeof(events[0]); e++)
				on_event(evdev, device, &events[e]);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			device_remove(device);
	}
}

void evdev_set_leds(struct evdev *evdev, unsigned leds)
{
	evdev->leds = leds;
	for (int i = 0; i < EVDEV_MAX; i++)
		if (evdev->devices[i].fd >= 0)
			write_leds(evdev, &evdev->devices[i]);
}
