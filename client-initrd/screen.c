/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/screen.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "client-initrd/util.h"

#define CONSOLES_MAX 4
#define BAR_WIDTH 20 /* the line stays below 80 columns: it must not wrap */

static int consoles[CONSOLES_MAX];
static size_t console_count;
static int64_t progress_next_ms;

static void open_console(const char *name)
{
	char path[64];
	struct termios mode;
	/* tty0 is whatever terminal is in front; keys and text of the first one are meant. */
	snprintf(path, sizeof path, "/dev/%.32s", strcmp(name, "tty0") ? name : "tty1");
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return;
	if (!tcgetattr(fd, &mode)) {
		mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
		mode.c_oflag |= OPOST | ONLCR;
		tcsetattr(fd, TCSANOW, &mode);
	}
	consoles[console_count++] = fd;
}

void screen_open(void)
{
	char active[128], *save = NULL;
	screen_close();
	util_read_line("/sys/class/tty/console/active", active, sizeof active);
	for (char *name = strtok_r(active, " ", &save); name && console_count < CONSOLES_MAX;
		name = strtok_r(NULL, " ", &save))
		open_console(name);
	if (!console_count)
		open_console("console");
}

void screen_close(void)
{
	while (console_count)
		close(consoles[--console_count]);
}

static void put(const char *text)
{
	for (size_t i = 0; i < console_count; i++)
		util_write_all(consoles[i], text, strlen(text));
}

void screen_say(const char *format, ...)
{
	char text[256], line[300];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	snprintf(line, sizeof line, "Carrel: %s\n", text);
	put(line);
}

void screen_progress(const char *what, uint64_t done, uint64_t total, int64_t start_ms)
{
	char line[160], bar[BAR_WIDTH + 1];
	int64_t now = util_now_ms();
	bool end = done >= total;
	if (now < progress_next_ms && !end)
		return;
	progress_next_ms = now + 100;
	unsigned percent = total ? (unsigned)(done * 100 / total) : 100;
	uint64_t rate = done / (uint64_t)(now - start_ms + 1); /* bytes a ms = kB/s */
	for (unsigned i = 0; i < BAR_WIDTH; i++)
		bar[i] = i * 100 < percent * BAR_WIDTH ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	snprintf(line, sizeof line, "\rCarrel: %s [%s] %3u %%  %u.%u of %u.%u MB, %u.%u MB/s%s",
		what, bar, percent, (unsigned)(done / 1000000), (unsigned)(done / 100000 % 10),
		(unsigned)(total / 1000000), (unsigned)(total / 100000 % 10),
		(unsigned)(rate / 1000), (unsigned)(rate / 100 % 10), end ? "\n" : "  ");
	put(line);
	if (end)
		progress_next_ms = 0;
}

static bool key_within(int timeout_ms)
{
	struct pollfd wait[CONSOLES_MAX] = {0};
	bool pressed = false;
	for (size_t i = 0; i < console_count; i++)
		wait[i] = (struct pollfd){.fd = consoles[i], .events = POLLIN};
	if (poll(wait, console_count, timeout_ms) <= 0)
		return false;
	for (size_t i = 0; i < console_count; i++) {
		char keys[64];
		if ((wait[i].revents & POLLIN) && read(consoles[i], keys, sizeof keys) > 0)
			pressed = true;
	}
	return pressed;
}

static void put_page(const struct boot *boot, enum boot_code code)
{
	char page[1024], server[16];
	snprintf(page, sizeof page,
		"\033[0m\033[2J\033[H\033[?25l\n\n"
		"   This PC could not be started.\n\n"
		"   \033[7m %s \033[0m  %s\n\n"
		"   Reason:       %s\n"
		"   This PC:      %s\n"
		"   Boot server:  %s\n\n"
		"   If it does not go away, tell the administrator of this room the code,\n"
		"   the reason and this PC's address.\n\n",
		boot_code_name(code), boot_code_text(code),
		boot->detail[0] ? boot->detail : "unknown",
		boot->mac[0]             ? boot->mac
		: boot->params.bootif[0] ? boot->params.bootif
					 : "no network card",
		boot->params.server ? params_ipv4(boot->params.server, server) : "unknown");
	put(page);
}

void screen_failure(const struct boot *boot, enum boot_code code, int seconds)
{
	int64_t until = util_now_ms() + seconds * 1000;
	put_page(boot, code);
	while (key_within(0)) {
		/* keys from before the page are no answer to it */
	}
	for (;;) {
		char line[96];
		int64_t left = until - util_now_ms();
		if (left <= 0)
			break;
		snprintf(line, sizeof line, "\r   Retry in %lld s (any key: at once)   ",
			(long long)(left + 999) / 1000);
		put(line);
		if (key_within((int)(left % 1000 ? left % 1000 : 1000)))
			break;
	}
	put("\r   Trying again.                           \n\n");
}

int screen_backoff(unsigned failures)
{
	int seconds = failures > 4 ? 60 : 5 << (failures ? failures - 1 : 0);
	return seconds + (int)util_chance((unsigned)seconds / 2 + 1);
}
