# SPDX-License-Identifier: GPL-2.0-or-later
"""How a PC booted: the boot server's logs and the PC's own reports, as `carrel seat show` puts them
together."""
import http.client
import json
import os
import time

import pytest

from fakes.site import ADDRESS, Site

pytestmark = pytest.mark.quick
MAC, PC = "52:54:00:77:00:01", "127.77.0.101"
FIRMWARE = "PXEClient:Arch:00000:UNDI:002001"
PROGRAM = 70000


@pytest.fixture
def site(tmp_path, certificate):
    made = Site(tmp_path, certificate)
    os.makedirs(made.folder / "state/boot/log")
    os.makedirs(made.folder / "state/boot/current/tftp")
    (made.folder / "state/boot/current/tftp/lpxelinux.0").write_bytes(bytes(PROGRAM))
    made.start()
    yield made
    made.end()


def log(site, name, *lines):
    with open(site.folder / "state/boot/log" / name, "a", encoding="utf-8") as f:
        f.writelines(line + "\n" for line in lines)


def dhcp(site, xid, mac, vendor, *words):
    head = f"Nov 27 05:51:03 dnsmasq-dhcp[7]: {xid} "
    log(site, "dnsmasq.log", *([head + "vendor class: " + vendor] if vendor else []),
        *(head + f"{what}(lan0) {address + ' ' if address else ''}{mac} " for what, address in words))


def restart(site):
    site.stop()
    site.start()


def say(site, what, **body):
    connection = http.client.HTTPConnection(ADDRESS, site.report_port, timeout=20, source_address=(PC, 0))
    connection.request("POST", "/v1/boot/" + what, json.dumps({"mac": MAC, **body}))
    status = connection.getresponse().status
    connection.close()
    return status


def report(site, stage, ms, **more):
    assert say(site, "report", stage=stage, ms=ms, **more) == 204


def boot_of(site, match, seat=MAC):
    """The boot of the seat, as soon as it is as wanted."""
    until = time.monotonic() + 20
    while True:
        known = [s["mac"] for s in json.loads(site.cli("seat", "list", "--json").stdout)["seats"]]
        boot = None
        if seat in known:
            boot = json.loads(site.cli("seat", "show", "--json", seat).stdout)["seats"][0]["boot"]
        if boot and match(boot):
            return boot
        assert time.monotonic() < until, boot or known


def reached(boot):
    return [stage["stage"] for stage in boot["stages"]]


def test_a_boot_from_its_first_word_to_the_login_form(site):
    dhcp(site, 5, MAC, FIRMWARE, ("DHCPDISCOVER", ""), ("DHCPOFFER", PC))
    dhcp(site, 5, MAC, FIRMWARE, ("DHCPREQUEST", PC), ("DHCPACK", PC))
    log(site, "dnsmasq.log", f"dnsmasq-tftp[7]: sent {site.folder}/state/boot/current/tftp/lpxelinux.0 to {PC}",
        f"dnsmasq-tftp[7]: sent {site.folder}/state/boot/current/tftp/pxelinux.cfg/default to {PC}")
    boot = boot_of(site, lambda b: "menu" in reached(b))
    assert (boot["firmware"], boot["address"], boot["state"]) == ("bios", PC, "booting")
    now = time.time()
    log(site, "http.log", f'{now:.3f} {PC} 200 8000000 0.700 "GET /boot/1/vmlinuz HTTP/1.0"',
        f'{now:.3f} {PC} 200 3000000 0.100 "GET /boot/1/initrd HTTP/1.0"', "not a line of ours")
    before = boot_of(site, lambda b: "initrd" in reached(b))
    restart(site)  # what is known of a boot is so still, and the boot goes on
    assert boot_of(site, lambda b: True) == before
    dhcp(site, 6, MAC, "", ("DHCPDISCOVER", ""), ("DHCPACK", PC))  # Linux
    report(site, "network", 4000)
    report(site, "fetch", 5000, bytes=23000000)
    report(site, "drivers", 5500, bytes=1000, error="radeon/R100_cp.bin: not in the image")
    report(site, "viewer", 6000)
    assert boot_of(site, lambda b: "viewer" in reached(b))["state"] == "booting"
    assert site.request("POST", "/v1/client/hello", {"seat": MAC}, client=PC)[0] == 200
    boot = boot_of(site, lambda b: b["state"] == "up")
    restart(site)
    assert boot_of(site, lambda b: True) == boot
    assert reached(boot) == ["dhcp", "program", "menu", "kernel", "initrd", "network", "fetch", "drivers", "viewer",
                             "form"]
    sizes = {stage["stage"]: stage["bytes"] for stage in boot["stages"]}
    assert (sizes["program"], sizes["kernel"], sizes["initrd"], sizes["fetch"]) == (PROGRAM, 8000000, 3000000, 23000000)
    lines = site.cli("seat", "show", MAC).stdout.splitlines()
    assert any(line.startswith("boot ") and "up, bios" in line for line in lines)
    assert "note       radeon/R100_cp.bin: not in the image" in lines
    assert [line.split()[0] for line in lines if line.split() and line.split()[0] in reached(boot)] == reached(boot)
    assert json.loads(site.cli("status", "--json").stdout)["boots"] == []
    # the next one; what it was is gone
    dhcp(site, 9, MAC, FIRMWARE, ("DHCPDISCOVER", ""))
    assert boot_of(site, lambda b: b["state"] == "booting")["stages"] == []


