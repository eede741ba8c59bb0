# SPDX-License-Identifier: GPL-2.0-or-later
NETCONF_CHECKED := netconf/policy.c netconf/request.c netconf/setup.c
$(call library,netconf,$(NETCONF_CHECKED))
$(call program,carrel-netd,netconf/netd.c netconf/nft.c netconf/privilege.c,netconf shared,$(SHARED_PKGS) libnftables libcap-ng,$(SBINDIR))
