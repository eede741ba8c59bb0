/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client-initrd/net.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client-initrd/util.h"

#define CARD_WAIT_MS 10000
#define LINK_WAIT_MS 20000
#define STEP_MS 50

/* Sets the flags of `on` and clears those of `off`; 0 or -errno. */
static int change_flags(const char *name, short on, short off)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;
	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		error = errno;
	request.ifr_flags = (short)((request.ifr_flags | on) & ~off);
	if (!error && ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		error = errno;
	close(fd);
	return -error;
}

static int set_up(const char *name)
{
	return change_flags(name, IFF_UP, 0);
}

static void read_attribute(const char *name, const char *attribute, char *text, size_t size)
{
	char path[128];
	snprintf(path, sizeof path, "/sys/class/net/%.15s/%s", name, attribute);
	util_read_line(path, text, size);
}

static bool has_link(const char *name)
{
	char carrier[8];
	read_attribute(name, "carrier", carrier, sizeof carrier);
	return !strcmp(carrier, "1");
}

/* Ethernet cards only (ARPHRD_ETHER = 1): the loopback and tunnels have other types. */
static bool is_card(const char *name, char mac[18])
{
	char type[8];
	read_attribute(name, "type", type, sizeof type);
	read_attribute(name, "address", mac, 18);
	return !strcmp(type, "1") && strlen(mac) == 17;
}

/*
 * Takes the card if it is the one wanted; without a wish all are brought up, and the first that has
 * link is taken, or any for as long as none has. True: this is it.
 */
static bool consider(struct boot *boot, const char *name, bool found)
{
	char mac[18];
	const char *wanted = boot->params.bootif;
	if (strlen(name) >= IF_NAMESIZE || !is_card(name, mac))
		return false;
	if (wanted[0] && strcasecmp(wanted, mac))
		return false;
	set_up(name);
	bool right = wanted[0] || has_link(name);
	if (found || (boot->interface[0] && !right))
		return false;
	snprintf(boot->interface, sizeof boot->interface, "%.15s", name);
	snprintf(boot->mac, sizeof boot->mac, "%s", mac);
	return right;
}

static bool choose(struct boot *boot)
{
	bool found = false;
	DIR *dir = opendir("/sys/class/net");
	if (!dir)
		return false;
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] != '.' && consider(boot, entry->d_name, found))
			found = true;
	}
	closedir(dir);
	return found;
}

static void pause_step(void)
{
	struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
	nanosleep(&step, NULL);
}

enum boot_code net_up(struct boot *boot)
{
	int64_t start = util_now_ms();
	boot->interface[0] = boot->mac[0] = '\0';
	set_up("lo");
	while (!choose(boot)) {
		int64_t waited = util_now_ms() - start;
		if (!boot->interface[0] && waited > CARD_WAIT_MS)
			return boot->params.bootif[0]
				       ? boot_fail(boot, BOOT_NO_CARD, "no driver for the card %s",
						 boot->params.bootif)
				       : boot_fail(boot, BOOT_NO_CARD, "no Ethernet card in %d s",
						 CARD_WAIT_MS / 1000);
		if (boot->interface[0] && waited > LINK_WAIT_MS)
			break;
		pause_step();
	}
	while (!has_link(boot->interface)) {
		if (util_now_ms() - start > LINK_WAIT_MS)
			return boot_fail(boot, BOOT_NO_LINK, "%s had no link for %d s",
				boot->interface, LINK_WAIT_MS / 1000);
		pause_step();
	}
	return BOOT_OK;
}

/* Calls `visit` for each Ethernet card but the chosen one. */
static void each_other(
	const struct boot *boot, void (*visit)(const struct net_card *card, void *data), void *data)
{
	DIR *dir = opendir("/sys/class/net");
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct net_card card = {0};
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= IF_NAMESIZE ||
			!strcmp(entry->d_name, boot->interface) ||
			!is_card(entry->d_name, card.mac))
			continue;
		snprintf(card.interface, sizeof card.interface, "%.15s", entry->d_name);
		visit(&card, data);
	}
	closedir(dir);
}

struct candidates {
	struct net_card *cards; /* borrowed */
	int count;
};

static void add_linked(const struct net_card *card, void *data)
{
	struct candidates *found = data;
	if (found->count < NET_CARDS && has_link(card->interface))
		found->cards[found->count++] = *card;
}

int net_candidates(const struct boot *boot, struct net_card cards[NET_CARDS])
{
	struct candidates found = {.cards = cards, .count = 1};
	memset(&cards[0], 0, sizeof cards[0]);
	snprintf(cards[0].interface, sizeof cards[0].interface, "%s", boot->interface);
	snprintf(cards[0].mac, sizeof cards[0].mac, "%s", boot->mac);
	if (!boot->params.bootif[0])
		each_other(boot, add_linked, &found);
	return found.count;
}

static void take_down(const struct net_card *card, void *data)
{
	(void)data;
	change_flags(card->interface, 0, IFF_UP);
}

void net_leave_others(const struct boot *boot)
{
	if (!boot->params.bootif[0])
		each_other(boot, take_down, NULL);
}
