# SPDX-License-Identifier: GPL-2.0-or-later
"""An image whose desktops are made smaller in place: the newcomer gets his memory, the user notices
nothing, and what counts is what the host has."""

import time

import pytest
from conftest import CAPACITY, PASSWORDS, put_in_order

from carrel_lab import expect, home
from carrel_lab.sampler import desktop_of

pytestmark = [pytest.mark.lab, pytest.mark.root]

# What a desktop's QEMU holds beside its guest's memory: its own, mapped files, TCG's cache.
BESIDE_MIB = 256


@pytest.fixture(scope="module")
def pair(make_pair):
    made = make_pair("live", live=True)
    put_in_order(made)
    return made


def resident_mib(lab, session):
    """What a user's desktop holds of its server's memory: its QEMU's resident size."""
    def is_his(words):
        found = desktop_of(words)
        return found and found[0] == session["desktop"]

    qemus = lab.servers.processes(session["server"])
    pid = next(pid for pid, words in qemus.items() if is_his(words))
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) // 1024 for line in f if line.startswith("VmRSS:"))


def test_a_desktop_gives_memory_back_in_place(pair):
    seats = {user: pair.seat(f"seat{n}") for n, user in enumerate(("alice", "bob", "carol"), 1)}
    allocator = expect.Allocator(pair)
    for user in ("alice", "bob"):
        allocator.arrives(user)
        seats[user].enter(user, PASSWORDS[user])
    home.write(seats["alice"])
    before, began = pair.admin.session("alice"), time.monotonic()
    assert before["memory_mib"] == CAPACITY
    answer = allocator.arrives("carol")
    seats["carol"].enter("carol", PASSWORDS["carol"])
    expect.wait_sizes(pair, answer)
    after = pair.admin.session("alice")
    assert (after["desktop"], after["memory_mib"]) == (before["desktop"], CAPACITY // 2)
    assert resident_mib(pair, after) <= CAPACITY // 2 + BESIDE_MIB
    # She was told nothing, and works on.
    assert seats["alice"].find("handoff", began) is None
    assert home.whole(seats["alice"])
    ledger = next(l for l in pair.admin.ledger() if l.get("handoff") and l["user"] == "alice")
    assert ledger["handoff"]["from"] == ledger["handoff"]["to"] == before["desktop"]
    for seat in seats.values():
        seat.leave()
