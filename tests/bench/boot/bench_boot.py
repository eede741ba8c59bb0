#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""From a PC's power-on to the login form on its screen: Carrel's PC beside LTSP's and Debian live's,
in the virtual lab, in one run, taking turns. JSON on standard output; exit status 1 when a goal is
missed, Carrel's form did not come, or too often a peer's did not.

    form_s     power-on until the form is seen on the screen
    bytes      what crossed the PC's wire until then, both ways
    ratios     Carrel's median by that of the better peer, for each of the two

Same virtual PC, bridge and boot server for all; docs/boot.md says how the peers are set up. Figures of
software emulation are orders of magnitude; their ratio is the point. Each boot has a PC, which is to
say a network card and an address, of its own. As root; needs rpcbind beside the lab's packages.
"""

import argparse
import json
import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.abspath(os.path.join(HERE, "..", "..", ".."))
sys.path.insert(0, os.path.join(TOP, "tests", "lab"))

from carrel_lab import Lab, LabError, LabTimeout  # noqa: E402
import peers  # noqa: E402
import watch  # noqa: E402

NAMES = ["carrel", "ltsp", "live"]
MADE = os.path.join(TOP, "build", "bench", "boot")
PATIENCE = 240
MORE_TURNS = 2  # a peer's X now and then meets no graphics card yet, and its display manager gives up
GOAL = 0.5


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, lab, names, memory_mib, pictures):
        self.lab, self.memory_mib, self.pictures = lab, memory_mib, pictures
        self.server = peers.Server(lab)
        self.peers = {name: peers.Peer(lab, name, os.path.join(MADE, name))
                      for name in names if name != "carrel"}
        self.runs = {name: [] for name in names}
        self.failed, self.boots = [], 0

    def prepare(self):
        for peer in self.peers.values():
            peer.install()
        self.server.start_rpcbind()

    def boot(self, name):
        self.server.serve(self.peers.get(name))
        self.boots += 1
        pc = self.lab.pc(f"pc{self.boots}", memory_mib=self.memory_mib)
        form = watch.xdm_form if name in self.peers else watch.carrel_form
        pc.power_on()
        try:
            form_s, to_pc, from_pc, screen = watch.wait_form(pc, form, PATIENCE)
        finally:
            pc.power_cut()
        if self.pictures:
            screen.save(os.path.join(self.pictures, f"{name}-{len(self.runs[name]) + 1}.png"))
        self.runs[name].append({"form_s": round(form_s, 1), "bytes": to_pc + from_pc,
                                "bytes_to_pc": to_pc, "bytes_from_pc": from_pc})
        say(f"{name}: {self.runs[name][-1]}")

    def run(self, repetitions):
        """The figures; boots without their form are told, and made up for, but not for ever."""
        for turn in range(repetitions + MORE_TURNS):
            for name, runs in self.runs.items():
                if len(runs) >= min(turn + 1, repetitions):
                    continue
                try:
                    self.boot(name)
                except LabTimeout as error:
                    say(f"{name}: {error}")
                    self.failed.append(f"{name}: {error}")
        return {name: {"runs": runs, **{key: statistics.median(run[key] for run in runs)
                                        for key in ("form_s", "bytes")}}
                for name, runs in self.runs.items() if runs}

    def spoilt(self, repetitions):
        """Is this no measurement? A boot of Carrel without its form, or a contender with too few boots."""
        return (any(one.startswith("carrel:") for one in self.failed) or
                any(len(runs) < repetitions for runs in self.runs.values()))


def compare(results):
    """(ratios, what was missed): Carrel's figures by the better peer's, for each by itself."""
    ratios, missed = {}, []
    rivals = [name for name in results if name != "carrel"]
    if "carrel" not in results or not rivals:
        return ratios, missed
    for key in ("form_s", "bytes"):
        best = min(rivals, key=lambda name, key=key: results[name][key])
        ratio = round(results["carrel"][key] / results[best][key], 2)
        ratios[key] = {"peer": best, "ratio": ratio, "goal": GOAL, "reached": ratio <= GOAL}
        if ratio > GOAL:
            missed.append(f"{key}: {ratio} of {best}'s, goal {GOAL}")
    return ratios, missed


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5, metavar="N", help="of each (5)")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME",
                        help="of " + ", ".join(NAMES))
    parser.add_argument("--memory", type=int, default=1024, metavar="MiB", help="of the PC (1024)")
    parser.add_argument("--keep", metavar="DIR", help="keep the picture of each form there")
    given = parser.parse_args()
    if not 1 <= (given.repetitions + MORE_TURNS) * len(given.only) <= 99:
        parser.error("--repetitions: a lab has 99 PCs, one for each boot")
    return given


def main():
    given = arguments()
    if os.geteuid() != 0:
        sys.exit("bench: network namespaces and images need root")
    lacks = peers.lacks()
    if lacks:
        sys.exit(f"bench: missing packages: {' '.join(lacks)}")
    if given.keep:
        os.makedirs(given.keep, exist_ok=True)
    # Nobody logs in: no server, and no desktops that would take the PC's processor time.
    lab = Lab("benchboot", servers=0, say=say)
    lab.down()
    failed = True
    try:
        made = {name: peers.sizes(peers.build(name, MADE, say))
                for name in given.only if name != "carrel"}
        lab.up()
        bench = Bench(lab, given.only, given.memory, given.keep)
        bench.prepare()
        results = bench.run(given.repetitions)
        failed = bench.spoilt(given.repetitions)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        lab.down(keep_logs=failed)
    ratios, missed = compare(results)
    json.dump({"memory_mib": given.memory, "contenders": results, "served": made, "ratios": ratios,
               "missed": missed, "failed": bench.failed}, sys.stdout, indent=1)
    print()
    return 1 if missed or failed else 0


if __name__ == "__main__":
    sys.exit(main())
