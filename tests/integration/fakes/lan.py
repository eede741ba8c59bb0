# SPDX-License-Identifier: GPL-2.0-or-later
"""A site whose broker has an address on the PCs' network: namespaces `boot` (10.77.0.1, interface lan)
and `room` (interface pcs) with a cable between them."""
import subprocess

from fakes.site import ADDRESS


def lay_cable(lab):
    lab.add("boot")
    lab.add("room")
    lab.cable("boot", "lan", "room", "pcs")
    lab.ip("boot", "addr", "add", "10.77.0.1/24", "dev", "lan")


def start(site, lab, network=""):
    """Runs carreld in `boot`; `network` is added to that part of its configuration."""
    text = site.conf.read_text().replace(ADDRESS, "10.77.0.1").replace("127.77.0.", "10.77.0.")
    site.conf.write_text(text.replace("[network]\n", "[network]\n" + network))
    site.process = subprocess.Popen(
        lab.within("boot", site.folder / "bin/carreld", "--config", site.conf, "--print-ready"),
        stdout=subprocess.PIPE, stderr=open(site.log, "ab"), text=True)
    assert site.process.stdout.readline() == "READY\n", site.log.read_text()
