/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netconf/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>

G_DEFINE_QUARK(carrel - nft - error, nft_error)

struct nft {
	struct nft_ctx *ctx; /* owned */
};

struct nft *nft_new(void)
{
	struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);

	if (!ctx)
		return NULL;
	if (nft_ctx_buffer_output(ctx) || nft_ctx_buffer_error(ctx)) {
		nft_ctx_free(ctx);
		return NULL;
	}
	struct nft *nft = g_new0(struct nft, 1);
	nft->ctx = ctx;
	return nft;
}

void nft_free(struct nft *nft)
{
	if (!nft)
		return;
	nft_ctx_free(nft->ctx);
	g_free(nft);
}

/* Runs `commands` as one transaction. What it prints is in the context's buffer after it. */
static gboolean run(struct nft *nft, unsigned flags, const char *commands, GError **error)
{
	/* Reading a buffer empties it: what an earlier command left must not be taken for ours. */
	nft_ctx_get_output_buffer(nft->ctx);
	nft_ctx_get_error_buffer(nft->ctx);
	nft_ctx_output_set_flags(nft->ctx, flags);
	int failed = nft_run_cmd_from_buffer(nft->ctx, commands);
	const char *text = nft_ctx_get_error_buffer(nft->ctx);

	if (!failed)
		return TRUE;
	/* The first line has the cause; the others point at the place in the command. */
	/* The cause has no other form than the kernel's error as text. */
	enum nft_error code = strstr(text, g_strerror(ENOENT))   ? NFT_ERROR_MISSING
			      : strstr(text, g_strerror(EEXIST)) ? NFT_ERROR_EXISTS
								 : NFT_ERROR_FAILED;
	g_set_error(error, NFT_ERROR, code, "nftables: %.*s", (int)strcspn(text, "\n"), text);
	return FALSE;
}

/*
 * NAT is IPv4; the filter is of family inet, so that IPv6 from the client side is not forwarded
 * either. Only packets of our two interfaces are matched and the chains' policies accept: whatever
 * else the host routes is not our business. Where a bridge is the client interface and
 * bridge-nf-call-iptables is on, bridged frames between PCs come through `forward` as well: those
 * have the bridge on both sides and pass. A connection that lost its forward gets a reset, so that
 * its ends know at once (through a bridge with bridge-nf-call-iptables the kernel sends the PC's
 * reset without translating it back; the PC is met by silence then).
 */
static const char setup_format[] =
	"add table inet carrel\n"
	"add map inet carrel forwards "
	"{ type ipv4_addr . inet_service : ipv4_addr . inet_service ; }\n"
	"add set inet carrel open "
	"{ type ipv4_addr . inet_service . ipv4_addr . inet_service ; }\n"
	"add chain inet carrel prerouting "
	"{ type nat hook prerouting priority dstnat ; policy accept ; }\n"
	"add chain inet carrel postrouting "
	"{ type nat hook postrouting priority srcnat ; policy accept ; }\n"
	"add chain inet carrel forward "
	"{ type filter hook forward priority filter ; policy accept ; }\n"
	"add chain inet carrel from_client\n"
	"add chain inet carrel to_client\n"
	"flush table inet carrel\n"
	"add rule inet carrel prerouting iifname \"%1$s\" ip daddr %3$s "
	"dnat ip to ip saddr . tcp dport map @forwards\n"
	"add rule inet carrel postrouting oifname \"%2$s\" ip saddr %4$s masquerade\n"
	"add rule inet carrel forward iifname \"%1$s\" oifname \"%1$s\" accept\n"
	"add rule inet carrel forward iifname \"%1$s\" goto from_client\n"
	"add rule inet carrel forward oifname \"%1$s\" goto to_client\n"
	"add rule inet carrel from_client oifname \"%2$s\" meta l4proto tcp "
	"ip saddr . ct original proto-dst . ip daddr . tcp dport @open accept\n"
	"add rule inet carrel from_client oifname \"%2$s\" ct state related ct status dnat "
	"meta l4proto icmp accept\n"
	"add rule inet carrel from_client ct status dnat meta l4proto tcp counter "
	"reject with tcp reset\n"
	"add rule inet carrel from_client counter drop\n"
	"add rule inet carrel to_client iifname \"%2$s\" meta l4proto tcp "
	"ip daddr . ct original proto-dst . ip saddr . tcp sport @open accept\n"
	"add rule inet carrel to_client iifname \"%2$s\" ct state related ct status dnat "
	"meta l4proto icmp accept\n"
	"add rule inet carrel to_client ct status dnat meta l4proto tcp counter "
	"reject with tcp reset\n"
	"add rule inet carrel to_client counter drop\n";

