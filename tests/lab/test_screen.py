# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's own eyes and hands, without a machine: OCR, colours, key names, the wire's split."""

import struct

import numpy
import pytest
from PIL import Image, ImageDraw, ImageFont

from carrel_lab import LabError, LabTimeout, Screen, wire
from carrel_lab.errors import wait_until
from carrel_lab.qmp import KEYS, key_events

pytestmark = pytest.mark.quick

FONT = "/usr/share/fonts/truetype/nanum/NanumGothic.ttf"


def picture(text, ink, paper, size=(800, 200)):
    image = Image.new("RGB", size, paper)
    try:
        font = ImageFont.truetype(FONT, 24)
    except OSError:
        pytest.skip(f"{FONT} is not here (package fonts-nanum)")
    ImageDraw.Draw(image).text((40, 80), text, ink, font)
    return Screen(numpy.asarray(image))


@pytest.mark.parametrize("ink,paper", [((0, 0, 0), (255, 255, 255)),
                                       ((220, 220, 220), (20, 30, 60))])
def test_text_is_read_dark_on_light_and_light_on_dark(ink, paper):
    assert "Wrong name or password" in picture("Wrong name or password", ink, paper).text()


def test_korean_is_read():
    text = picture("로그인 비밀번호", (0, 0, 0), (255, 255, 255)).text(languages="kor+eng")
    assert "비밀번호" in text.replace(" ", "")


def test_an_empty_screen_has_no_text_and_one_colour():
    screen = Screen(numpy.full((100, 100, 3), 7, numpy.uint8))
    assert screen.colours() == 1
    assert screen.text() == ""


def test_share_counts_one_colour_in_a_region():
    pixels = numpy.zeros((100, 100, 3), numpy.uint8)
    pixels[:50, :, 1] = 200
    screen = Screen(pixels)
    assert screen.share((0, 200, 0)) == pytest.approx(0.5)
    assert screen.share((0, 200, 0), region=(0, 0, 1, 0.5)) == 1
    assert screen.share((0, 200, 0), region=(0, 0.5, 1, 1)) == 0
    assert screen.difference(Screen(pixels.copy())) == 0
    assert screen.difference(Screen(pixels[:50])) == 1


def test_every_printable_ascii_character_has_a_key():
    assert all(chr(c) in KEYS for c in range(32, 127))


def test_a_combination_is_released_in_reverse():
    down, up = key_events("ctrl-alt-t")
    assert [e["data"]["key"]["data"] for e in down] == ["ctrl", "alt", "t"]
    assert [e["data"]["key"]["data"] for e in up] == ["t", "alt", "ctrl"]


def test_wait_until_gives_up_and_says_what_for():
    with pytest.raises(LabTimeout, match="the moon"):
        wait_until(lambda: False, 0.01, "the moon")


def ethernet(protocol, source, target, payload):
    tail = payload
    if protocol == 17:
        tail = struct.pack(">HHHH", source, target, 8 + len(payload), 0) + payload
    else:
        tail = struct.pack(">HHIIBBHHH", source, target, 0, 0, 5 << 4, 0, 0, 0, 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tail), 0, 0, 64, protocol, 0, b"\x0a" * 4,
                     b"\x0a" * 4)
    return b"\0" * 12 + b"\x08\x00" + ip + tail


def test_the_wire_is_split_by_file(tmp_path):
    frames = [(ethernet(17, 68, 67, b"x" * 300), 342),
              (ethernet(17, 2070, 69, b"\0\1lpxelinux.0\0octet\0"), 60),
              (ethernet(17, 40000, 2070, b"\0\3\0\1" + b"x" * 100), 1450),
              (ethernet(6, 50000, 80, b"GET /boot/1/vmlinuz HTTP/1.0\r\n"), 100),
              (ethernet(6, 80, 50000, b"x" * 150), 1514),
              (ethernet(6, 50000, 80, b"GET /boot/1/initrd HTTP/1.0\r\n"), 100),
              (ethernet(6, 80, 50000, b"x" * 150), 1000),
              (ethernet(6, 2049, 700, b""), 9000),
              (ethernet(6, 5903, 700, b""), 77)]
    path = tmp_path / "wire.pcap"
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 200, 1))
        for i, (data, length) in enumerate(frames):
            data = data[:200]
            f.write(struct.pack("<IIII", i, 0, len(data), length) + data)
    assert dict(wire.split(path)) == {
        "DHCP": 342, "TFTP: lpxelinux.0": 1510, "HTTP: /boot/1/vmlinuz": 1614,
        "HTTP: /boot/1/initrd": 1100, "NFS: root image": 9000, "desktop (VNC)": 77}
    assert dict(wire.split(path, until=0.5)) == {"DHCP": 342}


def test_a_torn_capture_is_read_as_far_as_it_goes(tmp_path):
    path = tmp_path / "torn.pcap"
    path.write_bytes(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 200, 1) +
                     struct.pack("<IIII", 1, 0, 60, 60) + b"short")
    assert wire.split(path) == []
    path.write_bytes(b"not a capture at all, but long enough")
    with pytest.raises(LabError, match="no pcap"):
        wire.split(path)
