# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot server as an admin makes it by README.md, on a Debian 12 of its own with systemd and the
kernel's NFS server: the installation, the units, a restart, a PC that boots from it, another version of
its image, a virtualization server, a desktop. The tests are in the order of an admin's day."""

import json
import re

import pytest

import steps
from carrel_lab import way
from carrel_lab.errors import wait_until
from steps import ALICE

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.full]

ACTIVE = ["carrel.target", "carreld.service", "carrel-bootconf.service", "carrel-dnsmasq.service",
          "carrel-http.service", "carrel-nfs-export.service", "carrel-bootplan.path", "carrel-netd.socket",
          "carrel-authd.socket", "nfs-server.service"]
# These run when they are asked, or where the kernel has no NFS server.
ON_DEMAND = ["carrel-authd.service", "carrel-bootplan.service", "carrel-netd.service", "carrel-nfs.service"]
EXPORT = "/var/lib/carrel/boot/http/images"
NO_IMAGE = r"no desktop image"
# of `systemd-analyze security`; NFS-Ganesha reads as the user whom it serves
EXPOSURE, EXPOSURE_OF = 2.0, {"carrel-nfs.service": 2.1}
# capabilities by their bits in linux/capability.h
SETGID, SETUID, NET_BIND_SERVICE, NET_ADMIN, NET_RAW = 1 << 6, 1 << 7, 1 << 10, 1 << 12, 1 << 13
RUNNING = {"carreld.service": 0, "carrel-dnsmasq.service": NET_BIND_SERVICE | NET_RAW | NET_ADMIN,
           "carrel-http.service": NET_BIND_SERVICE | SETUID | SETGID, "carrel-netd.service": NET_ADMIN}


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


def seat_of(machine, pc):
    (seat,) = json.loads(machine.run("carrel seat show --json " + pc.mac))["seats"]
    return seat


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
    units = [u for u in ACTIVE if u.startswith("carrel") and u.endswith(".service")] + ON_DEMAND
    there = machine.run("cd /lib/systemd/system && ls carrel*.service").split()
    assert sorted(there) == sorted(units), "a unit that is not looked at"
    said = machine.run("systemd-analyze security --no-pager " + " ".join(units), 240)
    exposure = dict(re.findall(r"Overall exposure level for (\S+): ([0-9.]+)", said))
    assert set(exposure) == set(units)
    assert {u: e for u, e in exposure.items() if float(e) > EXPOSURE_OF.get(u, EXPOSURE)} == {}


def test_processes_have_what_their_units_give(machine):
    """What the kernel says of those that run: no more capabilities, a filter of system calls, no way up."""
    for unit, bounds in RUNNING.items():
        said = machine.run(f"cat /proc/$(systemctl show -P MainPID {unit})/status")
        found = dict(re.findall(r"^(\w+):\t(.*)$", said, re.MULTILINE))
        assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2"), unit
        assert int(found["CapBnd"], 16) & ~bounds == 0 and int(found["CapEff"], 16) & ~bounds == 0, (unit, said)


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
    steps.change_conf(machine, "sed -i 's/^client_interface.*/&\\nclient_range = 10.77.0.50-10.77.0.99/' "
                      "/etc/carrel/carrel.conf")
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
    pc.shot(pc.path("pictures", "login-form.png"))
    wait_until(lambda: seat_of(machine, pc)["boot"]["state"] == "up", 30,
               lambda: f"its boot is known to be whole: {seat_of(machine, pc)}", step=1)
    seat = seat_of(machine, pc)
    assert not status(machine)["boots"], seat
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


def menus(machine, version):
    """Which of the PCs' menus that are served lead to that version."""
    return machine.run("cd /var/lib/carrel/boot/current/tftp && find -L . -path '*/pxelinux.cfg/default' "
                       f"-exec grep -l /boot/{version}/vmlinuz {{}} + || :").split()


def renderings(machine):
    """How often systemd has started carrel-bootplan.service, and all of them ended well."""
    assert machine.run("systemctl show -P Result carrel-bootplan.service").strip() == "success"
    return machine.run("journalctl -b --no-pager -o cat -u carrel-bootplan.service | "
                       "grep -c '^Finished ' || :").strip()


