# SPDX-License-Identifier: GPL-2.0-or-later
# carreld: the loop (broker/daemon/) and its doors (broker/api/) are one library, main.c the program.
BROKER_SRC := $(sort $(filter-out broker/daemon/main.c,$(wildcard broker/daemon/*.c)) $(wildcard broker/api/*.c))
BROKER_PKGS := $(SHARED_PKGS) sqlite3 libmicrohttpd gnutls
$(call library,broker,$(BROKER_SRC))
$(call program,carreld,broker/daemon/main.c,broker imagestore store core shared,$(BROKER_PKGS),$(SBINDIR))
$(call unit_test,test_broker,tests/unit/test_broker.c,broker imagestore store core shared,$(BROKER_PKGS))
$(call unit_test,test_fence,tests/unit/test_fence.c,broker shared,$(SHARED_PKGS))
$(call unit_test,test_dispatch,tests/unit/test_dispatch.c,broker imagestore store core shared,$(BROKER_PKGS))
$(call fuzz_target,fuzz_api,tests/fuzz/fuzz_api.c broker/api/shape.c,$(SHARED_PKGS))
$(call install_file,broker/man/carreld.8,$(MANDIR)/man8,644)
$(call fuzz_target,fuzz_agent,tests/fuzz/fuzz_agent.c broker/daemon/agent.c,$(SHARED_PKGS))
$(call unit_test,test_seats,tests/unit/test_seats.c,broker imagestore store core shared,$(BROKER_PKGS))
$(call fuzz_target,seat_name,tests/fuzz/seat_name.c broker/daemon/seat_name.c,glib-2.0)
$(call unit_test,test_daily,tests/unit/test_daily.c,broker,$(SHARED_PKGS))
$(call unit_test,test_when,tests/unit/test_when.c,broker,$(SHARED_PKGS))
$(call fuzz_target,when,tests/fuzz/when.c broker/daemon/when.c,$(SHARED_PKGS))
