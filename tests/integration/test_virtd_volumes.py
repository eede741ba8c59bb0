# SPDX-License-Identifier: GPL-2.0-or-later
"""A user's volume on storage that two servers share: it is open in one VM at a time, whichever server
runs it, and it can be had elsewhere as soon as, and not before, that VM is over."""

import subprocess
import time

import pytest

import virtd_image
from virtd_lab import (NEEDS, START, TREE, Server, broker, config, folder, run, server, virtd,
                       workers)

pytestmark = NEEDS
__all__ = ["broker", "config", "folder", "server", "virtd", "workers"]
OTHER = "10.78.0.12"


class Side:
    """One server, its worker, and the desktop of it that wants the volume."""

    def __init__(self, server, worker, desktop):
        self.server, self.worker, self.desktop = server, worker, desktop

    def start(self):
        self.worker.good("desktop-start", desktop=self.desktop, **START)
        self.worker.agent(self.desktop, "hello", 120)

    def attach(self, volume=3):
        self.worker.good("volume-attach", volume=volume, desktop=self.desktop)

    def detach(self, volume=3):
        self.worker.good("volume-detach", volume=volume, desktop=self.desktop)

    def refused(self, volume=3):
        return self.worker.code("volume-attach", volume=volume, desktop=self.desktop)

    def serials(self, wanted):
        """Asks the guest for its disks until they are as wanted: hot-plug takes it a moment."""
        deadline = time.monotonic() + 60
        while True:
            since = len(self.worker.events)
            self.worker.good("agent-send", desktop=self.desktop, message={"op": "disks"})
            found = self.worker.agent(self.desktop, "disks", since=since)["serials"]
            if found == wanted or time.monotonic() > deadline:
                return found


@pytest.fixture(scope="module")
def sides(virtd, server, workers, broker, folder):
    """Two servers with a desktop each; volume 3 was made by way of the first one."""
    second = Server(folder, "s2", OTHER)
    try:
        second.up()
        worker = workers(f"qemu+tls://{OTHER}/system", "s2")
        worker.event("server-up")
        pair = Side(server, virtd, 7), Side(second, worker, 21)
        # Both pools have been looked at before there is a volume.
        for side in pair:
            side.worker.good("image-ensure", image=virtd_image.IMAGE)
            side.start()
            assert side.refused() == "not-found"
        virtd.good("volume-create", volume=3, size_mib=64, uid=20001, user="alice")
        yield pair
    finally:
        second.down()


@pytest.fixture(params=[(0, 1), (1, 0)], ids=["first", "second"])
def both(request, sides):
    """(who has it, who wants it), in both directions; nobody has it yet."""
    one, other = (sides[i] for i in request.param)
    yield one, other
    for side in sides:
        side.detach()


def test_volume_of_the_other_server_is_seen(both):
    one, other = both
    one.attach()
    assert one.serials(["root", "vol-3"]) == ["root", "vol-3"]
    assert other.refused() == "busy"
    one.detach()
    other.attach()
    assert other.serials(["root", "vol-3"]) == ["root", "vol-3"]
    assert one.refused() == "busy"


def test_new_volume_is_attached_elsewhere_at_once(sides, folder):
    """Nothing has told the other server's pool; and what it does not know it does not take for
    free to be made anew."""
    members = {"volume": 5, "size_mib": 64, "uid": 20005, "user": "eve"}
    sides[0].worker.good("volume-create", **members)
    sides[1].attach(5)
    assert sides[0].refused(5) == "busy"
    assert sides[0].worker.code("volume-create", **{**members, "size_mib": 128}) == "exists"
    sides[1].detach(5)
    sides[1].worker.good("volume-create", **members)
    assert (folder / "volumes/home-5").stat().st_size == 64 << 20


def test_killed_vm_gives_it_free_at_once(both):
    """QEMU dies, and nobody says goodbye: no lock may outlive it."""
    one, other = both
    one.attach()
    assert other.refused() == "busy"
    since = len(one.worker.events)
    one.server.execute("kill", "-KILL", one.server.qemu(one.desktop))
    one.worker.event("domain", desktop=one.desktop, state="gone", since=since)
    other.attach()
    assert other.serials(["root", "vol-3"]) == ["root", "vol-3"]
    one.start()
    assert one.refused() == "busy"


def test_server_that_is_cut_off_keeps_it(both):
    """Its cable is pulled, but its VM runs: who cannot be reached may still write."""
    one, other = both
    one.attach()
    since = len(one.worker.events)
    run("ip", "-n", one.server.server_ns, "link", "set", "eth0", "down")
    try:
        one.worker.event("server-down", since=since)
        assert other.refused() == "busy"
        assert "vol-3" in one.server.execute("virsh", "dumpxml", f"carrel-d{one.desktop}")
    finally:
        run("ip", "-n", one.server.server_ns, "link", "set", "eth0", "up")
        run("ip", "-n", one.server.server_ns, "addr", "replace", f"{one.server.address}/32", "peer",
            "10.78.0.1/32", "dev", "eth0")
    one.worker.event("server-up", since=since)
    one.worker.agent(one.desktop, "hello", since=since)
    assert other.refused() == "busy"


def test_libvirtd_that_died_keeps_it(both):
    """The locks of the VMs that run are virtlockd's, not libvirtd's."""
    one, other = both
    one.attach()
    since = len(one.worker.events)
    one.server.execute("kill", "-9", one.server.libvirtd())
    one.worker.event("server-down", since=since)
    assert other.refused() == "busy"
    one.server.execute("sh", "-c", "rm -f /run/libvirtd.pid; libvirtd -d -l -p /run/libvirtd.pid")
    one.worker.event("server-up", since=since)
    one.worker.agent(one.desktop, "hello", since=since)
    assert other.refused() == "busy"


def test_crashed_server_gives_it_free(sides):
    """The plug is pulled. The last test: the second server is gone after it."""
    first, second = sides
    second.attach()
    assert first.refused() == "busy"
    subprocess.run([TREE / "tests/lab/lab-server", "crash", second.server.dir], check=True)
    first.attach()
    assert first.serials(["root", "vol-3"]) == ["root", "vol-3"]
    first.detach()
