# SPDX-License-Identifier: GPL-2.0-or-later
#
#   make test          quick: unit tests, simulation, integration without root; under a minute
#   make check         everything, as root: style, unit tests (also with sanitizers), short fuzzing,
#                      integration, the virtual lab
#   make check-full    the tests marked `full` alone, as root: every kill at every step; hours
#   make lint          formatting, shell, manual pages, licences, lengths
#   make fuzz-short    every fuzz target for FUZZ_SECONDS
#   make bench         what the allocator's decisions cost, as JSON
#   make bench-handoff what a hand-off costs its user, in the virtual lab, as root, as JSON
#   make bench-desktop how long a desktop needs from its VM's start, as root, as JSON
#   make bench-formats which file system serves a desktop's root image best, as root, as JSON
#   make bench-storm   what a room of PCs needs that is switched on at once, as root, as JSON
#   make bench-boot    power-on to login form beside LTSP and Debian live, as root, as JSON
# Other folders may still add to TESTS and FUZZERS: hence second expansion.
PYTHON ?= /usr/bin/python3
PYTEST_ARGS ?=
FUZZ_SECONDS ?= 5
RUN_TESTS := $(PYTHON) scripts/run-tests
PYTEST_COMMON := -c tests/pytest.ini -q --durations=25 --durations-min=5
# One PC that boots keeps one processor busy: it boots beside the tests that need no virtual machine.
NETBOOT := $(addprefix tests/integration/,test_netboot.py test_netboot_uefi.py test_attacked_boots.py \
	test_flipped_bits.py)
LINT_CHECKS := format shell man spdx length

.SECONDEXPANSION:
unit-programs: $$(TESTS)

test: all $$(TESTS)
	@CARREL_BUILD=$(B) $(RUN_TESTS) $(patsubst %,--unit %,$(TESTS)) \
		--pytest "$(PYTEST_COMMON) -m 'quick and not root and not lab' $(PYTEST_ARGS) tests"

# A make of its own behind the packages: on a fresh machine pkg-config is among them.
check:
	@scripts/deps
	@$(MAKE) --no-print-directory -j$$(nproc) check-all

check-all: all $$(TESTS)
	@CARREL_BUILD=$(B) $(RUN_TESTS) \
		$(foreach c,$(LINT_CHECKS),--step "lint $(c): scripts/lint $(c)") \
		--step "images: $(MAKE) --no-print-directory images" \
		--step "sanitizers: $(MAKE) --no-print-directory -j$$(nproc) SAN=1 unit" \
		--step "fuzzing: $(MAKE) --no-print-directory -j$$(nproc) fuzz-short FUZZ_SECONDS=2" \
		$(patsubst %,--unit %,$(TESTS)) \
		--beside "$(PYTEST_COMMON) -m 'not lab and not full' $(addprefix --ignore=,$(NETBOOT)) $(PYTEST_ARGS) tests" \
		--beside "$(PYTEST_COMMON) $(PYTEST_ARGS) $(NETBOOT)" \
		--pytest "$(PYTEST_COMMON) -m 'lab and not full' $(addprefix --ignore=,$(NETBOOT)) $(PYTEST_ARGS) tests"

check-full: all
	@CARREL_BUILD=$(B) $(RUN_TESTS) \
		--step "images: $(MAKE) --no-print-directory images" \
		--pytest "$(PYTEST_COMMON) -m full $(PYTEST_ARGS) tests"

# Unit tests alone; with SAN=1 those of the sanitizer build.
unit: $$(TESTS)
	@$(RUN_TESTS) $(patsubst %,--unit %,$(TESTS))

# What a target finds grows its folder under $(B)/fuzz/found; a crash is kept in $(B)/fuzz.
fuzz-short: $$(FUZZERS)
	@set -e; for f in $(FUZZERS); do name=$$(basename $$f); found=$(B)/fuzz/found/$$name; \
		mkdir -p $$found; echo "  FUZZ $$name"; \
		corpus=tests/fuzz/corpus/$$name; [ -d $$corpus ] || corpus=; \
		$$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 \
			-artifact_prefix=$(B)/fuzz/ $$found $$corpus >$$found.log 2>&1 || \
			{ cat $$found.log; exit 1; }; done

check-format:
	@scripts/lint format

lint:
	@scripts/lint all

.PHONY: unit-programs unit test check check-all check-full fuzz-short check-format lint
