# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's watchers without a lab: a watcher that sees nothing would let everything pass."""

import grp
import os
import re
import struct
import subprocess
import sys
import threading
import zlib

import numpy
import pytest

from carrel_lab import LabError, LabTimeout, Sampler, home, pdu
from carrel_lab.errors import wait_until
from carrel_lab.kill import STEPS, Log, kill
from carrel_lab.rfb import DESKTOP_SIZE, RAW, ZLIB, Rfb
from carrel_lab.sampler import Look, desktop_of, open_volumes

pytestmark = pytest.mark.quick

LAB = os.path.dirname(os.path.abspath(__file__))


# --- sampler ---


@pytest.mark.parametrize("words, found", [
    (["qemu", "-name", "guest=carrel-d7,debug-threads=on", "-m", "size=524288k"], (7, 512)),
    (["qemu", "-name", "guest=carrel-d12", "-m", "1024"], (12, 1024)),
    (["qemu", "-name", "guest=carrel-d1", "-m", "size=2g,slots=1,maxmem=4g"], (1, 2048)),
    (["qemu", "-name", "guest=trial", "-m", "16"], None),
    (["libvirtd", "-d"], None), ([""], None), (["qemu", "-m"], None)])
def test_a_desktop_is_known_by_its_command_line(words, found):
    assert desktop_of(words) == found


def test_too_much_memory_and_a_volume_in_two_desktops_are_seen():
    look = Look()
    look.add("s1", 1, 1024, {5})
    look.add("s1", 2, 1024, set())
    look.add("s2", 3, 2048, {6})
    assert not list(look.wrong(2048))
    look.add("s1", 4, 512, {6})
    wrong = list(look.wrong(2048))
    assert len(wrong) == 2
    assert "s1 has 2560 MiB" in wrong[0] and "volume 6" in wrong[1]


def test_an_open_volume_is_seen(tmp_path):
    path, copy = tmp_path / "home-31", tmp_path / "home-32.4"
    path.write_bytes(b"")
    copy.write_bytes(b"")
    with open(path, "rb"), open(copy, "rb"):
        assert open_volumes(os.getpid()) == {31, 32}
    assert open_volumes(os.getpid()) == set()


class FakeLab:
    """A lab whose one server has this process as its first process."""

    capacity_mib = 100

    def __init__(self):
        self.servers = self

    @staticmethod
    def names():
        return ["s1"]

    @staticmethod
    def processes(_name):
        return {os.getpid(): ["qemu", "-name", "guest=carrel-d1", "-m", "200"]}


def test_the_sampler_keeps_what_it_saw_and_tells_of_its_own_end():
    with Sampler(FakeLab()) as sampler:
        wait_until(lambda: sampler.looks >= 2, 10, "two looks")
    with pytest.raises(LabError, match="s1 has 200 MiB"):
        sampler.check()
    assert sampler.peak == {"s1": 200}
    blind = FakeLab()
    blind.processes = lambda name: {}[name]
    with Sampler(blind) as sampler:
        wait_until(lambda: sampler._error, 10, "the sampler's end")
    with pytest.raises(LabError, match="sampler ended"):
        sampler.check()


# --- log and kill ---


def test_a_log_is_followed_line_by_line_from_its_end(tmp_path):
    path = tmp_path / "log"
    path.write_text("old quiesce: 1\n")
    log = Log(str(path))
    with open(path, "a", encoding="utf-8") as f:
        f.write("carreld info handoff session=n1 text=\"quie")
        f.flush()
        assert log.read() == []
        f.write("sce: alice\"\n")
        f.flush()
    assert log.wait(STEPS["handoff"]["quiesce"], 1)
    with pytest.raises(LabTimeout, match="sce: alice"):
        log.wait(STEPS["handoff"]["detach"], 0.01)


def test_each_step_is_a_line_of_the_log():
    """Events are core's own names, so that a renamed one does not go unnoticed."""
    top = os.path.join(LAB, "..", "..", "broker", "core", "core.c")
    with open(top, encoding="utf-8") as f:
        events = set(re.findall(r"\[CORE_EV_\w+\] = \{\"([a-z-]+)\"", f.read()))
    assert events
    for phase in ("login", "logout"):
        for pattern in STEPS[phase].values():
            assert pattern.removeprefix("debug ").strip() in events


