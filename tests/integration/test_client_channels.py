# SPDX-License-Identifier: GPL-2.0-or-later
"""Versions of the PCs' image with the real carreld, `carrel` and carrel-bootconf: published, tried on
some PCs, promoted, proved by their boots, taken back."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from fakes.site import BUILD, REPO, Site

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "boot"))
from bootsite import make_client, missing  # noqa: E402

pytestmark = pytest.mark.skipif(missing() != "", reason="missing: " + missing())
OLD, NEW, NEWER = "20260301.1", "20260401.1", "20260402.1"
MAC, PC = "52:54:00:77:00:%02x", "127.77.0.%d"


class Clients(Site):
    """A site that is a boot server too; who calls bootconf() is the unit carrel-bootplan.path."""

    def __init__(self, folder, certificate):
        super().__init__(folder, certificate, more="[boot]\nnfs = off\n")
        make_client(self.folder / "images", self.folder / "pki", OLD)

    def image(self, version):
        make_client(self.folder / "images", self.folder / "pki", version)
        return "client@" + version

    def bootconf(self, *options, status=0):
        done = subprocess.run([BUILD / "carrel-bootconf", "-c", self.conf, "--templates",
                               REPO / "bootserver/templates", *options], capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def clients(self):
        return json.loads(self.cli("image", "status", "--json").stdout)["clients"]

    def wait(self, condition, seconds=20):
        until = time.monotonic() + seconds
        while not condition(self.clients()):
            assert time.monotonic() < until, self.clients()
        return self.clients()

    def plan(self):
        return json.loads((self.folder / "state/bootplan.json").read_text())

    def wait_plan(self, condition, seconds=20):
        until = time.monotonic() + seconds
        while not condition(self.plan()):
            assert time.monotonic() < until, self.plan()

    def take_up(self):
        """What carreld has written is rendered, and carreld knows it."""
        self.bootconf()
        return self.wait(lambda c: c["boot"] == "in use" and not c["rollout"]["image"])

    def change(self, *words):
        self.cli("image", *words, "--no-wait")
        return self.take_up()["channels"]

    def tftp(self, *names):
        return self.folder.joinpath("state/boot/current/tftp", *names)

    def menu(self, mac=None):
        folder = [mac.replace(":", "-")] if mac else []
        return self.tftp(*folder, "pxelinux.cfg/default").read_text()

    def efi(self, mac=None):
        """Version, and command line of what a UEFI PC loads."""
        folder = [mac.replace(":", "-")] if mac else []
        path = os.path.realpath(self.tftp(*folder, "carrel.efi"))
        line = self.folder / "cmdline"
        subprocess.run(["objcopy", "-O", "binary", "--only-section=.cmdline", path, line], check=True)
        return path.split("/")[-2], line.read_text()

    def write_log(self, name, *lines):
        with open(self.folder / "state/boot/log" / name, "a", encoding="utf-8") as f:
            f.writelines(line + "\n" for line in lines)

    def boots(self, number, version, by="bios", up=True):
        """A PC boots that version, as the logs say it, to its kernel; `up`: to its form."""
        mac, pc, head = MAC % number, PC % (100 + number), "Nov 27 05:51:03 dnsmasq-"
        vendor = {"bios": "PXEClient:Arch:00000", "uefi": "PXEClient:Arch:00007",
                  "http": "HTTPClient:Arch:00016"}[by] + ":UNDI:002001"
        self.write_log("dnsmasq.log", f"{head}dhcp[7]: 5 vendor class: {vendor}",
                 f"{head}dhcp[7]: 5 DHCPDISCOVER(lan0) {mac} ", f"{head}dhcp[7]: 5 DHCPACK(lan0) {pc} {mac} ")
        self.wait_boot(number, lambda b: b["stages"])
        if by == "http":
            self.write_log("http.log", f'{time.time():.3f} {pc} 200 8000 0.700 "GET /boot/carrel.efi HTTP/1.1"')
        elif by == "uefi":
            folder = self.tftp(mac.replace(":", "-"))
            self.write_log("dnsmasq.log", f"{head}tftp[7]: sent "
                     f"{folder if folder.exists() else self.tftp()}/carrel.efi to {pc}")
        else:
            self.write_log("dnsmasq.log", f"{head}tftp[7]: sent {self.tftp()}/lpxelinux.0 to {pc}")
            self.write_log("http.log", f'{time.time():.3f} {pc} 200 8000 0.700 "GET /boot/{version}/vmlinuz HTTP/1.0"')
        assert self.wait_boot(number, lambda b: b["version"])["version"] == version
        if up:
            assert self.request("POST", "/v1/client/hello", {"seat": mac}, client=pc)[0] == 200

    def wait_boot(self, number, condition):
        until = time.monotonic() + 20
        while True:
            known = json.loads(self.cli("seat", "list", "--json").stdout)["seats"]
            boot = None
            if MAC % number in [seat["mac"] for seat in known]:
                boot = json.loads(self.cli("seat", "show", "--json", MAC % number).stdout)["seats"][0]["boot"]
            if boot and condition(boot):
                return boot
            assert time.monotonic() < until, boot


@pytest.fixture
def site(certificate):
    folder = tempfile.mkdtemp(prefix="carrel-clients-test-", dir="/var/tmp")
    os.chmod(folder, 0o755)  # dnsmasq and nginx are to reach it
    made = Clients(folder, certificate)
    made.bootconf()  # as carrel-bootconf.service does, before carreld
    made.start()
    try:
        made.take_up()
        yield made
    finally:
        made.end()
        shutil.rmtree(folder)


def test_a_version_from_the_build_to_all_pcs(site):
    assert site.clients()["channels"]["stable"] == "client@" + OLD, "the first that was published"
    new = site.image(NEW)
    assert "unchanged" in site.bootconf(), "a build alone gives PCs nothing new"
    for number in (1, 2, 3):
        site.cli("seat", "name", MAC % number, "room-301/%d" % number)
    with subprocess.Popen([BUILD / "carrel", "--config", site.conf, "image", "publish", new], text=True,
                          stdout=subprocess.PIPE) as publish:
        site.wait_plan(lambda p: NEW in p["versions"])
        assert site.clients()["channels"]["testing"] == "", "not before the boot server has it"
        site.bootconf()
        assert f"testing   {new}" in publish.communicate(timeout=20)[0]
    assert NEW not in site.menu() and site.efi()[0] == OLD
    site.cli("image", "try", new, "--seats", "room-301/1-2")
    site.wait_plan(lambda p: len(p["seats"]) == 2)
    site.take_up()
    for number in (1, 2):
        assert f"/boot/{NEW}/vmlinuz" in site.menu(MAC % number)
        version, line = site.efi(MAC % number)
        assert version == NEW and f"carrel.root=client-{NEW}.root" in line
        assert site.tftp((MAC % number).replace(":", "-"), "lpxelinux.0").stat().st_size > 10000
        assert os.path.exists(site.tftp((MAC % number).replace(":", "-"), "boot", NEW, "initrd")), "by TFTP too"
    assert OLD in site.menu() and not site.tftp((MAC % 3).replace(":", "-")).exists()
    said = site.cli("image", "status").stdout
    assert f"testing {new}" in said and "testers   room-301/1 room-301/2" in said
    # The place counts, not the PC.
    site.cli("seat", "move", MAC % 9, "room-301/2")
    site.wait_plan(lambda p: MAC % 9 in [s["mac"] for s in p["seats"]])
    site.take_up()
    assert NEW in site.menu(MAC % 9) and not site.tftp((MAC % 2).replace(":", "-")).exists()
    assert site.change("promote", new, "--canary", "0") == {
        "stable": new, "testing": "", "previous": "client@" + OLD, "canary": 0, "returned": "", "reason": ""}
    assert NEW in site.menu() and site.efi()[0] == NEW and site.plan()["seats"] == []
    site.cli("image", "gc", "--keep", "0", "--offline", "--yes", "--dry-run")
    kept = site.cli("image", "gc", "--keep", "0", "--dry-run").stdout
    assert f"client@{OLD}: stays (previous)" in kept and f"client@{NEW}: stays (stable)" in kept
    site.cli("image", "rollback", "client", "--reason", "no sound")
    site.wait_plan(lambda p: p["versions"] == [OLD])
    site.take_up()
    assert OLD in site.menu() and site.efi()[0] == OLD
    assert site.clients()["channels"] | {"reason": ""} == {
        "stable": "client@" + OLD, "testing": "", "previous": "", "canary": 0, "returned": new, "reason": ""}
    assert "no sound" in site.cli("status").stdout
    assert "no version of client to go back to" in site.cli("image", "rollback", "client", status=1).stderr
    # The desktops' own are another matter.
    assert json.loads(site.cli("image", "status", "--json").stdout)["channels"]["previous"] == ""


def test_a_version_is_proved_by_boots(site):
    new = site.image(NEW)
    assert site.change("promote", new)["canary"] == 3
    site.boots(1, NEW)
    site.wait(lambda c: c["channels"]["canary"] == 2)
    site.boots(2, OLD, up=True)  # it had begun before
    site.boots(3, NEW, by="uefi")
    site.wait(lambda c: c["channels"]["canary"] == 1)
    site.process.send_signal(signal.SIGKILL)
    site.process.wait()
    site.start()
    site.take_up()
    assert site.clients()["channels"]["canary"] == 1
    site.boots(4, NEW, by="http")
    assert "HTTP Boot" not in site.cli("seat", "show", MAC % 4).stdout
    site.cli("seat", "set", MAC % 4, "kernel=nomodeset")
    assert "set its firmware to PXE" in site.cli("seat", "show", MAC % 4).stdout
    assert site.wait(lambda c: c["channels"]["canary"] == 0)["channels"]["stable"] == new
    # Proved is proved.
    site.boots(5, NEW, up=False)
    report(site, 5, "CARREL-B07")
    assert site.clients()["channels"]["stable"] == new


def report(site, number, code):
    body = json.dumps({"mac": MAC % number, "stage": "failed", "ms": 9000, "error": code})
    done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--interface", PC % (100 + number),
                           "-d", body, f"http://127.77.0.1:{site.report_port}/v1/boot/report"],
                          capture_output=True, text=True, check=True)
    assert done.stdout == "204"


def test_a_version_that_fails_takes_itself_back(site):
    new = site.image(NEW)
    site.change("promote", new)
    site.boots(1, NEW, up=False)
    report(site, 1, "CARREL-B04")  # the way to the root image: no fault of the image
    site.boots(2, NEW)
    site.wait(lambda c: c["channels"]["canary"] == 2)
    site.boots(3, NEW, up=False)
    report(site, 3, "CARREL-B07")
    back = site.wait(lambda c: c["channels"]["stable"] == "client@" + OLD)
    assert back["channels"]["returned"] == new and "CARREL-B07" in back["channels"]["reason"]
    site.wait_plan(lambda p: p["versions"] == [OLD])
    site.take_up()
    assert OLD in site.menu()


def test_pcs_that_go_silent_take_it_back(site):
    """A kernel that hangs reports nothing: the PC is switched off and on, and loads it again."""
    new = site.image(NEW)
    site.change("promote", new)
    site.boots(1, NEW, up=False)
    site.boots(1, NEW, up=False)
    assert site.clients()["channels"]["stable"] == new, "one alone may have been switched off"
    site.boots(1, NEW, up=False)
    back = site.wait(lambda c: c["channels"]["stable"] == "client@" + OLD)
    assert "2 boots did not reach the login form" in back["channels"]["reason"]
    assert "stopped at initrd" in back["channels"]["reason"]


def test_seats_have_a_channel_and_kernel_options(site):
    new = site.image(NEW)
    for number in (1, 2):
        site.cli("seat", "name", MAC % number, "room-301/%d" % number)
    site.cli("seat", "set", "room-301/1", "channel=testing")
    site.cli("seat", "set", "room-301/2", "kernel=nomodeset acpi=off")
    site.wait_plan(lambda p: p["seats"])
    site.take_up()
    assert [s["mac"] for s in site.plan()["seats"]] == [MAC % 2], "nothing is being tested"
    site.change("publish", new)
    assert NEW in site.menu(MAC % 1) and "nomodeset acpi=off" not in site.menu(MAC % 1)
    assert f"/boot/{OLD}/vmlinuz" in site.menu(MAC % 2)
    assert "  APPEND vga=791 carrel.server=" in site.menu(MAC % 2) and " nomodeset acpi=off\n" in site.menu(MAC % 2)
    assert site.efi(MAC % 2)[1].endswith(" nomodeset acpi=off")
    shown = site.cli("seat", "show", "room-301/1", "room-301/2").stdout
    assert "channel    testing" in shown and "kernel     nomodeset acpi=off" in shown
    # A version that was taken back is nobody's.
    site.change("promote", new, "--canary", "0")
    site.cli("image", "rollback", "client")
    site.wait_plan(lambda p: p["versions"] == [OLD])
    site.take_up()
    assert not site.tftp((MAC % 1).replace(":", "-")).exists()
    site.cli("seat", "set", "room-301/*", "channel=stable", "kernel=")
    site.wait_plan(lambda p: not p["seats"])
    site.take_up()
    assert not site.folder.joinpath("state/boot/current/variant").exists()


def test_options_that_no_seat_may_have(site):
    site.cli("seat", "name", MAC % 1, "room-301/1")
    for kernel in ("root=/dev/sda1", "carrel.server=10.0.0.1", "init=/bin/sh", "nomodeset  quiet", "ip=dhcp",
                   "acpi=a\"b", "quiet rd.break", "i915", "dm_mod.create=x", "acpi=" + "x" * 101,
                   "evil.nomodeset=1", "lockdown=none", "quiet " * 8 + "quiet", "module.sig_enforce=0"):
        assert "allowed are" in site.cli("seat", "set", "room-301/1", "kernel=" + kernel, status=1).stderr, kernel
        row = "%s,room-301/1,\"%s\"" % (MAC % 1, kernel.replace('"', '""'))
        refused = site.cli("seat", "import", "-", stdin="mac,name,kernel\n%s\n" % row, status=1).stderr
        assert "line 2: kernel = " in refused, kernel
    assert site.plan()["seats"] == []


def test_bootconf_believes_no_plan(site):
    """carreld checks, and who writes what PCs start checks again."""
    path = site.folder / "state/bootplan.json"
    good = path.read_text()
    before = os.readlink(site.folder / "state/boot/current")
    for bad in (good.replace('"seats":[]', '"seats":[{"mac":"%s","version":"%s","kernel":"init=/bin/sh"}]' % (
            MAC % 1, OLD)), good.replace(OLD, "../../x"), good.replace('"seats"', '"seat"'), "{", "",
            good.replace(OLD, NEW)):
        path.write_text(bad)
        assert "carrel-bootconf: " in site.bootconf(status=4 if NEW in bad else 1)
        assert os.readlink(site.folder / "state/boot/current") == before
    path.unlink()
    path.symlink_to("/etc/shadow")
    assert "bootplan.json" in site.bootconf(status=1)
    path.unlink()
    os.mkfifo(path)
    assert "bootplan.json" in site.bootconf(status=1)


def test_mistakes_and_a_boot_server_that_cannot(site):
    new, newer = site.image(NEW), site.image(NEWER)
    for words, message in (
            (["publish", "client@20990101.1"], "client@20990101.1"), (["publish", "client"], "write client@YYYYMMDD.N"),
            (["try", new, "--seats", "room/1"], "is not the testing version"), (["cancel", "client"], "on its way to PCs"),
            (["rollback", "nothing"], "is no image in use"), (["promote", new, "--within", "5"], "seat reboot")):
        assert message in site.cli("image", *words, status=1).stderr, words
    site.cli("image", "publish", new, "--no-wait")
    assert "waits for carrel-bootconf" in site.cli("image", "publish", newer, status=1).stderr
    (site.folder / "images/client" / NEW / "root").write_bytes(b"spoiled")
    site.bootconf(status=4)
    failed = site.wait(lambda c: c["failure"])
    assert new in failed["failure"] and "nothing was changed" in failed["failure"]
    site.wait_plan(lambda p: p["versions"] == [OLD])
    assert site.take_up()["channels"]["testing"] == ""
    site.cli("image", "publish", newer, "--no-wait")
    site.cli("image", "cancel", "client")
    site.wait_plan(lambda p: p["versions"] == [OLD])
    site.take_up()
    site.change("publish", newer)
    for words, message in ((["try", newer], "name seats"), (["try", newer, "alice"], "PCs are meant by --seats"),
                           (["try", newer, "--seats", "room/9"], "no seat room/9"),
                           (["try", newer, "--group", "x"], "groups are of desktops"),
                           (["try", newer, "--none"], "no PC tries")):
        assert message in site.cli("image", *words, status=1).stderr, words
    # By hand, when carreld cannot: it says that this is not what it wants.
    site.bootconf("--rollback")
    assert site.clients()["boot"] == "waiting"
    site.take_up()


def test_too_many_different_options(site):
    for number in range(9):
        site.cli("seat", "name", MAC % number, "room-301/%d" % number)
    for number in range(8):
        site.cli("seat", "set", "room-301/%d" % number, "kernel=loglevel=%d" % number)
    assert "more than 8" in site.cli("seat", "set", "room-301/8", "kernel=loglevel=8", status=1).stderr
    site.cli("seat", "set", "room-301/8", "kernel=loglevel=7")
    site.wait_plan(lambda p: len(p["seats"]) == 9)
    assert "in 8 ways" in site.bootconf()
