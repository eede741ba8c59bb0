# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists of mutants: changes of a copy of broker/core, applied before it is compiled; the product
knows nothing of them. allocator.mutants says how an entry looks."""

import concurrent.futures
import dataclasses
import os
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
CC = ["gcc", "-std=gnu11", "-O1", "-w", "-D_GNU_SOURCE", f"-I{TOP}"]
SECONDS = 60


@dataclasses.dataclass
class Mutant:
    """One entry of a list; changes are (file, old text, new text)."""

    says: str
    caught: str = ""
    changes: list = dataclasses.field(default_factory=list)


def read(name):
    path = pathlib.Path(__file__).with_name(name)
    mutants = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("= "):
            mutants.append(Mutant(line[2:]))
        elif line.startswith("caught "):
            mutants[-1].caught = line.removeprefix("caught ")
        elif line.startswith("in "):
            mutants[-1].changes.append([line[3:], "", ""])
        elif line[:1] in ("-", "+"):
            mutants[-1].changes[-1][1 if line[0] == "-" else 2] += line[1:] + "\n"
        elif line and not line.startswith("#"):
            raise ValueError(f"{name}:{number}: neither =, caught, in, -, + nor a comment")
    return mutants


def run(command):
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        timeout=SECONDS, check=False,
    )


def build(command):
    done = run(command)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}:\n{done.stdout}")


def compile_all(sources, folder):
    """Compiles the unbroken sources: name (one of core's is its file's) -> object."""
    names = [s.name if s.parent.name == "core" else f"{s.parent.name}-{s.name}" for s in sources]
    made = {name: folder / (name + ".o") for name in names}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda s, o: build([*CC, "-c", s, "-o", o]), sources, made.values()))
    return made


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


def try_all(mutants, folders, attempt):
    """attempt(mutant, folder) for all of them at once: a list of results."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(attempt, mutants, folders))
