# SPDX-License-Identifier: GPL-2.0-or-later
"""Lab servers with a real libvirtd and QEMU (software emulation) behind TLS, each in its own
namespaces, made by scripts/carrel-pki, scripts/prepare-server and tests/lab/lab-server, and a
carrel-virtd for each: fixtures of the test_virtd modules that need root."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import time

import pytest

import virtd_image
from virtd_client import Virtd

TREE = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = TREE / "build/out/carrel-virtd"
NS = f"cvirtd{os.getpid()}"
SERVER, BROKER = "10.78.0.11", "10.78.0.1"
URI = f"qemu+tls://{SERVER}/system"
START = {"image": virtd_image.IMAGE, "memory_mib": 192, "vcpus": 1, "network": "none"}

TOOLS = ("ip", "nft", "certtool", "libvirtd", "virtlogd", "virtlockd", "virsh", "qemu-system-x86_64",
         "nsenter", "unshare")
MISSING = [t for t in TOOLS if not shutil.which(t)] + [t for t in [virtd_image.missing()] if t]
NEEDS = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces"),
    pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}"),
    pytest.mark.skipif(not PROGRAM.exists(), reason=f"{PROGRAM} is not built"),
]


def run(*words, **keywords):
    result = subprocess.run([str(w) for w in words], capture_output=True, text=True, **keywords)
    assert result.returncode == 0, f"{words}: {result.stdout}{result.stderr}"
    return result.stdout


class Broker:
    """The boot server's side: its namespace and the site's certificates."""

    ns = f"{NS}b"

    def __init__(self, folder):
        self.folder = folder

    def up(self):
        run("ip", "netns", "add", self.ns)
        run("ip", "-n", self.ns, "link", "set", "lo", "up")
        run(TREE / "scripts/carrel-pki", "--dir", self.folder / "pki", "init", "--address",
            "10.77.0.1")

    def down(self):
        subprocess.run(["ip", "netns", "del", self.ns], check=False)


class Server:
    """A lab server on a wire of its own to the broker."""

    def __init__(self, folder, name, address):
        self.folder, self.dir, self.name, self.address = folder, folder / name, name, address
        self.broker_ns, self.server_ns = Broker.ns, f"{NS}{name}"

    def up(self):
        run("ip", "netns", "add", self.server_ns)
        run("ip", "-n", self.broker_ns, "link", "add", self.name, "type", "veth", "peer", "name",
            "eth0", "netns", self.server_ns)
        for ns, link, own, other in ((self.broker_ns, self.name, BROKER, self.address),
                                     (self.server_ns, "eth0", self.address, BROKER)):
            run("ip", "-n", ns, "link", "set", "lo", "up")
            run("ip", "-n", ns, "link", "set", link, "up")
            run("ip", "-n", ns, "addr", "add", f"{own}/32", "peer", f"{other}/32", "dev", link)
        self.start()

    def start(self):
        run(TREE / "tests/lab/lab-server", "up", self.dir, self.server_ns, self.name, self.address,
            BROKER, self.folder / "pki", self.folder / "volumes")

    def execute(self, *words, check=True):
        return subprocess.run([TREE / "tests/lab/lab-server", "exec", self.dir, *words], check=check,
                              capture_output=True, text=True).stdout

    def qemu(self, desktop):
        """The process of a desktop, as the server numbers it."""
        return self.execute("cat", f"/run/libvirt/qemu/carrel-d{desktop}.pid").strip()

    def resident_mib(self, desktop):
        status = self.execute("cat", f"/proc/{self.qemu(desktop)}/status")
        return int(status.split("VmRSS:")[1].split()[0]) // 1024

    def libvirtd(self):
        return self.execute("cat", "/run/libvirtd.pid").strip()

    def down(self):
        subprocess.run([TREE / "tests/lab/lab-server", "down", self.dir], check=False)
        subprocess.run(["ip", "netns", "del", self.server_ns], check=False)


@pytest.fixture(scope="module")
def folder():
    path = pathlib.Path("/var/tmp") / f"carrel-test-virtd-{os.getpid()}"
    path.mkdir(mode=0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def broker(folder):
    made = Broker(folder)
    try:
        made.up()
        yield made
    finally:
        made.down()


@pytest.fixture(scope="module")
def server(broker, folder):
    made = Server(folder, "s1", SERVER)
    try:
        made.up()
        yield made
    finally:
        made.down()


@pytest.fixture(scope="module")
def config(folder):
    virtd_image.build(folder / "images", TREE / "build/cache/virtd", folder / "pki")
    path = folder / "carrel.conf"
    path.write_text(f"[paths]\nimages = {folder}/images\npki = {folder}/pki\n"
                    f"state = {folder}/state\nrun = {folder}/run\n")
    return path


@pytest.fixture(scope="module")
def workers(request, server, config, folder):
    """Makes workers, and ends those that a test leaves."""
    made = []

    def make(uri=URI, name="s1"):
        with open(folder / "virtd.log", "ab") as log:
            worker = Virtd(PROGRAM, name, uri, config, ("ip", "netns", "exec", server.broker_ns), log)
        made.append(worker)
        return worker

    yield make
    for worker in made:
        worker.close()
    shutil.copy(folder / "virtd.log", TREE / "build" / f"{request.module.__name__}.log")


def wait_until(true, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@contextlib.contextmanager
def second_worker(workers, first, desktop):
    """A worker beside the first. The channel of a desktop has one end, which the second takes from the
    first; when this ends, the first has it again."""
    since = len(first.events)
    other = workers()
    other.event("server-up")
    other.agent(desktop, "hello")
    yield other
    other.close()
    first.event("agent-down", desktop=desktop, since=since)
    wait_until(lambda: first.ask("agent-send", desktop=desktop, message={"op": "hello"})["ok"], "its channel is back")


@pytest.fixture(scope="module")
def virtd(workers):
    worker = workers()
    up = worker.event("server-up", 60)
    assert up["memory_mib"] > 500 and up["cpus"] >= 1 and isinstance(up["kvm"], bool)
    return worker
