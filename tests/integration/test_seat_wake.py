# SPDX-License-Identifier: GPL-2.0-or-later
"""Wake-on-LAN: what carreld sends is seen on the PCs' wire, at the far end of a virtual cable."""
import socket
import subprocess
import sys
import threading

import pytest

from fakes import lan
from fakes.site import Site
from netns import Lab

pytestmark = pytest.mark.root
MAC = "52:54:00:77:00:%02x"
# Prints each frame that comes, as hexadecimal digits, once it listens.
LISTEN = """
import socket
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
wire.bind(("pcs", 0))
print("READY", flush=True)
while True:
    print(wire.recv(2048).hex(), flush=True)
"""


@pytest.fixture
def lab():
    made = Lab()
    try:
        lan.lay_cable(made)
        yield made
    finally:
        made.close()


@pytest.fixture
def site(tmp_path, certificate, lab):
    made = Site(tmp_path, certificate)
    lan.start(made, lab)
    yield made
    made.end()


def test_a_named_room_is_woken(lab, site):
    for number in (1, 2, 3):
        site.cli("seat", "name", MAC % number, "room-301/%d" % number)
    with subprocess.Popen(lab.within("room", sys.executable, "-c", LISTEN), stdout=subprocess.PIPE, text=True) as wire:
        timer = threading.Timer(10, wire.kill)
        timer.start()
        try:
            assert wire.stdout.readline() == "READY\n"
            said = site.cli("seat", "wake", "room-301/1-2").stdout
            assert said.splitlines() == ["room-301/%d (%s) is sent a wake-up packet" % (n, MAC % n) for n in (1, 2)]
            for number in (1, 2):
                frame = bytes.fromhex(wire.stdout.readline())
                assert frame, "no packet came within 10 s"
                own = bytes.fromhex((MAC % number).replace(":", ""))
                assert frame[:6] == b"\xff" * 6, "to every card of the wire"
                assert socket.inet_ntoa(frame[26:30]) == "10.77.0.1" and socket.inet_ntoa(frame[30:34]) == "10.77.0.255"
                assert frame[36:38] == b"\0\x09" and frame[42:] == b"\xff" * 6 + own * 16
        finally:
            timer.cancel()
            wire.kill()
    lab.ip("boot", "link", "set", "lan", "down")
    refused = site.cli("seat", "wake", "room-301/1", status=1).stderr
    assert "no wake-up packet could be sent: to 10.77.0.255" in refused and "client_interface" in refused
    assert "no seat room-301/9" in site.cli("seat", "wake", "room-301/9", status=1).stderr
