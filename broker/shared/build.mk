# SPDX-License-Identifier: GPL-2.0-or-later
# The library itself is in ../build.mk: all the others link it.
$(call unit_test,test_conf,tests/unit/test_conf.c,shared,$(SHARED_PKGS))
$(call unit_test,test_screen_mode,tests/unit/test_screen_mode.c,shared,$(SHARED_PKGS))
$(call unit_test,test_keyboard,tests/unit/test_keyboard.c,shared,$(SHARED_PKGS))
$(call unit_test,test_msg,tests/unit/test_msg.c,shared,$(SHARED_PKGS))
$(call fuzz_target,conf,tests/fuzz/conf.c $(SHARED_SRC),$(SHARED_PKGS))
$(call fuzz_target,msg,tests/fuzz/msg.c $(SHARED_SRC),$(SHARED_PKGS))

# carrel.conf(5) is made from the table of keys, so that the two cannot differ.
$(call program,conf-man,broker/shared/conf_man.c,shared,$(SHARED_PKGS),)
$(B)/man/carrel.conf.5: broker/man/carrel.conf.5.in $(B)/conf-man
	@mkdir -p $(@D)
	$(Q)$(B)/conf-man <$< >$@.new && mv $@.new $@
EXTRA += $(B)/man/carrel.conf.5
$(call install_file,$(B)/man/carrel.conf.5,$(MANDIR)/man5,644)
$(call install_file,broker/man/carrel.7,$(MANDIR)/man7,644)
