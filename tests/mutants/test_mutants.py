# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the tests: each deliberately broken allocator is caught by the promises it is to break.
One that no longer applies, or does not compile, is an error."""

import re
import subprocess

import pytest

from mutants import TOP, build, compile_all, mutate, read, run, try_all

CORE = ("placement.c", "tier.c", "tree.c")
LAB = ("lab.c", "step.c", "scan.c", "property.c", "runs.c", "states.c")
PROGRAMS = {"runs": ["1500"], "states": []}  # the quicker one first
MUTANTS = read("allocator.mutants")


def broken(report):
    """The promises that a report says were broken."""
    lines = re.findall(r"^(\S+) +(\d+) checks +(\d+) broken", report, re.MULTILINE)
    return {name for name, _, count in lines if int(count) > 0}


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """The lab and the unbroken allocator, compiled: file name -> object."""
    folder = tmp_path_factory.mktemp("mutants")
    sources = [TOP / "broker/core" / f for f in CORE] + [TOP / "tests/sim/tiers" / f for f in LAB]
    return compile_all(sources, folder)


def reports(objects, folder, changed):
    """Runs the checks with some objects changed, one program after the other."""
    made = objects | changed
    for name, arguments in PROGRAMS.items():
        others = [f"tiers-{other}.c" for other in PROGRAMS if other != name]
        program = folder / name
        build(["gcc", "-o", program, *(path for f, path in made.items() if f not in others)])
        yield run([program, *arguments]).stdout


def try_mutant(mutant, objects, folder):
    """The promises seen to break, or the exception that kept it from being tried."""
    try:
        seen, text = set(), ""
        for report in reports(objects, folder, mutate(mutant, folder)):
            seen |= broken(report)
            text += report
            if seen.issuperset(mutant.caught.split()):
                break
        return seen, text
    except (ValueError, RuntimeError, subprocess.TimeoutExpired) as error:
        return error


@pytest.fixture(scope="module")
def results(objects, tmp_path_factory):
    """All mutants are tried at once: index -> what came out."""
    folders = [tmp_path_factory.mktemp("mutant") for _ in MUTANTS]
    return try_all(MUTANTS, folders, lambda mutant, folder: try_mutant(mutant, objects, folder))


@pytest.mark.parametrize("index", range(len(MUTANTS)), ids=[m.says for m in MUTANTS])
def test_mutant_is_caught(results, index):
    mutant, result = MUTANTS[index], results[index]
    if isinstance(result, Exception):
        pytest.fail(f"{mutant.says} {result}")
    seen, text = result
    missed = set(mutant.caught.split()) - seen
    assert mutant.caught, f"{mutant.says} names no promise"
    assert not missed, f"not caught by {sorted(missed)}, only by {sorted(seen)}\n{text[-3000:]}"


def test_the_allocator_itself_breaks_no_promise(objects, tmp_path):
    for report in reports(objects, tmp_path, {}):
        assert broken(report) == set(), report


def test_each_promise_has_a_mutant_and_is_checked(objects, tmp_path):
    named = {name for mutant in MUTANTS for name in mutant.caught.split()}
    checked = {}
    for report in reports(objects, tmp_path, {}):
        for name, count in re.findall(r"^(\S+) +(\d+) checks", report, re.MULTILINE):
            checked[name] = checked.get(name, 0) + int(count)
    assert checked, "no report"
    assert sorted(n for n, count in checked.items() if count == 0) == []
    assert sorted(set(checked) ^ named) == []
