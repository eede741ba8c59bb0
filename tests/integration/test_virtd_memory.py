# SPDX-License-Identifier: GPL-2.0-or-later
"""desktop-resize with real VMs: the host's memory is really the host's again, and what goes wrong
costs the desktop nothing."""

import time

import pytest

import virtd_image
from virtd_lab import NEEDS, START, broker, config, folder, second_worker, server, virtd, workers

pytestmark = NEEDS
__all__ = ["broker", "config", "folder", "server", "virtd", "workers"]
LARGE, SMALL = 512, 192


def boot(virtd, desktop):
    virtd.good("desktop-start", desktop=desktop, **{**START, "memory_mib": LARGE})
    virtd.agent(desktop, "hello", 120)


@pytest.fixture(scope="module")
def desktop(virtd):
    virtd.good("image-ensure", image=virtd_image.IMAGE)
    boot(virtd, 7)


def tell(virtd, desktop, answer, **message):
    """Has the guest do something, and waits until it has."""
    since = len(virtd.events)
    virtd.good("agent-send", desktop=desktop, message=message)
    return virtd.agent(desktop, answer, 120, since=since)


def size(worker, desktop):
    return {d["desktop"]: d["memory_mib"] for d in worker.good("desktop-list")["desktops"]}[desktop]


def test_memory_is_really_the_hosts_again(virtd, server, workers, desktop):
    tell(virtd, 7, "eaten", op="eat", mib=300)
    tell(virtd, 7, "spat", op="spit")
    before = server.resident_mib(7)
    assert before > 350, "the guest did not use the memory that it is to give back"
    assert virtd.good("desktop-resize", desktop=7, memory_mib=SMALL, ms=60000)["memory_mib"] == SMALL
    after = server.resident_mib(7)
    assert after <= SMALL + 128 + 128 and before - after > 150, (before, after)
    assert size(virtd, 7) == SMALL
    assert tell(virtd, 7, "memory", op="memory")["total_mib"] <= SMALL
    # A worker of a new broker sees the size of now.
    with second_worker(workers, virtd, 7) as other:
        assert size(other, 7) == SMALL


def test_size_comes_back(virtd, desktop):
    virtd.good("desktop-resize", desktop=7, memory_mib=LARGE, ms=60000)
    assert size(virtd, 7) == LARGE
    assert tell(virtd, 7, "memory", op="memory")["total_mib"] > SMALL
    assert virtd.code("desktop-resize", desktop=7, memory_mib=LARGE * 2, ms=1000) == "not-supported"
    assert virtd.code("desktop-resize", desktop=99, memory_mib=SMALL, ms=1000) == "not-found"


def test_what_programs_use_is_left_to_them(virtd, desktop):
    tell(virtd, 7, "eaten", op="eat", mib=300)
    assert virtd.code("desktop-resize", desktop=7, memory_mib=SMALL, ms=60000) == "no-memory"
    assert size(virtd, 7) == LARGE
    tell(virtd, 7, "spat", op="spit")


def test_what_is_not_given_back_in_time_is_restored(virtd, server, desktop):
    tell(virtd, 7, "eaten", op="eat", mib=300)
    tell(virtd, 7, "spat", op="spit")
    # So little time that the guest can hardly say what it uses.
    assert virtd.code("desktop-resize", desktop=7, memory_mib=SMALL, ms=40) == "timeout"
    virtd.good("desktop-resize", desktop=7, memory_mib=LARGE, ms=60000)
    # A guest that stands still says nothing at all.
    server.execute("virsh", "suspend", "carrel-d7")
    assert virtd.code("desktop-resize", desktop=7, memory_mib=SMALL, ms=1500) == "timeout"
    server.execute("virsh", "resume", "carrel-d7")
    assert size(virtd, 7) == LARGE
    assert tell(virtd, 7, "memory", op="memory")["total_mib"] > SMALL


def test_hung_hypervisor_blocks_nothing_else(virtd, server, desktop):
    boot(virtd, 8)
    server.execute("kill", "-STOP", server.qemu(8))
    try:
        start = time.monotonic()
        number = virtd.send("desktop-resize", desktop=8, memory_mib=SMALL, ms=3000)
        assert virtd.code("desktop-resize", desktop=99, memory_mib=SMALL, ms=1000) == "not-found"
        virtd.good("ticket-set", desktop=7, password="ticket12", seconds=5)
        virtd.good("desktop-resize", desktop=7, memory_mib=LARGE - 64, ms=60000)
        assert size(virtd, 8) == LARGE
        assert virtd.answer(number)["code"] == "timeout"
        assert time.monotonic() - start < 30
        assert virtd.code("desktop-resize", desktop=8, memory_mib=SMALL, ms=1000) == "busy"
    finally:
        server.execute("kill", "-CONT", server.qemu(8))
    # As soon as it goes on it can be resized again.
    deadline = time.monotonic() + 60
    while not (answer := virtd.ask("desktop-resize", desktop=8, memory_mib=SMALL, ms=60000))["ok"]:
        assert answer["code"] == "busy" and time.monotonic() < deadline, answer
    virtd.good("desktop-destroy", desktop=8)


def test_desktop_that_goes_meanwhile(virtd, server, desktop):
    """Its guest stands still, so that the resize is still under way when it is destroyed."""
    server.execute("virsh", "suspend", "carrel-d7")
    number = virtd.send("desktop-resize", desktop=7, memory_mib=SMALL, ms=60000)
    assert virtd.code("desktop-resize", desktop=7, memory_mib=SMALL, ms=1) == "busy"
    virtd.good("desktop-destroy", desktop=7)
    assert virtd.answer(number)["code"] == "not-found"
