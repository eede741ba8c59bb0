# SPDX-License-Identifier: GPL-2.0-or-later
"""The allocator for longer than `make test` has: every state of the larger small worlds, many random
days, and the benchmark's plans beside those of the plain scan."""

import json
import subprocess

RUNS = 200000
SEED = 1000001  # `make test` has the first ones
SECONDS = 300


def test_every_state_of_the_larger_worlds(program):
    done = subprocess.run(
        [program("tests/tier_states"), "all"], timeout=SECONDS, capture_output=True, text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_many_random_days(program):
    done = subprocess.run(
        [program("tests/tier_runs"), str(RUNS), str(SEED)], timeout=SECONDS, capture_output=True,
        text=True, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_bench_makes_equal_plans_and_says_what_they_cost(program):
    done = subprocess.run(
        [program("bench_placement"), "20000"], timeout=SECONDS, capture_output=True, text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["same_plans"] is True
    for load in ("tides", "floods"):
        for who in ("placement", "scan"):
            assert [row["servers"] for row in report[load][who]] == [10, 100, 1000]
            for row in report[load][who]:
                assert 0 < row["p50_ns"] <= row["p99_ns"]
                assert row["decisions_per_second"] > 0
        # On a thousand servers looking at each one cannot be quicker: else something is wrong.
        assert report[load]["placement"][2]["mean_ns"] < report[load]["scan"][2]["mean_ns"]
