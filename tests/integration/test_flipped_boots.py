# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole boots with one flipped bit: at least one for each thing that is fetched and each firmware's way
to it, and what the screen says. More places, without a boot each, are in test_flipped_bits.py."""
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "boot"))
import authenticode  # noqa: E402
import driverpack  # noqa: E402
import firmware  # noqa: E402
import flips  # noqa: E402
import netlab  # noqa: E402
from pcsteps import BOOT_S, comes_up, is_refused, root_file, uefi  # noqa: E402

MISSING = [netlab.lacks()] if netlab.lacks() else []
if firmware.lacks():
    MISSING.append("missing: " + ", ".join(firmware.lacks()))
pytestmark = [pytest.mark.full, pytest.mark.skipif(bool(MISSING), reason="; ".join(MISSING))]

TFTP, HTTP = False, True


@pytest.fixture(scope="module")
def made():
    with netlab.built("bootf", driverpack.FILES) as lab:
        yield lab


@pytest.fixture
def lab(made):
    yield made
    made.clear()


def flip_efi(lab, part):
    """In the middle of that part of the EFI program."""
    with open(lab.efi(), "rb") as f:
        first, end = authenticode.Program(f.read()).named(part)[-1]
    flips.turn(lab.efi(), (first + end) // 2, 3)


def served_copy(path):
    """The file as served, no longer the published one's hard link."""
    shutil.copy(path, path + ".copy")
    os.rename(path + ".copy", path)
    return path


@pytest.mark.parametrize("part, way", [
    ("headers", TFTP), (".text", HTTP), (".cmdline", TFTP), (".initrd", HTTP), (".linux", TFTP),
    ("certificate table", HTTP)])
def test_secure_boot_refuses(lab, part, way):
    lab.serve()
    flip_efi(lab, part)
    is_refused(lab.power_on(machine=uefi(lab, secure=True, http=way)))


def test_sum_in_the_headers_is_looked_at_by_nobody(lab):
    """The signature leaves it out; what runs is what was signed."""
    lab.serve()
    flip_efi(lab, "checksum")
    comes_up(lab.power_on(machine=uefi(lab, secure=True)))


@pytest.mark.parametrize("bios, without, where", [
    (True, "", "data"), (True, "nfs", "tree"), (False, "", "tree"), (False, "nfs", "data")])
def test_init_refuses_the_root_image(lab, bios, without, where):
    lab.serve(*filter(None, [without]))
    path = served_copy(root_file(lab))
    flips.turn(path, os.path.getsize(path) // 2 if where == "data" else os.path.getsize(path) - 100, 3)
    pc = lab.power_on(machine=None if bios else uefi(lab, secure=True))
    page = pc.console.wait("CARREL-B05", BOOT_S)
    reason = pc.console.wait("Reason:", 5)
    assert "not the published one" in page
    assert "sha256" in reason and "by " + ("HTTP" if without else "NFS") in reason
    assert "STANDIN" not in pc.console.text


def test_init_refuses_a_driver(lab):
    """The PC goes on with the screen that it has from PXELINUX."""
    lab.configure(options=" vga=791")
    lab.serve()
    driverpack.spoil(lab, "/radeon.ko")
    pc = lab.power_on(screen=driverpack.RADEON)
    reason = "radeon.ko: what the server has is not the published one"
    pc.console.wait(reason, BOOT_S)
    pc.console.wait("this PC goes on without it", BOOT_S)
    assert "dri=no fb=yes" in pc.console.wait("STANDIN uid", BOOT_S)
    assert driverpack.stage(lab)["error"] == reason


def test_a_bios_notices_nothing(lab):
    """Nor does PXELINUX: in the kernel a bit of a text is flipped that is never shown."""
    lab.serve()
    (version,) = os.listdir(lab.path("state/boot/http/boot"))
    kernel = served_copy(lab.path("state/boot/http/boot", version, "vmlinuz"))
    with open(kernel, "rb") as f:
        flips.turn(kernel, f.read().index(b"Ancient bootloader"), 1)
    cmdline = comes_up(lab.power_on())
    assert "carrel.sha256=" in cmdline
