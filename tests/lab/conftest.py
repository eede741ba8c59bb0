# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the lab's tests. A module that needs a lab gets one of its own, brought up once; two
of its PCs are switched on once and stay at the login form between the tests."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from carrel_lab import Lab, Sampler, home, way  # noqa: E402
from carrel_lab.school import CAPACITY, HALVING, PASSWORDS, put_in_order  # noqa: E402

@pytest.fixture(scope="module")
def make_lab(request):
    """make_lab(name, ...) brings a lab up; all of them are taken down after the module, their logs
    kept when a test failed. What an earlier, crashed run left is taken down first."""
    made = []

    def make(name, users=(), **kwargs):
        lab = Lab(name, say=lambda text: print(f"  {text}", flush=True), **kwargs)
        lab.down()
        made.append(lab)
        lab.up()
        for user in users:
            lab.admin.add_user(user, PASSWORDS[user])
        return lab

    failed = request.session.testsfailed
    yield make
    for lab in made:
        lab.down(keep_logs=request.session.testsfailed > failed)


@pytest.fixture(scope="module")
def lab(make_lab):
    """The module's lab, with its server up and one booted desktop waiting."""
    made = make_lab("test", users=("alice", "bob", "carol"))
    made.servers.wait_up("s1", 300)
    return made


@pytest.fixture(scope="module")
def booted(lab):
    """pc1 and pc2, switched on one after the other."""
    pcs = [lab.pc("pc1"), lab.pc("pc2")]
    for pc in pcs:
        pc.power_on()
        way.wait_login_form(pc)
    return pcs


@pytest.fixture
def pcs(lab, booted):
    """Two PCs at an empty login form, nobody logged in, one standby desktop. Left so by the test
    before, or made so again after a failed one."""
    for session in lab.admin.sessions():
        if session["state"] != "ended":
            lab.admin.api("DELETE", f"/v1/sessions/{session['id']}")
    for pc in booted:
        if not pc.running():
            pc.power_on()
            way.wait_login_form(pc)
        way.to_form(pc, clear=True)
    lab.admin.wait_desktop("standby", 240)
    return booted


@pytest.fixture
def log_in(pcs):
    """log_in(pc, user): the login typed, the desktop drawn."""

    def act(pc, user, password=None):
        way.login(pc, user, password or PASSWORDS[user])
        return way.wait_desktop(pc)

    return act


@pytest.fixture(scope="module")
def make_pair(make_lab):
    """make_pair(name, conf) is a lab of two servers on which desktops are halved, with a power switch."""

    def make(name, conf=HALVING, live=False):
        lab = make_lab(name, users=PASSWORDS, servers=2, conf=conf, capacity_mib=CAPACITY,
                       fence=True, debug=True, live=live)
        for server in lab.servers.names():
            lab.servers.wait_up(server, 300)
        return lab

    return make


@pytest.fixture
def room(request):
    """The module's `pair`, empty and in order, with a sampler that must have seen nothing wrong."""
    lab = request.getfixturevalue("pair")
    put_in_order(lab)
    with Sampler(lab) as sampler:
        lab.sampler = sampler
        yield lab
    sampler.check()


@pytest.fixture
def sit(room):
    """sit(user, N): the user logs in at seatN, sees his desktop, and has written a file."""
    seats = []

    def act(user, number, write=True):
        seat = room.seat(f"seat{number}")
        seats.append(seat)
        seat.enter(user, PASSWORDS[user])
        if write:
            home.write(seat)
        return seat

    yield act
    for seat in seats:
        seat.leave()
