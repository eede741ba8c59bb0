# SPDX-License-Identifier: GPL-2.0-or-later
CTL_SRC := $(sort $(filter-out broker/ctl/main.c,$(wildcard broker/ctl/*.c)))
$(call library,ctl,$(CTL_SRC))
CTL_PKGS := $(SHARED_PKGS) libcurl cairo
$(call program,carrel,broker/ctl/main.c,ctl core shared,$(CTL_PKGS),$(BINDIR),-lm)
$(call unit_test,test_ctl,tests/unit/test_ctl.c,ctl core shared,$(CTL_PKGS),-lm)
$(call install_file,broker/man/carrel.1,$(MANDIR)/man1,644)
$(call install_file,broker/man/carrel-plan.1,$(MANDIR)/man1,644)
$(call install_file,broker/man/carrel-simulate.1,$(MANDIR)/man1,644)
