# SPDX-License-Identifier: GPL-2.0-or-later
"""A PC that boots again, and switches itself off, because an admin says so, and shows the mode that he has set;
no user, no desktop."""

import pytest

from carrel_lab import way
from carrel_lab.errors import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.root]


def seat(lab):
    (found,) = lab.admin.api("GET", "/v1/seats")["seats"]
    return found


def test_a_pc_boots_again_and_goes_off_when_told(make_lab):
    lab = make_lab("power", conf={"desktop": {"standby": "0"}})
    pc = lab.pc("pc1")
    lab.admin.carrel("seat", "name", pc.mac, "lab/1")
    lab.admin.carrel("seat", "set", "lab/1", "screen=1024x768")
    pc.power_on()
    way.wait_login_form(pc)
    wait_until(lambda: pc.screen().size == (1024, 768), 60, "the screen has the mode of its seat")
    way.wait_login_form(pc)
    wait_until(lambda: seat(lab)["shown"].startswith("1024x768@"), 60, "the viewer has said so")
    assert (seat(lab)["mac"], seat(lab)["boots"], seat(lab)["state"]) == (pc.mac, 1, "known")
    lab.admin.carrel("seat", "set", "lab/1", "screen=1111x777")
    lab.admin.carrel("seat", "reboot", "lab/1")
    wait_until(lambda: seat(lab)["boots"] == 2, 300, "the PC has booted again")
    way.wait_login_form(pc)
    assert pc.running()
    assert pc.screen().size not in ((1024, 768), (1111, 777)), "the screen's own"
    assert "the screen has no such mode" in lab.admin.carrel("seat", "show", "lab/1").stdout
    lab.admin.carrel("seat", "poweroff", "lab/1")
    wait_until(lambda: not pc.running(), 120, "the PC has switched itself off")
