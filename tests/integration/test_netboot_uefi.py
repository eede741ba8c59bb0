# SPDX-License-Identifier: GPL-2.0-or-later
"""UEFI PCs boot from what carrel-bootconf renders: by TFTP and by HTTP, with Secure Boot that knows the
site's own key alone, and beside a site's own DHCP server. What was changed after it was signed, or was
never signed, Secure Boot does not start."""
import glob
import os
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "boot"))
import firmware  # noqa: E402
import flips  # noqa: E402
import netlab  # noqa: E402
from pcsteps import (BOOT_S, comes_up, is_refused, make_unsigned, sign_with_another_key,  # noqa: E402
                     uefi)

MISSING = [netlab.lacks()] if netlab.lacks() else []
if firmware.lacks():
    MISSING.append("missing: " + ", ".join(firmware.lacks()))
pytestmark = pytest.mark.skipif(bool(MISSING), reason="; ".join(MISSING))


SHIM_FILES = ["shimx64.efi", "grubx64.efi", "grub.cfg", "vmlinuz", "initrd"]


@pytest.fixture(scope="module")
def made():
    with netlab.built("bootu") as lab:
        yield lab


@pytest.fixture
def lab(made):
    yield made
    made.clear()


def log(lab, name):
    path = lab.dnsmasq_log() if name == "dnsmasq" else lab.path(name + ".log")
    with open(path, encoding="utf-8") as f:
        return f.read()


def http_log(lab):
    with open(lab.path("state/boot/log/http.log"), encoding="utf-8") as f:
        return f.read()


def change(path, old, new):
    """Changes bytes in the middle of a file; its length stays."""
    with open(path, "rb") as f:
        data = f.read()
    assert data.count(old) == 1 and len(old) == len(new)
    with open(path, "wb") as f:
        f.write(data.replace(old, new))


def initrd_at(lab, part=0.5):
    """Where that part of the initramfs lies in the EFI program, its middle for one."""
    with open(lab.path("images/client/current/initrd"), "rb") as f:
        initrd = f.read()
    with open(lab.efi(), "rb") as f:
        return f.read().index(initrd) + int(len(initrd) * part)


def take_signature(lab):
    make_unsigned(lab.efi())


def test_secure_boot_by_tftp(lab):
    """With kernel options of this seat, one of them a driver's: a boot program of its own, signed too."""
    lab.plan("loglevel=7 bochs.tried=1")
    lab.serve()
    pc = lab.power_on(machine=uefi(lab, secure=True))
    pc.console.wait("bochs: unknown parameter 'tried' ignored", BOOT_S)
    pc.console.at = 0
    comes_up(pc)
    assert f"/{pc.mac.replace(':', '-')}/carrel.efi to 10.77.0." in log(lab, "dnsmasq")
    assert "vmlinuz" not in http_log(lab)


def test_http_boot_with_several_cards(lab):
    """Without BOOTIF the init finds the card with the DHCP server, of three with link."""
    lab.serve()
    pc = lab.power_on(machine=uefi(lab, http=True), dead_cards=True)
    comes_up(pc)
    (sent,) = [line.split() for line in http_log(lab).splitlines() if '"GET /boot/carrel.efi ' in line]
    assert sent[2:4] == ["200", str(os.path.getsize(lab.efi()))]
    assert "carrel.efi to" not in log(lab, "dnsmasq")


