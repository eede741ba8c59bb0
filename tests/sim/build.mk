# SPDX-License-Identifier: GPL-2.0-or-later
# The allocator's worlds: every state of small ones, random days in large ones, and the table that
# it has to match. `tier_states all` and `tier_runs RUNS FIRST_SEED` go on for longer.
TIER_LAB := $(addprefix tests/sim/tiers/,lab.c step.c scan.c property.c)
$(call unit_test,tier_states,tests/sim/tiers/states.c $(TIER_LAB),core)
$(call unit_test,tier_runs,tests/sim/tiers/runs.c $(TIER_LAB),core)
$(call unit_test,test_tier,tests/unit/test_tier.c $(TIER_LAB),core)
$(call unit_test,test_tier_tree,tests/unit/test_tier_tree.c,core)
