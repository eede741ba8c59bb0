# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person is told when something fails, and that no data suffers from it."""

import hashlib
import os

import pytest

from carrel_lab import way
from carrel_lab.errors import wait_until
from carrel_lab.school import PASSWORDS

pytestmark = [pytest.mark.lab, pytest.mark.root]


def refused(pc, user, pattern, seconds):
    way.login(pc, user, PASSWORDS[user])
    pc.wait_text(pattern, seconds, never=None)
    way.to_form(pc)


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def test_no_server_is_free(lab, pcs):
    lab.admin.carrel("server", "drain", "s1")
    try:
        refused(pcs[0], "alice", way.NO_SERVER, 60)
        assert lab.admin.session("alice") is None
    finally:
        lab.admin.carrel("server", "drain", "s1", "--off")


def test_the_server_cannot_be_reached(lab, pcs, log_in):
    lab.net.cable("s1", "eth0", False)
    try:
        wait_until(lambda: lab.admin.servers()[0]["state"] != "up", 120, "the broker sees that s1 is gone",
                   step=0.5)
        refused(pcs[0], "alice", way.NO_SERVER, 60)
    finally:
        lab.net.cable("s1", "eth0", True)
    lab.servers.wait_up("s1", 120)
    log_in(pcs[0], "alice")
    way.log_out(pcs[0])


def test_a_desktop_that_never_reports(lab, pcs):
    # No desktop boots in 5 s under emulation; none waits in standby either.
    lab.configure({"desktop": {"standby": "0", "boot_timeout": "5"}})
    try:
        for desktop in lab.admin.desktops():
            if desktop["state"] == "standby":
                lab.servers.end_desktop(desktop)
        wait_until(lambda: not lab.admin.desktops(), 30, "no desktop runs", step=0.3)
        refused(pcs[0], "alice", way.DESKTOP_FAILED, 120)
        assert lab.admin.session("alice") is None
    finally:
        lab.configure({"desktop": {"standby": "1", "boot_timeout": "180"}})


def test_a_damaged_volume_is_refused_and_not_written(lab, pcs, log_in):
    pc = pcs[0]
    log_in(pc, "carol")
    way.wait_terminal(pc)
    way.shell(pc, "echo dear-$((40+2)) > diary; sync; cat diary", "dear-42")
    volume = lab.servers.volume_file("carol")
    way.log_out(pc)
    with open(volume, "r+b") as f:
        f.seek(1024)
        f.write(b"\0" * 1024)
        os.fsync(f.fileno())
    before = sha256(volume)

    lab.admin.wait_desktop("standby", 240)
    way.login(pc, "carol", PASSWORDS["carol"])
    pc.wait_text(way.VOLUME_DAMAGED, 120)
    way.to_form(pc)
    assert sha256(volume) == before
    # Once more: not a blank disk to anybody, and not attached again either.
    lab.admin.wait_desktop("standby", 240)
    way.login(pc, "carol", PASSWORDS["carol"])
    pc.wait_text(way.VOLUME_DAMAGED, 120)
    assert sha256(volume) == before
    way.to_form(pc)


@pytest.fixture
def image(lab):
    """The client's root image as the boot server serves it, put aside: (its path, where it is)."""
    path = lab.boot.root_image()
    kept = path + ".kept"
    os.rename(path, kept)
    lab.boot.restart("nfs")
    yield path, kept
    if os.path.exists(path):
        os.unlink(path)
    os.rename(kept, path)
    lab.boot.restart("nfs")


def test_the_root_image_is_missing(lab, image):
    path, kept = image
    pc = lab.pc("pc3")
    pc.power_on()
    try:
        screen = way.wait_failure(pc, "could not be fetched")
        assert way.failure_code(screen) == "CARREL-B04"
        text = screen.text().replace(" ", "")
        assert pc.mac in text and "10.77.0.1" in text and "404" in text
        # It tries again by itself.
        os.link(kept, path)
        lab.boot.restart("nfs")
        way.wait_login_form_after_failure(pc)
    finally:
        pc.power_cut()


def test_the_root_image_is_corrupt(lab, image):
    path, kept = image
    with open(kept, "rb") as f:
        data = bytearray(f.read())
    data[len(data) // 2] ^= 1
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, 0o644)
    lab.boot.restart("nfs")
    pc = lab.pc("pc3")
    pc.power_on()
    try:
        screen = way.wait_failure(pc, "not the published one")
        assert way.failure_code(screen) == "CARREL-B05"
    finally:
        pc.power_cut()
