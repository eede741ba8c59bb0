# SPDX-License-Identifier: GPL-2.0-or-later
"""What dnsmasq, as carrel-bootconf renders it, answers to each kind of firmware: real dnsmasq, real
packets, in namespaces."""
import json
import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "boot"))
from bootroom import PC, SERVER, Room  # noqa: E402
from bootsite import Site, missing  # noqa: E402

pytestmark = [pytest.mark.root, pytest.mark.skipif(missing() != "", reason="missing: " + missing())]

PXE, HTTP = "PXEClient:Arch:%05d:UNDI:003016", "HTTPClient:Arch:%05d:UNDI:003016"


class Boot(Room):
    def serve(self, dhcp):
        self.site.conf["network"]["dhcp"] = dhcp
        super().serve("dnsmasq")

    def ask_one(self, vendor_class, arch):
        (answer,), = self.ask(f"{vendor_class % arch}:{arch}")
        return answer


@pytest.fixture
def boot(need):
    need("ip")
    folder = tempfile.mkdtemp(prefix="carrel-bootdhcp-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    made = Boot(Site(folder))
    yield made
    made.clear()
    shutil.rmtree(folder)


def test_own_dhcp(boot):
    boot.serve("own")
    efi = f"http://{SERVER}:80/boot/carrel.efi"
    for vendor_class, arch, program in (
            (PXE, 0, "lpxelinux.0"), (PXE, 7, "carrel.efi"), (PXE, 9, "carrel.efi"), (HTTP, 16, efi)):
        answer = boot.ask_one(vendor_class, arch)
        assert answer["yiaddr"].startswith("10.77.0.") and answer["siaddr"] == SERVER
        assert answer["file"] == program, (vendor_class, arch)
        if vendor_class is HTTP:
            assert bytes.fromhex(answer["options"]["60"]) == b"HTTPClient"
    # 32-bit x86, 32- and 64-bit Arm, by TFTP and by HTTP; and what is no firmware
    for vendor_class, arch in ((PXE, 6), (PXE, 10), (PXE, 11), (HTTP, 15), (HTTP, 18), (HTTP, 19)):
        answer = boot.ask_one(vendor_class, arch)
        assert answer["yiaddr"].startswith("10.77.0.") and answer["file"] == ""
    (answer,), = boot.ask("-:-")
    assert answer["yiaddr"].startswith("10.77.0.") and answer["file"] == ""


def test_proxy_dhcp_gives_no_address(boot):
    boot.serve("proxy")
    # who does not boot from the network hears nothing, nor does HTTP Boot: the answer to the last
    # question comes alone
    *silent, answers = boot.ask("-:-", f"{HTTP % 16}:16", f"{PXE % 0}:0")
    assert silent == [[], []]
    (answer,) = answers
    assert answer["yiaddr"] == "0.0.0.0" and bytes.fromhex(answer["options"]["60"]) == b"PXEClient"
    assert not {"1", "3", "6", "51"} & set(answer["options"])
    for arch in (7, 9):
        answer = boot.ask_one(PXE, arch)
        assert answer["yiaddr"] == "0.0.0.0" and not {"1", "3", "6", "51"} & set(answer["options"])


def menu_item(answer):
    """The number of the first entry of the PXE menu (option 43, suboption 9), or "" without a menu."""
    data, at = bytes.fromhex(answer["options"].get("43", "")), 0
    while at < len(data) and data[at] != 255:
        if data[at] == 9:
            return str(int.from_bytes(data[at + 2:at + 4], "big"))
        at += 2 + data[at + 1]
    return ""


def test_proxy_dhcp_says_what_to_start(boot):
    """The firmware, which has its address from elsewhere by then, asks on port 4011."""
    boot.serve("proxy")
    boot.address()
    for arch, program in ((0, "lpxelinux.0"), (7, "carrel.efi"), (9, "carrel.efi")):
        item = menu_item(boot.ask_one(PXE, arch))
        (answer,), = boot.ask(f"{PXE % arch}:{arch}@{SERVER}/{item}", address=PC)
        assert answer["file"] == program and answer["siaddr"] == SERVER
        assert answer["yiaddr"] == "0.0.0.0" or answer["yiaddr"] == PC


@pytest.mark.parametrize("dhcp", ["own", "proxy"])
def test_a_pc_has_a_menu_of_its_own(boot, need, dhcp):
    """Known by its MAC address, also where another server has given it its address."""
    need("curl")
    boot.address()
    mac = boot.lab.exec("pc", "cat", "/sys/class/net/lan0/address").strip()
    boot.serve(dhcp)
    menu = f"tftp://{SERVER}/pxelinux.cfg/default"
    fetch = ["curl", "-s", "--max-time", "20", menu]
    assert "acpi=off" not in boot.lab.exec("pc", *fetch)
    with open(boot.site.path("state/bootplan.json"), "w", encoding="utf-8") as f:
        json.dump({"image": "client", "versions": ["20260301.1"], "seats": sorted(
            [{"mac": "52:54:00:00:00:01", "version": "20260301.1", "kernel": "quiet"},
             {"mac": mac, "version": "20260301.1", "kernel": "acpi=off"}], key=lambda s: s["mac"])}, f)
    boot.site.run()
    assert "acpi=off" in boot.lab.exec("pc", *fetch), "without a restart of dnsmasq"
    kernel = boot.lab.exec("pc", "curl", "-s", "--max-time", "20", menu.replace(
        "pxelinux.cfg/default", "boot/20260301.1/vmlinuz"))
    assert kernel.startswith("20260301.1kernel")
    boot.site.run("--rollback")
    assert "acpi=off" not in boot.lab.exec("pc", *fetch)


def test_check_refuses_nothing_of_ours(boot):
    for dhcp in ("own", "proxy"):
        boot.site.conf["network"]["dhcp"] = dhcp
        boot.site.write()
        assert "good: image client@" in boot.site.run("--check")