/* One element's commands, with addresses as text. `verb` is add or delete. */
static void put_forward(GString *commands, const char *verb, const struct forward *f)
{
	g_string_append_printf(commands,
		"%1$s element inet carrel forwards { %2$s . %3$u : %4$s . %5$u }\n"
		"%1$s element inet carrel open { %2$s . %3$u . %4$s . %5$u }\n",
		verb, conf_ipv4(f->client), f->port, conf_ipv4(f->server), f->server_port);
}

/* 1: there is a table; 0: there is none; -1: error. */
static int table_exists(struct nft *nft, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (run(nft, NFT_CTX_OUTPUT_TERSE, "list map inet carrel forwards\n", &cause))
		return 1;
	if (g_error_matches(cause, NFT_ERROR, NFT_ERROR_MISSING))
		return 0;
	g_propagate_error(error, g_steal_pointer(&cause));
	return -1;
}

gboolean nft_setup(struct nft *nft, const struct policy *policy, GError **error)
{
	g_autoptr(GString) commands = g_string_new(NULL);
	g_autofree char *network = conf_cidr_text(policy->address & policy->mask, policy->mask);
	g_autoptr(GArray) forwards = NULL;

	int exists = table_exists(nft, error);

	if (exists > 0)
		forwards = nft_forward_list(nft, error);
	if (exists < 0 || (exists && !forwards))
		return FALSE;
	g_string_append_printf(commands, setup_format, policy->client_interface,
		policy->server_interface, conf_ipv4(policy->address), network);
	/* `open` is made anew from `forwards`, so that the two agree whatever was done by hand. */
	g_string_append(commands, "flush map inet carrel forwards\nflush set inet carrel open\n");
	for (guint i = 0; forwards && i < forwards->len; i++) {
		const struct forward *f = &g_array_index(forwards, struct forward, i);

		if (!policy_check(policy, f))
			put_forward(commands, "add", f);
	}
	return run(nft, 0, commands->str, error);
}

/* Reads the forward of a key into `f`. 1: there is one; 0: there is none; -1: error. */
static int forward_get(struct nft *nft, struct forward *f, GError **error)
{
	g_autofree char *command = g_strdup_printf(
		"get element inet carrel forwards { %s . %u }\n", conf_ipv4(f->client), f->port);
	g_autoptr(GError) cause = NULL;
	char client[16], server[16];
	unsigned port, server_port;
	struct in_addr in;

	/* libnftables 1.0.6 answers `get element` of a map as text even when asked for JSON. */
	if (!run(nft, NFT_CTX_OUTPUT_NUMERIC_ALL, command, &cause)) {
		if (g_error_matches(cause, NFT_ERROR, NFT_ERROR_MISSING))
			return 0;
		g_propagate_error(error, g_steal_pointer(&cause));
		return -1;
	}
	const char *elements = strstr(nft_ctx_get_output_buffer(nft->ctx), "elements = {");
	if (!elements ||
		sscanf(elements, "elements = { %15[0-9.] . %u : %15[0-9.] . %u", client, &port,
			server, &server_port) != 4 ||
		inet_pton(AF_INET, server, &in) != 1) {
		g_set_error(error, NFT_ERROR, NFT_ERROR_FAILED,
			"nftables: the element of %s . %u cannot be read", conf_ipv4(f->client),
			f->port);
		return -1;
	}
	f->server = ntohl(in.s_addr);
	f->server_port = (guint16)server_port;
	return 1;
}

