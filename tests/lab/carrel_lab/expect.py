# SPDX-License-Identifier: GPL-2.0-or-later
"""What the allocator itself says: `carrel simulate` plays the test's arrivals and departures with
the same servers, and its answer is what libvirt must report."""

import json
import subprocess

from .errors import LabError, wait_until


class Allocator:
    """The same servers and sizes as the lab's broker has."""

    def __init__(self, lab):
        self.lab = lab
        self.trace = []
        desktop = lab.conf["desktop"]
        self.options = ["--servers", f"{lab.servers_wanted}x{lab.capacity_mib}", "--max",
                        desktop["max_mib"], "--min", desktop["min_mib"], "--standby",
                        desktop["standby"]]

    def _play(self, line):
        """Adds a line to the trace; the answer to it."""
        self.trace.append(line)
        argv = [self.lab.path("bin", "carrel"), "simulate", *self.options, "--trace", "-",
                "--json"]
        result = subprocess.run(argv, input="\n".join(self.trace) + "\n", capture_output=True,
                                text=True, check=False)
        if result.returncode:
            raise LabError(f"{' '.join(argv)}: exit status {result.returncode}: {result.stderr}")
        return json.loads(result.stdout.splitlines()[-1])

    def arrives(self, user):
        return self._play(f"+ {user}")

    def leaves(self, user):
        return self._play(f"- {user}")

    def lost(self, server):
        return self._play(f"! {self.lab.servers.names().index(server)}")

    def returns(self, server):
        return self._play(f"* {self.lab.servers.names().index(server)}")

    def capacity(self):
        """The number of users who fit, as `carrel plan` says."""
        argv = [self.lab.path("bin", "carrel"), "plan", *self.options, "--json"]
        result = subprocess.run(argv, capture_output=True, text=True, check=False)
        if result.returncode:
            raise LabError(f"{' '.join(argv)}: exit status {result.returncode}: {result.stderr}")
        return json.loads(result.stdout)["capacity"]


def sizes(answer):
    """{user: MiB} of an answer."""
    return {d["user"]: d["size_mib"] for d in answer["desktops"]}


def handed_off(answer):
    """Users whose running desktop was exchanged, in order."""
    return [step["handoff"] for step in answer["steps"]]


def real_sizes(lab):
    """{user: MiB} of connected users, as libvirt reports their desktops; -1 for one it lacks."""
    there = lab.servers.desktops()
    return {s["user"]: there.get(s["desktop"], (None, -1))[1] for s in lab.admin.sessions()
            if s["state"] in ("connected", "disconnected")}


def wait_sizes(lab, answer, seconds=60):
    """Waits until every user of the allocator's answer has just that much."""
    wanted = sizes(answer)
    return wait_until(lambda: real_sizes(lab) == wanted, seconds, lambda: f"after "
                      f"{answer['event']!r} the desktops are as the allocator says, {wanted}; "
                      f"they are {real_sizes(lab)}", step=0.3)
