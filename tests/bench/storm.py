#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A room is switched on at once: what 60 PCs fetch from one boot server over one link, measured in the
virtual lab, whose boot server serves the PCs' image as it is built. JSON on standard output; exit status 1
when a goal is missed.

A client is an address with its own network namespace that does what a booting PC does: DHCP, boot
program and menu by TFTP, kernel and initramfs by HTTP, DHCP again as Linux does, and the root image
by NFSv4, whose hash it checks; nobody tries anything twice that a PC would not. Virtual PCs are switched
on among them, and boot for real, to the login form that is seen on their screens. The link is the boot
server's, limited towards the PCs.

    seconds    from the start of all to the last client's verified root image
    bytes      what the link carried until then, to clients and virtual PCs
    goal_s     1.3 x bytes / the link's rate + 10 s
    spread     last client / first client: how evenly they shared
    pcs        the virtual PCs, by themselves: under emulation their processors' time is not the network's;
               form_s from power-on to the login form, cpu_s of it their own work, bytes to each

Needs root, and packages busybox, curl, libnfs-utils, iproute2 beside those of the lab.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lab"), os.path.join(HERE, "boot")]

from carrel_lab import Lab, LabError  # noqa: E402
from carrel_lab.net import BOOT_CLIENT_IF, BOOT_SERVER, run  # noqa: E402
from carrel_lab.state import process_seconds  # noqa: E402
import watch  # noqa: E402

PC_S = 900
BURST = {"100mbit": "128kb", "1gbit": "1mb"}
BITS = {"100mbit": 100e6, "1gbit": 1e9}
NEEDED = ["busybox", "curl", "nfs-cat", "tc"]

# $1 interface, $2 server, $3 version, $4 root image's name, $5 its sha256, $6 folder for the lease
CLIENT = r"""
set -e
dhcp() {
	busybox udhcpc -i "$1" -n -q -f -t 8 -T 2 -A 1 -s "$6/udhcpc" >/dev/null 2>&1
}
part() { echo "$1 $(date +%s.%N)"; }
part start
dhcp "$@"; part dhcp
for file in lpxelinux.0 ldlinux.c32 pxelinux.cfg/default; do
	curl -sf --tftp-blksize 1408 -o /dev/null "tftp://$2/$file"
done; part program
curl -sf -o /dev/null "http://$2/boot/$3/vmlinuz"; part kernel
curl -sf -o /dev/null "http://$2/boot/$3/initrd"; part initrd
dhcp "$@"; part network
nfs-cat "nfs://$2/client/$4?version=4" | sha256sum >"$6/sum-$1"
[ "$(cut -c1-64 "$6/sum-$1")" = "$5" ]; part root
"""

