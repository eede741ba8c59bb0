# SPDX-License-Identifier: GPL-2.0-or-later
"""A PC that boots again, and switches itself off, because an admin says so; no user, no desktop."""

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
    pc.power_on()
    way.wait_login_form(pc)
    assert (seat(lab)["mac"], seat(lab)["boots"], seat(lab)["state"]) == (pc.mac, 1, "guest")
    lab.admin.carrel("seat", "name", pc.mac, "lab/1")
    lab.admin.carrel("seat", "reboot", "lab/1")
    wait_until(lambda: seat(lab)["boots"] == 2, 300, "the PC has booted again")
    way.wait_login_form(pc)
    assert pc.running()
    lab.admin.carrel("seat", "poweroff", "lab/1")
    wait_until(lambda: not pc.running(), 120, "the PC has switched itself off")
