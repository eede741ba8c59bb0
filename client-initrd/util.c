/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NOBODY 65534

int64_t util_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

unsigned util_chance(unsigned below)
{
	uint32_t number;
	/* early in a boot the kernel may have no entropy: the clock differs from PC to PC as well
	 */
	if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number) {
		struct timespec now;
		clock_gettime(CLOCK_BOOTTIME, &now);
		number = (uint32_t)now.tv_nsec / 1000;
	}
	return below ? number % below : 0;
}

void util_back_off(unsigned seconds)
{
	unsigned ms = seconds * 1000 + util_chance(seconds * 1000);
	struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	nanosleep(&wait, NULL);
}

ssize_t util_read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		text[0] = '\0';
		return -errno;
	}
	size_t used = 0;
	ssize_t n = 0;
	while (used < size - 1) {
		n = read(fd, text + used, size - 1 - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	int error = n < 0 ? errno : 0;
	close(fd);
	text[used] = '\0';
	return error ? -error : (ssize_t)used;
}

void util_read_line(const char *path, char *text, size_t size)
{
	if (util_read_file(path, text, size) < 0)
		text[0] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
}

int util_write_all(int fd, const void *data, size_t length)
{
	const char *at = data;
	while (length) {
		ssize_t n = write(fd, at, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

int util_write_file(const char *path, const char *text, size_t length)
{
	char temporary[256];
	if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary)
		return -ENAMETOOLONG;
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	int error = util_write_all(fd, text, length);
	if (close(fd) < 0 && !error)
		error = -errno;
	if (!error && rename(temporary, path) < 0)
		error = -errno;
	if (error)
		unlink(temporary);
	return error;
}

int util_set(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = util_write_all(fd, text, strlen(text));
	close(fd);
	return error;
}

bool util_give_up_privilege(void)
{
	return getuid() || (!setgroups(0, NULL) && !setresgid(NOBODY, NOBODY, NOBODY) &&
				   !setresuid(NOBODY, NOBODY, NOBODY));
}

bool util_parse_u64(const char *text, uint64_t max, uint64_t *value, const char **end)
{
	uint64_t number = 0;
	const char *at = text;
	for (; *at >= '0' && *at <= '9'; at++) {
		unsigned digit = (unsigned)(*at - '0');
		if (number > (max - digit) / 10 || digit > max)
			return false;
		number = number * 10 + digit;
	}
	if (at == text || (!end && *at))
		return false;
	if (end)
		*end = at;
	*value = number;
	return true;
}

bool util_append(char *buffer, size_t size, size_t *used, const char *format, ...)
{
	va_list args;
	if (*used >= size)
		return false;
	va_start(args, format);
	int n = vsnprintf(buffer + *used, size - *used, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= size - *used) {
		buffer[*used] = '\0';
		return false;
	}
	*used += (size_t)n;
	return true;
}

static int wait_connected(int fd, int timeout_ms)
{
	struct pollfd wait = {.fd = fd, .events = POLLOUT};
	int64_t until = util_now_ms() + timeout_ms;
	for (;;) {
		int64_t left = until - util_now_ms();
		int n = poll(&wait, 1, left > 0 ? (int)left : 0);
		if (n > 0)
			break;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
	int error = 0;
	socklen_t length = sizeof error;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return -errno;
	return -error;
}

int util_connect(uint32_t address, uint16_t port, int timeout_ms)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int error = 0;
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		error = errno == EINPROGRESS ? wait_connected(fd, timeout_ms) : -errno;
	if (error) {
		close(fd);
		return error;
	}
	struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = (timeout_ms % 1000) * 1000};
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	return fd;
}
