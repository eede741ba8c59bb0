/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/wake.h"

#include "broker/shared/conf.h"

#include <errno.h>
#include <gio/gio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAC_BYTES 6

void wake_packet(const char *mac, guint8 packet[WAKE_PACKET])
{
	memset(packet, 0xff, MAC_BYTES);
	for (size_t i = MAC_BYTES; i < WAKE_PACKET; i++) {
		const char *digits = mac + i % MAC_BYTES * 3;

		packet[i] = (guint8)(g_ascii_xdigit_value(digits[0]) * 16 +
				     g_ascii_xdigit_value(digits[1]));
	}
}

static gboolean fail(GError **error, const char *what, guint32 address)
{
	int code = errno;

	g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(code),
		"no wake-up packet could be sent: %s %s: %s; see that the PCs' interface "
		"([network] client_interface) is up and has its address",
		what, conf_ipv4(address), g_strerror(code));
	return FALSE;
}

gboolean wake_send(const char *const *macs, guint32 address, guint32 mask, GError **error)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(WAKE_PORT),
		.sin_addr.s_addr = htonl(address | ~mask)};
	int one = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	gboolean good = fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)) &&
			!bind(fd, (struct sockaddr *)&from, sizeof(from));

	if (!good)
		fail(error, "from", address);
	for (; good && *macs; macs++) {
		guint8 packet[WAKE_PACKET];

		wake_packet(*macs, packet);
		good = sendto(fd, packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to)) ==
		       (ssize_t)sizeof(packet);
		if (!good)
			fail(error, "to", address | ~mask);
	}
	if (fd >= 0)
		close(fd);
	return good;
}
