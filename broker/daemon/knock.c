/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/knock.h"

#include "broker/shared/knock.h"
#include "broker/shared/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void knock_send(const struct conf *conf, const char *const *addresses)
{
	struct sockaddr_in from = {.sin_family = AF_INET}, to = from;
	guint32 address, mask;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* Viewers listen to the address that they ask. */
	conf_cidr(conf, CONF_NETWORK_CLIENT_ADDRESS, &address, &mask);
	from.sin_addr.s_addr = htonl(address);
	to.sin_port = htons((guint16)conf_int(conf, CONF_BROKER_PORT));
	gboolean good = fd >= 0 && !bind(fd, (struct sockaddr *)&from, sizeof(from));
	for (; good && *addresses; addresses++) {
		if (inet_pton(AF_INET, *addresses, &to.sin_addr) != 1)
			continue;
		good = sendto(fd, KNOCK_TEXT, KNOCK_BYTES, 0, (struct sockaddr *)&to, sizeof(to)) ==
			       (ssize_t)KNOCK_BYTES ||
		       errno == ECONNREFUSED || errno == EHOSTUNREACH;
	}
	if (!good)
		log_event(LOG_WARN, "knock", "reason", g_strerror(errno), "hint",
			"PCs hear of what is new within a minute", NULL);
	if (fd >= 0)
		close(fd);
}
