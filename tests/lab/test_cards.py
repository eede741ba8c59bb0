# SPDX-License-Identifier: GPL-2.0-or-later
"""PCs whose graphics driver is fetched: one with which the login form is drawn, and one that crashes
its PC. The image is the product's, but for its lists: QEMU's own card, whose driver is a small one of the
root image, has to fetch it here as a real card does. QEMU's Radeon has no clocks, by which the driver
of that card divides."""

import json
import os

import pytest

from carrel_lab import way
from carrel_lab.errors import wait_until
from carrel_lab.lab import SOURCE
from carrel_lab.net import run

pytestmark = [pytest.mark.lab, pytest.mark.root, pytest.mark.full]

IMAGE, DRIVER, RADEON = "client-cards", "bochs", "ati-vga,model=rv100"


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """Of a recipe on top of the product's, beside the images that the lab has else."""
    recipe, build = tmp_path_factory.mktemp("recipe"), os.path.join(SOURCE, "build")
    (recipe / "recipe").write_text(f"base = client\nname = {IMAGE}\n")
    (recipe / "drivers").write_text(DRIVER + "\n")
    run(os.path.join(SOURCE, "images/build/carrel-image-build"), "--recipe", str(recipe), "--out",
        os.path.join(build, "images"), "--cache", os.path.join(build, "cache"), "--ca",
        os.path.join(build, "pki", "ca.crt"), "--sign", os.path.join(build, "pki", "image-signing.key"),
        "--firmware", str(tmp_path_factory.mktemp("no-firmware")))
    return IMAGE


@pytest.fixture(scope="module")
def lab(make_lab, image):
    """BIOS PCs that have a screen before there is a driver."""
    return make_lab("cards", conf={"boot": {"image": image, "kernel_options": "vga=791"}, "desktop": {"standby": "0"}})


def seat(lab, pc):
    return json.loads(lab.admin.carrel("seat", "show", "--json", pc.mac).stdout)["seats"][0]


def up(lab, pc):
    """Its seat, when the login form is there and the broker has heard so."""
    way.wait_login_form(pc)
    wait_until(lambda: seat(lab, pc)["boot"]["state"] == "up", 20, "the broker has heard of the form")
    return seat(lab, pc)


def fetched(boot):
    return {stage["stage"]: stage["bytes"] for stage in boot["stages"]}["drivers"]


def pieces(lab):
    """How often a piece of the pack was asked for."""
    with open(lab.path("state", "boot", "log", "http.log"), encoding="utf-8") as f:
        return sum(" 206 " in line and ".drivers " in line for line in f)


def planned(lab):
    """The kernel options of the one seat that has some, in carreld's plan; none."""
    path = lab.path("state", "bootplan.json")
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as f:
        return "".join(planned["kernel"] for planned in json.load(f)["seats"])


def test_a_picture_by_a_driver_that_was_fetched(lab, tmp_path):
    pc = lab.pc("pc1")
    pc.power_on()
    boot = up(lab, pc)["boot"]
    pc.shot(tmp_path / "fetched.png")
    assert boot["note"] == "" and fetched(boot) > 5000 and pieces(lab) >= 1
    # the firmware's screen is 1024 wide, and what the driver of this card begins with is not
    assert pc.screen().size == (1280, 800)
    pc.power_cut()


def test_a_driver_that_crashes_is_left_alone(lab, tmp_path):
    pc = lab.pc("pc2", screen=RADEON)
    pc.power_on()
    known = up(lab, pc)
    pc.shot(tmp_path / "left.png")
    note = "radeon.ko: left alone, as two boots have ended with it"
    assert known["boots"] == 3 and known["boot"]["note"] == note
    assert "note       " + note in lab.admin.carrel("seat", "show", pc.mac).stdout.splitlines()
    # not in a circle: once more it is left alone, at once
    pc.power_cut()
    pc.power_on()
    known = up(lab, pc)
    assert known["boots"] == 4 and known["boot"]["note"] == note
    # the admin's remedy: the driver itself refuses
    lab.admin.carrel("seat", "set", pc.mac, "kernel=nomodeset")
    wait_until(lambda: planned(lab) == "nomodeset", 20, "the boot plan has the option")
    lab.boot.render()
    pc.power_cut()
    pc.power_on()
    known = up(lab, pc)
    assert known["boots"] == 5 and known["boot"]["note"] == ""
    pc.power_cut()
