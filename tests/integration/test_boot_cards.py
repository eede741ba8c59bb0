# SPDX-License-Identifier: GPL-2.0-or-later
"""The init without BOOTIF, as on UEFI PCs: of several network cards it takes the one on the PCs' network.

    pc card0 -- [dead]    nobody answers
    pc card1 -- [office]  another DHCP server, 192.168.9.1
    pc card2 -- [boot]    the boot server, 10.77.0.1
"""
import shutil
import subprocess
import tempfile

import pytest

from netns import Lab, run

pytestmark = pytest.mark.root

SERVER = "10.77.0.1"
CARDS = {"dead": "card0", "office": "card1", "boot": "card2"}
ADDRESS = {"dead": "10.99.0.1", "office": "192.168.9.1", "boot": SERVER}


class Site:
    def __init__(self, program):
        self.program = program
        self.folder = tempfile.mkdtemp(prefix="carrel-cards-", dir="/var/tmp")
        self.lab = Lab()
        self.daemons = []
        self.lab.add("pc")
        for name, card in CARDS.items():
            self.lab.add(name)
            self.lab.cable("pc", card, name, "lan0")
            self.lab.ip("pc", "link", "set", card, "down")
            self.lab.ip(name, "addr", "add", ADDRESS[name] + "/24", "dev", "lan0")

    def serve(self, name, delay=0):
        """A DHCP server on the network `name`; with `delay` it waits those seconds with each offer."""
        net = ADDRESS[name].rpartition(".")[0]
        options = [f"--dhcp-reply-delay={delay}"] if delay else []
        process = subprocess.Popen(self.lab.within(
            name, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--no-ping",
            "--interface=lan0", "--bind-dynamic", "--log-facility=-", "--pid-file", "--dhcp-authoritative",
            f"--dhcp-range={net}.100,{net}.150,255.255.255.0,10m",
            f"--dhcp-leasefile={self.folder}/{name}.leases", *options), stderr=subprocess.PIPE, text=True)
        self.daemons.append(process)
        for line in process.stderr:
            if "sockets bound" in line:
                return
        raise AssertionError("dnsmasq ended")

    def mac(self, name):
        return self.lab.exec("pc", "cat", f"/sys/class/net/{CARDS[name]}/address").strip()

    def unplug(self, name):
        self.lab.ip(name, "link", "set", "lan0", "down")

    def plug(self, name):
        self.lab.ip(name, "link", "set", "lan0", "up")

    def start(self, *words):
        return subprocess.Popen(self.lab.within("pc", self.program, SERVER, *words),
                                stdout=subprocess.PIPE, text=True)

    def find(self, *words):
        return self.answer(self.start(*words))

    @staticmethod
    def answer(process):
        out = process.communicate(timeout=90)[0]
        head, _, detail = out.partition(" detail=")
        return dict([word.split("=", 1) for word in head.split()], detail=detail)

    def clear(self):
        for process in self.daemons:
            process.kill()
            process.communicate()
        self.lab.close()
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def program(top, build_dir, tmp_path_factory):
    path = tmp_path_factory.mktemp("findcard") / "findcard"
    run("gcc", "-D_GNU_SOURCE", "-I", str(top), "-o", str(path),
        str(top / "tests/integration/boot/findcard.c"), str(build_dir / "libclient.a"))
    return str(path)


@pytest.fixture
def site(program, need):
    need("ip", "dnsmasq", "gcc")
    made = Site(program)
    yield made
    made.clear()


def test_the_card_that_has_an_answer(site):
    site.serve("boot")
    site.unplug("office")
    found = site.find()
    assert found["code"] == "" and found["card"] == "card2" and found["mac"] == site.mac("boot")
    assert found["address"].startswith("10.77.0.")
    # the others are left as they were found
    assert found["up"].strip(",").split(",") == ["lo", "card2"]


@pytest.mark.parametrize("slow", [0, 2])
def test_the_boot_servers_network_before_others(site, slow):
    """Even when its server answers later."""
    site.serve("office")
    site.serve("boot", delay=slow)
    found = site.find()
    assert found["code"] == "" and found["card"] == "card2"


def test_the_boot_servers_network_has_link_later(site):
    site.serve("boot")
    site.serve("office")
    for name in ("dead", "boot"):
        site.unplug(name)
    with subprocess.Popen(site.lab.within("office", "tcpdump", "-lni", "lan0", "-c", "1", "udp port 67"),
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as wire:
        process = site.start()
        assert wire.stdout.readline()  # it has asked the other network
    site.plug("boot")
    assert site.answer(process)["card"] == "card2"


def test_another_network_when_there_is_no_better(site):
    """Behind a router the boot server is of another network."""
    site.serve("office")
    site.unplug("boot")
    found = site.find()
    assert found["code"] == "" and found["card"] == "card1" and found["address"].startswith("192.168.9.")


def test_link_that_comes_late(site):
    """A card whose link comes while others are being asked is asked too."""
    site.serve("boot")
    for name in ("office", "boot"):
        site.unplug(name)
    with subprocess.Popen(site.lab.within("dead", "tcpdump", "-lni", "lan0", "-c", "1", "udp port 67"),
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as wire:
        process = site.start()
        assert wire.stdout.readline()  # it has begun to ask on the dead network
    site.plug("boot")
    found = site.answer(process)
    assert found["code"] == "" and found["card"] == "card2"


def test_bootif_decides_alone(site):
    site.serve("office")
    site.serve("boot")
    found = site.find(site.mac("office"))
    assert found["code"] == "" and found["card"] == "card1"
    assert found["up"].strip(",").split(",") == ["lo", "card1"]


def test_no_answer_anywhere(site):
    found = site.find()
    assert found["code"] == "CARREL-B03" and "and other cards with link" in found["detail"]


def test_no_link_anywhere(site):
    for name in CARDS:
        site.unplug(name)
    found = site.find()
    assert found["code"] == "CARREL-B02" and "had no link" in found["detail"]


def test_no_card(site):
    found = site.find("52:54:00:00:00:01")
    assert found["code"] == "CARREL-B01" and "no driver for the card 52:54:00:00:00:01" in found["detail"]
