# SPDX-License-Identifier: GPL-2.0-or-later
"""The pack of drivers of a lab's client image, and what a PC fetched of it. QEMU's ATI card is a Radeon
7000 to Linux: its driver is one of the pack, and asks for firmware."""
import os
import re
import shutil
import subprocess

import netlab
import pcsteps

RADEON = "ati-vga,model=rv100"
# 256 instructions of 8 bytes, which is all that the driver looks at
BLOB = "radeon/R100_cp.bin"
# what a site's folder of firmware has: path -> bytes
FILES = {BLOB: bytes(range(256)) * 8, "amdgpu/polaris10_mc.bin": b"\0" * 5000, "e100/d101m_ucode.bin": b"\1" * 542,
         "of_no_module/x.bin": b"x"}


def pack(lab):
    return pcsteps.served(lab, ".drivers")


def index_text(lab):
    """The index as the image has it."""
    return subprocess.run(["unsquashfs", "-cat", lab.path("images/client/current/root.squashfs"),
                           "usr/lib/carrel/drivers"], capture_output=True, text=True, check=True).stdout


def index(lab):
    """path -> (offset, packed size, size, sha256)"""
    lines = [line.split(" ") for line in index_text(lab).splitlines()]
    return {path: (int(at), int(packed), int(size), sha) for at, packed, size, sha, path in lines}


def spoil(lab, end):
    """One bit of a piece, in a copy: the image itself is left alone."""
    path, found = pack(lab), index(lab)
    ((offset, packed, _, _),) = [item for name, item in found.items() if name.endswith(end)]
    shutil.copy(path, path + ".new")
    with open(path + ".new", "r+b") as f:
        f.seek(offset + packed // 2)
        byte = f.read(1)[0]
        f.seek(offset + packed // 2)
        f.write(bytes([byte ^ 4]))
    os.rename(path, path + ".good")
    os.rename(path + ".new", path)


def stage(lab):
    """The report of its drivers, as soon as it has come."""
    netlab.Follow(lab.path("reports.log")).wait('"stage":"drivers"', 20)
    (found,) = [s for s in lab.reports() if s["stage"] == "drivers"]
    return found


def asked(lab):
    """The bytes that were asked for of the pack, request by request."""
    log = open(lab.path("state/boot/log/http.log")).read()
    return [int(n) for n in re.findall(r' 206 (\d+) \S+ "GET /images/client-\S+\.drivers ', log)]
