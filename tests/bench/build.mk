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

# The file systems that a root image could have; VERSIONS names one folder of an image, RUNS how often each
# boots. Half an hour under emulation.
$(B)/bench/init-%: $(INIT_SRC) images/verity/verity.h
	@mkdir -p $(@D)
	@echo "  CC $@"
	$(Q)$(INIT_CC) -DROOT_FORMAT='"$*"' -o $@ $(INIT_SRC)

bench-formats: all $(B)/bench/init-squashfs
	@$(PYTHON) tests/bench/formats.py --init $(B)/bench/init-squashfs $(addprefix --runs ,$(RUNS)) $(VERSIONS) \
		>$(B)/bench/formats.json; status=$$?; cat $(B)/bench/formats.json; exit $$status

# A room that is switched on at once, two virtual PCs in it, over links of 1 Gbit/s and 100 Mbit/s, as root;
# five minutes.
bench-storm: all
	@mkdir -p $(B)/bench
	@$(PYTHON) tests/bench/storm.py --keep $(B)/bench/storm-forms >$(B)/bench/storm.json; status=$$?; \
		cat $(B)/bench/storm.json; exit $$status

# From power-on to the login form, beside LTSP and Debian live; as root, twenty minutes, and ten more
# when the peers' images are made. REPETITIONS of each.
bench-boot: all
	@mkdir -p $(B)/bench
	@$(PYTHON) tests/bench/boot/bench_boot.py --repetitions $(or $(REPETITIONS),5) \
		--keep $(B)/bench/boot-forms >$(B)/bench/boot.json; status=$$?; \
		cat $(B)/bench/boot.json; exit $$status

.PHONY: bench bench-handoff bench-desktop bench-formats bench-storm bench-boot
