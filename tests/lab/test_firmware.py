# SPDX-License-Identifier: GPL-2.0-or-later
"""PCs of each firmware, from power-on to the login form that is seen on their screens: BIOS with two
network cards, UEFI by TFTP, by HTTP and with Secure Boot; BIOS and UEFI beside a site's own DHCP server."""

import json
import os
import sys

import pytest

from carrel_lab import way
from carrel_lab.errors import wait_until
from carrel_lab.lab import SOURCE
from carrel_lab.net import CLIENT_NET, listens, run

sys.path.append(os.path.join(SOURCE, "tests/integration/boot"))
import firmware  # noqa: E402

pytestmark = [pytest.mark.lab, pytest.mark.root, pytest.mark.full,
              pytest.mark.skipif(bool(firmware.lacks()), reason=f"missing: {', '.join(firmware.lacks())}")]


@pytest.fixture(scope="module")
def lab(make_lab):
    """What UEFI PCs start is signed."""
    made = make_lab("firmware", conf={"desktop": {"standby": "0"}})
    run(made.script("scripts", "carrel-pki"), "--dir", made.path("pki"), "boot-key")
    made.boot.render()
    return made


@pytest.fixture(scope="module")
def beside(make_lab):
    """A lab whose PCs get their addresses from a server that knows nothing of a network boot."""
    made = make_lab("beside", conf={"desktop": {"standby": "0"}, "network": {"dhcp": "proxy"}})
    made.net.make("site")
    made.net.plug("site", "eth0", "br-lan", f"{CLIENT_NET}.2/24")
    process = made.state.spawn("site-dhcp", [
        "ip", "netns", "exec", made.net.ns("site"), "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
        "--port=0", "--interface=eth0", "--bind-dynamic", "--log-facility=-", "--pid-file", "--no-ping",
        "--dhcp-authoritative", f"--dhcp-range={CLIENT_NET}.60,{CLIENT_NET}.90,255.255.255.0,10m",
        f"--dhcp-option=option:router,{CLIENT_NET}.2", f"--dhcp-leasefile={made.path('site.leases')}"],
        made.path("log", "site-dhcp.log"))
    wait_until(lambda: listens(process.pid, 67, "udp"), 20, "the site's DHCP server listens")
    return made


def uefi(lab, **how):
    return {"uefi": firmware.uefi(lab.path("flash.fd"), **how)}


def to_form(lab, number, kind, **machine):
    """The boot of a PC, as the broker knows it, when the form is on its screen."""
    pc = lab.pc(f"pc{number}", **machine)
    pc.power_on()
    try:
        way.wait_login_form(pc, 300)
        pc.shot(lab.path("log", f"{kind}.png"))

        def boot():
            (seat,) = json.loads(lab.admin.carrel("seat", "show", "--json", pc.mac).stdout)["seats"]
            return seat["boot"]

        wait_until(lambda: boot()["state"] == "up", 20, "the broker has heard of the form")
        return boot()
    finally:
        pc.power_cut()


@pytest.mark.parametrize("number, nic", [(1, "e1000"), (2, "virtio-net-pci")])
def test_bios(lab, number, nic):
    assert to_form(lab, number, f"bios-{nic}", nic=nic)["firmware"] == "bios"


def test_uefi_by_tftp(lab):
    assert to_form(lab, 3, "uefi-tftp", **uefi(lab))["firmware"] == "uefi"


def test_uefi_by_http(lab):
    assert to_form(lab, 4, "uefi-http", **uefi(lab, http=True))["firmware"] == "uefi-http"


def test_uefi_with_secure_boot(lab):
    boot = to_form(lab, 5, "uefi-secure-boot", **uefi(lab, enrolled=lab.path("pki", "secure-boot")))
    assert boot["firmware"] == "uefi"


@pytest.mark.parametrize("number, kind", [(6, "bios"), (7, "uefi")])
def test_beside_a_dhcp_server_of_the_site(beside, number, kind):
    boot = to_form(beside, number, f"beside-{kind}", **(uefi(beside) if kind == "uefi" else {}))
    assert boot["firmware"] == kind
    with open(beside.path("site.leases"), encoding="utf-8") as f:
        assert boot["address"] in f.read(), "the site's server has given the address"