def test_another_version_of_the_pcs_image(machine, pc):
    """Published, tried at one PC, promoted: each time carreld writes its plan, and systemd starts who
    renders it."""
    image, version = machine.later, machine.later.split("@")[1]
    steps.bring_later_client(machine)
    before = renderings(machine)
    assert f"testing   {image}" in machine.run(f"carrel image publish {image}", 120)
    assert int(renderings(machine)) > int(before) and menus(machine, version) == []
    machine.run(f"carrel image try {image} --seats {pc.mac}")
    its_own = f"./{pc.mac.replace(':', '-')}/pxelinux.cfg/default"
    wait_until(lambda: menus(machine, version) == [its_own], 60,
               lambda: f"that PC's menu, and no other, has it: {menus(machine, version)}", step=1)
    pc.off()
    pc.power_on()
    wait_until(lambda: seat_of(machine, pc)["boot"]["version"] == version, 120, "the PC boots it", step=1)
    way.wait_login_form(pc)
    wait_until(lambda: seat_of(machine, pc)["boot"]["state"] == "up", 30, "its boot is known to be whole", step=1)
    assert f"stable    {image}" in machine.run(f"carrel image promote {image} --canary 0", 120)
    assert menus(machine, version) == ["./pxelinux.cfg/default"]
    check_everything_runs(machine)


def test_a_virtualization_server_by_ssh(machine, virt):
    dry, done = steps.prepare_server(machine, virt)
    assert "nothing was changed" in dry and "would change: " in dry
    assert f"{virt.name} is ready" in done
    steps.bring_desktops(machine)
    machine.run(steps.SERVER_ADD)

    def up():
        return [s for s in status(machine)["servers"] if (s["name"], s["state"]) == (virt.name, "up")]

    # It has the image then, through libvirt and TLS from an emulated processor.
    wait_until(up, 300, lambda: f"{virt.name} is up: {status(machine)}", step=2)
    wait_until(lambda: status(machine)["standby"] == 1, 300, lambda: f"a desktop waits: {status(machine)}", step=2)


def test_a_desktop(machine, pc, virt):
    """The login of before, and its desktop: through the forward of carrel-netd's unit, from the server."""
    way.to_form(pc, clear=True)
    way.login(pc, "alice", ALICE)
    way.wait_desktop(pc)
    way.wait_terminal(pc)
    way.shell(pc, "echo kept-$((40+2)) >note; cat note", "kept-42")
    pc.shot(pc.path("pictures", "desktop.png"))
    (session,) = json.loads(machine.run("carrel session list --json"))["sessions"]
    assert (session["user"], session["server"], session["state"]) == ("alice", virt.name, "connected"), session
    forwards = machine.run("nft list ruleset")
    assert seat_of(machine, pc)["address"] in forwards and virt.address in forwards, forwards
    way.log_out(pc)
    pc.shot(pc.path("pictures", "after.png"))
    wait_until(lambda: seat_of(machine, pc)["address"] not in machine.run("nft list ruleset"), 60,
               "the forward is gone with its session", step=1)
    check_everything_runs(machine)


def check_ganesha(machine):
    """It runs as our unit, and whoever mounts what it exports reads the root image."""
    assert machine.run("carrel-bootconf --print-nfs").split()[0] == "ganesha"
    wait_until(lambda: machine.run("ss -Hltn src 10.77.0.1:2049"), 60, "NFS-Ganesha answers", step=1)
    states = machine.run("systemctl is-active carrel-nfs carrel-nfs-export nfs-ganesha nfs-server", status=None).split()
    # Debian's start of it, when it is installed, may have failed.
    assert states[0] == "active" and "active" not in states[1:], states
    assert machine.run("systemctl is-enabled nfs-ganesha", status=None) == "disabled\n"
    version = machine.later.split("@")[1]
    sums = machine.run(f"mount -t nfs4 -o ro 10.77.0.1:/client /mnt && sha256sum /mnt/client-{version}.root "
                       f"/var/lib/carrel/images/client/{version}/root.squashfs; umount /mnt", 120)
    seen, built = re.findall(r"^([0-9a-f]{64}) ", sums, re.MULTILINE)
    assert seen == built


def test_ganesha_where_the_kernel_has_no_nfs_server(machine):
    steps.take_ganesha(machine)
    check_ganesha(machine)
    said = machine.run("cat /proc/$(systemctl show -P MainPID carrel-nfs)/status")
    assert re.search(r"^CapBnd:\t0*c4$", said, re.MULTILINE), said  # DAC_READ_SEARCH, SETGID, SETUID
    machine.reboot()
    check_ganesha(machine)
    machine.run("systemctl stop carrel-nfs")
    assert machine.run("ss -Hltn src 10.77.0.1:2049") == ""
