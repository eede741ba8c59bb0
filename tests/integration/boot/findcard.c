/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The init's way to its network card, alone: findcard SERVER [MAC]. MAC is what BOOTIF would name.
 * Prints the code of the failure page ("" for none), card, MAC, address, and the cards that are up.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-initrd/dhcpc.h"
#include "client-initrd/net.h"

int main(int argc, char **argv)
{
	struct boot boot = {0};
	struct if_nameindex *cards = if_nameindex();
	char address[16];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (argc < 2 || !cards || fd < 0)
		return 2;
	boot.params.server = ntohl(inet_addr(argv[1]));
	if (argc > 2)
		snprintf(boot.params.bootif, sizeof boot.params.bootif, "%s", argv[2]);
	enum boot_code code = net_up(&boot);
	if (code == BOOT_OK)
		code = dhcpc_find(&boot);
	if (code == BOOT_OK)
		net_leave_others(&boot);
	printf("code=%s card=%s mac=%s address=%s up=", boot_code_name(code), boot.interface,
		boot.mac, params_ipv4(boot.lease.address, address));
	for (struct if_nameindex *card = cards; card->if_index; card++) {
		struct ifreq request = {0};
		snprintf(request.ifr_name, sizeof request.ifr_name, "%s", card->if_name);
		if (!ioctl(fd, SIOCGIFFLAGS, &request) && (request.ifr_flags & IFF_UP))
			printf("%s,", card->if_name);
	}
	printf(" detail=%s\n", boot.detail);
	if_freenameindex(cards);
	close(fd);
	return 0;
}
