/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/shared/conf_find.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define ROUTES "/proc/self/net/route"

/* The interface of the default route with the least metric; "" when there is none. ROUTES: a line
 * each, "interface destination gateway flags refcnt use metric mask ...", addresses in hexadecimal
 * (net/ipv4/fib_trie.c of the kernel). */
static void default_route(char name[IFNAMSIZ])
{
	g_autofree char *text = NULL;
	unsigned best = G_MAXUINT;

	*name = '\0';
	if (!g_file_get_contents(ROUTES, &text, NULL, NULL))
		return;
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (guint i = 1; lines[0] && lines[i]; i++) {
		char interface[IFNAMSIZ];
		unsigned destination, flags, metric, mask;

		if (sscanf(lines[i], "%15s %x %*x %x %*d %*d %u %x", interface, &destination,
			    &flags, &metric, &mask) == 5 &&
			destination == 0 && mask == 0 && metric < best) {
			best = metric;
			g_strlcpy(name, interface, IFNAMSIZ);
		}
	}
}

GArray *conf_links_read(void)
{
	struct ifaddrs *all = NULL;
	char gateway[IFNAMSIZ];

	if (getifaddrs(&all) != 0)
		return NULL;
	GArray *links = g_array_new(FALSE, TRUE, sizeof(struct conf_link));
	default_route(gateway);
	for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
		struct conf_link link = {.gateway = !strcmp(one->ifa_name, gateway)};
		const struct sockaddr_in *address = (const void *)one->ifa_addr;
		const struct sockaddr_in *mask = (const void *)one->ifa_netmask;

		/* "eth0:1" is a further address of eth0 */
		if (one->ifa_flags & IFF_LOOPBACK || strchr(one->ifa_name, ':'))
			continue;
		g_strlcpy(link.name, one->ifa_name, sizeof(link.name));
		if (address && mask && address->sin_family == AF_INET) {
			link.address = ntohl(address->sin_addr.s_addr);
			link.mask = ntohl(mask->sin_addr.s_addr);
		}
		g_array_append_val(links, link);
	}
	freeifaddrs(all);
	return links;
}

/* The first entry of that name with an address, else one without, else NULL. */
static const struct conf_link *link_of(const GArray *links, const char *name)
{
	const struct conf_link *bare = NULL;

	for (guint i = 0; i < links->len; i++) {
		const struct conf_link *link = &g_array_index(links, struct conf_link, i);

		if (strcmp(link->name, name) != 0)
			continue;
		if (link->address)
			return link;
		bare = link;
	}
	return bare;
}

/* "eno1, enp2s0": each interface once, without `but`; those with an address, or all. */
static char *names(const GArray *links, const char *but, gboolean with_address)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < links->len; i++) {
		const struct conf_link *link = &g_array_index(links, struct conf_link, i);

		if (strcmp(link->name, but) != 0 && (link->address || !with_address) &&
			link_of(links, link->name) == link)
			g_string_append_printf(text, "%s%s", text->len ? ", " : "", link->name);
	}
	return g_string_free(text, FALSE);
}

/* The interface with an address and a prefix of 1 to 30, or NULL and what is amiss. */
static const struct conf_link *usable(
	const GArray *links, const char *interface, const char *key, char **lacks)
{
	const struct conf_link *link = link_of(links, interface);
	g_autofree char *there = names(links, "", FALSE);

	if (!link)
		*lacks = g_strdup_printf("this machine has no interface %s, it has: %s; name the "
					 "right one, or write %s",
			interface, *there ? there : "none", key);
	else if (!link->address)
		*lacks = g_strdup_printf("%s has no IPv4 address; give it one in the system's "
					 "network configuration, or write %s",
			interface, key);
	else if (link->mask < 0x80000000 || link->mask > 0xfffffffc)
		*lacks = g_strdup_printf("%s has %s with a prefix of %d, allowed is 1 to 30; "
					 "change it, or write %s",
			interface, conf_ipv4(link->address), __builtin_popcount(link->mask), key);
	else
		return link;
	return NULL;
}

char *conf_find_client_address(const GArray *links, const char *interface, char **lacks)
{
	const struct conf_link *link = usable(links, interface, "client_address", lacks);

	return link ? conf_cidr_text(link->address, link->mask) : NULL;
}

char *conf_find_client_range(guint32 address, guint32 mask)
{
	guint64 size = (guint64)~mask + 1;
	guint32 network = address & mask;
	guint32 first = network + (guint32)MAX(size * 100 / 256, 1);
	guint32 last = network + (guint32)(size * 251 / 256) - 1;

	/* the larger of the two sides of the server's own address */
	if (first <= address && address <= last) {
		if (address - first > last - address)
			last = address - 1;
		else
			first = address + 1;
	}
	return g_strdup_printf("%s-%s", conf_ipv4(first), conf_ipv4(last));
}

char *conf_find_server_interface(
	const GArray *links, const char *client, guint32 network, guint32 mask, char **lacks)
{
	g_autofree char *others = names(links, client, TRUE);

	for (guint i = 0; i < links->len; i++) {
		const struct conf_link *link = &g_array_index(links, struct conf_link, i);
		gboolean fits = mask ? (link->address & mask) == (network & mask) : link->gateway;

		if (fits && link->address && strcmp(link->name, client) != 0)
			return g_strdup(link->name);
	}
	if (mask)
		*lacks = g_strdup_printf("no interface beside %s has an address in server_network; "
					 "write server_interface",
			client);
	else if (!*others)
		*lacks = g_strdup_printf("no interface beside %s has an IPv4 address; give one to "
					 "that towards the virtualization servers, or write "
					 "server_interface",
			client);
	else if (strchr(others, ','))
		*lacks = g_strdup_printf("it could be any of %s, and none of them has the default "
					 "route; write server_interface",
			others);
	else
		return g_steal_pointer(&others);
	return NULL;
}

char *conf_find_server_network(const GArray *links, const char *interface, char **lacks)
{
	const struct conf_link *link = usable(links, interface, "server_network", lacks);

	return link ? conf_cidr_text(link->address & link->mask, link->mask) : NULL;
}
