# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the tests: each deliberately broken broker is caught by the simulated lab."""

import re
import subprocess

import pytest

from mutants import TOP, build, compile_all, mutate, read, run, try_all

MUTANTS = read("handoff.mutants")
RUNS = "1500"


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    sources = [*(TOP / "broker/core").glob("*.c"), *(TOP / "tests/sim").glob("*.c")]
    return compile_all(sources, tmp_path_factory.mktemp("sim"))


def said(objects, folder, changed):
    """What the simulation says of this broker: the sentence it stopped with, or ''."""
    program = folder / "sim"
    build(["gcc", "-o", program, *(objects | changed).values()])
    done = run([program, RUNS])
    found = re.search(r"^sim: seed \d+, at \d+ ms: (.*)$", done.stdout, re.MULTILINE)
    if done.returncode == 0:
        return ""
    return found[1] if found else done.stdout


def try_mutant(mutant, objects, folder):
    try:
        return said(objects, folder, mutate(mutant, folder))
    except (ValueError, RuntimeError, subprocess.TimeoutExpired) as error:
        return error


@pytest.fixture(scope="module")
def results(objects, tmp_path_factory):
    folders = [tmp_path_factory.mktemp("mutant") for _ in MUTANTS]
    return try_all(MUTANTS, folders, lambda mutant, folder: try_mutant(mutant, objects, folder))


@pytest.mark.parametrize("index", range(len(MUTANTS)), ids=[m.says for m in MUTANTS])
def test_mutant_is_caught(results, index):
    mutant, result = MUTANTS[index], results[index]
    if isinstance(result, Exception):
        pytest.fail(f"{mutant.says} {result}")
    assert result, f"not caught: {mutant.says}"
    assert any(result.startswith(part) for part in mutant.caught.split("|")), result


def test_the_broker_itself_is_not_caught(objects, tmp_path):
    assert said(objects, tmp_path, {}) == ""
