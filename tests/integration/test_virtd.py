# SPDX-License-Identifier: GPL-2.0-or-later
"""carrel-virtd against a real libvirtd with QEMU (software emulation) behind TLS."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

import signing
import virtd_image
from virtd_lab import (BROKER, NEEDS, SERVER, START, TREE, URI, broker, config, folder, run,
                       second_worker, server, virtd, workers)

pytestmark = NEEDS
__all__ = ["broker", "config", "folder", "server", "virtd", "workers"]


def test_image_is_uploaded_once(virtd, server, folder):
    assert virtd.code("desktop-start", desktop=1, **START) == "no-image"
    virtd.good("image-ensure", image=virtd_image.IMAGE)
    sizes = {e["file"]: (e["done"], e["total"]) for e in virtd.events
             if e["event"] == "image-progress"}
    assert set(sizes) == {"kernel", "initrd", "root"}
    assert all(done == total > 0 for done, total in sizes.values())
    stored = server.dir / "root/var/lib/carrel/images"
    source = folder / "images" / virtd_image.NAME / virtd_image.VERSION
    assert (stored / f"{virtd_image.IMAGE}.root").read_bytes() == (source / "root.img").read_bytes()
    before = (stored / f"{virtd_image.IMAGE}.root").stat().st_ino
    virtd.good("image-ensure", image=virtd_image.IMAGE)
    assert (stored / f"{virtd_image.IMAGE}.root").stat().st_ino == before


def test_half_an_image_is_not_used_and_is_replaced(virtd, server):
    stored = server.dir / "root/var/lib/carrel/images"
    (stored / f"{virtd_image.IMAGE}.complete").unlink()
    (stored / f"{virtd_image.IMAGE}.root").write_bytes(b"torn")
    server.execute("virsh", "pool-refresh", "carrel-images")
    assert virtd.code("desktop-start", desktop=1, **START) == "no-image"
    virtd.good("image-ensure", image=virtd_image.IMAGE)
    assert (stored / f"{virtd_image.IMAGE}.root").stat().st_size == 4 << 20


def test_damaged_image_is_refused(virtd, server, folder):
    version = "20260101.2"
    source = folder / "images" / virtd_image.NAME / version
    shutil.copytree(source.with_name(virtd_image.VERSION), source)
    manifest = source / "manifest.json"
    manifest.write_text(manifest.read_text().replace(virtd_image.VERSION, version))
    assert virtd.code("image-ensure", image=f"{virtd_image.NAME}@{version}") == "no-image"
    signing.sign(source, folder / "pki")
    with open(source / "root.img", "r+b") as root:
        root.write(b"X")
    assert virtd.code("image-ensure", image=f"{virtd_image.NAME}@{version}") == "no-image"
    stored = server.dir / "root/var/lib/carrel/images"
    assert not (stored / f"{virtd_image.NAME}@{version}.complete").exists()
    assert virtd.code("image-ensure", image="nothing@20260101.1") == "no-image"


def other_version(folder, version, change):
    """Another version of the tiny image, whose root `change` has changed; "name@version"."""
    source = folder / "images" / virtd_image.NAME / version
    shutil.copytree(source.with_name(virtd_image.VERSION), source)
    with open(source / "root.img", "r+b") as root:
        change(root)
    data = (source / "root.img").read_bytes()
    manifest = json.loads((source / "manifest.json").read_text())
    manifest["version"] = version
    manifest["files"]["root"] |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (source / "manifest.json").write_text(json.dumps(manifest))
    signing.sign(source, folder / "pki")
    return f"{virtd_image.NAME}@{version}"


def sent(folder, image, file):
    """Bytes that the last delivery of that file has sent."""
    lines = re.findall(rf"image-sent .*image={image} file={file} bytes=(\d+)",
                       (folder / "virtd.log").read_text())
    return int(lines[-1])


def stored_root(server, image):
    return server.dir / "root/var/lib/carrel/images" / f"{image}.root"


def test_only_what_the_server_lacks_is_sent(virtd, server, folder):
    def change(root):
        root.seek(1 << 20)
        root.write(b"X")
        root.seek(0, os.SEEK_END)
        root.write(b"longer")

    image = other_version(folder, "20260101.3", change)
    virtd.good("image-ensure", image=image)
    source = folder / "images" / virtd_image.NAME / "20260101.3/root.img"
    assert stored_root(server, image).read_bytes() == source.read_bytes()
    assert sent(folder, image, "kernel") == 0 and sent(folder, image, "root") == 4096 + 6


def test_interrupted_delivery_goes_on(workers, server, folder):
    size = 192 << 20
    image = other_version(folder, "20260101.4", lambda root: root.write(os.urandom(size)))
    note = folder / f"state/uploads/s1.{image}.root"
    worker = workers()
    worker.event("server-up")
    worker.send("image-ensure", image=image)
    deadline = time.monotonic() + 60
    while not (note.exists() and int(note.read_text().split()[1]) >= 32 << 20):
        assert time.monotonic() < deadline, "nothing has arrived in 60 s"
        time.sleep(0.002)
    worker.process.kill()
    worker.process.wait()
    assert not stored_root(server, image).with_suffix(".complete").exists()
    other = workers()
    other.event("server-up")
    other.good("image-ensure", image=image)
    source = folder / "images" / virtd_image.NAME / "20260101.4/root.img"
    assert stored_root(server, image).read_bytes() == source.read_bytes()
    assert sent(folder, image, "root") <= size - (32 << 20) and not note.exists()
    other.close()


def test_images_are_listed_and_removed(virtd, server):
    image = f"{virtd_image.NAME}@20260101.3"
    stored = stored_root(server, image)
    assert image in virtd.good("image-list")["images"]
    for _ in range(2):  # what is not there any more is no error
        virtd.good("image-remove", image=image)
    assert image not in virtd.good("image-list")["images"]
    assert not stored.exists() and not stored.with_suffix(".complete").exists()
    assert virtd_image.IMAGE in virtd.good("image-list")["images"]


@pytest.fixture(scope="module")
def desktop(virtd):
    """Desktop 7 runs and its agent has said hello."""
    virtd.good("image-ensure", image=virtd_image.IMAGE)
    answer = virtd.good("desktop-start", desktop=7, **START)
    assert answer["vnc_host"] == SERVER and 5900 <= answer["vnc_port"] <= 6899
    assert virtd.event("domain", desktop=7)["state"] == "running"
    hello = virtd.agent(7, "hello", 120)
    assert hello["image"] == virtd_image.IMAGE and hello["state"] == "standby"
    return answer


def test_desktop_runs_and_is_listed(virtd, desktop):
    assert virtd.code("desktop-start", desktop=7, **START) == "exists"
    assert virtd.good("desktop-list")["desktops"] == [
        {"desktop": 7, "running": True, "vnc_host": SERVER, "vnc_port": desktop["vnc_port"],
         "memory_mib": 192}]


def test_command_line_carries_the_root_hash(server, desktop):
    words = server.execute("virsh", "dumpxml", "carrel-d7")
    assert f"carrel.verity=1000:{'ab' * 32}:{'cd' * 32} carrel.image={virtd_image.IMAGE}" in words


def vnc_login(server, port, password):
    """QEMU's answer to a VNC password over VeNCrypt X509Vnc: True when it lets us in."""
    script = pathlib.Path(__file__).with_name("vnc_password.py")
    result = subprocess.run(["ip", "netns", "exec", server.broker_ns, "/usr/bin/python3", script,
                             SERVER, str(port), str(server.folder / "pki/ca.crt"), "s1"],
                            input=password, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode in (0, 1), result.stderr
    return result.returncode == 0


def test_ticket_opens_the_screen_until_it_is_cleared(virtd, server, desktop):
    port = desktop["vnc_port"]
    assert not vnc_login(server, port, "ticket12")
    virtd.good("ticket-set", desktop=7, password="ticket12", seconds=60)
    assert vnc_login(server, port, "ticket12")
    assert not vnc_login(server, port, "ticket13")
    virtd.good("ticket-clear", desktop=7)
    assert not vnc_login(server, port, "ticket12")
    assert virtd.code("ticket-set", desktop=99, password="ticket12", seconds=5) == "not-found"


def test_agent_channel_is_bounded(virtd, desktop):
    since = len(virtd.events)
    virtd.good("agent-send", desktop=7, message={"op": "say"})
    virtd.agent(7, "said", since=since)
    virtd.good("agent-send", desktop=7, message={"op": "flood"})
    virtd.agent(7, "flooded", since=since)
    talk = [e["message"] for e in virtd.events[since:] if e["event"] == "agent"]
    assert talk == [{"event": "said"}, {"event": "flooded"}]
    assert virtd.code("agent-send", desktop=99, message={"op": "hello"}) == "not-found"


def serials(virtd, wanted):
    """Asks the guest for its disks until they are as wanted: hot-plug takes it a moment."""
    deadline = time.monotonic() + 60
    while True:
        since = len(virtd.events)
        virtd.good("agent-send", desktop=7, message={"op": "disks"})
        found = virtd.agent(7, "disks", since=since)["serials"]
        if found == wanted or time.monotonic() > deadline:
            return found


def test_volume_lives_through_attach_and_detach(virtd, server, folder, desktop):
    assert virtd.code("volume-attach", volume=3, desktop=7) == "not-found"
    virtd.good("volume-create", volume=3, size_mib=256, uid=20001, user="alice")
    volume = folder / "volumes/home-3"
    assert volume.stat().st_size == 256 << 20
    assert volume.stat().st_blocks * 512 < 32 << 20, "the upload was not sparse"
    super_block = run("dumpe2fs", "-h", volume)
    assert "home-3" in super_block
    owner = run("debugfs", "-R", "stat /", volume)
    assert "User: 20001" in owner and "Group: 20001" in owner
    assert serials(virtd, ["root"]) == ["root"]
    virtd.good("volume-attach", volume=3, desktop=7)
    assert serials(virtd, ["root", "vol-3"]) == ["root", "vol-3"]
    virtd.good("volume-attach", volume=3, desktop=7)
    virtd.good("volume-detach", volume=3, desktop=7)
    assert serials(virtd, ["root"]) == ["root"]
    virtd.good("volume-detach", volume=3, desktop=7)
    virtd.good("volume-detach", volume=3, desktop=1234)


def test_volume_is_never_overwritten(virtd, server, folder, desktop):
    volume, mark = folder / "volumes/home-3", folder / "volumes/home-3.complete"
    before = volume.read_bytes()
    again = {"volume": 3, "size_mib": 64, "uid": 20001, "user": "alice"}
    assert virtd.code("volume-create", **again) == "exists"
    # The very same one, which nobody has used yet: only the answer of an earlier request was lost.
    virtd.good("volume-create", **{**again, "size_mib": 256})
    assert volume.read_bytes() == before
    # Even without its mark: a file system that was ever mounted is somebody's.
    mark.unlink()
    run("tune2fs", "-C", "1", volume)
    mounted = volume.read_bytes()
    server.execute("virsh", "pool-refresh", "carrel-volumes")
    assert virtd.code("volume-create", **again) == "exists"
    assert virtd.code("volume-attach", volume=3, desktop=7) == "storage"
    assert volume.read_bytes() == mounted and len(mounted) == len(before)
    run("tune2fs", "-C", "0", volume)
    mark.touch()
    # One that was never finished and never used is replaced.
    (folder / "volumes/home-4").write_bytes(b"\0" * 8192)
    virtd.good("volume-create", volume=4, size_mib=64, uid=20002, user="bob")
    assert "clean" in run("dumpe2fs", "-h", folder / "volumes/home-4")


def test_volume_is_in_one_desktop_only(virtd, server, desktop):
    virtd.good("desktop-start", desktop=8, **START)
    virtd.good("volume-attach", volume=4, desktop=7)
    assert virtd.code("volume-attach", volume=4, desktop=8) == "busy"
    virtd.good("desktop-destroy", desktop=8)
    virtd.event("domain", desktop=8, state="gone")
    assert serials(virtd, ["root", "vol-4"]) == ["root", "vol-4"]
    virtd.good("volume-detach", volume=4, desktop=7)


def test_detach_from_a_frozen_guest_is_no_success(virtd, server, desktop):
    virtd.good("volume-attach", volume=4, desktop=7)
    assert serials(virtd, ["root", "vol-4"]) == ["root", "vol-4"]
    server.execute("virsh", "suspend", "carrel-d7")
    assert virtd.code("volume-detach", 40, volume=4, desktop=7) == "timeout"
    assert "vol-4" in server.execute("virsh", "dumpxml", "carrel-d7")
    server.execute("virsh", "resume", "carrel-d7")
    virtd.good("volume-detach", volume=4, desktop=7)


def test_bad_requests(virtd):
    for op, members in (("desktop-start", {"desktop": 9}), ("nonsense", {}),
                        ("desktop-destroy", {"desktop": 0}),
                        ("desktop-destroy", {"desktop": 1, "more": 1}),
                        ("image-ensure", {"image": "../etc@passwd"}),
                        ("ticket-set", {"desktop": 7, "password": "a<b c'\"", "seconds": 5})):
        assert virtd.code(op, **members) == "bad-request", op


def test_restart_of_libvirtd_leaves_desktops_running(virtd, server, desktop):
    since = len(virtd.events)
    pid = server.libvirtd()
    server.execute("kill", "-9", pid)
    virtd.event("server-down", since=since)
    assert virtd.code("desktop-list") == "unreachable"
    virtd.good("ping")
    server.execute("sh", "-c", "rm -f /run/libvirtd.pid; libvirtd -d -l -p /run/libvirtd.pid")
    virtd.event("server-up", since=since)
    assert [d["desktop"] for d in virtd.good("desktop-list")["desktops"]] == [7]
    virtd.agent(7, "hello", since=since)


def test_second_worker_adopts(workers, virtd, desktop):
    """As after a restart of carreld: the new worker's channel replaces the old one's."""
    with second_worker(workers, virtd, 7) as other:
        assert [d["desktop"] for d in other.good("desktop-list")["desktops"]] == [7]
    assert other.process.returncode == 0


def test_hung_libvirtd_is_noticed(virtd, server, desktop):
    since = len(virtd.events)
    pid = server.libvirtd()
    server.execute("kill", "-STOP", pid)
    try:
        assert virtd.code("desktop-list", 40) == "unreachable"
        virtd.event("server-down", since=since)
    finally:
        server.execute("kill", "-CONT", pid)
    virtd.event("server-up", since=since)
    virtd.agent(7, "hello", since=since)


def test_guest_that_halts_is_gone(virtd, desktop):
    since = len(virtd.events)
    virtd.good("agent-send", desktop=7, message={"op": "off"})
    gone = virtd.event("domain", since=since, desktop=7, state="gone")
    assert gone["reason"] == "shutdown"
    assert virtd.good("desktop-list")["desktops"] == []
    virtd.good("desktop-destroy", desktop=7)


def test_certificates_other_than_the_brokers_are_refused(server, folder, workers):
    run(TREE / "scripts/carrel-pki", "--dir", folder / "pki", "client", "mallory")
    worker = workers(f"{URI}?pkipath={folder}/pki/clients/mallory")
    down = worker.event("server-down")
    assert "server-up" not in [e["event"] for e in worker.events], down
    worker.close()


def test_firewall_is_for_the_broker_alone(server):
    """Another address of the same network gets no answer from libvirt's port."""
    run("ip", "-n", server.broker_ns, "addr", "add", "10.78.0.66/32", "dev", "lo")
    run("ip", "-n", server.server_ns, "route", "add", "10.78.0.66/32", "dev", "eth0")
    probe = ("import socket,sys;s=socket.socket();s.settimeout(2);s.bind((sys.argv[1],0));"
             f"s.connect(('{SERVER}',16514))")
    words = ["ip", "netns", "exec", server.broker_ns, "/usr/bin/python3", "-c", probe]
    assert subprocess.run([*words, BROKER], check=False, capture_output=True).returncode == 0
    refused = subprocess.run([*words, "10.78.0.66"], check=False, capture_output=True, text=True)
    assert "timed out" in refused.stderr


def test_prepare_server_twice_changes_nothing(server, folder):
    pid = (server.dir / "pid").read_text().split()[0]
    words = [TREE / "scripts/prepare-server", "--via", f"nsenter -t {pid} -m -u -i -p -n", "--name",
             "s1", "--address", SERVER, "--broker", BROKER, "--pki", folder / "pki",
             "--no-packages", "--no-services"]
    assert "0 things changed" in run(*words)
    server.execute("sh", "-c", "echo '# by hand' >>/etc/libvirt/qemu.conf")
    dry = run(*words, "--dry-run")
    assert "would change: /etc/libvirt/qemu.conf" in dry and "1 things would change" in dry
    assert "by hand" in server.execute("cat", "/etc/libvirt/qemu.conf")
    assert "changed: /etc/libvirt/qemu.conf" in run(*words)
    assert "by hand" not in server.execute("cat", "/etc/libvirt/qemu.conf")


SSHD = """Port 22
HostKey {dir}/host
AuthorizedKeysFile {dir}/key.pub
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile /run/sshd.pid
"""


@pytest.mark.skipif(not shutil.which("ssh") or not os.path.exists("/usr/sbin/sshd"),
                    reason="missing: ssh and sshd")
def test_prepare_server_over_ssh(server, folder):
    keys = folder / "ssh"
    keys.mkdir()
    for name in ("host", "key"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name)
    (keys / "sshd").write_text(SSHD.format(dir=keys))
    # Root's own ssh configuration stays out of it.
    (keys / "ssh").write_text(
        f"#!/bin/sh\nexec /usr/bin/ssh -F none -i {keys}/key -o UserKnownHostsFile={keys}/known"
        ' -o StrictHostKeyChecking=accept-new -o BatchMode=yes "$@"\n')
    (keys / "ssh").chmod(0o755)
    server.execute("sh", "-c", f"mkdir -p /run/sshd; /usr/sbin/sshd -f {keys}/sshd")
    said = run("ip", "netns", "exec", server.broker_ns, TREE / "scripts/prepare-server", "--dry-run",
               "--no-packages", "--no-services", "--name", "s1", "--pki", folder / "pki",
               f"root@{SERVER}", env={**os.environ, "PATH": f"{keys}:{os.environ['PATH']}"})
    assert "0 things would change on s1" in said, said
    server.execute("sh", "-c", "kill $(cat /run/sshd.pid)")
    failed = subprocess.run(["ip", "netns", "exec", server.broker_ns,
                             TREE / "scripts/prepare-server", "--name", "s1", "--pki",
                             folder / "pki", f"root@{SERVER}"], capture_output=True, text=True,
                            env={**os.environ, "PATH": f"{keys}:{os.environ['PATH']}"}, check=False)
    assert failed.returncode == 1 and f"ssh root@{SERVER} failed" in failed.stderr


def test_crash_of_the_server(virtd, server):
    virtd.good("desktop-start", desktop=11, **START)
    since = len(virtd.events)
    run(TREE / "tests/lab/lab-server", "crash", server.dir)
    virtd.event("server-down", 60, since=since)
    server.start()
    virtd.event("server-up", 60, since=since)
    assert virtd.good("desktop-list")["desktops"] == []


# Stands in for the VM's process on its channel: resets a connection before anybody has read from it,
# then takes the next one, says a line, and ends it; again and again.
PEER = """
import os, select, socket, sys
path, rounds = sys.argv[1], int(sys.argv[2])

def listen():
    made = socket.socket(socket.AF_UNIX)
    made.bind(path + ".new")
    made.listen()
    os.rename(path + ".new", path)
    return made

listener = listen()
print("ready", flush=True)
for turn in range(rounds):
    select.select([listener], [], [])
    listener.close()
    listener = listen()
    taken = listener.accept()[0]
    taken.sendall(b'{"event":"turn","turn":%d}\\n' % turn)
    taken.recv(4096)
    taken.close()
taken = listener.accept()[0]
taken.sendall(b'{"event":"over"}\\n')
select.select([], [], [])
"""


def test_reset_of_a_channel_while_it_opens_loses_no_server(virtd, workers, server, folder):
    """As when a VM ends in that moment. libvirtd sends the stream's error before its answer to the
    call that opens it, for which libvirt's client gives up the connection. The real threads lose
    that race now and then; here they always do: one processor, on which the peer comes before
    libvirtd's event loop, and that before the threads which answer calls."""
    rounds, processor = 4, min(os.sched_getaffinity(0))
    virtd.good("image-ensure", image=virtd_image.IMAGE)
    virtd.good("desktop-start", desktop=12, **START)
    path = server.execute("sh", "-c", "ls /var/lib/libvirt/qemu/channel/target/*-carrel-d12/*").strip()
    virtd.close()
    daemon, logged = server.libvirtd(), len((folder / "virtd.log").read_text())
    peer = subprocess.Popen(
        ["taskset", "-c", str(processor), "chrt", "-f", "20", TREE / "tests/lab/lab-server", "exec",
         server.dir, "/usr/bin/python3", "-c", PEER, path, str(rounds)], stdout=subprocess.PIPE)
    try:
        assert peer.stdout.readline() == b"ready\n"
        server.execute("taskset", "-a", "-p", "-c", str(processor), daemon)
        server.execute("chrt", "-R", "-f", "-p", "10", daemon)
        worker = workers()
        worker.event("server-up")
        worker.agent(12, "over")
        turns = [e["message"]["turn"] for e in worker.events
                 if e["event"] == "agent" and "turn" in e["message"]]
        assert turns == list(range(rounds))
        assert "server-down" not in [e["event"] for e in worker.events]
        # The race was lost indeed, or this test says nothing.
        assert "agents-connection-lost" in (folder / "virtd.log").read_text()[logged:]
        worker.good("agent-send", desktop=12, message={"op": "hello"})
        worker.good("desktop-destroy", desktop=12)
        worker.event("domain", desktop=12, state="gone")
        assert "server-down" not in [e["event"] for e in worker.events]
    finally:
        peer.kill()
        peer.wait()
        server.execute("chrt", "-o", "-p", "0", daemon)
        server.execute("taskset", "-a", "-p", "-c", f"0-{os.cpu_count() - 1}", daemon)
