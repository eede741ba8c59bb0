#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hand-off costs its user, measured in the virtual lab in one run, against what he would have
to do without it. JSON on standard output; exit status 1 when a goal is missed.

    gap_ms, frozen_ms  at a real PC's viewer (its line `swap gap_ms= frozen_ms=`): without any
                       picture; between the last of the old picture and the first of the new one
    handoff_s          from the notice (grace 0) to the first whole picture of the new desktop, which
                       has been booted in advance and has come to rest
    relogin_s          logging out and in again, onto a cold boot of a desktop of the same size
    memory_back_s      from the login that needs the memory to the end of the old desktop's QEMU
    ratio              relogin_s / handoff_s, of the medians

Figures of software emulation are orders of magnitude; their ratio is the point. The lab's servers share
this machine's processors: the desktop that boots next, on the server that was left, slows a hand-off as it
does not between real servers.
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))

from carrel_lab import Lab, LabError, Sampler, way  # noqa: E402
from carrel_lab.errors import wait_until  # noqa: E402

USERS = {"alice": "alice-password", "bob": "bob-password", "carol": "carol-password"}
CAPACITY = 2048
GOAL_RATIO = 5
PATIENCE = 300
REST = 3  # seconds to look at how busy desktops are
ONE_SIZE = {"max_mib": "512", "min_mib": "512", "standby": "0", "boot_reserve": "yes"}
HALVING = {"max_mib": "2048", "min_mib": "512", "standby": "0", "boot_reserve": "yes"}
SWAP = re.compile(r"swap gap_ms=(\d+) frozen_ms=(\d+)")


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def figures(values):
    return {"min": min(values), "median": statistics.median(values), "max": max(values),
            "n": len(values)}


