# SPDX-License-Identifier: GPL-2.0-or-later
"""Desktops of a whole disk with a real libvirtd and QEMU: imported by `carrel image import`, delivered,
started by their own boot loader, spoken to by QEMU's guest agent, and thrown away."""

import hashlib
import json
import pathlib
import subprocess
import time

import pytest

import guest_disk
from virtd_lab import NEEDS, TREE, broker, config, folder, second_worker, server, virtd, wait_until, workers

pytestmark = [*NEEDS, pytest.mark.skipif(bool(guest_disk.missing()), reason=f"missing: {guest_disk.missing()}")]
__all__ = ["broker", "config", "folder", "server", "virtd", "workers"]

POOL = "/var/lib/carrel/images"
CLAIM = {"op": "claim", "user": "alice", "full_name": "Alice: \u00e9", "uid": 20001, "gid": 20001}


@pytest.fixture(scope="module")
def disk(folder):
    path = folder / "guest.raw"
    guest_disk.build(path, TREE / "build/cache/virtd")
    return path


def imported(config, disk, *options):
    """The image of a disk, by the command that a person gives."""
    said = subprocess.run([TREE / "build/out/carrel", "--config", config, "image", "import", disk, "--json",
                           "--agent", "qemu-ga", *options], check=True, capture_output=True, text=True).stdout
    return json.loads(said)["image"]


@pytest.fixture(scope="module")
def image(config, disk, virtd):
    name = imported(config, disk, "--name", "guest")
    virtd.good("image-ensure", image=name)
    return name


def start(virtd, desktop, image, wait=180):
    since = len(virtd.events)
    virtd.good("desktop-start", desktop=desktop, image=image, memory_mib=256, vcpus=1, network="none")
    hello = virtd.agent(desktop, "hello", wait, since=since)
    assert (hello["image"], hello["state"], hello["user"]) == (image, "standby", "")
    assert hello["agent"].startswith("qemu-ga 7")


def tell(virtd, desktop, number, **message):
    """Sends a request to the agent and returns its answer."""
    since = len(virtd.events)
    virtd.good("agent-send", desktop=desktop, message={"id": number, **message})
    deadline = time.monotonic() + 120
    while True:
        for event in virtd.events[since:]:
            if event["event"] == "agent" and event["desktop"] == desktop and event["message"].get("id") == number \
                    and "ok" in event["message"]:
                return event["message"]
        since = len(virtd.events)
        virtd._receive(deadline)  # pylint: disable=protected-access


def own_files(server):
    return [name for name in server.execute("ls", POOL).split() if name.startswith("carrel-d")]


def base_sum(server, image):
    return server.execute("sha256sum", f"{POOL}/{image}.disk").split()[0]


def test_a_session(virtd, workers, server, image, folder):
    version = folder / "images" / image.replace("@", "/")
    expected = json.loads((version / "manifest.json").read_text())["files"]["disk"]["sha256"]
    assert hashlib.sha256((version / "disk.qcow2").read_bytes()).hexdigest() == expected
    assert base_sum(server, image) == expected
    virtd.good("volume-create", volume=7, size_mib=32, uid=20001, user="alice")
    start(virtd, 7, image)
    # the base is shared: two at a time, each with what it writes
    start(virtd, 8, image)
    assert sorted(own_files(server)) == ["carrel-d7.s1.overlay", "carrel-d8.s1.overlay"]
    # a claim without its volume says so; the guest looks for it for 20 s
    assert tell(virtd, 8, 1, **CLAIM, volume="vol-9")["code"] == "volume-missing"
    virtd.good("volume-attach", volume=7, desktop=7)
    assert tell(virtd, 7, 2, **CLAIM, volume="vol-7") == {"id": 2, "ok": True}
    assert tell(virtd, 7, 3, **CLAIM, volume="vol-7")["code"] == "state"
    # a worker that is new asks the guest
    with second_worker(workers, virtd, 7) as other:
        hello = other.agent(7, "hello")
        assert (hello["state"], hello["user"]) == ("active", "alice")
    assert tell(virtd, 7, 4, op="release") == {"id": 4, "ok": True}
    virtd.good("volume-detach", volume=7, desktop=7)
    hello = subprocess.run(["debugfs", "-R", "cat hello", folder / "volumes/home-7"], check=True,
                           capture_output=True, text=True).stdout
    assert hello == "20001\n", "the session was the user's, in his home on the volume"
    for desktop in (7, 8):
        virtd.good("desktop-destroy", desktop=desktop)
    wait_until(lambda: not own_files(server), "the overlays go with their desktops")
    assert base_sum(server, image) == expected


