# SPDX-License-Identifier: GPL-2.0-or-later
"""Work on users' volumes by a real libvirtd: what is whole stays whole, also when carrel-virtd is
killed in the middle."""

import hashlib
import os
import pathlib
import subprocess
import time

import pytest

from virtd_lab import NEEDS, START, broker, config, folder, server, virtd, workers
import virtd_image

pytestmark = NEEDS
__all__ = ["broker", "config", "folder", "server", "virtd", "workers"]
SNAP, BEFORE = "snap-20261127T030000Z", "before-20261127T030000Z"
TEXT = b"what alice has written\n" * 1000


class Pool:
    """The folder behind the pool, which the test sees as the server does."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def names(self):
        return sorted(p.name for p in self.path.iterdir())

    def whole(self, name):
        return (self.path / name).exists() and (self.path / f"{name}.complete").exists()

    def debugfs(self, name, *requests):
        for request in requests:
            subprocess.run(["debugfs", "-w", "-R", request, self.path / name], check=True,
                           capture_output=True)

    def put(self, name, inner, data):
        source = self.path.parent / "source"
        source.write_bytes(data)
        self.debugfs(name, f"rm {inner}", f"write {source} {inner}")
        source.unlink()

    def fill(self, name, mib):
        """So many MiB, at most 100, of the file system's free blocks are not zero: between the second
        group's superblock and the journal."""
        with open(self.path / name, "r+b") as volume:
            volume.seek(140 << 20)
            for _ in range(mib):
                volume.write(os.urandom(1 << 20))

    def digest(self, name):
        """Of where `fill` has written, and of the file system's beginning."""
        with open(self.path / name, "rb") as volume:
            found = hashlib.sha256(volume.read(16 << 20))
            volume.seek(140 << 20)
            found.update(volume.read(100 << 20))
            return found.hexdigest(), os.fstat(volume.fileno()).st_size

    def get(self, name, inner):
        return subprocess.run(["debugfs", "-R", f"cat {inner}", self.path / name], check=True,
                              capture_output=True).stdout


@pytest.fixture(scope="module")
def pool(folder, server):
    return Pool(folder / "volumes")


@pytest.fixture(scope="module")
def home(virtd):
    """Makes volumes that nothing else has, of so many MiB."""
    last = [10]

    def make(size_mib=64):
        last[0] += 1
        virtd.good("volume-create", volume=last[0], size_mib=size_mib, uid=20001, user="alice")
        return last[0]

    return make


def sound(pool, name):
    return subprocess.run(["e2fsck", "-fn", pool.path / name], check=False,
                          capture_output=True).returncode == 0


def test_snapshot_restore_and_sweep(virtd, pool, home):
    volume = home()
    name = f"home-{volume}"
    pool.put(name, "paper", TEXT)
    virtd.good("volume-snapshot", volume=volume, copy=0, snapshot=SNAP, keep=0)
    pool.put(name, "paper", b"overwritten")
    shown = virtd.good("volume-show", volume=volume, copy=0)
    assert [s["name"] for s in shown["snapshots"]] == [SNAP]
    assert shown["size"] == 64 << 20 and 0 < shown["allocation"] < 32 << 20
    assert shown["snapshots"][0]["allocation"] < 32 << 20, "holes stay holes"
    answer = virtd.good("volume-restore", volume=volume, copy=0, to=1, snapshot=SNAP)
    assert answer["copy"] == 1 and answer["size_mib"] == 64
    assert pool.get(name + ".1", "paper") == TEXT and pool.get(name, "paper") == b"overwritten"
    virtd.good("volume-sweep", volume=volume, copy=1)
    assert not pool.whole(name) and pool.whole(name + ".1") and pool.whole(f"{name}.{SNAP}")
    assert sound(pool, name + ".1")
    assert virtd.code("volume-restore", volume=volume, copy=1, to=2, snapshot=BEFORE) == "not-found"
    virtd.good("volume-drop", volume=volume, snapshot=SNAP)
    virtd.good("volume-delete", volume=volume)
    assert not [n for n in pool.names() if n.startswith(name)]


