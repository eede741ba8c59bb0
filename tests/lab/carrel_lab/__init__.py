# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtual lab: a boot server, a client LAN, virtualization servers and diskless PCs on one machine.

    state.py     what the lab has made, written down before it is used; ending processes
    net.py       namespaces, bridges, taps
    packages.py  programs the lab needs and the Debian packages that hold them
    lab.py       class Lab: up, down, the boot server's daemons
    pc.py        class PC: a QEMU machine without a disk that boots from the network
    qmp.py       QEMU's control socket, keyboard map
    screen.py    reading a PC's screen: text, colours, stillness
    wire.py      what crossed a PC's wire, split by file
    admin.py     the broker's admin API and command line, as the lab uses them
    cli.py       the command `lab`
"""

from .errors import LabError, LabTimeout
from .lab import Lab
from .pc import PC
from .screen import Screen

__all__ = ["Lab", "LabError", "LabTimeout", "PC", "Screen"]
