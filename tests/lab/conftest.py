# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the lab's tests. A module that needs a lab gets one of its own, brought up once; two
of its PCs are switched on once and stay at the login form between the tests."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from carrel_lab import Lab, Sampler, home, way  # noqa: E402
from carrel_lab.errors import wait_until  # noqa: E402

PASSWORDS = {"alice": "rabbit-hole 1865", "bob": "pudding 7", "carol": "carol-carol 3"}
PASSWORDS.update({name: f"{name}-password" for name in ("dave", "erin", "frank", "grace", "heidi",
                                                        "ivan")})

# Two servers of 2048 MiB for desktops: one user has 2048, three have 1024 each, seven 512 each, and
# eight fit.
CAPACITY = 2048
HALVING = {"desktop": {"max_mib": "2048", "min_mib": "512", "standby": "0"},
           "session": {"handoff_grace": "0"}, "server": {"lost_after": "5"}}
# Small desktops of one size: they boot quickly, and there is room for a move to either server.
ONE_SIZE = {**HALVING, "desktop": {"max_mib": "512", "min_mib": "512", "standby": "0"}}


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


def put_in_order(lab, conf=HALVING):
    """Cables plugged, everything on, nothing drained, nobody there: as a test begins. What the
    test before has left is ended."""
    for number in range(1, 10):
        seat = lab.seat(f"seat{number}")
        seat.plug_in()
        seat.leave()
    for server in lab.servers.names():
        lab.net.cable(server, "eth0", True)
        lab.admin.carrel("server", "drain", server, "--off")
    lab.configure(conf)
    wait_until(lambda: all_up(lab), 240, lambda: f"all servers are up: {lab.admin.servers()}",
               step=0.5)
    lab.admin.end_sessions()


def all_up(lab):
    """Are they? One that is off is switched on: the broker may have one switched off even now, for
    a test that failed in the middle."""
    for server in lab.servers.names():
        if not lab.servers.is_on(server):
            lab.servers.power_on(server)
    return all(s["state"] == "up" for s in lab.admin.servers())


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
