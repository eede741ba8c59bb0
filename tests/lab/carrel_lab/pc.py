# SPDX-License-Identifier: GPL-2.0-or-later
"""A lab PC: a QEMU machine without a disk, whose firmware boots from the network card."""

import os
import re
import time

from .errors import LabError, wait_until
from .net import run
from .qmp import QMP, key_events
from .screen import Screen
from .station import KEY_GAP, Station

# Software emulation; `qemu64` costs a fifth less than `max` (TCG emulates what a CPU offers).
# CARREL_LAB_QEMU adds words, e.g. "-accel kvm -cpu host" where guests really start with KVM.
MACHINE = ["-accel", "tcg,thread=multi", "-cpu", "qemu64"]


class PC(Station):
    """pc1, pc2, ...: MAC 52:54:00:77:00:0N, tap `pc1` on the client LAN."""

    def __init__(self, lab, name, memory_mib=1024, nic="virtio-net-pci", screen="VGA", uefi=None):
        """`uefi`: QEMU's words for a machine with such firmware, which has drivers of its own for
        network cards; else it is BIOS."""
        match = re.fullmatch(r"pc([1-9]|[1-9][0-9])", name)
        if not match:
            raise LabError(f"{name!r} is no PC's name; they are pc1 to pc99")
        self.lab, self.name = lab, name
        self.memory_mib, self.nic, self.graphics = memory_mib, nic, screen
        self.machine, self.rom = (uefi, ",romfile=") if uefi else (["-M", "pc"], "")
        self.mac = f"52:54:00:77:00:{int(match[1]):02x}"
        self.qmp_path = lab.path(f"{name}.qmp")
        self.vnc_path = lab.path(f"{name}.vnc")
        self.serial_path = lab.path("log", f"{name}.serial")
        self.qmp = QMP(self.qmp_path)
        self.powered_at = None
        self._base = (0, 0)

    # power

    def process(self):
        return self.lab.state.process(self.name)

    def running(self):
        return self.process() is not None

    def power_on(self, capture=None):
        """Starts the machine; its clock (`elapsed`) and its byte counters begin here. `capture`
        names a file for the first 200 bytes of each frame (wire.py reads it)."""
        if self.running():
            raise LabError(f"{self.name} is on already")
        self.lab.net.tap(self.name)
        if capture:
            self.lab.capture(self.name, capture)
        self._base = self.lab.net.counters(self.name)
        for path in (self.qmp_path, self.vnc_path):
            if os.path.exists(path):
                os.unlink(path)
        argv = ["ip", "netns", "exec", self.lab.net.ns("lan"), "qemu-system-x86_64",
                "-name", f"{self.lab.name}-{self.name}", "-nodefaults", "-no-user-config",
                *self.machine, *MACHINE, *os.environ.get("CARREL_LAB_QEMU", "").split(),
                "-smp", "1", "-m", str(self.memory_mib), "-device", self.graphics,
                "-display", "none", "-vnc", f"unix:{self.vnc_path}",
                "-netdev", f"tap,id=n0,ifname={self.name},script=no,downscript=no",
                "-device", f"{self.nic},netdev=n0,mac={self.mac},bootindex=1{self.rom}",
                "-serial", f"file:{self.serial_path}", "-monitor", "none",
                "-qmp", f"unix:{self.qmp_path},server=on,wait=off"]
        self.powered_at = time.monotonic()
        self.lab.state.spawn(self.name, argv, self.lab.path("log", f"{self.name}.log"))
        wait_until(lambda: os.path.exists(self.qmp_path) or not self.running(), 20,
                   f"QEMU of {self.name} makes its control socket")
        if not self.running():
            raise LabError(f"QEMU of {self.name} ended at once; see "
                           f"{self.lab.path('log', self.name + '.log')}")

    def power_cut(self):
        """The plug is pulled: no time for anything."""
        process = self.process()
        if process:
            process.kill()
        self.lab.end(f"capture-{self.name}")

    def elapsed(self):
        """Seconds since power_on."""
        return time.monotonic() - self.powered_at

    def wire_bytes(self):
        """(to the PC, from the PC) since power_on."""
        now = self.lab.net.counters(self.name)
        return now[0] - self._base[0], now[1] - self._base[1]

    # screen

    def screen(self):
        path = f"{self.qmp_path}.{os.getpid()}.ppm"
        try:
            self.qmp("screendump", filename=path)
            return Screen.from_ppm(path)
        finally:
            if os.path.exists(path):
                os.unlink(path)

    # keyboard and mouse

    def key(self, *combinations, gap=KEY_GAP):
        """Presses "ret", "ctrl-alt-t", ... one after the other (QEMU's key names). Press and release
        travel together: a desktop on a busy machine would take a late release for a held key."""
        for combination in combinations:
            down, up = key_events(combination)
            self.qmp("input-send-event", events=down + up)
            time.sleep(gap)

    def move_to(self, x, y):
        """Moves the (relative) mouse into the left upper corner and from there to x, y."""
        def move(dx, dy):
            return [{"type": "rel", "data": {"axis": "x", "value": dx}},
                    {"type": "rel", "data": {"axis": "y", "value": dy}}]

        steps = [move(-120, -120)] * 20
        while x > 0 or y > 0:
            steps.append(move(min(x, 100), min(y, 100)))
            x, y = max(0, x - 100), max(0, y - 100)
        for events in steps:
            self.qmp("input-send-event", events=events)

    def click(self, button="left"):
        for down in (True, False):
            self.qmp("input-send-event", events=[
                {"type": "btn", "data": {"down": down, "button": button}}])
            time.sleep(KEY_GAP)

    def address(self):
        """Its IPv4 address by the boot server's leases, or None."""
        for line in self.lab.leases():
            fields = line.split()
            if len(fields) > 2 and fields[1].lower() == self.mac:
                return fields[2]
        return None

    def cable(self, connected):
        """Pulls or plugs its network cable at the switch."""
        run("ip", "-n", self.lab.net.ns("lan"), "link", "set", self.name,
            "up" if connected else "down")
