# SPDX-License-Identifier: GPL-2.0-or-later
NETCONF_CHECKED := netconf/policy.c netconf/request.c netconf/setup.c
$(call library,netconf,$(NETCONF_CHECKED))
$(call program,carrel-netd,netconf/netd.c netconf/nft.c netconf/privilege.c,netconf shared,$(SHARED_PKGS) libnftables libcap-ng,$(SBINDIR))
$(call unit_test,test_netconf,tests/unit/test_netconf.c,netconf shared,$(SHARED_PKGS))
$(call fuzz_target,netd_request,tests/fuzz/netd_request.c netconf/request.c netconf/policy.c $(SHARED_SRC),$(SHARED_PKGS))
$(call install_file,broker/man/carrel-netd.8,$(MANDIR)/man8,644)
