/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/rfb/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static socklen_t parse(const char *host, uint16_t port, struct sockaddr_storage *address)
{
	struct sockaddr_in *four = (struct sockaddr_in *)address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;

	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		return sizeof(*four);
	}
	if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		return sizeof(*six);
	}
	return 0;
}

static void set_options(int fd)
{
	const int one = 1, idle_s = 5, interval_s = 3, probes = 3;
	const unsigned unanswered_ms = 15000;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof(unanswered_ms));
}

static int await(int fd, int timeout_ms, int cancel_fd)
{
	struct pollfd polls[] = {
		{.fd = fd, .events = POLLOUT}, {.fd = cancel_fd, .events = POLLIN}};
	int ready, error = 0;
	socklen_t size = sizeof(error);

	do
		ready = poll(polls, 2, timeout_ms);
	while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return errno;
	if (ready == 0)
		return ETIMEDOUT;
	if (polls[1].revents)
		return ECANCELED;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return errno;
	return error;
}

int socket_connect(const char *host, uint16_t port, int timeout_ms, int cancel_fd)
{
	struct sockaddr_storage address;
	socklen_t size = parse(host, port, &address);
	int fd, error = 0;

	if (size == 0) {
		errno = EINVAL;
		return -1;
	}
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	set_options(fd);
	if (connect(fd, (struct sockaddr *)&address, size) < 0)
		error = errno == EINPROGRESS ? await(fd, timeout_ms, cancel_fd) : errno;
	if (error == 0 && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) < 0)
		error = errno;
	if (error) {
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}
