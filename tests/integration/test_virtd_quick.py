# SPDX-License-Identifier: GPL-2.0-or-later
"""carrel-virtd without root and without VMs: libvirt's own test driver, and servers that are not there."""

import pathlib
import socket
import subprocess
import time

import pytest

from virtd_client import Virtd

TREE = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = TREE / "build/out/carrel-virtd"
pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason=f"{PROGRAM} is not built")


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "carrel.conf"
    path.write_text(f"[paths]\nimages = {tmp_path}/images\npki = {tmp_path}/pki\n"
                    "[volume]\npool = default-pool\n[image]\npool = no-such-pool\n")
    return path


@pytest.fixture
def start(config):
    made = []

    def make(uri):
        made.append(Virtd(PROGRAM, "s1", uri, config))
        return made[-1]

    yield make
    for worker in made:
        worker.close()


def test_test_driver(start):
    worker = start("test:///default")
    up = worker.event("server-up", 20)
    assert up["memory_mib"] > 0 and up["cpus"] > 0 and up["kvm"] is False
    worker.good("ping")
    # The driver's own domain is not a desktop of ours.
    assert worker.good("desktop-list")["desktops"] == []
    worker.good("desktop-destroy", desktop=5)
    worker.good("volume-detach", volume=1, desktop=5)
    assert worker.code("volume-attach", volume=1, desktop=5) == "not-found"
    assert worker.code("ticket-set", desktop=5, password="ticket12", seconds=5) == "not-found"
    assert worker.code("image-ensure", image="a@20260101.1") == "storage"
    assert worker.code("agent-send", desktop=5, message={"op": "hello"}) == "not-found"
    assert worker.code("desktop-destroy", desktop=5, unknown=1) == "bad-request"


def test_half_made_volume_is_never_marked(start):
    """The driver makes volumes but takes no upload: what it leaves is not a volume."""
    worker = start("test:///default")
    worker.event("server-up", 20)
    members = {"volume": 1, "size_mib": 16, "uid": 20001, "user": "alice"}
    assert worker.code("volume-create", **members) == "storage"
    assert worker.code("volume-create", **members) == "storage"


def test_server_that_is_off(start):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    worker = start(f"qemu+tls://127.0.0.1:{port}/system")
    down = worker.event("server-down", 20)
    assert str(port) in down["message"] and "libvirtd" in down["message"]
    assert worker.code("desktop-list") == "unreachable"
    worker.good("ping")


def test_ends_with_carreld(start):
    worker = start("test:///default")
    worker.event("server-up", 20)
    worker.socket.close()
    assert worker.process.wait(10) == 0


def test_garbage_on_the_socket_ends_it(start):
    worker = start("test:///default")
    worker.socket.send(b"not JSON")
    assert worker.process.wait(10) == 1


def test_wrong_words_and_wrong_files(tmp_path, config):
    ran = subprocess.run([PROGRAM], capture_output=True, text=True, check=False)
    assert ran.returncode == 2 and "--fd" in ran.stderr
    ran = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0 and ran.stdout.startswith("carrel-virtd ")
    config.write_text("[desktop]\nmax_mib = much\n")
    worker = Virtd(PROGRAM, "s1", "test:///default", config, log=subprocess.PIPE)
    assert worker.process.wait(10) == 1
    assert "carrel.conf:2" in worker.process.stderr.read().decode()


def test_answers_within_reason(start):
    """A request is not held up by another lane's waiting for a server."""
    worker = start("test:///default")
    worker.event("server-up", 20)
    began = time.monotonic()
    first = worker.send("volume-create", volume=2, size_mib=64, uid=20001, user="alice")
    worker.good("ping")
    assert time.monotonic() - began < 5
    worker.answer(first)