@pytest.mark.full
def test_log_out_and_power_off(virtd, server, image):
    """The user logs out in the guest; then the guest goes by itself."""
    virtd.good("volume-create", volume=8, size_mib=32, uid=20002, user="brief")
    start(virtd, 9, image)
    virtd.good("volume-attach", volume=8, desktop=9)
    assert tell(virtd, 9, 1, **{**CLAIM, "user": "brief", "uid": 20002, "gid": 20002}, volume="vol-8")["ok"]
    virtd.agent(9, "session-ended", 60)
    assert tell(virtd, 9, 2, op="release")["ok"]
    since = len(virtd.events)
    server.execute("kill", "-KILL", server.qemu(9))
    virtd.event("domain", desktop=9, state="gone", since=since)
    wait_until(lambda: not own_files(server), "the overlay goes with a desktop that ends by itself")


@pytest.mark.full
def test_what_a_crash_leaves(virtd, workers, server, image):
    """Nobody was there to see the VM go, and a VM that is there keeps its disk."""
    start(virtd, 10, image)
    for name in ("carrel-d11.s1.overlay", "carrel-d11.s1.nvram", "carrel-d12.s2.overlay"):
        server.execute("touch", f"{POOL}/{name}")
    other = workers()
    other.event("server-up")
    other.good("desktop-list")
    other.close()
    assert sorted(own_files(server)) == ["carrel-d10.s1.overlay", "carrel-d12.s2.overlay"]
    server.execute("rm", f"{POOL}/carrel-d12.s2.overlay")
    virtd.good("desktop-destroy", desktop=10)
    wait_until(lambda: not own_files(server), "the overlay goes")


@pytest.mark.full
def test_no_claim_program(virtd, server, config, folder):
    """Said in the log when it comes up, and to who claims it; a release is a shutdown."""
    path = folder / "bare.raw"
    guest_disk.build(path, TREE / "build/cache/virtd", claim=False)
    name = imported(config, path, "--name", "bare")
    virtd.good("image-ensure", image=name)
    since = len(virtd.events)
    start(virtd, 13, name)
    said = virtd.agent(13, "log", since=since)["text"]
    assert "/usr/local/lib/carrel/claim, does not say its state" in said
    answer = tell(virtd, 13, 1, **CLAIM, volume="vol-7")
    assert answer["code"] == "session" and "the guest has no claim program" in answer["message"]
    since = len(virtd.events)
    virtd.good("agent-send", desktop=13, message={"op": "release", "id": 2})
    virtd.event("domain", 120, desktop=13, state="gone", since=since)
    wait_until(lambda: not own_files(server), "the overlay goes")


@pytest.mark.full
@pytest.mark.skipif(not pathlib.Path("/usr/share/qemu/firmware/60-edk2-x86_64.json").exists(),
                    reason="ovmf is not installed")
def test_uefi(virtd, server, config, disk):
    name = imported(config, disk, "--name", "guest-uefi", "--firmware", "uefi")
    virtd.good("image-ensure", image=name)
    start(virtd, 14, name, 300)
    assert sorted(own_files(server)) == ["carrel-d14.s1.nvram", "carrel-d14.s1.overlay"]
    virtd.good("desktop-destroy", desktop=14)
    wait_until(lambda: not own_files(server), "the variables go with the overlay")


def test_interrupted_delivery_goes_on(virtd, server, image, folder):
    """What libvirt takes for a qcow2 is a file of so many bytes all the same, and is read back as one."""
    manifest = json.loads((folder / "images" / image.replace("@", "/") / "manifest.json").read_text())
    entry, offset = manifest["files"]["disk"], 1 << 20
    server.execute("virsh", "vol-delete", "--pool", "carrel-images", f"{image}.complete")
    (folder / f"state/uploads/s1.{image}.disk").write_text(f"{entry['sha256']} {offset}\n")
    virtd.good("image-ensure", image=image)
    assert f"bytes={entry['size'] - offset} of={entry['size']}" in (folder / "virtd.log").read_text()
    assert base_sum(server, image) == entry["sha256"]


def test_images_of_disks_are_listed_and_removed(virtd, server, image):
    assert image in virtd.good("image-list")["images"]
    virtd.good("image-remove", image=image)
    assert image not in virtd.good("image-list")["images"]
    assert f"{image}.disk" not in server.execute("ls", POOL)
