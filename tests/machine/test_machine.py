# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot server as an admin makes it by README.md, on a Debian 12 of its own with systemd and the
kernel's NFS server: the installation, the units, a restart, and a PC that boots from it. The tests
are in the order of an admin's day."""

import json
import re

import pytest

from carrel_lab import way
from carrel_lab.errors import wait_until
from steps import ALICE

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.full]

ACTIVE = ["carrel.target", "carreld.service", "carrel-bootconf.service", "carrel-dnsmasq.service",
          "carrel-http.service", "carrel-nfs-export.service", "carrel-netd.socket",
          "carrel-authd.socket", "nfs-server.service"]
EXPORT = "/var/lib/carrel/boot/http/images"
NO_IMAGE = r"no desktop image"
EXPOSURE = 2.0  # of `systemd-analyze security`


def not_active(machine):
    """{unit: state} of those that do not run."""
    states = machine.run("systemctl is-active " + " ".join(ACTIVE), status=None).split()
    return {unit: state for unit, state in zip(ACTIVE, states) if state != "active"}


def check_everything_runs(machine):
    wait_until(lambda: not not_active(machine), 60, lambda: f"all runs: {not_active(machine)}; "
               + machine.run("journalctl -b -n 60 --no-pager -o short-monotonic"), step=1)
    assert machine.run("systemctl --failed --no-legend --plain") == ""
    assert machine.run("systemctl is-active carrel-nfs nginx", status=None).split() == \
        ["inactive", "inactive"]
    # the restarts that systemd makes behind one's back
    assert machine.run("journalctl -b --no-pager -o cat -u 'carrel*' | grep -E "
                       "': (Failed with result|Main process exited|Scheduled restart)' || :") == ""


def check_export(machine):
    """The kernel's server answers on the PCs' side, and shows the images to them alone."""
    exports = machine.run("exportfs -v")
    assert exports.split()[0] == EXPORT and "10.77.0.0/24(" in exports, exports
    options = set(re.search(r"\(([^)]*)\)", exports)[1].split(","))
    assert {"ro", "all_squash"} <= options, exports
    assert int(machine.run("cat /proc/fs/nfsd/threads")) > 0


def status(machine):
    return json.loads(machine.run("carrel status --json"))


def test_programs_find_their_libraries(machine):
    """scripts/deps --run names all that a boot server needs which compiles nothing itself."""
    lost = machine.run("for f in /usr/local/bin/* /usr/local/sbin/carrel* /usr/local/libexec/carrel/*; do "
                       "ldd $f 2>/dev/null | sed -n \"s|.*not found|$f: &|p\"; done")
    # these run in the PCs and in desktops
    assert [line for line in lost.splitlines() if not re.search(
        r"/carrel-(viewer|agent|waitscreen|ximwait):", line)] == []


def test_everything_runs(machine):
    check_everything_runs(machine)
    assert machine.run("carrel-bootconf --print-nfs").split()[0] == "kernel"
    check_export(machine)
    assert status(machine)["users"] == 0


def test_sandboxes(machine):
    """What systemd says of the units as they are loaded, with all that it knows of the machine."""
    units = [u for u in ACTIVE if u.startswith("carrel") and u.endswith(".service")]
    said = machine.run("systemd-analyze security --no-pager carrel-authd.service carrel-netd.service "
                       + " ".join(units), 240)
    exposure = dict(re.findall(r"Overall exposure level for (\S+): ([0-9.]+)", said))
    assert set(exposure) == {"carrel-authd.service", "carrel-netd.service", *units}
    assert {u: e for u, e in exposure.items() if float(e) > EXPOSURE} == {}


def test_restarts_lose_nothing(machine):
    """Of the broker, whose users stay, and of the NFS server, whose export does."""
    machine.run("systemctl restart carreld carrel-netd.socket")
    assert "alice" in machine.run("carrel user list")
    for verb in ("reload", "restart"):
        machine.run(f"systemctl {verb} nfs-server")
        wait_until(lambda: EXPORT in machine.run("exportfs -v"), 60, f"the export after {verb}",
                   step=1)
    check_everything_runs(machine)


def test_a_new_rendering(machine):
    """README's words for a change of carrel.conf."""
    machine.run("sed -i 's/^client_range.*/client_range = 10.77.0.50-10.77.0.99/' "
                "/etc/carrel/carrel.conf && carrel config check && carrel-bootconf && "
                "systemctl restart carrel-dnsmasq carrel-http carrel-nfs && carrel reload")
    check_everything_runs(machine)


def test_reboot_brings_all_up(machine):
    machine.reboot()
    check_everything_runs(machine)
    check_export(machine)
    assert "alice" in machine.run("carrel user list")


def test_pc_boots_to_the_login_form(machine, pc):
    """By PXE, right after the boot server's own start; its root image comes from the kernel's nfsd."""
    pc.power_on()
    way.wait_login_form(pc)
    pc.shot(machine.path("login-form.png"))
    (seat,) = json.loads(machine.run("carrel seat show --json " + pc.mac))["seats"]
    assert seat["boot"]["state"] == "up" and not status(machine)["boots"], seat
    assert 50 <= int(seat["address"].removeprefix("10.77.0.")) <= 99, seat
    assert [s["stage"] for s in seat["boot"]["stages"]][:5] == ["dhcp", "program", "menu", "kernel", "initrd"], seat
    size = int(machine.run("stat -c %s /var/lib/carrel/images/client/current/root.squashfs"))
    read = int(machine.run("awk '/^io/ { print $2 }' /proc/net/rpc/nfsd"))
    assert read >= size
    served = machine.run("cat /var/lib/carrel/boot/log/http.log")
    assert "/boot/" in served and "/images/" not in served, served


def test_login_reaches_the_password_helper(machine, pc):
    """A wrong password and a right one get their own answers; there is no image of desktops yet."""
    way.login(pc, "alice", "not hers")
    pc.wait_text(way.DENIED, 90, region=way.CARD)
    way.to_form(pc, clear=True)
    way.login(pc, "alice", ALICE)
    pc.wait_text(NO_IMAGE, 90)
    check_everything_runs(machine)
