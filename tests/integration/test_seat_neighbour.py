# SPDX-License-Identifier: GPL-2.0-or-later
"""Beside another DHCP server dnsmasq's log may have a PC's MAC address in one line and its address in
another: whose it is, the kernel knows, at the near end of a virtual cable."""
import json
import subprocess
import sys
import time

import pytest

from fakes import lan
from fakes.site import Site
from netns import Lab

pytestmark = pytest.mark.root
MAC, PC = "52:54:00:77:00:01", "10.77.0.60"
STRANGER = "10.77.0.61"
SPEAK = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('10.77.0.1', 9))"


@pytest.fixture
def lab():
    made = Lab()
    try:
        lan.lay_cable(made)
        made.ip("room", "link", "set", "pcs", "address", MAC)
        made.ip("room", "addr", "add", PC + "/24", "dev", "pcs")
        yield made
    finally:
        made.close()


@pytest.fixture
def site(tmp_path, certificate, lab):
    made = Site(tmp_path, certificate)
    (made.folder / "state/boot/log").mkdir(parents=True)
    lan.start(made, lab, "client_interface = lan\n")
    yield made
    made.end()


def log(site, name, line):
    with open(site.folder / "state/boot/log" / name, "a", encoding="utf-8") as f:
        f.write(line + "\n")


def boot(site, match):
    until = time.monotonic() + 20
    while True:
        found = json.loads(site.cli("seat", "list", "--json").stdout)["seats"]
        shown = json.loads(site.cli("seat", "show", "--json", MAC).stdout)["seats"][0]["boot"] if found else None
        if shown and match([s["stage"] for s in shown["stages"]]):
            return found, shown
        assert time.monotonic() < until, (found, shown, site.log.read_text()[-2000:])


def test_files_are_the_pcs_who_fetched_them(lab, site):
    head = "Nov 27 05:51:03 dnsmasq-dhcp[7]: 5 "
    log(site, "dnsmasq.log", head + "vendor class: PXEClient:Arch:00000:UNDI:002001")
    log(site, "dnsmasq.log", head + "PXE(lan) %s proxy" % MAC)
    subprocess.run(lab.within("room", sys.executable, "-c", SPEAK), check=True)
    log(site, "dnsmasq.log", "dnsmasq-tftp[7]: sent /srv/lpxelinux.0 to " + STRANGER)  # nobody has that address
    log(site, "dnsmasq.log", "dnsmasq-tftp[7]: sent /srv/pxelinux.cfg/default to " + PC)
    seats, shown = boot(site, lambda stages: "menu" in stages)
    assert [s["stage"] for s in shown["stages"]] == ["dhcp", "menu"], "another machine's files are not this one's"
    assert shown["address"] == PC and shown["firmware"] == "bios"
    assert [(s["mac"], s["address"]) for s in seats] == [(MAC, PC)]
    log(site, "http.log", '%.3f %s 200 8000000 0.700 "GET /boot/1/vmlinuz HTTP/1.0"' % (time.time(), PC))
    assert boot(site, lambda stages: "kernel" in stages)[1]["state"] == "booting"