def test_a_boot_that_fails_says_where_and_why(site):
    dhcp(site, 5, MAC, FIRMWARE, ("DHCPDISCOVER", ""), ("DHCPACK", PC))
    boot_of(site, lambda b: reached(b) == ["dhcp"])
    report(site, "network", 4000)
    report(site, "failed", 9000, error="CARREL-B04")
    boot = boot_of(site, lambda b: b["state"] == "failed")
    assert (boot["stopped_at"], boot["error"]) == ("fetch", "CARREL-B04") and "carrel-nfs" in boot["cause"]
    assert "stopped at fetch, CARREL-B04: " in site.cli("seat", "show", MAC).stdout
    assert "the PC %s did not start: it stopped at fetch, CARREL-B04" % MAC in site.cli("status").stdout


def firmware_asks(site, xid):
    """The PC is switched on, or boots again."""
    dhcp(site, xid, MAC, FIRMWARE, ("DHCPDISCOVER", ""), ("DHCPACK", PC))
    boot_of(site, lambda b: reached(b) == ["dhcp"])


def test_a_driver_that_crashes_is_left_alone(site):
    firmware_asks(site, 5)
    report(site, "root", 5000)
    assert say(site, "driver", driver="radeon") == 204
    firmware_asks(site, 6)  # its plug was pulled, perhaps
    report(site, "root", 5000)
    assert say(site, "driver", driver="radeon") == 204
    restart(site)
    firmware_asks(site, 7)
    assert say(site, "driver", driver="radeon") == 409
    assert say(site, "driver", driver="i915") == 204
    report(site, "failed", 9000, error="CARREL-B10")
    boot_of(site, lambda b: b["state"] == "failed" and "left alone" in b["cause"])
    # an admin who changes the seat's options has it tried again
    assert site.cli("seat", "set", MAC, "screen=800x600").returncode == 0
    assert say(site, "driver", driver="radeon") == 409
    assert site.cli("seat", "set", MAC, "kernel=radeon.modeset=1").returncode == 0
    assert say(site, "driver", driver="radeon") == 204
    for bad in ("", "../radeon", "a" * 48, "radeon i915"):
        assert say(site, "driver", driver=bad) == 400


def test_other_machines_of_the_network_are_no_seats(site):
    dhcp(site, 5, "52:54:00:77:00:99", "MSFT 5.0", ("DHCPDISCOVER", ""), ("DHCPACK", "127.77.0.199"))
    dhcp(site, 6, MAC, FIRMWARE, ("DHCPDISCOVER", ""), ("DHCPACK", PC))
    boot_of(site, lambda b: True)
    assert [s["mac"] for s in json.loads(site.cli("seat", "list", "--json").stdout)["seats"]] == [MAC]


def test_the_logs_are_rotated(site):
    dhcp(site, 5, MAC, FIRMWARE, ("DHCPDISCOVER", ""), ("DHCPACK", PC))
    boot_of(site, lambda b: reached(b) == ["dhcp"])
    path = site.folder / "state/boot/log/dnsmasq.log"
    os.truncate(path, 0)  # as logrotate does it
    log(site, "dnsmasq.log", f"dnsmasq-tftp[7]: sent /elsewhere/lpxelinux.0 to {PC}")
    boot = boot_of(site, lambda b: "program" in reached(b))
    assert boot["stages"][-1]["bytes"] == 0, "no file of the boot tree"
