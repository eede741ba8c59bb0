# SPDX-License-Identifier: GPL-2.0-or-later
"""What an image decides. Desktops that are made smaller in place: the newcomer gets his memory, the
user notices nothing, and what counts is what the host has. Versions: some try one, everybody gets
it, and one that does not work is taken back by itself."""

import time

import pytest

from carrel_lab import expect, home
from carrel_lab.errors import wait_until
from carrel_lab.sampler import desktop_of
from carrel_lab.school import CAPACITY, HALVING, ONE_SIZE, PASSWORDS, put_in_order

pytestmark = [pytest.mark.lab, pytest.mark.root]

# What a desktop's QEMU holds beside its guest's memory: its own, mapped files, TCG's cache.
BESIDE_MIB = 256


@pytest.fixture(scope="module")
def pair(make_pair):
    return make_pair("images", live=True)


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
    put_in_order(pair, HALVING)
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


def image_of(lab, user):
    desktop = lab.admin.session(user)["desktop"]
    return next(d["image"] for d in lab.admin.desktops() if d["id"] == desktop)


def channels(lab):
    return lab.admin.api("GET", "/v1/images")["channels"]


def test_versions_are_tried_promoted_and_taken_back(pair):
    put_in_order(pair, ONE_SIZE)
    seats = {user: pair.seat(f"seat{n}") for n, user in enumerate(("alice", "bob", "carol"), 1)}
    first = channels(pair)["stable"]
    good = pair.new_version("desktop-lite")
    bad = pair.new_version("desktop-lite", root_hash="ab" * 32)
    seats["alice"].enter("alice", PASSWORDS["alice"])
    home.write(seats["alice"])
    pair.admin.carrel("image", "publish", good)
    pair.admin.carrel("image", "try", good, "bob")
    seats["bob"].enter("bob", PASSWORDS["bob"])
    assert image_of(pair, "alice") == first and image_of(pair, "bob") == good
    # Its kernel starts, and the root is not the one that the site has signed: it is never mounted.
    pair.admin.carrel("image", "promote", bad, "--canary", "1")
    assert channels(pair)["stable"] == bad
    seats["carol"].enter("carol", PASSWORDS["carol"])
    assert image_of(pair, "carol") == first, "she gets the version before, and waits for it"
    taken = channels(pair)
    assert (taken["stable"], taken["returned"]) == (first, bad) and "failed" in taken["reason"]
    # What has worked for bob works for everybody; alice is where she was.
    pair.admin.carrel("image", "try", good, "--none")
    pair.admin.carrel("image", "promote", good, "--canary", "1")
    seats["carol"].leave()
    pair.admin.carrel("session", "end", "carol")
    seats["carol"].enter("carol", PASSWORDS["carol"])
    assert image_of(pair, "carol") == good
    wait_until(lambda: channels(pair)["canary"] == 0, 30, "her first picture has proved the version")
    assert image_of(pair, "alice") == first and home.whole(seats["alice"])
    pair.admin.carrel("image", "rollback")
    assert channels(pair)["stable"] == first
    for seat in seats.values():
        seat.leave()
