# SPDX-License-Identifier: GPL-2.0-or-later
# The broker's decisions. They need nothing but a C library.
$(call library,core,$(sort $(wildcard broker/core/*.c)))
$(call unit_test,test_constraint,tests/unit/test_constraint.c,core)
$(call unit_test,test_policy,tests/unit/test_policy.c tests/unit/test_core_bench.c,core)
$(call unit_test,test_core,tests/unit/test_core.c tests/unit/test_core_bench.c,core)
$(call unit_test,test_core_bad_days,tests/unit/test_core_bad_days.c tests/unit/test_core_bench.c,core)
$(call unit_test,test_core_handoff,tests/unit/test_core_handoff.c tests/unit/test_core_bench.c,core)
$(call unit_test,test_core_image,tests/unit/test_core_image.c tests/unit/test_core_bench.c,core)
$(call unit_test,test_core_volumes,tests/unit/test_core_volumes.c tests/unit/test_core_bench.c,core)
$(call unit_test,test_core_hammer,tests/unit/test_core_hammer.c tests/unit/test_core_bench.c,core)
# A simulated lab; `sim RUNS FIRST_SEED` goes on for as long as one likes.
$(call unit_test,sim,$(sort $(wildcard tests/sim/*.c)),core)
