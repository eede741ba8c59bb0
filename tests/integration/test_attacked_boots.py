# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole boots under attack: somebody at the PC's keyboard, somebody else's DHCP server, an old version."""
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "boot"))
import firmware  # noqa: E402
import netlab  # noqa: E402
from pcsteps import BOOT_S, comes_up, is_refused, sign_with_another_key, uefi  # noqa: E402

pytestmark = pytest.mark.skipif(netlab.lacks() is not None, reason=str(netlab.lacks()))
needs_uefi = pytest.mark.skipif(bool(firmware.lacks()), reason="missing: " + ", ".join(firmware.lacks()))

KEYS = {" ": "spc", "=": "equal", "\n": "ret"}


@pytest.fixture(scope="module")
def made():
    with netlab.built("boota") as lab:
        yield lab


@pytest.fixture
def lab(made):
    yield made
    made.clear()


def edit_menu(path, *changes):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def power_on_with_keys_held(lab, *changes):
    """Shift and Alt, from before PXELINUX is started. What it shows goes to the console too."""
    edit_menu(lab.path("state/boot/current/tftp/pxelinux.cfg/default"),
              ("DEFAULT carrel", "SERIAL 0 115200\nDEFAULT carrel"), *changes)
    pc, log = lab.power_on(), netlab.Follow(lab.dnsmasq_log())
    log.wait("DHCPDISCOVER", BOOT_S)
    pc.hold("shift")
    pc.hold("alt")
    log.wait("pxelinux.cfg/default to", BOOT_S)
    return pc


def let_go_and_type(pc, words):
    pc.hold("shift", False)
    pc.hold("alt", False)
    for key in words:
        pc.press(KEYS.get(key, key))


def test_nothing_can_be_typed_at_a_pc(lab):
    lab.serve()
    pc = power_on_with_keys_held(lab)
    pc.console.wait("PXELINUX", 20)
    let_go_and_type(pc, "carrel evil=yes\n")
    cmdline = comes_up(pc)
    assert "evil" not in cmdline and "carrel.server=10.77.0.1" in cmdline
    assert "boot:" not in pc.console.text


@pytest.mark.full
def test_what_could_be_typed_at_a_prompt(lab):
    """Why there is none: for the entries of the menu PXELINUX does not heed ALLOWOPTIONS 0."""
    lab.serve()
    pc = power_on_with_keys_held(lab, ("NOESCAPE 1", "NOESCAPE 0"))
    while "boot:" not in pc.console.text:
        assert pc.seconds() < BOOT_S and pc.console.read(1), pc.console.text[-3000:]
    let_go_and_type(pc, "carrel evil=yes\n")
    assert comes_up(pc).rstrip().endswith("evil=yes")


def rogue(lab, program):
    """Somebody's DHCP server, always the quicker one, for ours is off; its TFTP server has a copy of
    our files. Their folder."""
    lab.serve("dnsmasq")
    folder = lab.path("rogue")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(lab.path("state/boot/current/tftp"), folder)
    lab.start_foreign_dhcp("--enable-tftp", "--tftp-root=" + folder, "--dhcp-boot=" + program)
    return folder


@pytest.mark.full
@needs_uefi
def test_rogue_dhcp_server_with_secure_boot(lab):
    sign_with_another_key(lab, os.path.join(rogue(lab, "carrel.efi"), "carrel.efi"))
    is_refused(lab.power_on(machine=uefi(lab, secure=True)))


@pytest.mark.full
@needs_uefi
def test_rogue_dhcp_server_gives_what_is_signed(lab):
    """An address of its own, and the site's program: that still goes to the site's boot server alone."""
    rogue(lab, "carrel.efi")
    pc = lab.power_on(machine=uefi(lab, secure=True))
    cmdline = comes_up(pc)
    assert "carrel.server=10.77.0.1 " in cmdline
    with open(lab.path("foreign.leases"), encoding="utf-8") as f:
        assert pc.mac in f.read()


@pytest.mark.full
def test_rogue_dhcp_server_with_a_bios(lab):
    """Nobody refuses it: docs/boot.md says so."""
    edit_menu(os.path.join(rogue(lab, "lpxelinux.0"), "pxelinux.cfg/default"),
              ("APPEND carrel.server=", "APPEND evil=yes carrel.server="))
    assert " evil=yes " in comes_up(lab.power_on())


@pytest.mark.full
@needs_uefi
def test_old_version_starts_until_it_is_forbidden(lab):
    """Its signature is as good as ever; what refuses it is a sum in the firmware's list dbx, which leaves
    the other versions alone."""
    lab.bootconf()
    old = lab.path("old.efi")
    shutil.copy(lab.efi(), old)
    lab.configure(options=" version=new")
    lab.serve()
    new = lab.path("new.efi")
    shutil.copy(lab.efi(), new)
    shutil.copy(old, lab.efi())
    pc = lab.power_on(machine=uefi(lab, secure=True))
    assert "version=new" not in comes_up(pc)
    pc.off()
    forbidden = lab.path("dbx.esl")
    netlab.run("hash-to-efi-sig-list", old, forbidden)
    pc = lab.power_on(machine=uefi(lab, secure=True, forbidden=forbidden))
    is_refused(pc)
    pc.off()
    shutil.copy(new, lab.efi())
    assert "version=new" in comes_up(lab.power_on(machine=uefi(lab, secure=True, forbidden=forbidden)))
