/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/dhcpc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/route.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client-initrd/net.h"
#include "client-initrd/util.h"

#define SERVER_PORT 67
#define CLIENT_PORT 68
#define TRIES 5
/* So long (3 s) a card that may be the wrong one has to wait: links come up at different times. */
#define PATIENT_TRIES 2

/* A card, its socket, and what is being asked on it. */
struct asker {
	struct net_card card;
	struct dhcp_ask ask;
	int fd;
};

/* Bound to the interface, so that it also sends and hears broadcasts before it has an address. */
static int open_socket(const char *interface)
{
	struct sockaddr_in me = {.sin_family = AF_INET, .sin_port = htons(CLIENT_PORT)};
	int on = 1;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
		    (socklen_t)strlen(interface) + 1) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
		bind(fd, (struct sockaddr *)&me, sizeof me) < 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

static int send_ask(const struct asker *asker, uint32_t to)
{
	uint8_t packet[DHCP_PACKET_MAX];
	struct sockaddr_in server = {.sin_family = AF_INET,
		.sin_port = htons(SERVER_PORT),
		.sin_addr.s_addr = htonl(to)};
	size_t length = dhcp_build(&asker->ask, packet);
	ssize_t n = sendto(asker->fd, packet, length, 0, (struct sockaddr *)&server, sizeof server);
	return n < 0 ? -errno : 0;
}

/* Takes one packet; its type when it answers what is asked, else 0. */
static int take_answer(const struct asker *asker, struct dhcp_lease *lease)
{
	uint8_t packet[DHCP_PACKET_MAX];
	ssize_t n = recv(asker->fd, packet, sizeof packet, MSG_DONTWAIT);
	if (n <= 0)
		return 0;
	int type = dhcp_parse(packet, (size_t)n, asker->ask.xid, asker->ask.mac, lease);
	return type > 0 && (type == DHCP_OFFER) == (asker->ask.type == DHCP_DISCOVER) ? type : 0;
}

/*
 * Waits until `until_ms` for an OFFER, or for ACK and NAK, on one of the cards; the type, and in
 * `from` the card; 0 when the time is over.
 */
static int await(struct asker *askers, int count, int64_t until_ms, struct dhcp_lease *lease,
	struct asker **from)
{
	for (;;) {
		struct pollfd waits[NET_CARDS];
		int64_t left = until_ms - util_now_ms();
		for (int i = 0; i < count; i++)
			waits[i] = (struct pollfd){.fd = askers[i].fd, .events = POLLIN};
		if (left <= 0 || poll(waits, (nfds_t)count, (int)left) <= 0)
			return 0;
		for (int i = 0; i < count; i++) {
			int type = waits[i].revents ? take_answer(&askers[i], lease) : 0;
			*from = &askers[i];
			if (type)
				return type;
		}
	}
}

