/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/control/knock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/shared/knock.h"
#include "broker/shared/log.h"

#define PAUSE_MS 1000

void knock_open(struct knock *knock, const char *broker)
{
	struct sockaddr_in here = {.sin_family = AF_INET};
	struct in_addr address;
	char host[16];
	unsigned port;

	*knock = (struct knock){.fd = -1};
	if (sscanf(broker, "https://%15[0-9.]:%5u", host, &port) != 2 || port > 65535 ||
		inet_pton(AF_INET, host, &address) != 1)
		return;
	knock->broker = address.s_addr;
	here.sin_port = htons((uint16_t)port);
	knock->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (knock->fd >= 0 && !bind(knock->fd, (struct sockaddr *)&here, sizeof(here)))
		return;
	log_event(LOG_WARN, "knock-unheard", "reason", strerror(errno), NULL);
	knock_close(knock);
}

void knock_close(struct knock *knock)
{
	if (knock->fd >= 0)
		close(knock->fd);
	knock->fd = -1;
}

bool knock_take(struct knock *knock, int64_t now_ms)
{
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	char text[KNOCK_BYTES + 1];
	ssize_t n;

	while (knock->fd >= 0 && (n = recvfrom(knock->fd, text, sizeof(text), 0,
					  (struct sockaddr *)&from, &size)) >= 0) {
		if (n == (ssize_t)KNOCK_BYTES && !memcmp(text, KNOCK_TEXT, KNOCK_BYTES) &&
			from.sin_addr.s_addr == knock->broker)
			knock->heard = true;
		size = sizeof(from);
	}
	if (!knock->heard || now_ms < knock->next_ms)
		return false;
	knock->heard = false;
	knock->next_ms = now_ms + PAUSE_MS;
	return true;
}

int knock_wait(const struct knock *knock, int64_t now_ms, int wait)
{
	int64_t left = knock->next_ms - now_ms;

	return !knock->heard || left > wait ? wait : left > 0 ? (int)left : 0;
}
