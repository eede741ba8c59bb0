# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the tests: each deliberately broken allocator is caught by the promises it is to break.

A mutant is a change of a copy of broker/core's allocator, applied before it is compiled; the product
knows nothing of it. One that no longer applies, or does not compile, is an error.
"""

import concurrent.futures
import dataclasses
import os
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
LIST = pathlib.Path(__file__).with_name("allocator.mutants")
CORE = ("placement.c", "tier.c", "tree.c")
LAB = ("lab.c", "step.c", "scan.c", "property.c", "runs.c", "states.c")
PROGRAMS = {"runs": ["1500"], "states": []}  # the quicker one first
CC = ["gcc", "-std=gnu11", "-O1", "-w", "-D_GNU_SOURCE", f"-I{TOP}"]
SECONDS = 60


@dataclasses.dataclass
class Mutant:
    """One entry of the list; changes are (file, old text, new text)."""

    says: str
    caught: list = dataclasses.field(default_factory=list)
    changes: list = dataclasses.field(default_factory=list)


def read_mutants():
    mutants = []
    for number, line in enumerate(LIST.read_text().splitlines(), 1):
        if line.startswith("= "):
            mutants.append(Mutant(line[2:]))
        elif line.startswith("caught "):
            mutants[-1].caught = line.split()[1:]
        elif line.startswith("in "):
            mutants[-1].changes.append([line[3:], "", ""])
        elif line[:1] in ("-", "+"):
            mutants[-1].changes[-1][1 if line[0] == "-" else 2] += line[1:] + "\n"
        elif line and not line.startswith("#"):
            raise ValueError(f"{LIST.name}:{number}: neither =, caught, in, -, + nor a comment")
    return mutants


MUTANTS = read_mutants()


def run(command):
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        timeout=SECONDS, check=False,
    )


def build(command):
    done = run(command)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}:\n{done.stdout}")


def broken(report):
    """The promises that a report says were broken."""
    lines = re.findall(r"^(\S+) +(\d+) checks +(\d+) broken", report, re.MULTILINE)
    return {name for name, _, count in lines if int(count) > 0}


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """The lab and the unbroken allocator, compiled: file name -> object."""
    folder = tmp_path_factory.mktemp("mutants")
    sources = [TOP / "broker/core" / f for f in CORE] + [TOP / "tests/sim/tiers" / f for f in LAB]
    made = {s.name: folder / (s.stem + ".o") for s in sources}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda s: build([*CC, "-c", s, "-o", made[s.name]]), sources))
    return made


def reports(objects, folder, changed):
    """Runs the checks with some objects changed, one program after the other."""
    made = objects | changed
    for name, arguments in PROGRAMS.items():
        others = [f"{other}.c" for other in PROGRAMS if other != name]
        program = folder / name
        build(["gcc", "-o", program, *(path for f, path in made.items() if f not in others)])
        yield run([program, *arguments]).stdout


def mutate(mutant, folder):
    """Writes and compiles the changed files; returns their objects."""
    texts = {}
    for file, old, new in mutant.changes:
        text = texts.get(file) or (TOP / "broker/core" / file).read_text()
        # A change ends with a line, or within one: what is on either side stays.
        old, new = old.removesuffix("\n"), new.removesuffix("\n")
        if text.count(old) != 1:
            raise ValueError(f"{file} has this {text.count(old)} times instead of once:\n{old}")
        texts[file] = text.replace(old, new)
    changed = {}
    for file, text in texts.items():
        source = folder / file
        source.write_text(text)
        changed[file] = source.with_suffix(".o")
        build([*CC, "-c", source, "-o", changed[file]])
    return changed


def try_mutant(mutant, objects, folder):
    """The promises seen to break, or the exception that kept it from being tried."""
    try:
        seen, text = set(), ""
        for report in reports(objects, folder, mutate(mutant, folder)):
            seen |= broken(report)
            text += report
            if seen.issuperset(mutant.caught):
                break
        return seen, text
    except (ValueError, RuntimeError, subprocess.TimeoutExpired) as error:
        return error


@pytest.fixture(scope="module")
def results(objects, tmp_path_factory):
    """All mutants are tried at once: index -> what came out."""
    folders = [tmp_path_factory.mktemp("mutant") for _ in MUTANTS]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        tried = pool.map(lambda m, f: try_mutant(m, objects, f), MUTANTS, folders)
        return list(tried)


@pytest.mark.parametrize("index", range(len(MUTANTS)), ids=[m.says for m in MUTANTS])
def test_mutant_is_caught(results, index):
    mutant, result = MUTANTS[index], results[index]
    if isinstance(result, Exception):
        pytest.fail(f"{mutant.says} {result}")
    seen, text = result
    missed = set(mutant.caught) - seen
    assert mutant.caught, f"{mutant.says} names no promise"
    assert not missed, f"not caught by {sorted(missed)}, only by {sorted(seen)}\n{text[-3000:]}"


def test_the_allocator_itself_breaks_no_promise(objects, tmp_path):
    for report in reports(objects, tmp_path, {}):
        assert broken(report) == set(), report


def test_each_promise_has_a_mutant_and_is_checked(objects, tmp_path):
    named = {name for mutant in MUTANTS for name in mutant.caught}
    checked = {}
    for report in reports(objects, tmp_path, {}):
        for name, count in re.findall(r"^(\S+) +(\d+) checks", report, re.MULTILINE):
            checked[name] = checked.get(name, 0) + int(count)
    assert checked, "no report"
    assert sorted(n for n, count in checked.items() if count == 0) == []
    assert sorted(set(checked) ^ named) == []