def fetch_shim(folder):
    """Debian's packages of shim and GRUB, unpacked: they need not be installed."""
    os.makedirs(folder)
    subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "shim-signed",
                    "grub-efi-amd64-signed"], cwd=folder, check=True, capture_output=True)
    for package in glob.glob(folder + "/*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return folder + "/usr/lib/shim:" + folder + "/usr/lib/grub/x86_64-efi-signed"


@pytest.fixture
def shim(lab):
    lab.configure(uefi="shim")
    if not os.path.isdir(lab.path("shim")):
        lab.shim = fetch_shim(lab.path("shim"))
    return lab


@pytest.mark.full
def test_debians_shim_and_grub(shim):
    """Secure Boot as PCs come from the factory, with Microsoft's keys and nothing enrolled; with kernel
    options of this seat."""
    shim.plan("loglevel=6")
    shim.serve()
    pc = shim.power_on(machine=firmware.uefi(shim.path("flash.fd"), variables=firmware.MICROSOFT))
    pc.console.wait("kernel_lockdown", BOOT_S)  # which the kernel does with Secure Boot alone
    pc.console.at = 0
    assert "loglevel=6" in comes_up(pc)
    sent = re.findall(r"]: sent \S+/([\w.]+) to 10\.77\.0\.", log(shim, "dnsmasq"))
    assert list(dict.fromkeys(name for name in sent if name in SHIM_FILES)) == SHIM_FILES


@pytest.mark.full
def test_grub_refuses_a_kernel_that_was_changed(shim):
    shim.serve()
    (kernel,) = glob.glob(shim.path("state/boot/http/boot/*/vmlinuz"))
    shutil.copy(kernel, kernel + ".new")  # the image has the same file
    os.rename(kernel + ".new", kernel)
    flips.turn(kernel, os.path.getsize(kernel) // 2, 0)
    pc = shim.power_on(machine=firmware.uefi(shim.path("flash.fd"), variables=firmware.MICROSOFT))
    pc.console.wait("bad shim signature", BOOT_S)
    for word in ("Carrel: ", "Kernel panic", "STANDIN"):
        assert word not in pc.console.text.replace("Carrel: the boot server's files", "")


@pytest.mark.full
def test_tftp_by_ipv6(lab):
    """Firmware that gets nothing by IPv4 asks by IPv6; the kernel has IPv4 as ever."""
    lab.plan("loglevel=6")
    lab.serve(dnsmasq="dhcp-ignore=tag:efi64\n")
    pc = lab.power_on(machine=uefi(lab))
    assert "loglevel=6" in comes_up(pc)
    sent = [line for line in log(lab, "dnsmasq").splitlines() if "]: sent /" in line]
    own = f"/{pc.mac.replace(':', '-')}/carrel.efi to fd63:"
    assert sent and all(own in line for line in sent), sent


def test_flipped_bit_in_the_initramfs_is_refused(lab):
    lab.serve()
    flips.turn(lab.efi(), initrd_at(lab), 0)
    is_refused(lab.power_on(machine=uefi(lab, secure=True)))


def check_proxy(lab, pc):
    comes_up(pc)
    foreign, ours = log(lab, "foreign"), log(lab, "dnsmasq")
    with open(lab.path("foreign.leases"), encoding="utf-8") as f:
        (lease,) = [line.split() for line in f if pc.mac in line]
    assert "DHCPACK(lan0) %s %s" % (lease[2], pc.mac) in foreign
    assert "DHCPACK" not in ours and "RTR-ADVERT" not in ours
    assert not os.path.getsize(lab.path("state/boot/dnsmasq.leases"))


def test_proxy_dhcp_with_a_bios(lab):
    lab.configure(dhcp="proxy")
    lab.start_foreign_dhcp()
    lab.serve()
    check_proxy(lab, lab.power_on())


@pytest.mark.full
@pytest.mark.parametrize("secure", [False, True])
def test_proxy_dhcp_with_uefi(lab, secure):
    lab.configure(dhcp="proxy")
    lab.start_foreign_dhcp()
    lab.serve()
    check_proxy(lab, lab.power_on(machine=uefi(lab, secure)))


@pytest.mark.full
def test_secure_boot_by_http(lab):
    lab.serve()
    comes_up(lab.power_on(machine=uefi(lab, secure=True, http=True)))
    assert "GET /boot/carrel.efi" in http_log(lab)


@pytest.mark.full
def test_not_signed_with_secure_boot_off(lab):
    lab.serve()
    take_signature(lab)
    comes_up(lab.power_on(machine=uefi(lab)))


@pytest.mark.full
def test_changed_initramfs_runs_without_secure_boot(lab):
    """What Secure Boot is for: without it a change gets as far as the kernel, here in the first byte,
    so that there is no initramfs at all."""
    lab.serve()
    flips.turn(lab.efi(), initrd_at(lab, 0), 0)
    pc = lab.power_on(machine=uefi(lab))
    pc.console.wait("Kernel panic", BOOT_S)


def spoil_initramfs(lab):
    flips.turn(lab.efi(), initrd_at(lab), 0)


def spoil_command_line(lab):
    change(lab.efi(), b"carrel.server=10.77.0.1 ", b"carrel.server=10.77.0.2 ")


def sign_anew(lab):
    sign_with_another_key(lab, lab.efi())


@pytest.mark.full
@pytest.mark.parametrize("http", [False, True])
@pytest.mark.parametrize("spoil", [spoil_initramfs, spoil_command_line, take_signature,
                                   sign_anew])
def test_secure_boot_refuses(lab, spoil, http):
    lab.serve()
    spoil(lab)
    is_refused(lab.power_on(machine=uefi(lab, secure=True, http=http)))


@pytest.mark.full
def test_command_line_counts_only_as_signed(lab):
    """Without Secure Boot a changed command line is taken, and the init says what is wrong with it."""
    lab.serve()
    change(lab.efi(), b"carrel.sha256=", b"carrel.sha-56=")
    pc = lab.power_on(machine=uefi(lab))
    pc.console.wait("CARREL-B08", BOOT_S)
    assert "carrel.sha256 is missing or malformed" in pc.console.wait("Reason:", 5)
    assert "viewer" not in [s["stage"] for s in lab.reports()]
