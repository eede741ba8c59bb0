# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the test of the installation: a boot server set up as README.md tells an admin to."""

import os
import shutil
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../integration"), os.path.join(HERE, "../lab")]

import steps  # noqa: E402
from bootserver_vm import TOP, BarePc, BootServer, Wires, build_disk  # noqa: E402
from virt_server import VirtServer  # noqa: E402

NEEDED = ("ip", "sysctl", "qemu-system-x86_64", "qemu-img", "mmdebstrap", "mkfs.ext4", "cpio",
          "tesseract", "apt-ftparchive", "busybox", "sshd", "ssh-keygen", "libvirtd", "nft")


LOGS = "/var/tmp/carrel-machine-failed-log"


def keep_logs(server):
    """What a failed run said: both consoles, the journal, pictures of the PC, the virtualization server."""
    shutil.rmtree(LOGS, ignore_errors=True)
    os.mkdir(LOGS)
    if server.port:
        answer = server.ask("journalctl -b --no-pager -o short-monotonic", 60)
        with open(os.path.join(LOGS, "journal"), "w", encoding="utf-8") as f:
            f.write(answer[1] if answer else "the boot server did not answer\n")
    for name in ("console.log", "qemu.log", "pc.log", "pc.serial"):
        if os.path.exists(server.path(name)):
            shutil.copy(server.path(name), LOGS)
    for folder, kept in (("pictures", "."), ("log", "."), ("server1/log", "server1"),
                         ("server1/root/var/log/libvirt", "server1/libvirt")):
        if os.path.isdir(server.path(folder)):
            shutil.copytree(server.path(folder), os.path.join(LOGS, kept), dirs_exist_ok=True)


@pytest.fixture(scope="module")
def machine(need, request):
    """The boot server, set up and running."""
    need(*NEEDED)
    for image in ("client", "desktop-lite"):
        if not os.path.exists(os.path.join(TOP, "build/images", image, "current/manifest.json")):
            pytest.fail(f"there is no image {image} in build/images: run make images first")
    build_disk()
    folder = tempfile.mkdtemp(prefix="carrel-machine-", dir="/var/tmp")
    os.chmod(folder, 0o711)  # QEMU runs as a user of its own where desktops are
    wires = Wires()
    server = BootServer(folder, wires)
    before, good = request.session.testsfailed, False
    try:
        wires.up()
        steps.set_up(server)
        yield server
        good = request.session.testsfailed == before
    finally:
        if not good:
            keep_logs(server)
        server.off()
        wires.close()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def virt(machine):
    """The host that becomes a virtualization server, still without anything."""
    made = VirtServer(machine)
    yield made
    made.off()


@pytest.fixture(scope="module")
def pc(machine):
    """A PC, switched on when the boot server has restarted by itself."""
    made = BarePc(machine)
    yield made
    made.off()
