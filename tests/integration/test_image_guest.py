# SPDX-License-Identifier: GPL-2.0-or-later
"""carrel image import of the disk of a guest: a version whole or not at all, and nothing of a foreign
file is believed."""
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import time

import pytest

from test_image_store import Site, killer  # pylint: disable=unused-import
from tiny_version import Carreld, usage

pytestmark = pytest.mark.quick
TODAY = time.strftime("%Y%m%d", time.gmtime())
MIB = 1 << 20


def qemu_img(*words):
    return subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True, text=True,
                          timeout=60).stdout


@pytest.fixture(scope="module")
def disks(tmp_path_factory, need):
    """The same 24 MiB in each format, readable by all as what comes from the net is."""
    need("qemu-img", "certtool")
    folder = tmp_path_factory.mktemp("disks")
    with open(folder / "win.raw", "wb") as raw:
        raw.write(b"boot" * 1000)
        raw.seek(10 * MIB)
        raw.write(os.urandom(MIB))
        raw.truncate(24 * MIB)
    for name in ("qcow2", "vmdk", "vhdx"):
        qemu_img("convert", "-O", name, folder / "win.raw", folder / f"win.{name}")
    return folder


@pytest.fixture
def site(tmp_path, program):
    return Site(tmp_path, program)


def version(site, name="win"):
    return sorted((site.images / name).glob("2*"), key=lambda path: int(path.name.split(".")[1]))[-1]


def nothing(site):
    assert [path.name for path in site.images.iterdir() if path.name != ".lock"] == []


