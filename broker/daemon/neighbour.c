/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/daemon/neighbour.h"

#include <arpa/inet.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

gboolean neighbour_mac(const char *interface, const char *address, char mac[NEIGHBOUR_MAC])
{
	struct arpreq request = {0};
	struct sockaddr_in *wanted = (struct sockaddr_in *)&request.arp_pa;
	const unsigned char *found = (const unsigned char *)request.arp_ha.sa_data;

	wanted->sin_family = AF_INET;
	if (inet_pton(AF_INET, address, &wanted->sin_addr) != 1 ||
		g_strlcpy(request.arp_dev, interface, sizeof(request.arp_dev)) >=
			sizeof(request.arp_dev))
		return FALSE;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	gboolean known = fd >= 0 && !ioctl(fd, SIOCGARP, &request) &&
			 (request.arp_flags & ATF_COM) && request.arp_ha.sa_family == ARPHRD_ETHER;
	if (fd >= 0)
		close(fd);
	if (known)
		snprintf(mac, NEIGHBOUR_MAC, "%02x:%02x:%02x:%02x:%02x:%02x", found[0], found[1],
			found[2], found[3], found[4], found[5]);
	return known;
}
