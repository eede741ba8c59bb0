/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netconf/policy.h"
#include "broker/shared/log.h"

gboolean policy_init(struct policy *policy, const struct conf *conf, GError **error)
{
	if (!conf_found(conf, CONF_NETWORK_CLIENT_ADDRESS, error) ||
		!conf_found(conf, CONF_NETWORK_SERVER_INTERFACE, error) ||
		!conf_found(conf, CONF_NETWORK_SERVER_NETWORK, error))
		return FALSE;
	*policy = (struct policy){0};
	/* CONF_INTERFACE values fit: at most IFNAMSIZ - 1 bytes. */
	g_strlcpy(policy->client_interface, conf_string(conf, CONF_NETWORK_CLIENT_INTERFACE),
		sizeof(policy->client_interface));
	g_strlcpy(policy->server_interface, conf_string(conf, CONF_NETWORK_SERVER_INTERFACE),
		sizeof(policy->server_interface));
	conf_cidr(conf, CONF_NETWORK_CLIENT_ADDRESS, &policy->address, &policy->mask);
	conf_cidr(conf, CONF_NETWORK_SERVER_NETWORK, &policy->server_network, &policy->server_mask);
	policy->server_network &= policy->server_mask;
	policy->port = (guint16)conf_int(conf, CONF_NETWORK_FORWARD_PORT);
	return TRUE;
}

/* An address that a host in the network can have: neither the network's own nor its broadcast. */
static gboolean is_host(guint32 address, guint32 network, guint32 mask)
{
	return (address & mask) == (network & mask) && (address & ~mask) != 0 &&
	       (address | mask) != ~0u;
}

const char *policy_check_key(const struct policy *policy, guint32 client, guint16 port)
{
	if (!policy->mask)
		return "the networks are not known yet: ask for setup first";
	if (!is_host(client, policy->address, policy->mask) || client == policy->address)
		return log_fmt("client %s is no PC's address in the network of client_address",
			conf_ipv4(client));
	if (port < policy->port || port >= policy->port + CONF_FORWARD_PORTS)
		return log_fmt("port %u is not one of %u to %u (forward_port)", port, policy->port,
			policy->port + CONF_FORWARD_PORTS - 1);
	return NULL;
}

const char *policy_check(const struct policy *policy, const struct forward *forward)
{
	const char *wrong = policy_check_key(policy, forward->client, forward->port);

	if (wrong)
		return wrong;
	if (!is_host(forward->server, policy->server_network, policy->server_mask))
		return log_fmt("server %s lies outside server_network", conf_ipv4(forward->server));
	if (forward->server_port < POLICY_SERVER_PORT_FIRST ||
		forward->server_port > POLICY_SERVER_PORT_LAST)
		return log_fmt("server_port %u is not a VNC port, %d to %d", forward->server_port,
			POLICY_SERVER_PORT_FIRST, POLICY_SERVER_PORT_LAST);
	return NULL;
}
