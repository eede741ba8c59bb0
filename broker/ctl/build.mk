# SPDX-License-Identifier: GPL-2.0-or-later
CTL_SRC := $(sort $(filter-out broker/ctl/main.c,$(wildcard broker/ctl/*.c)))
$(call library,ctl,$(CTL_SRC))
$(call program,carrel,broker/ctl/main.c,ctl shared,$(SHARED_PKGS) libcurl,$(BINDIR))
$(call unit_test,test_ctl,tests/unit/test_ctl.c,ctl shared,$(SHARED_PKGS) libcurl)
$(call install_file,broker/man/carrel.1,$(MANDIR)/man1,644)