def test_kill_ends_a_process():
    with subprocess.Popen(["sleep", "60"]) as child:
        assert kill(child.pid)
        assert child.wait(5) == -9
    assert not kill(child.pid)


# --- power switch ---


@pytest.fixture
def switch(tmp_path):
    """A power switch whose `lab-server` notes what it is told, and fails for the folder `bad`."""
    script = tmp_path / "lab-server"
    script.write_text(f"#!/bin/sh\necho \"$@\" >>{tmp_path}/told\n"
                      "case $2 in *bad) echo stuck >&2; exit 1;; esac\n")
    script.chmod(0o755)
    path = str(tmp_path / "pdu.sock")
    group = grp.getgrgid(os.getgid()).gr_name
    with subprocess.Popen([sys.executable, "-P", pdu.__file__, path, group, str(script),
                           f"s1={tmp_path}/bad=none"], stdout=subprocess.DEVNULL) as child:
        try:
            wait_until(lambda: pdu.ask(path, "hello") == "ok", 10, "the switch answers")
            yield path, tmp_path
        finally:
            child.kill()


def fence(path, name):
    return subprocess.run([os.path.join(LAB, "lab-fence"), path, "off", name, "qemu+tls://x/"],
                          capture_output=True, text=True, check=False)


def test_the_switch_says_ok_only_when_it_is_certain(switch):
    path, folder = switch
    result = fence(path, "s1")
    assert result.returncode == 1 and "stuck" in result.stderr
    assert (folder / "told").read_text() == f"crash {folder}/bad\n"
    assert fence(path, "s2").returncode == 1
    assert fence(str(folder / "nowhere"), "s1").returncode != 0
    assert pdu.ask(path, "on s1").startswith("error")


# --- picture ---


def fed(data, size=(4, 2)):
    """An Rfb that has read `data`, without a connection."""
    rfb = Rfb.__new__(Rfb)
    rfb.changed = threading.Condition()
    rfb._inflate = zlib.decompressobj()
    rfb._resize(*size)
    parser = rfb.messages()
    wanted = next(parser)
    while len(data) >= wanted:
        piece, data = data[:wanted], data[wanted:]
        wanted = parser.send(piece)
    return rfb


def rectangle(x, y, width, height, encoding, data=b""):
    return struct.pack(">HHHHi", x, y, width, height, encoding) + data


def update(*rectangles):
    return struct.pack(">BxH", 0, len(rectangles)) + b"".join(rectangles)


def test_raw_and_zlib_rectangles_make_a_picture():
    blue, red = b"\xff\0\0\0", b"\0\0\xff\0"
    packed = zlib.compressobj()
    data = packed.compress(red * 4) + packed.flush(zlib.Z_SYNC_FLUSH)
    rfb = fed(update(rectangle(0, 0, 4, 1, RAW, blue * 4)) + b"\2" + struct.pack(">Bxxx", 3) +
              struct.pack(">I", 2) + b"hi" +
              update(rectangle(0, 1, 4, 1, ZLIB, struct.pack(">I", len(data)) + data)))
    assert not rfb._missing.any()
    assert (rfb.pixels[0] == (0, 0, 255)).all() and (rfb.pixels[1] == (255, 0, 0)).all()


def test_a_new_size_asks_for_all_pixels_anew():
    rfb = fed(update(rectangle(0, 0, 8, 4, DESKTOP_SIZE)))
    assert rfb.pixels.shape == (4, 8, 3) and rfb._missing.all()
    with pytest.raises(LabError, match="message 77"):
        fed(b"\x4d")


# --- home ---


def test_the_terminals_colours_are_told_with_one_digit_each():
    for colour in (home.GOOD, home.BAD):
        assert all(part & 15 == 0 for part in colour)
    pixels = numpy.zeros((10, 10, 3), numpy.uint8)
    pixels[:] = home.GOOD
    assert "#1a4" in home._paint(home.GOOD)