/* Deleting from `open` what may not be there (somebody's hand) must not fail the transaction. */
static void put_delete(GString *commands, const struct forward *f)
{
	g_string_append_printf(commands, "add element inet carrel open { %s . %u . %s . %u }\n",
		conf_ipv4(f->client), f->port, conf_ipv4(f->server), f->server_port);
	put_forward(commands, "delete", f);
}

/*
 * A new key is the common case and costs the same however many there are; libnftables reads the
 * whole map before it answers `get element`, so that is left for a key that the kernel says it has
 * with another server.
 */
gboolean nft_forward_add(struct nft *nft, const struct forward *forward, GError **error)
{
	g_autoptr(GString) commands = g_string_new(NULL);
	g_autoptr(GError) cause = NULL;
	struct forward old = *forward;

	put_forward(commands, "add", forward);
	if (run(nft, 0, commands->str, &cause))
		return TRUE;
	if (!g_error_matches(cause, NFT_ERROR, NFT_ERROR_EXISTS)) {
		g_propagate_error(error, g_steal_pointer(&cause));
		return FALSE;
	}
	int exists = forward_get(nft, &old, error);
	if (exists < 0)
		return FALSE;
	g_string_truncate(commands, 0);
	if (exists)
		put_delete(commands, &old);
	put_forward(commands, "add", forward);
	return run(nft, 0, commands->str, error);
}

gboolean nft_forward_del(struct nft *nft, guint32 client, guint16 port, GError **error)
{
	g_autoptr(GString) commands = g_string_new(NULL);
	struct forward old = {.client = client, .port = port};

	int exists = forward_get(nft, &old, error);

	if (exists <= 0)
		return exists == 0;
	put_delete(commands, &old);
	return run(nft, 0, commands->str, error);
}

static int compare(gconstpointer a, gconstpointer b)
{
	const struct forward *x = a, *y = b;

	if (x->client != y->client)
		return x->client < y->client ? -1 : 1;
	return (int)x->port - (int)y->port;
}

/* [{"concat": [client, port]}, {"concat": [server, server_port]}] */
static gboolean element_parse(const json_t *element, struct forward *f)
{
	const json_t *key = json_object_get(json_array_get(element, 0), "concat");
	const json_t *data = json_object_get(json_array_get(element, 1), "concat");
	const char *client = json_string_value(json_array_get(key, 0));
	const char *server = json_string_value(json_array_get(data, 0));
	struct in_addr in;

	if (!client || inet_pton(AF_INET, client, &in) != 1)
		return FALSE;
	f->client = ntohl(in.s_addr);
	if (!server || inet_pton(AF_INET, server, &in) != 1)
		return FALSE;
	f->server = ntohl(in.s_addr);
	f->port = (guint16)json_integer_value(json_array_get(key, 1));
	f->server_port = (guint16)json_integer_value(json_array_get(data, 1));
	return TRUE;
}

GArray *nft_forward_list(struct nft *nft, GError **error)
{
	g_autoptr(GArray) forwards = g_array_new(FALSE, FALSE, sizeof(struct forward));
	size_t i;
	const json_t *item, *element;

	if (!run(nft, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_ALL,
		    "list map inet carrel forwards\n", error))
		return NULL;
	json_t *root = json_loads(nft_ctx_get_output_buffer(nft->ctx), 0, NULL);
	json_array_foreach (json_object_get(root, "nftables"), i, item) {
		size_t j;

		json_array_foreach (
			json_object_get(json_object_get(item, "map"), "elem"), j, element) {
			struct forward f;

			if (element_parse(element, &f))
				g_array_append_val(forwards, f);
		}
	}
	json_decref(root);
	g_array_sort(forwards, compare);
	return g_steal_pointer(&forwards);
}