class Bench:
    def __init__(self, lab, repetitions):
        self.lab, self.repetitions = lab, repetitions

    def configure(self, **desktop):
        self.lab.configure({"desktop": desktop})

    def rest(self):
        """Waits until all desktops do nothing: the one that is booted for the next event has been
        there for a while, as most of them have."""
        def idle():
            before = self.lab.servers.desktop_seconds()
            time.sleep(REST)
            return self.lab.servers.desktop_seconds() - before < 0.2 * REST
        wait_until(idle, PATIENCE, "the desktops come to rest")

    def hand_off(self):
        """Moves alice onto the desktop that is booted for it; the moment it was asked for."""
        self.lab.admin.wait_desktop("standby", PATIENCE)
        self.rest()
        wait_until(lambda: not self.lab.admin.session("alice")["move"], PATIENCE,
                   "alice's last hand-off is over")
        began = time.monotonic()
        self.lab.admin.move("alice")
        return began

    def handoffs(self, seat):
        """Seconds of each hand-off, as the seat sees it; alice stays there."""
        seat.enter("alice", USERS["alice"], PATIENCE)
        taken = []
        for _ in range(self.repetitions):
            began = self.hand_off()
            first = seat.wait("handoff", PATIENCE, began)
            frame = seat.wait("frame", PATIENCE, seat.wait("ready", PATIENCE, began).time)
            taken.append(round(frame.time - first.time, 2))
            say(f"hand-off {taken[-1]} s")
        return taken

    def relogins(self, seat):
        """Seconds from logging out to the first picture of the desktop that is booted for it; alice is
        at that seat."""
        self.configure(boot_reserve="no")
        taken = []
        for _ in range(self.repetitions):
            for desktop in self.lab.admin.desktops():
                if not desktop["user"]:
                    with contextlib.suppress(LabError):  # the broker was quicker
                        self.lab.servers.end_desktop(desktop)
            wait_until(lambda: all(d["user"] for d in self.lab.admin.desktops()), PATIENCE,
                       lambda: f"no desktop is booted for the login: {self.lab.admin.desktops()}")
            began = time.monotonic()
            seat.logout()
            seat.wait_over(PATIENCE)
            frame = seat.enter("alice", USERS["alice"], PATIENCE)
            taken.append(round(frame.time - began, 2))
            say(f"logged out and in {taken[-1]} s")
        self.lab.admin.end_sessions(PATIENCE)
        return taken

    def swaps(self):
        """[(gap, frozen)] ms of a real PC's viewer."""
        self.configure(**ONE_SIZE)
        pc = self.lab.pc("pc1")
        pc.power_on()
        try:
            way.wait_login_form(pc)
            way.login(pc, "alice", USERS["alice"])
            way.wait_desktop(pc)
            for number in range(1, self.repetitions + 1):
                self.hand_off()
                wait_until(lambda number=number: len(self.swap_lines(pc)) >= number, PATIENCE,
                           lambda number=number: f"swap {number} in {pc.serial_path}; it has "
                           f"{self.swap_lines(pc)}", step=0.2)
                say(f"swap {self.swap_lines(pc)[-1]} ms")
        finally:
            pc.power_cut()
        self.lab.admin.end_sessions(PATIENCE)
        return self.swap_lines(pc)

    @staticmethod
    def swap_lines(pc):
        with open(pc.serial_path, encoding="utf-8", errors="replace") as f:
            return [(int(gap), int(frozen)) for gap, frozen in SWAP.findall(f.read())]

    def memory_back(self):
        """Seconds from carol's login, for which alice's desktop is halved, to its QEMU's end."""
        self.configure(**HALVING)
        seats = {user: self.lab.seat(f"seat{n}") for n, user in enumerate(USERS, 1)}
        taken = []
        for _ in range(self.repetitions):
            with Sampler(self.lab) as sampler:
                for user in ("alice", "bob"):
                    seats[user].enter(user, USERS[user], PATIENCE)
                old = self.lab.admin.session("alice")["desktop"]
                began = time.monotonic()
                seats["carol"].login("carol", USERS["carol"])
                wait_until(lambda old=old, seen=sampler: old in seen.ended, PATIENCE,
                           f"the QEMU of desktop {old} ends")
                taken.append(round(sampler.ended[old] - began, 2))
                say(f"memory is back after {taken[-1]} s")
                seats["carol"].wait("frame", PATIENCE)
            sampler.check()
            self.lab.admin.end_sessions(PATIENCE)
        return taken

    def run(self):
        seat = self.lab.seat("seat1")
        handoffs, relogins = self.handoffs(seat), self.relogins(seat)
        swaps, memory = self.swaps(), self.memory_back()
        ratio = statistics.median(relogins) / statistics.median(handoffs)
        return {"gap_ms": figures([gap for gap, _ in swaps]),
                "frozen_ms": figures([frozen for _, frozen in swaps]),
                "handoff_s": figures(handoffs), "relogin_s": figures(relogins),
                "memory_back_s": figures(memory), "ratio": round(ratio, 1),
                "goals": {"ratio": GOAL_RATIO}, "reached": ratio >= GOAL_RATIO}


def main():
    parser = argparse.ArgumentParser(description="Measures hand-offs in the virtual lab (root).")
    parser.add_argument("--repetitions", type=int, default=5, metavar="N")
    repetitions = parser.parse_args().repetitions
    # The PC's viewer logs to the console: to the serial port, which the lab keeps in a file.
    lab = Lab("bench", servers=2, capacity_mib=CAPACITY, say=say, conf={
        "desktop": ONE_SIZE, "session": {"handoff_grace": "0"},
        "boot": {"kernel_options": "console=tty0 console=ttyS0"}})
    lab.down()
    failed = True
    try:
        lab.up()
        for user, password in USERS.items():
            lab.admin.add_user(user, password)
        for server in lab.servers.names():
            lab.servers.wait_up(server, PATIENCE)
        result = Bench(lab, repetitions).run()
        failed = False
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        lab.down(keep_logs=failed)
    json.dump(result, sys.stdout, indent=1)
    print()
    return 0 if result["reached"] else 1


if __name__ == "__main__":
    sys.exit(main())
