# SPDX-License-Identifier: GPL-2.0-or-later
"""Looks ten times a second, all through a test, at what may not be for an instant:

 - desktops that together are larger than their server's capacity, those included that are just being
   started or ended;
 - a user's volume that two QEMU processes have open.

It looks at the processes themselves (/proc), not at what anybody says of them. A desktop counts with
the memory that its QEMU was started with; one that is made smaller in place counts as before.
"""

import os
import re
import threading
import time

from .errors import LabError
from .state import process_stat

PERIOD = 0.1
VOLUME = re.compile(r"/home-(\d+)(\.\d+)?( \(deleted\))?$")
SIZE_UNITS = {"": 1, "m": 1, "k": 1 / 1024, "g": 1024}


def desktop_of(words):
    """(desktop's id, MiB) of a QEMU's command line; None when it is no desktop."""
    name = re.search(r"guest=carrel-d(\d+)", words[words.index("-name") + 1]
                     if "-name" in words[:-1] else "")
    size = re.match(r"(?:size=)?(\d+)([kmg]?)", words[words.index("-m") + 1].lower()
                    if "-m" in words[:-1] else "")
    if not name or not size:
        return None
    return int(name[1]), int(int(size[1]) * SIZE_UNITS[size[2]])


def open_volumes(pid):
    """Ids of the volumes that a process has open."""
    found = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            match = VOLUME.search(os.readlink(f"/proc/{pid}/fd/{fd}"))
            if match:
                found.add(int(match[1]))
    except OSError:
        pass  # it has just ended
    return found


class Look:
    """What was there in one instant."""

    def __init__(self):
        self.used = {}     # server: MiB
        self.desktops = {}  # server: {desktop: MiB}
        self.volumes = {}  # volume: [(server, desktop)]

    def add(self, server, desktop, size, volumes):
        self.used[server] = self.used.get(server, 0) + size
        self.desktops.setdefault(server, {})[desktop] = size
        for volume in volumes:
            self.volumes.setdefault(volume, []).append((server, desktop))

    def wrong(self, capacity_mib):
        """Sentences about what may not be."""
        for server, used in self.used.items():
            if used > capacity_mib:
                yield (f"{server} has {used} MiB of desktops, its capacity is {capacity_mib} MiB: "
                       f"{self.desktops[server]}")
        for volume, holders in self.volumes.items():
            if len(holders) > 1:
                yield f"volume {volume} is open in {len(holders)} desktops: {holders}"


class Sampler:
    """`with Sampler(lab) as sampler: ...; sampler.check()`."""

    def __init__(self, lab, capacity_mib=None):
        self.lab = lab
        self.capacity_mib = capacity_mib or lab.capacity_mib
        self.looks, self.violations, self.peak = 0, [], {}
        self.ended = {}  # desktop: time.monotonic() at which its QEMU was first gone
        self._began = time.monotonic()
        self._known, self._seen, self._error = {}, set(), None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _qemus(self, server):
        """(id, desktop, MiB) of the QEMU processes of a server."""
        for pid, words in self.lab.servers.processes(server).items():
            stat = process_stat(pid)
            if not stat or stat[0] in "ZX":
                continue
            # What a process executes can change after its start: only a desktop stays one.
            if (pid, stat[1]) not in self._known:
                found = desktop_of(words)
                if not found:
                    continue
                self._known[pid, stat[1]] = found
            yield pid, *self._known[pid, stat[1]]

    def look(self):
        result = Look()
        for server in self.lab.servers.names():
            for pid, desktop, size in self._qemus(server):
                result.add(server, desktop, size, open_volumes(pid))
        return result

    def _run(self):
        try:
            while not self._stop.is_set():
                self._note(self.look(), time.monotonic())
                self._stop.wait(PERIOD)
        except Exception as error:  # check() tells it: a dead sampler sees nothing wrong
            self._error = error

    def _note(self, look, now):
        self.looks += 1
        there = {d for desktops in look.desktops.values() for d in desktops}
        for desktop in self._seen - there:
            self.ended.setdefault(desktop, now)
        self._seen |= there
        for server, used in look.used.items():
            self.peak[server] = max(self.peak.get(server, 0), used)
        for sentence in look.wrong(self.capacity_mib):
            if not self.violations or self.violations[-1][1] != sentence:
                self.violations.append((round(now - self._began, 1), sentence))

    def check(self):
        """LabError when anything was seen that may not be, or nothing was looked at."""
        if self._error:
            raise LabError(f"the sampler ended: {self._error!r}") from self._error
        if not self.looks:
            raise LabError("the sampler has not looked yet")
        if self.violations:
            raise LabError("seen in passing: " + "; ".join(
                f"after {when} s {what}" for when, what in self.violations))
