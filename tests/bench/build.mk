# SPDX-License-Identifier: GPL-2.0-or-later
# make bench: what the allocator's decisions cost, as JSON in $(B)/bench.
$(call program,bench_placement,tests/bench/bench_placement.c tests/sim/tiers/scan.c,core,jansson,,-lm)

bench: $(B)/bench_placement
	@mkdir -p $(B)/bench
	$(B)/bench_placement >$(B)/bench/placement.json
	@cat $(B)/bench/placement.json

# What a hand-off costs its user, in the virtual lab, as root; an hour under emulation.
bench-handoff: all
	@mkdir -p $(B)/bench
	@$(PYTHON) tests/bench/handoff.py >$(B)/bench/handoff.json; status=$$?; \
		cat $(B)/bench/handoff.json; exit $$status

# From a desktop VM's start to what its user sees; VERSIONS names folders of images.
bench-desktop: all
	@mkdir -p $(B)/bench
	@$(PYTHON) tests/bench/desktop_boot.py $(VERSIONS) >$(B)/bench/desktop.json; status=$$?; \
		cat $(B)/bench/desktop.json; exit $$status

# A room that is switched on at once, over links of 1 Gbit/s and 100 Mbit/s, as root; five minutes.
bench-storm: all
	@mkdir -p $(B)/bench
	@$(PYTHON) tests/bench/storm.py >$(B)/bench/storm.json; status=$$?; \
		cat $(B)/bench/storm.json; exit $$status

.PHONY: bench bench-handoff bench-desktop bench-storm
