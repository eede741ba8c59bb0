# SPDX-License-Identifier: GPL-2.0-or-later
CTL_SRC := $(sort $(filter-out broker/ctl/main.c,$(wildcard broker/ctl/*.c)))
$(call library,ctl,$(CTL_SRC))
CTL_PKGS := $(SHARED_PKGS) libcurl cairo fontconfig gnutls
$(call program,carrel,broker/ctl/main.c,ctl core shared imagekeep imagestore,$(CTL_PKGS),$(BINDIR),-lm)
$(call unit_test,test_ctl,tests/unit/test_ctl.c,ctl core shared imagekeep imagestore,$(CTL_PKGS),-lm)
$(call unit_test,test_plan,tests/unit/test_plan.c,ctl core shared imagekeep imagestore,$(CTL_PKGS),-lm)
$(call unit_test,test_plan_args,tests/unit/test_plan_args.c,ctl core shared imagekeep imagestore,$(CTL_PKGS),-lm)
$(call unit_test,test_csv,tests/unit/test_csv.c broker/ctl/csv.c,,glib-2.0 jansson)
$(call fuzz_target,csv,tests/fuzz/csv.c broker/ctl/csv.c,glib-2.0 jansson)
$(call install_file,broker/man/carrel.1,$(MANDIR)/man1,644)
$(call install_file,broker/man/carrel-plan.1,$(MANDIR)/man1,644)
$(call install_file,broker/man/carrel-simulate.1,$(MANDIR)/man1,644)
PLAN_FUZZ := $(addprefix broker/core/,placement.c tier.c tree.c planner.c) broker/ctl/plan_args.c broker/ctl/command_word.c
$(call fuzz_target,plan_servers,tests/fuzz/plan_servers.c broker/ctl/plan_run.c $(PLAN_FUZZ),glib-2.0)
$(call fuzz_target,trace,tests/fuzz/trace.c broker/ctl/simulate_trace.c broker/ctl/simulate.c \
	broker/ctl/simulate_print.c broker/ctl/plan_text.c broker/ctl/plan_run.c broker/ctl/table.c \
	$(PLAN_FUZZ),glib-2.0 jansson)