def test_grown_and_attached(virtd, pool, home, server):
    volume = home()
    virtd.good("volume-snapshot", volume=volume, copy=0, snapshot=SNAP, keep=0)
    assert virtd.good("volume-grow", volume=volume, copy=0, size_mib=96)["size_mib"] == 96
    assert (pool.path / f"home-{volume}").stat().st_size == 96 << 20
    virtd.good("volume-restore", volume=volume, copy=0, to=1, snapshot=SNAP)
    assert (pool.path / f"home-{volume}.1").stat().st_size == 96 << 20
    virtd.good("image-ensure", image=virtd_image.IMAGE)
    virtd.good("desktop-start", desktop=7, **START)
    virtd.good("volume-attach", volume=volume, desktop=7, copy=1)
    assert f"home-{volume}.1" in server.execute("virsh", "dumpxml", "carrel-d7")
    for op in ("volume-snapshot", "volume-delete"):
        members = {"copy": 1, "snapshot": BEFORE, "keep": 0} if op == "volume-snapshot" else {}
        assert virtd.code(op, volume=volume, **members) == "busy"
    virtd.good("desktop-destroy", desktop=7)
    assert pool.whole(f"home-{volume}.1")


def test_check_and_repair(virtd, pool, home, folder):
    volume = home()
    name = f"home-{volume}"
    pool.put(name, "paper", TEXT)
    assert virtd.good("volume-check", volume=volume, copy=0, user="alice")["damaged"] is False
    log = folder / f"state/volumes/{volume}.log"
    assert "the file system is whole" in log.read_text()
    pool.debugfs(name, "write /etc/hostname lost", "clri lost")
    assert virtd.good("volume-check", volume=volume, copy=0, user="alice")["damaged"] is True
    assert not sound(pool, name)
    answer = virtd.good("volume-repair", volume=volume, copy=0, to=1, user="alice", snapshot=BEFORE)
    assert answer["copy"] == 1 and "MODIFIED" in log.read_text()
    assert sound(pool, name + ".1") and pool.get(name + ".1", "paper") == TEXT
    assert pool.whole(f"{name}.{BEFORE}") and not sound(pool, f"{name}.{BEFORE}")
    assert os.listdir(folder / "state/volumes") == [log.name] or \
        all(n.endswith(".log") for n in os.listdir(folder / "state/volumes"))


def test_export_and_import(virtd, pool, home, folder):
    volume = home()
    pool.put(f"home-{volume}", "paper", TEXT)
    path = folder / "alice.img"
    virtd.good("volume-export", volume=volume, copy=0, path=str(path))
    assert path.stat().st_size == 64 << 20 and path.stat().st_blocks * 512 < 32 << 20
    pool.put(f"home-{volume}", "paper", b"new")
    members = {"volume": volume, "path": str(path), "uid": 20001, "user": "alice"}
    virtd.good("volume-import", copy=0, to=1, size_mib=64, **members)
    assert pool.get(f"home-{volume}.1", "paper") == TEXT and pool.whole(f"home-{volume}.1")
    assert virtd.code("volume-import", copy=1, to=2, size_mib=32, **members) == "storage"
    assert virtd.code("volume-import", copy=1, to=2, size_mib=64, **{**members, "uid": 20002}) == "storage"
    assert not (pool.path / f"home-{volume}.2").exists()


def test_pool_is_shown(virtd, pool):
    shown = virtd.good("pool-show")
    fs = os.statvfs(pool.path)
    assert shown["capacity"] == fs.f_blocks * fs.f_frsize
    assert abs(shown["available"] - fs.f_bfree * fs.f_frsize) < 8 << 30


