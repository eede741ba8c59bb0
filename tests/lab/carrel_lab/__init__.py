# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtual lab: a boot server, a client LAN, virtualization servers and diskless PCs on one machine.

    state.py     what the lab has made, written down before it is used; ending processes
    net.py       namespaces, bridges, taps
    packages.py  programs the lab needs and the Debian packages that hold them
    versions.py  further versions of an image
    lab.py       class Lab: up, down, the boot server's daemons
    station.py   what a person waits for and types, at a PC or a seat
    pc.py        class PC: a QEMU machine without a disk that boots from the network
    seat.py      class Seat: the viewer's words and picture without a machine
    rfb.py       a desktop's picture and keyboard by VNC, for seats
    home.py      a user's files, in his desktop and on the volume
    qmp.py       QEMU's control socket, keyboard map
    screen.py    reading a PC's screen: text, colours, stillness
    wire.py      what crossed a PC's wire, split by file
    sampler.py   class Sampler: what may not be for an instant
    expect.py    what the allocator says, to compare with
    kill.py      class Killer: ends a process at a named step
    invariants.py  what must hold after it
    pdu.py       the servers' power switch
    admin.py     the broker's admin API and command line, as the lab uses them
    cli.py       the command `lab`
"""

from .errors import LabError, LabTimeout
from .lab import Lab
from .pc import PC
from .sampler import Sampler
from .screen import Screen
from .seat import Seat

__all__ = ["Lab", "LabError", "LabTimeout", "PC", "Sampler", "Screen", "Seat"]
