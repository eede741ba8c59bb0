# SPDX-License-Identifier: GPL-2.0-or-later
"""Seats that are programs, on two servers: what the hand-off's tests stand on."""

import hashlib
import time

import pytest

from carrel_lab import LabError, expect, home, invariants
from carrel_lab.errors import wait_until
from carrel_lab.kill import Killer
from carrel_lab.school import CAPACITY, PASSWORDS

pytestmark = [pytest.mark.lab, pytest.mark.root]


@pytest.fixture(scope="module")
def pair(make_pair):
    return make_pair("seats")


def test_two_users_have_what_the_allocator_says(room, sit):
    allocator = expect.Allocator(room)
    first = allocator.arrives("alice")
    alice = sit("alice", 1)
    expect.wait_sizes(room, first)
    second = allocator.arrives("bob")
    bob = sit("bob", 2)
    expect.wait_sizes(room, second)
    assert expect.sizes(second) == {"alice": CAPACITY, "bob": CAPACITY // 2}
    # The sampler's eyes are open: the larger desktop fills its server.
    assert room.sampler.peak[room.admin.session("alice")["server"]] == CAPACITY
    invariants.check(room, [alice, bob], room.sampler)


def test_a_seat_comes_back_roams_and_loses_its_plug(room, sit):
    alice = sit("alice", 1)
    began = time.monotonic()
    alice.leave()
    room.admin.wait_session("alice", "disconnected", 30)
    alice.resume()
    alice.wait("frame", 30, since=began)

    there = sit("alice", 2, write=False)
    assert alice.wait_over(10).name == "moved"
    assert home.whole(there)
    there.pull_plug()
    here = sit("alice", 3, write=False)
    assert home.whole(here)
    here.logout()
    assert here.wait_over(30).data["code"] == "logout"
    wait_until(lambda: not room.admin.rows("SELECT 1 FROM volume WHERE desktop != 0"), 60,
               "alice's volume is free")
    work = home.read(room, "alice", home.FILE)
    assert home.read(room, "alice", home.SUM).split()[0].decode() == hashlib.md5(work).hexdigest()


def test_a_wrong_password_is_told(room):
    with pytest.raises(LabError, match="denied"):
        room.seat("seat1").enter("alice", "not " + PASSWORDS["alice"], 60)


def test_a_seat_outlives_the_broker(room, sit):
    alice = sit("alice", 1)
    session = room.admin.session("alice")["id"]
    with Killer(room, "carreld", r"debug login ") as killer:
        bob = room.seat("seat2")
        bob.login("bob", PASSWORDS["bob"])
        killer.wait()
    assert killer.revived_after < 1
    assert room.admin.wait_session("alice", "connected", 60)["id"] == session
    bob.leave()
    invariants.check(room, [alice], room.sampler)


def test_the_power_switch_tells_the_truth(room):
    assert room.pdu.off("s9").startswith("error")
    assert room.pdu.off("s2") == "ok"
    assert not room.servers.is_on("s2")
    assert room.pdu.off("s2") == "ok"  # it is off: twice is harmless
    room.servers.power_on("s2")
    room.servers.wait_up("s2", 120)