static bool start_ask(const char *mac, struct dhcp_ask *ask, enum dhcp_type type)
{
	unsigned b[6];
	memset(ask, 0, sizeof *ask);
	ask->type = type;
	if (sscanf(mac, "%2x:%2x:%2x:%2x:%2x:%2x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]) != 6)
		return false;
	for (int i = 0; i < 6; i++)
		ask->mac[i] = (uint8_t)b[i];
	if (getrandom(&ask->xid, sizeof ask->xid, GRND_NONBLOCK) != sizeof ask->xid)
		ask->xid = (uint32_t)util_now_ms() ^ (uint32_t)b[5] << 24;
	return true;
}

static bool is_of_the_servers_network(const struct boot *boot, const struct dhcp_lease *offer)
{
	return ((offer->address ^ boot->params.server) & offer->mask) == 0;
}

/*
 * The offer to take and its card: at once one of the boot server's network; with `any_network` also
 * another, when no better one comes in the time.
 */
static struct asker *find_offer(const struct boot *boot, struct asker *askers, int count,
	bool any_network, int64_t until_ms, struct dhcp_lease *offer)
{
	struct asker *best = NULL, *from;
	struct dhcp_lease lease;
	while (await(askers, count, until_ms, &lease, &from)) {
		bool right = is_of_the_servers_network(boot, &lease) || (any_network && count == 1);
		if (right || (any_network && !best)) {
			best = from;
			*offer = lease;
		}
		if (right)
			break;
	}
	return best;
}

/* One DISCOVER on each card and, when there is an offer, its REQUEST. */
static bool exchange(
	struct boot *boot, struct asker *askers, int count, bool any_network, int timeout_ms)
{
	struct dhcp_lease offer, lease;
	bool sent = false;
	for (int i = 0; i < count; i++) {
		askers[i].ask.type = DHCP_DISCOVER;
		askers[i].ask.wanted = askers[i].ask.server = 0;
		sent |= send_ask(&askers[i], INADDR_BROADCAST) == 0;
	}
	if (!sent)
		return false;
	struct asker *from =
		find_offer(boot, askers, count, any_network, util_now_ms() + timeout_ms, &offer);
	if (!from)
		return false;
	from->ask.type = DHCP_REQUEST;
	from->ask.wanted = offer.address;
	from->ask.server = offer.server;
	int64_t start = util_now_ms();
	if (send_ask(from, INADDR_BROADCAST) < 0 ||
		await(from, 1, start + timeout_ms, &lease, &from) != DHCP_ACK)
		return false;
	boot->lease = lease;
	boot->lease_start_ms = start;
	snprintf(boot->interface, sizeof boot->interface, "%s", from->card.interface);
	snprintf(boot->mac, sizeof boot->mac, "%s", from->card.mac);
	return true;
}

/* Opens the cards that are not among the `count` askers yet; their number then. */
static int add_cards(struct boot *boot, const struct net_card *cards, int cards_count,
	struct asker *askers, int count)
{
	for (int i = 0; i < cards_count && count < NET_CARDS; i++) {
		struct asker *asker = &askers[count];
		bool there = false;
		for (int k = 0; k < count; k++)
			there |= !strcmp(askers[k].card.interface, cards[i].interface);
		if (there)
			continue;
		asker->card = cards[i];
		if (!start_ask(cards[i].mac, &asker->ask, DHCP_DISCOVER)) {
			boot_fail(boot, BOOT_NO_DHCP, "%s has no usable hardware address",
				cards[i].interface);
			continue;
		}
		asker->fd = open_socket(cards[i].interface);
		if (asker->fd >= 0)
			count++;
		else
			boot_fail(boot, BOOT_NO_DHCP, "socket on %s: %s", cards[i].interface,
				strerror(-asker->fd));
	}
	return count;
}

/* `find`: on whichever card it is; else on boot->interface alone. */
static enum boot_code acquire(struct boot *boot, bool find)
{
	struct asker askers[NET_CARDS];
	struct net_card cards[NET_CARDS];
	int64_t start = util_now_ms();
	int count = 0;
	bool done = false;
	for (int try = 0; try < TRIES && !done; try++) {
		int found = net_candidates(boot, cards);
		count = add_cards(boot, cards, find ? found : 1, askers, count);
		if (count == 0)
			return BOOT_NO_DHCP;
		for (int i = 0; i < count; i++)
			askers[i].ask.seconds = (uint16_t)((util_now_ms() - start) / 1000);
		bool sure = !find || boot->params.bootif[0];
		done = exchange(boot, askers, count, sure || try >= PATIENT_TRIES,
			(1000 << try) + (int)util_chance(1000));
	}
	for (int i = 0; i < count; i++)
		close(askers[i].fd);
	if (done)
		return BOOT_OK;
	return boot_fail(boot, BOOT_NO_DHCP, "%d tries on %s%s in %d s", TRIES, boot->interface,
		count > 1 ? " and other cards with link" : "",
		(int)((util_now_ms() - start) / 1000));
}

enum boot_code dhcpc_acquire(struct boot *boot)
{
	return acquire(boot, false);
}

enum boot_code dhcpc_find(struct boot *boot)
{
	return acquire(boot, true);
}

static void set_address(struct sockaddr *where, uint32_t address)
{
	struct sockaddr_in value = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
	memcpy(where, &value, sizeof value);
}

int dhcpc_apply(const struct boot *boot)
{
	struct ifreq request = {0};
	const struct dhcp_lease *lease = &boot->lease;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;
	if (fd < 0)
		return -errno;
	memcpy(request.ifr_name, boot->interface, sizeof request.ifr_name);
	set_address(&request.ifr_addr, lease->address);
	if (ioctl(fd, SIOCSIFADDR, &request) < 0)
		error = errno;
	set_address(&request.ifr_netmask, lease->mask);
	if (!error && ioctl(fd, SIOCSIFNETMASK, &request) < 0)
		error = errno;
	set_address(&request.ifr_broadaddr, lease->address | ~lease->mask);
	if (!error && ioctl(fd, SIOCSIFBRDADDR, &request) < 0)
		error = errno;
	if (!error && lease->router) {
		struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
		set_address(&route.rt_dst, 0);
		set_address(&route.rt_genmask, 0);
		set_address(&route.rt_gateway, lease->router);
		if (ioctl(fd, SIOCADDRT, &route) < 0 && errno != EEXIST)
			error = errno;
	}
	close(fd);
	return -error;
}

int dhcpc_save(const struct boot *boot, const char *path)
{
	const struct dhcp_lease *lease = &boot->lease;
	char text[512], address[16], mask[16], router[16], server[16];
	int n = snprintf(text, sizeof text,
		"interface=%s\nmac=%s\naddress=%s\nmask=%s\nrouter=%s\nserver=%s\nlease=%u\n"
		"renew=%u\nrebind=%u\nstart_ms=%lld\n",
		boot->interface, boot->mac, params_ipv4(lease->address, address),
		params_ipv4(lease->mask, mask), params_ipv4(lease->router, router),
		params_ipv4(lease->server, server), lease->lease_s, lease->renew_s, lease->rebind_s,
		(long long)boot->lease_start_ms);
	return util_write_file(path, text, (size_t)n);
}

static uint32_t to_address(const char *text)
{
	struct in_addr address;
	return inet_pton(AF_INET, text, &address) == 1 ? ntohl(address.s_addr) : 0;
}

static void restore_line(struct boot *boot, const char *key, const char *value)
{
	struct dhcp_lease *lease = &boot->lease;
	uint64_t number = 0;
	util_parse_u64(value, INT64_MAX, &number, NULL);
	if (!strcmp(key, "interface"))
		snprintf(boot->interface, sizeof boot->interface, "%s", value);
	else if (!strcmp(key, "mac"))
		snprintf(boot->mac, sizeof boot->mac, "%s", value);
	else if (!strcmp(key, "address"))
		lease->address = to_address(value);
	else if (!strcmp(key, "mask"))
		lease->mask = to_address(value);
	else if (!strcmp(key, "router"))
		lease->router = to_address(value);
	else if (!strcmp(key, "server"))
		lease->server = to_address(value);
	else if (!strcmp(key, "lease"))
		lease->lease_s = (uint32_t)number;
	else if (!strcmp(key, "renew"))
		lease->renew_s = (uint32_t)number;
	else if (!strcmp(key, "rebind"))
		lease->rebind_s = (uint32_t)number;
	else if (!strcmp(key, "start_ms"))
		boot->lease_start_ms = (int64_t)number;
}

int dhcpc_restore(struct boot *boot, const char *path)
{
	char text[1024], *save = NULL;
	ssize_t n = util_read_file(path, text, sizeof text);
	if (n < 0)
		return (int)n;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(line, '=');
		if (!value)
			continue;
		*value++ = '\0';
		restore_line(boot, line, value);
	}
	return boot->interface[0] && boot->mac[0] && boot->lease.address && boot->lease.lease_s
		       ? 0
		       : -EINVAL;
}

/* One renewal (to the server) or rebinding (to all); the type of the answer, or 0. */
static int renew(struct boot *boot, bool to_all)
{
	struct asker asker, *from;
	struct dhcp_lease lease;
	int type = 0;
	asker.fd = open_socket(boot->interface);
	if (asker.fd < 0)
		return 0;
	int64_t sent = util_now_ms();
	if (start_ask(boot->mac, &asker.ask, DHCP_REQUEST)) {
		asker.ask.current = boot->lease.address;
		if (!send_ask(&asker, to_all ? INADDR_BROADCAST : boot->lease.server))
			type = await(&asker, 1, sent + 5000, &lease, &from);
	}
	close(asker.fd);
	if (type == DHCP_ACK) {
		bool other = lease.address != boot->lease.address;
		boot->lease = lease;
		boot->lease_start_ms = sent;
		if (other)
			dhcpc_apply(boot);
	}
	return type;
}

static void sleep_until(int64_t ms)
{
	struct timespec until = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &until, NULL) == EINTR) {
	}
}