@pytest.mark.parametrize("kind", ["raw", "qcow2", "vmdk", "vhdx"])
def test_each_format(site, disks, kind):
    answer = site.json("import", disks / f"win.{kind}", "--name", "win", "--agent", "qemu-ga",
                       "--firmware", "uefi")
    assert re.fullmatch(TODAY + r"\.1", answer["image"].removeprefix("win@")), answer
    folder = version(site)
    assert sorted(path.name for path in folder.iterdir()) == ["disk.qcow2", "manifest.json", "manifest.sig"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["kind"] == "disk" and manifest["source"] == {"file": f"win.{kind}", "format": kind}
    assert manifest["disk"] == {"format": "qcow2", "size": 24 * MIB, "firmware": "uefi", "agent": "qemu-ga"}
    disk = folder / "disk.qcow2"
    assert (disk.stat().st_uid, disk.stat().st_mode & 0o777) == (os.geteuid(), 0o644)
    assert disk.stat().st_size < 4 * MIB
    # the guest's bytes
    assert "identical" in qemu_img("compare", "-f", "raw", "-F", "qcow2", disks / "win.raw", disk)
    assert site.good("verify", "win") == f"{answer['image']}: good\n"
    assert not (site.images / "win/current").exists()


def test_as_any_other_version(site, disks, tmp_path, program):
    first = site.json("import", disks / "win.raw", "--name", "win")["image"]
    with open(tmp_path / "other.raw", "wb") as raw:
        raw.truncate(32 * MIB)
    second = site.json("import", tmp_path / "other.raw", "--name", "win", "--agent", "qemu-ga")["image"]
    assert (first, second) == (f"win@{TODAY}.1", f"win@{TODAY}.2")
    listed = {item["version"]: item for item in site.json("list")["images"]}
    assert listed[f"{TODAY}.2"]["kind"] == "disk" and listed[f"{TODAY}.2"]["packages"] is None
    shown = site.good("show", "win")
    for words in ("disk, the users' machines run what is installed on it", "capacity   33.6 MB",
                  "firmware   bios", "agent      qemu-ga"):
        assert words in shown, shown
    assert "dm-verity" not in shown
    # diff: what is known, and no more
    text = site.good("diff", first, second)
    assert "differ: disk, capacity, agent" in text and "packages and files: not known" in text
    answer = site.json("diff", first, second)
    assert answer["parts"] == ["disk", "capacity", "agent"] and answer["bytes"][0] > answer["bytes"][1]
    assert "is a disk" in site.refused("diff", first, second, "--packages")
    # a flipped bit is found
    disk = site.images / f"win/{TODAY}.2/disk.qcow2"
    whole = disk.read_bytes()
    disk.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    assert "sha256" in site.carrel("verify", second).stdout
    disk.write_bytes(whole)
    # there and back
    site.good("export", second, tmp_path / "win.tar")
    (tmp_path / "other").mkdir()
    other = Site(tmp_path / "other", program)
    shutil.rmtree(other.pki)
    shutil.copytree(site.pki, other.pki)
    other.good("import", tmp_path / "win.tar")
    assert (other.images / f"win/{TODAY}.2/disk.qcow2").read_bytes() == whole
    # pinned, and removed
    site.good("pin", first)
    with Carreld(site.folder / "run/api.sock", usage([])):
        site.good("gc", "--keep", "1")
    assert site.versions("win") == [f"{TODAY}.1", f"{TODAY}.2"]
    site.good("unpin", first)
    with Carreld(site.folder / "run/api.sock", usage([])):
        site.good("gc", "--keep", "1")
    assert site.versions("win") == [f"{TODAY}.2"]


def test_names_other_files(site, disks, tmp_path):
    """Each of these would have qemu-img open a file that the file names."""
    secret = tmp_path / "secret.raw"
    secret.write_bytes(b"secret" * 100000)
    qemu_img("create", "-f", "qcow2", "-b", secret, "-F", "raw", tmp_path / "backed.qcow2")
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={tmp_path}/data", tmp_path / "data.qcow2", "1M")
    qemu_img("create", "-f", "vmdk", "-o", "subformat=monolithicFlat", tmp_path / "flat.vmdk", "1M")
    qemu_img("create", "-f", "vmdk", "-b", disks / "win.vmdk", "-F", "vmdk", tmp_path / "child.vmdk")
    head = bytearray((disks / "win.vmdk").read_bytes())
    head[12:20] = bytes(8)  # no capacity: only its text counts, which may name any file
    (tmp_path / "text.vmdk").write_bytes(head)
    for name, words in (("backed.qcow2", "names a backing file"), ("data.qcow2", "external data file"),
                        ("flat.vmdk", "data lie in other files"), ("text.vmdk", "data lie in other files"),
                        ("child.vmdk", "names a backing file")):
        said = site.refused("import", tmp_path / name, "--name", "win")
        assert f"{name} is not imported: " in said and words in said, said
        nothing(site)


def test_what_is_no_disk(site, disks, tmp_path):
    whole = (disks / "win.qcow2").read_bytes()
    for kind in ("qcow2", "vmdk"):
        half = (disks / f"win.{kind}").read_bytes()
        (tmp_path / f"short.{kind}").write_bytes(half[:len(half) // 2])
    (tmp_path / "head.qcow2").write_bytes(whole[:50])
    (tmp_path / "bad.qcow2").write_bytes(whole[:20] + struct.pack(">I", 63) + whole[24:])
    (tmp_path / "huge.qcow2").write_bytes(whole[:24] + struct.pack(">Q", 1 << 60) + whole[32:])
    (tmp_path / "corrupt.qcow2").write_bytes(whole[:72] + struct.pack(">Q", 2) + whole[80:])
    (tmp_path / "key.qcow2").write_bytes(whole[:32] + struct.pack(">I", 1) + whole[36:])
    (tmp_path / "named.raw").write_bytes(whole)
    (tmp_path / "empty.raw").write_bytes(b"")
    (tmp_path / "tar.vhdx").write_bytes(b"x" * 4096)
    (tmp_path / "folder.raw").mkdir()
    for path in tmp_path.iterdir():
        path.chmod(0o755)
    for name, words in (("short.qcow2", "damaged or cut short"), ("short.vmdk", "damaged or cut short"),
                        ("head.qcow2", "no qcow2 file"), ("bad.qcow2", "qemu-img: "), ("huge.qcow2", "qemu-img: "),
                        ("corrupt.qcow2", "damaged"), ("key.qcow2", "encrypted"),
                        ("named.raw", "a file of another format"), ("empty.raw", "shorter than one sector"),
                        ("tar.vhdx", "no VHDX file"), ("folder.raw", "it is no file"),
                        ("nosuch.raw", "No such file")):
        said = site.refused("import", tmp_path / name, "--name", "win")
        assert f"{name} is not imported: " in said and words in said, said
        nothing(site)


def test_words_that_do_not_fit(site, disks):
    win = disks / "win.qcow2"
    assert "--name says what" in site.refused("import", win)
    assert 'is bios or uefi, not "efi"' in site.refused("import", win, "--name", "w", "--firmware", "efi")
    assert 'carrel or qemu-ga, not "ga"' in site.refused("import", win, "--name", "w", "--agent", "ga")
    assert "no name of an image" in site.refused("import", win, "--name", "../w")
    assert "nothing to --trust" in site.refused("import", win, "--name", "w", "--trust", "key")
    assert "is taken for the file of an export" in site.refused("import", "x.tar", "--name", "w")
    (site.pki / "image-signing.key").rename(site.pki / "away")
    assert "image-signing.key" in site.refused("import", win, "--name", "w")
    nothing(site)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another")
def test_runs_as_nobody(site, disks, tmp_path):
    """qemu-img is another user's, with no more rights than his; what only root may read is refused."""
    private = tmp_path / "private.raw"
    shutil.copy(disks / "win.raw", private)
    private.chmod(0o600)
    assert f"chmod o+r {private}" in site.refused("import", private, "--name", "win")
    tools, log = tmp_path / "tools", tmp_path / "status"
    tools.mkdir()
    (tools / "qemu-img").write_text(f'#!/bin/sh\ncat /proc/self/status >>{log}; ulimit -v >>{log}\n'
                                    'echo "one"; echo "said" >&2; exit 3\n')
    (tools / "qemu-img").chmod(0o755)
    log.touch()
    log.chmod(0o666)
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    result = site.carrel("import", disks / "win.raw", "--name", "win",
                         env={"PATH": f"{tools}:{os.environ['PATH']}"})
    assert result.returncode == 1 and "qemu-img: said" in result.stderr
    said = log.read_text()
    nobody = subprocess.run(["id", "-u", "nobody"], check=True, capture_output=True, text=True).stdout.strip()
    assert re.search(rf"^Uid:\s{nobody}\s{nobody}\s{nobody}\s{nobody}$", said, re.M), said
    assert re.search(r"^Groups:\s*$", said, re.M) and re.search(r"^NoNewPrivs:\s1$", said, re.M), said
    assert "1048576" in said
    nothing(site)


def test_killed_at_each_step(site, disks, killer):  # pylint: disable=redefined-outer-name
    """A kill of carrel, or of qemu-img, which the same library kills at its own steps."""
    words = ("import", disks / "win.raw", "--name", "win")
    kills = 0
    for step in range(1, 200):
        result = site.carrel(*words, env={"LD_PRELOAD": str(killer), "KILL_AT": str(step)})
        assert site.carrel("verify").returncode == 0, step
        seen = site.versions("win")
        assert len(seen) <= 1
        if result.returncode == 0:
            break
        kills += result.returncode == -9
        site.good(*words)
        assert len(site.versions("win")) == len(seen) + 1
        assert not list(site.images.glob("win/.new*"))
        shutil.rmtree(site.images / "win")
    else:
        pytest.fail("there is no end of its steps")
    assert kills > 3


def slow_tool(folder):
    """A qemu-img that says who it is once it converts, and then goes on for ever."""
    folder.mkdir()
    real = shutil.which("qemu-img")
    (folder / "qemu-img").write_text(
        f'#!/bin/sh\n[ "$1" = info ] && exec {real} "$@"\nprintf "    (12.50/100%%)\\r"\n'
        'echo $$ >&4; while :; do read -r x </dev/zero; done\n')
    (folder / "qemu-img").chmod(0o755)
    for path in (folder, *list(folder.parents)[:-2]):
        path.chmod(path.stat().st_mode | 0o011)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_ended_while_it_converts(site, disks, tmp_path, how):
    """qemu-img ends with carrel; an interrupted import leaves nothing, a killed one what the next takes away."""
    env = {**os.environ, **slow_tool(tmp_path / "tools")}
    with subprocess.Popen([site.program("carrel"), "--config", site.conf, "image", "import",
                           disks / "win.raw", "--name", "win"], stderr=subprocess.PIPE, env=env) as process:
        scratch = site.images / "win/.new-import/disk.qcow2"
        while not (scratch.exists() and scratch.read_bytes().endswith(b"\n")):
            assert process.poll() is None
        tool = pathlib.Path("/proc") / scratch.read_text().strip()
        process.send_signal(how)
        said = process.stderr.read().decode()
        status = process.wait(timeout=30)
    deadline = time.monotonic() + 20
    while tool.exists() and "State:\tZ" not in (tool / "status").read_text():
        assert time.monotonic() < deadline, "qemu-img goes on"
    if how == signal.SIGINT:
        assert status == 1 and "interrupted" in said
        nothing(site)
    else:
        assert status == -9 and scratch.exists()
        site.good("import", disks / "win.raw", "--name", "win")
        assert not scratch.exists() and len(site.versions("win")) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")
def test_a_full_disk(site, disks):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", site.images], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        said = site.refused("import", disks / "win.raw", "--name", "win")
        assert "qemu-img: " in said and "No space left" in said
        nothing(site)
    finally:
        subprocess.run(["umount", site.images], check=True)