@pytest.mark.parametrize("op", ["volume-snapshot", "volume-restore", "volume-export", "volume-import"])
def test_called_off_in_the_middle(virtd, pool, home, folder, op):
    """The volume is as it was, nothing is left, what waited behind it goes on, and another one that
    waited and is called off too is answered without being begun."""
    volume, other = home(512), home()
    name = f"home-{volume}"
    pool.fill(name, 100)
    before = pool.digest(name)
    path, out = folder / "large.img", folder / "called-off.img"
    path.unlink(missing_ok=True)
    virtd.good("volume-snapshot", volume=volume, copy=0, snapshot=BEFORE, keep=0, wait=120)
    virtd.good("volume-export", volume=volume, copy=0, path=str(path), wait=120)
    files = pool.names()
    members = {"volume-snapshot": {"snapshot": SNAP, "keep": 0},
               "volume-restore": {"to": 1, "snapshot": BEFORE},
               "volume-export": {"path": str(out)},
               "volume-import": {"to": 1, "path": str(path), "size_mib": 512, "uid": 20001, "user": "alice"}}[op]
    made = {"volume-snapshot": pool.path / f"{name}.{SNAP}",
            "volume-export": folder / "called-off.img.carrel-part"}.get(op, pool.path / f"{name}.1")
    work = virtd.send(op, volume=volume, copy=0, **members)
    waits = virtd.send("volume-snapshot", volume=other, copy=0, snapshot=SNAP, keep=0)
    deadline = time.monotonic() + 60
    while not made.exists() or made.stat().st_blocks == 0:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    virtd.good("volume-cancel", volume=other)
    assert virtd.answer(waits)["code"] == "cancelled"
    assert work not in virtd.answers, "it was over before it could be called off"
    virtd.good("volume-cancel", volume=volume)
    assert virtd.answer(work)["code"] == "cancelled"
    assert pool.names() == files and not made.exists() and not out.exists()
    assert pool.digest(name) == before and pool.whole(name)
    virtd.good("volume-check", volume=volume, copy=0, user="alice", wait=120)
    for each in (volume, other):
        virtd.good("volume-delete", volume=each)


@pytest.mark.parametrize("op", ["volume-snapshot", "volume-restore", "volume-import"])
def test_killed_in_the_middle(workers, virtd, pool, home, folder, op):
    """At a moment when the new copy is there in part, its worker is killed: what counts is whole, the
    next try has a new number and clears away what is left."""
    volume = home(512)
    name = f"home-{volume}"
    pool.fill(name, 100)
    before = pool.digest(name)
    path = folder / "large.img"
    path.unlink(missing_ok=True)
    if op == "volume-restore":
        virtd.good("volume-snapshot", volume=volume, copy=0, snapshot=SNAP, keep=0, wait=120)
    elif op == "volume-import":
        virtd.good("volume-export", volume=volume, copy=0, path=str(path), wait=120)
    made = f"{name}.{SNAP}" if op == "volume-snapshot" else f"{name}.1"
    members = {"volume-snapshot": {"snapshot": SNAP, "keep": 0},
               "volume-restore": {"to": 1, "snapshot": SNAP},
               "volume-import": {"to": 1, "path": str(path), "size_mib": 512, "uid": 20001, "user": "alice"}}[op]
    worker = workers()
    worker.event("server-up")
    worker.send(op, volume=volume, copy=0, **members)
    deadline = time.monotonic() + 60
    while not (pool.path / made).exists() or (pool.path / made).stat().st_blocks == 0:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    worker.process.kill()
    worker.process.wait()
    assert not (pool.path / f"{made}.complete").exists(), "it was over before it could be killed"
    again = workers()
    again.event("server-up")
    if op == "volume-snapshot":
        later = "snap-20261127T030001Z"
        again.good(op, volume=volume, copy=0, snapshot=later, keep=0, wait=120)
        result = f"{name}.{later}"
    else:
        again.good(op, volume=volume, copy=0, **{**members, "to": 2}, wait=120)
        result = f"{name}.2"
    assert pool.whole(result) and pool.whole(name)
    for each in (name, result):
        assert pool.digest(each) == before
    # libvirtd may still have been at the first one; the next work finds it over.
    again.good("volume-sweep", volume=volume, copy=2 if op != "volume-snapshot" else 0)
    deadline = time.monotonic() + 60
    while (pool.path / made).exists():
        assert time.monotonic() < deadline
        again.good("volume-sweep", volume=volume, copy=2 if op != "volume-snapshot" else 0)
    assert pool.whole(result)
    again.good("volume-delete", volume=volume)
