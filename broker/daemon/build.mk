# SPDX-License-Identifier: GPL-2.0-or-later
# carreld: the loop (broker/daemon/) and its doors (broker/api/) are one library, main.c the program.
BROKER_SRC := $(sort $(filter-out broker/daemon/main.c,$(wildcard broker/daemon/*.c)) $(wildcard broker/api/*.c))
BROKER_PKGS := $(SHARED_PKGS) sqlite3 libmicrohttpd
$(call library,broker,$(BROKER_SRC))
$(call program,carreld,broker/daemon/main.c,broker store core shared,$(BROKER_PKGS),$(SBINDIR))
