# SPDX-License-Identifier: GPL-2.0-or-later
"""A lab PC: a QEMU machine without a disk, whose firmware boots from the network card."""

import os
import re
import time

from .errors import LabError, LabTimeout, wait_until
from .net import run
from .qmp import KEYS, QMP, key_events
from .screen import Screen

# Software emulation; `qemu64` costs a fifth less than `max` (TCG emulates what a CPU offers).
# CARREL_LAB_QEMU adds words, e.g. "-accel kvm -cpu host" where guests really start with KVM.
MACHINE = ["-accel", "tcg,thread=multi", "-cpu", "qemu64"]
KEY_GAP = 0.06  # seconds between two keys, a quick typist's


class PC:
    """pc1, pc2, ...: MAC 52:54:00:77:00:0N, tap `pc1` on the client LAN."""

    def __init__(self, lab, name, memory_mib=1024, nic="virtio-net-pci"):
        match = re.fullmatch(r"pc([1-9]|[1-9][0-9])", name)
        if not match:
            raise LabError(f"{name!r} is no PC's name; they are pc1 to pc99")
        self.lab, self.name = lab, name
        self.memory_mib, self.nic = memory_mib, nic
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
                "-M", "pc", *MACHINE, *os.environ.get("CARREL_LAB_QEMU", "").split(),
                "-smp", "1", "-m", str(self.memory_mib), "-vga", "std",
                "-display", "none", "-vnc", f"unix:{self.vnc_path}",
                "-netdev", f"tap,id=n0,ifname={self.name},script=no,downscript=no",
                "-device", f"{self.nic},netdev=n0,mac={self.mac},bootindex=1",
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

    def shot(self, path):
        return self.screen().save(path)

    def _give_up(self, seconds, what, screen, text=""):
        path = self.lab.path("log", f"{self.name}-timeout-{int(time.time())}.png")
        if screen is not None:
            screen.save(path)
        raise LabTimeout(f"{self.name}: not within {seconds:g} s: {what}; its screen ({path}) "
                         f"says: {text or '(nothing legible)'}")

    def watch(self, predicate, seconds, what, step=0.3):
        """Polls the screen until predicate(screen) is true; returns that screen."""
        deadline = time.monotonic() + seconds
        screen = None
        while True:
            if not self.running():
                raise LabError(f"{self.name} is off while it was awaited that: {what}")
            screen = self.screen()
            if predicate(screen):
                return screen
            if time.monotonic() >= deadline:
                self._give_up(seconds, what, screen, screen.text())
            time.sleep(step)

    def wait_text(self, pattern, seconds, region=None, languages="eng", never=None, scale=2):
        """Waits until the regular expression `pattern` (any case) is read on the screen, and
        returns that screen. Reads only pictures that changed. `never`: a pattern that ends the
        waiting as an error."""
        deadline = time.monotonic() + seconds
        last, text = None, ""
        while True:
            if not self.running():
                raise LabError(f"{self.name} is off while {pattern!r} was awaited on its screen")
            screen = self.screen()
            if screen.difference(last) > 0:
                last = screen
                text = screen.text(region, languages, scale) if screen.colours(region) > 1 else ""
                if re.search(pattern, text, re.IGNORECASE):
                    return screen
                if never and re.search(never, text, re.IGNORECASE):
                    self._give_up(seconds, f"text {pattern!r}, but {never!r} came", screen, text)
            if time.monotonic() >= deadline:
                self._give_up(seconds, f"text {pattern!r}", screen, text)
            time.sleep(0.25)

    def wait_colour(self, colour, seconds, share=0.01, region=None, tolerance=8):
        """Waits until at least `share` of the region has `colour`."""
        return self.watch(lambda s: s.share(colour, region, tolerance) >= share, seconds,
                          f"{share:.0%} of the screen in colour {colour}")

    def wait_still(self, quiet, seconds, tolerance=0.002):
        """Waits until the picture has not changed (by more than `tolerance` of its pixels) for
        `quiet` seconds, and returns it."""
        last, since = None, time.monotonic()

        def still(screen):
            nonlocal last, since
            if screen.difference(last) > tolerance:
                last, since = screen, time.monotonic()
            return time.monotonic() - since >= quiet

        return self.watch(still, seconds, f"a picture that rests for {quiet:g} s")

    # keyboard and mouse

    def key(self, *combinations, gap=KEY_GAP):
        """Presses "ret", "ctrl-alt-t", ... one after the other (QEMU's key names). Press and release
        travel together: a desktop on a busy machine would take a late release for a held key."""
        for combination in combinations:
            down, up = key_events(combination)
            self.qmp("input-send-event", events=down + up)
            time.sleep(gap)

    def type(self, text, gap=KEY_GAP):
        """Types text on a US keyboard; \\n is Enter, \\t Tab, \\b Backspace."""
        for character in text:
            if character not in KEYS:
                raise LabError(f"a US keyboard has no key for {character!r}")
            name, shift = KEYS[character]
            self.key(f"shift-{name}" if shift else name, gap=gap)

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
