# SPDX-License-Identifier: GPL-2.0-or-later
# The broker's decisions. They need nothing but a C library.
$(call library,core,$(sort $(wildcard broker/core/*.c)))
$(call unit_test,test_tier,tests/unit/test_tier.c,core)
$(call unit_test,sim,$(sort $(wildcard tests/sim/*.c)),core)
$(call unit_test,test_core,tests/unit/test_core.c,core)