UDHCPC = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip address flush dev "$interface"
ip address add "$ip/$mask" dev "$interface"
"""


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Room:
    """The clients' namespaces on the lab's switch."""

    def __init__(self, lab, count):
        self.lab, self.names = lab, [f"client{n}" for n in range(count)]

    def up(self):
        for n, name in enumerate(self.names):
            self.lab.net.make(name)
            self.lab.net.plug(name, "lan0", "br-lan")
            run("ip", "-n", self.lab.net.ns(name), "link", "set", "lan0", "address",
                f"52:54:00:78:00:{n:02x}")

    def start(self, version, root, digest):
        processes = []
        for name in self.names:
            folder = self.lab.path("clients", name)
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, "udhcpc"), "w", encoding="utf-8") as f:
                f.write(UDHCPC)
            os.chmod(f.name, 0o755)
            # they carry the lab's mark, by which `down` finds them
            with open(os.path.join(folder, "log"), "w", encoding="utf-8") as log:
                processes.append(subprocess.Popen(
                    ["ip", "netns", "exec", self.lab.net.ns(name), "sh", "-c", CLIENT, "client",
                     "lan0", BOOT_SERVER, version, root, digest, folder],
                    env=self.lab.state.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return processes

    def log(self, name):
        with open(self.lab.path("clients", name, "log"), encoding="utf-8") as f:
            return f.read()

    def end(self, name):
        """When its root image was there and right, wall time; None when that never was."""
        for line in self.log(name).splitlines():
            words = line.split()
            if len(words) == 2 and words[0] == "root":
                return float(words[1])
        return None


class Pcs:
    """The virtual PCs, each followed by a thread."""

    def __init__(self, lab, names):
        self.pcs = [lab.pc(name) for name in names]
        self.pool = concurrent.futures.ThreadPoolExecutor(max(1, len(names)))
        self.forms = []

    def power_on(self):
        for pc in self.pcs:
            pc.power_on()

    def watch(self):
        self.forms = [self.pool.submit(self.follow, pc) for pc in self.pcs]

    @staticmethod
    def follow(pc):
        """What the way to its login form took."""
        form_s, to_pc, _, screen = watch.wait_form(pc, watch.carrel_form, PC_S)
        cpu_s = process_seconds(pc.process().pid)
        return {"name": pc.name, "form_s": round(form_s, 1), "cpu_s": round(cpu_s, 1),
                "bytes": to_pc}, screen

    def figures(self, rate, pictures):
        """(figures of those that have come to their form, what became of the others)."""
        came, failed = [], []
        for pc, form in zip(self.pcs, self.forms):
            try:
                figures, screen = form.result()
            except LabError as error:
                failed.append(f"{pc.name}: {error}")
                continue
            came.append(figures)
            if pictures:
                screen.save(os.path.join(pictures, f"{rate}-{pc.name}.png"))
        return came, failed

    def off(self):
        for pc in self.pcs:
            pc.power_cut()
        self.pool.shutdown()


def limit(lab, rate):
    run("tc", "qdisc", "replace", "dev", BOOT_CLIENT_IF, "root", "tbf", "rate", rate, "burst",
        BURST[rate], "latency", "50ms", netns=lab.net.ns("boot"))


def sent(lab):
    out = run("ip", "-s", "-j", "link", "show", BOOT_CLIENT_IF, netns=lab.net.ns("boot")).stdout
    return json.loads(out)[0]["stats64"]["tx"]["bytes"]


def served(lab):
    """(version, root image's name, its sha256) of what the boot server gives."""
    root = lab.boot.root_image()
    with open(root, "rb") as f:
        digest = hashlib.file_digest(f, "sha256").hexdigest()
    (version,) = os.listdir(lab.path("state", "boot", "http", "boot"))
    return version, os.path.basename(root), digest


def storm(lab, room, pcs, rate, pictures):
    """One storm at one rate; the figures."""
    what = served(lab)
    limit(lab, rate)
    before, start = sent(lab), time.time()
    pcs.power_on()
    try:
        clients = room.start(*what)
        pcs.watch()
        statuses = [client.wait() for client in clients]
        total = sent(lab) - before
        came, pcs_failed = pcs.figures(rate, pictures)
    finally:
        pcs.off()
    failed = [name for name, status in zip(room.names, statuses) if status]
    for name in failed:
        say(f"{name}: {shlex.join(room.log(name).split())}")
    ends = [room.end(name) - start for name in room.names if name not in failed]
    figures = {"rate": rate, "clients": len(statuses), "failed": failed + pcs_failed, "bytes": total,
               "link_s": round(total * 8 / BITS[rate], 1),
               "goal_s": round(1.3 * total * 8 / BITS[rate] + 10, 1), "pcs": came}
    if ends:
        figures.update(seconds=round(max(ends), 1), first_s=round(min(ends), 1),
                       spread=round(max(ends) / min(ends), 2))
    return figures


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=60)
    parser.add_argument("--pcs", type=int, default=2, help="virtual PCs among them (2)")
    parser.add_argument("--rates", nargs="+", default=["1gbit", "100mbit"], choices=sorted(BITS))
    parser.add_argument("--keep", metavar="DIR", help="keep the picture of each PC's form there")
    given = parser.parse_args()
    rounds = len(given.rates)
    if not 1 <= given.clients + given.pcs * rounds <= 99 or given.pcs < 0:
        parser.error("--clients, --pcs: the lab has 99 addresses, and each PC of each rate its own")
    return given


def main():
    given = arguments()
    if os.geteuid() != 0:
        sys.exit("bench: network namespaces need root")
    lacks = ", ".join(name for name in NEEDED if not shutil.which(name))
    if lacks:
        sys.exit(f"bench: missing: {lacks}")
    if given.keep:
        os.makedirs(given.keep, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # Nobody logs in: no server, and no desktops that would take the PCs' processor time.
    lab = Lab("storm", servers=0, say=say)
    storms, complete = [], False
    try:
        lab.down()
        lab.up()
        room = Room(lab, given.clients)
        room.up()
        for n, rate in enumerate(given.rates):
            pcs = Pcs(lab, [f"pc{n * given.pcs + i + 1}" for i in range(given.pcs)])
            storms.append(storm(lab, room, pcs, rate, given.keep))
            say(storms[-1])
        complete = not any(s["failed"] for s in storms)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        lab.down(keep_logs=not complete)
    missed = [f"{s['rate']}: {s.get('seconds')} s, goal {s['goal_s']} s, failed {s['failed']}"
              for s in storms if s["failed"] or s["seconds"] > s["goal_s"]]
    json.dump({"storms": storms, "missed": missed}, sys.stdout, indent=1)
    print()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
