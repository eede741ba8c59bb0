# SPDX-License-Identifier: GPL-2.0-or-later
# The library itself is in ../build.mk: all the others link it.
$(call unit_test,test_conf,tests/unit/test_conf.c,shared,$(SHARED_PKGS))
$(call unit_test,test_msg,tests/unit/test_msg.c,shared,$(SHARED_PKGS))
$(call fuzz_target,conf,tests/fuzz/conf.c $(SHARED_SRC),$(SHARED_PKGS))
$(call fuzz_target,msg,tests/fuzz/msg.c $(SHARED_SRC),$(SHARED_PKGS))