/* Half of the time that is left, but at least a minute (RFC 2131, 4.4.5). */
static int64_t next_try(int64_t now, int64_t end)
{
	int64_t half = (end - now) / 2;
	return now + (half > 60000 ? half : 60000);
}

void dhcpc_keep(struct boot *boot)
{
	if (boot->lease.lease_s == DHCP_INFINITE) {
		for (;;)
			pause();
	}
	int64_t wake = boot->lease_start_ms + (int64_t)boot->lease.renew_s * 1000;
	for (;;) {
		sleep_until(wake);
		int64_t now = util_now_ms();
		int64_t rebind = boot->lease_start_ms + (int64_t)boot->lease.rebind_s * 1000;
		int64_t end = boot->lease_start_ms + (int64_t)boot->lease.lease_s * 1000;
		int type = renew(boot, now >= rebind);
		if ((type == DHCP_NAK || now >= end) && dhcpc_acquire(boot) == BOOT_OK) {
			dhcpc_apply(boot);
			type = DHCP_ACK;
		}
		now = util_now_ms();
		if (type == DHCP_ACK) {
			dhcpc_save(boot, BOOT_NETWORK_FILE);
			wake = boot->lease_start_ms + (int64_t)boot->lease.renew_s * 1000;
		} else {
			wake = next_try(now, now < rebind ? rebind : end);
		}
	}
}
