#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A room is switched on at once: what 60 PCs fetch from one boot server over one link, measured in
network namespaces of its own. JSON on standard output; exit status 1 when a goal is missed.

A client is an address with its own network namespace that does what a booting PC does: DHCP, boot
program and menu by TFTP, kernel and initramfs by HTTP, DHCP again as Linux does, and the root image
by NFSv4, whose hash it checks; nobody tries anything twice that a PC would not. Two real virtual PCs
boot beside them. The link is the boot server's, limited towards the PCs.

    seconds    from the start of all to the last client's verified root image
    goal_s     1.3 x bytes over the link / its rate + 10 s
    spread     last client / first client: how evenly they shared
    pcs_s      the virtual PCs' way from power-on to the place of their viewer

Needs root, and packages busybox, curl, libnfs-utils, iproute2 beside those of the tests.
"""

import argparse
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
for folder in ("tests/integration/boot", "tests/integration"):
    sys.path.insert(0, os.path.join(TOP, folder))

import netlab  # noqa: E402
import pcsteps  # noqa: E402

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


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class Room:
    """The clients' namespaces on the lab's switch."""

    def __init__(self, lab, count):
        self.lab, self.names = lab, [f"{lab.prefix}c{n}" for n in range(count)]

    def up(self):
        for n, name in enumerate(self.names):
            ip("netns", "add", name)
            ip("-n", self.lab.sw, "link", "add", f"c{n}", "type", "veth", "peer", "name", "lan0",
               "netns", name)
            ip("-n", self.lab.sw, "link", "set", f"c{n}", "master", "br0", "up")
            ip("-n", name, "link", "set", "lan0", "address", f"52:54:00:78:00:{n:02x}", "up")

    def down(self):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def start(self, version, root, digest):
        os.makedirs(self.lab.path("clients"), exist_ok=True)
        processes = []
        for n, name in enumerate(self.names):
            folder = self.lab.path("clients", str(n))
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, "udhcpc"), "w", encoding="utf-8") as f:
                f.write(UDHCPC)
            os.chmod(f.name, 0o755)
            with open(os.path.join(folder, "log"), "w", encoding="utf-8") as log:
                processes.append(subprocess.Popen(
                    ["ip", "netns", "exec", name, "sh", "-c", CLIENT, "client", "lan0",
                     self.lab.address, version, root, digest, folder],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return processes

    def times(self, n):
        """Of each part, seconds of wall time at its end."""
        with open(self.lab.path("clients", str(n), "log"), encoding="utf-8") as f:
            lines = [line.split() for line in f]
        return {words[0]: float(words[1]) for words in lines if len(words) == 2}


def limit(lab, rate):
    run = ["ip", "netns", "exec", lab.srv, "tc", "qdisc", "replace", "dev", "lan0", "root", "tbf",
           "rate", rate, "burst", BURST[rate], "latency", "50ms"]
    subprocess.run(run, check=True)


def sent(lab):
    out = subprocess.run(["ip", "-n", lab.srv, "-s", "-j", "link", "show", "lan0"], check=True,
                         capture_output=True).stdout
    return json.loads(out)[0]["stats64"]["tx"]["bytes"]


def storm(lab, room, rate, pcs):
    """One storm at one rate; the figures."""
    path = pcsteps.root_file(lab)
    root = os.path.basename(path)
    with open(path, "rb") as f:
        digest = hashlib.file_digest(f, "sha256").hexdigest()
    (version,) = os.listdir(lab.path("state/boot/http/boot"))
    limit(lab, rate)
    before, start = sent(lab), time.time()
    machines = [lab.power_on() for _ in range(pcs)]
    processes = room.start(version, root, digest)
    failed = [n for n, process in enumerate(processes) if process.wait() != 0]
    pcs_s = []
    for machine in machines:
        machine.console.wait("STANDIN end", PC_S)
        pcs_s.append(round(machine.seconds(), 1))
    total = sent(lab) - before
    for machine in machines:
        machine.off()
    lab.pcs.clear()
    ends = [room.times(n).get("root", 0) - start for n in range(len(processes)) if n not in failed]
    figures = {"rate": rate, "clients": len(processes), "failed": failed, "bytes": total,
               "link_s": round(total * 8 / BITS[rate], 1), "pcs_s": pcs_s,
               "goal_s": round(1.3 * total * 8 / BITS[rate] + 10, 1)}
    if ends:
        figures.update(seconds=round(max(ends), 1), first_s=round(min(ends), 1),
                       spread=round(max(ends) / min(ends), 2))
    for n in failed:
        with open(lab.path("clients", str(n), "log"), encoding="utf-8") as f:
            say(f"client {n}: {shlex.join(f.read().split())}")
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=60)
    parser.add_argument("--pcs", type=int, default=1, help="virtual PCs beside them (1)")
    parser.add_argument("--rates", nargs="+", default=["1gbit", "100mbit"], choices=sorted(BITS))
    given = parser.parse_args()
    lacks = netlab.lacks() or ", ".join(n for n in NEEDED if not netlab.shutil.which(n))
    if lacks:
        sys.exit(f"bench: missing: {lacks}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    lab = netlab.Netlab(prefix="storm")
    room = Room(lab, given.clients)
    try:
        lab.up()
        lab.build_image({})
        room.down()
        room.up()
        lab.serve()
        storms = []
        for rate in given.rates:
            storms.append(storm(lab, room, rate, given.pcs))
            say(storms[-1])
    finally:
        room.down()
        lab.down()
    missed = [f"{s['rate']}: {s.get('seconds')} s, goal {s['goal_s']} s, failed {s['failed']}"
              for s in storms if s["failed"] or s["seconds"] > s["goal_s"]]
    json.dump({"storms": storms, "missed": missed}, sys.stdout, indent=1)
    print()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
