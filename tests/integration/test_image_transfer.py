# SPDX-License-Identifier: GPL-2.0-or-later
"""carrel image export and import: a version goes to another boot server whole, or not at all."""
import io
import random
import shutil
import signal
import subprocess
import tarfile

import pytest

import signing
from test_image_store import Site, each_kill, killer  # pylint: disable=unused-import
from tiny_version import make_version

pytestmark = pytest.mark.quick
MEMBERS = ["manifest.json", "manifest.sig", "vmlinuz", "initrd", "root.erofs", "packages.lock", "sbom.json",
           "build.log"]


@pytest.fixture(scope="module")
def source(tmp_path_factory, program, need):
    need("mkfs.erofs", "veritysetup", "certtool", "zstd")
    site = Site(tmp_path_factory.mktemp("source"), program)
    site.make()
    site.archive = site.folder / "lab.tar"
    site.good("export", "lab", site.archive)
    return site


@pytest.fixture
def target(source, tmp_path, program):
    """A boot server of the same site, which has the site's keys and no image."""
    (tmp_path / "target").mkdir()
    site = Site(tmp_path / "target", program)
    shutil.rmtree(site.pki)
    shutil.copytree(source.pki, site.pki)
    return site


def same(one, other):
    files = [{path.name: path.read_bytes() for path in (site.images / "lab/20260101.1").iterdir()}
             for site in (one, other)]
    assert files[0] == files[1]


def nothing(site):
    """Nothing is left of a refused import but the lock."""
    assert [path.name for path in site.images.iterdir() if path.name != ".lock"] == []


def test_there_and_back(source, target):
    with tarfile.open(source.archive) as tar:
        assert tar.getnames() == MEMBERS
        assert {(m.mode, m.uid, m.mtime, m.isfile()) for m in tar} == {(0o644, 0, 0, True)}
    assert target.good("import", source.archive) == (
        'lab@20260101.1 is imported; "carrel image list" shows it.\n')
    same(source, target)
    assert target.good("verify", "lab") == "lab@20260101.1: good\n"
    assert not (target.images / "lab/current").exists()
    # the same bytes, from there too
    again = target.folder / "again.tar"
    assert target.json("export", "lab@20260101.1", again) == {"image": "lab@20260101.1", "file": str(again)}
    assert again.read_bytes() == source.archive.read_bytes()
    assert "is there already" in target.good("import", again)
    assert target.json("import", again) == {"image": "lab@20260101.1", "known": True}


def test_compressed_and_by_pipes(source, target):
    packed = target.folder / "lab.tar.zst"
    source.good("export", "lab", packed)
    assert packed.read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
    assert packed.stat().st_size < source.archive.stat().st_size
    assert not packed.with_name("lab.tar.zst.part").exists()
    target.good("import", packed)
    same(source, target)
    carrel = target.program("carrel")
    shutil.rmtree(target.images / "lab")
    subprocess.run(f"{carrel} --config {source.conf} image export lab - | "
                   f"{carrel} --config {target.conf} image import -", shell=True, check=True, timeout=60)
    same(source, target)
    shutil.rmtree(target.images / "lab")
    packed.rename(target.folder / "misnamed.tar")
    assert "compressed by zstd" in target.refused("import", target.folder / "misnamed.tar")
    nothing(target)


def test_a_compressed_archive_that_is_damaged(source, target):
    packed = target.folder / "lab.tar.zst"
    source.good("export", "lab", packed)
    data = bytearray(packed.read_bytes())
    data[len(data) // 2] ^= 0x10
    packed.write_bytes(data)
    assert "is not imported" in target.refused("import", packed)
    packed.write_bytes(packed.read_bytes()[:-100])
    assert "is not imported" in target.refused("import", packed)
    nothing(target)


def test_export_refuses(source, target, tmp_path):
    assert "there is no image nosuch" in source.refused("export", "nosuch", tmp_path / "x.tar")
    result = source.carrel("export", "lab", tmp_path / "no/x.tar")
    assert result.returncode == 1 and "no/x.tar.part" in result.stderr
    folder = target.make()
    (folder / "initrd").write_bytes(b"other")
    assert "initrd: is not what the manifest says" in target.refused("export", "lab", tmp_path / "x.tar")
    (folder / "manifest.sig").unlink()
    assert "is not signed by this site" in target.refused("export", "lab", tmp_path / "x.tar")
    assert not list(tmp_path.glob("x.tar*"))
    with open("/dev/full", "wb") as full:
        result = subprocess.run([source.program("carrel"), "--config", source.conf, "image", "export", "lab",
                                 "-"], stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)
    assert result.returncode == 1 and b"No space left" in result.stderr


def members(archive):
    with tarfile.open(archive) as tar:
        return [(member, tar.extractfile(member).read()) for member in tar]


def write(path, entries, end=b""):
    """A ustar archive of (TarInfo or name, data)."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for member, data in entries:
            if isinstance(member, str):
                member = tarfile.TarInfo(member)
                member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    with open(path, "ab") as file:
        file.write(end)
    return path


def changed(archive, name, data):
    return [(member.name, data if member.name == name else old) for member, old in members(archive)]


def link(name, target, kind=tarfile.SYMTYPE):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def hostile(archive):
    """Archives that are refused, and what is said of them."""
    good = members(archive)
    head, rest = good[:2], good[2:]
    data = dict((member.name, data) for member, data in good)
    yield "first members", rest + head
    yield "first members", [good[1], good[0]] + rest
    yield "first members", good[:1] + rest
    yield "root.erofs is missing", [entry for entry in good if entry[0].name != "root.erofs"]
    yield "packages.lock is missing", [entry for entry in good if entry[0].name != "packages.lock"]
    yield "initrd is there twice", good + [("initrd", data["initrd"])]
    yield "manifest.json is none that", good + [("manifest.json", b"{}")]
    yield "evil is none that the manifest names", head + [("evil", b"x")] + rest
    for name in ("../evil", "/etc/evil", "lab/initrd", ".new", "initrd/"):
        yield "unsafe name", head + [(name, b"x")] + rest
    yield "is no plain file", head + [link("initrd", "/etc/passwd")] + rest
    yield "is no plain file", head + [link("initrd", "vmlinuz", tarfile.LNKTYPE)] + rest
    yield "is no plain file", head + [link("initrd", "", tarfile.DIRTYPE)] + rest
    yield "initrd has another size", changed(archive, "initrd", data["initrd"] + b"x")
    yield "initrd has another size", changed(archive, "initrd", data["initrd"][:-1])
    for name in ("vmlinuz", "initrd", "root.erofs", "packages.lock", "sbom.json"):
        bad = bytearray(data[name])
        bad[len(bad) // 2] ^= 1
        yield f"{name} is not what the manifest says", changed(archive, name, bytes(bad))
    yield "not signed by the key", changed(archive, "manifest.json", data["manifest.json"] + b"\n")
    yield "not 64 bytes in base64", changed(archive, "manifest.sig", b"x")
    yield "first members", changed(archive, "manifest.sig", b"x" * 2000)
    yield "first members", changed(archive, "manifest.json", b" " * 300000)
    yield "build.log has another size", changed(archive, "build.log", b"x" * (64 * 1024 * 1024 + 1))


def test_hostile_archives(source, target):
    bad = target.folder / "bad.tar"
    count = 0
    for said, entries in hostile(source.archive):
        write(bad, entries)
        message = target.refused("import", bad)
        assert said in message and str(bad) in message, (said, message)
        nothing(target)
        count += 1
    assert count > 25
    write(bad, members(source.archive), end=b"x" * 512)
    assert "behind its end" in target.refused("import", bad)
    bad.write_bytes(b"")
    assert "ends in the middle of manifest.json" in target.refused("import", bad)
    assert "No such file" in target.refused("import", target.folder / "nosuch.tar")
    nothing(target)
    # without a log, and written by tar(1), it is as good
    shutil.copytree(source.images / "lab/20260101.1", target.folder / "files")
    subprocess.run(["tar", "-cf", bad, "-C", target.folder / "files", *MEMBERS[:-1]], check=True)
    target.good("import", bad)
    assert target.carrel("verify").returncode == 0


def test_truncated_anywhere(source, target):
    whole = source.archive.read_bytes()
    noise = random.Random(7)
    bad = target.folder / "bad.tar"
    for length in [511, 512, 1024, len(whole) - 1024, len(whole) - 512, len(whole) - 1] + [
            noise.randrange(len(whole)) for _ in range(20)]:
        bad.write_bytes(whole[:length])
        assert "is not imported" in target.refused("import", bad), length
        nothing(target)


def test_flipped_anywhere(source, target):
    """An import that goes through has the version that was exported, but for its log."""
    whole = source.archive.read_bytes()
    seed = random.randrange(1 << 32)
    print("seed", seed)
    noise = random.Random(seed)
    bad = target.folder / "bad.tar"
    for _ in range(40):
        data = bytearray(whole)
        data[noise.randrange(len(data))] ^= 1 << noise.randrange(8)
        bad.write_bytes(data)
        result = target.carrel("import", bad)
        if result.returncode:
            assert str(bad) in result.stderr
            nothing(target)
        else:
            assert target.good("verify", "lab") == "lab@20260101.1: good\n"
            shutil.rmtree(target.images / "lab")


def test_a_version_is_never_replaced(source, target):
    make_version(target.images, target.pki, "lab", "20260101.1", seed="another")
    assert "is another one; versions never change" in target.refused("import", source.archive)
    assert target.carrel("verify").returncode == 0


def test_another_site(source, tmp_path, program):
    (tmp_path / "other").mkdir()
    other = Site(tmp_path / "other", program)
    key = source.pki / "image-signing.pub"
    assert "not signed by the key in" in other.refused("import", source.archive)
    assert "not signed by the key in" in other.refused(
        "import", source.archive, "--trust", other.pki / "image-signing.pub")
    assert "the key /dev/null" in other.refused("import", source.archive, "--trust", "/dev/null")
    nothing(other)
    other.good("import", source.archive, "--trust", key)
    assert other.good("verify", "lab") == "lab@20260101.1: good\n"
    theirs = (source.images / "lab/20260101.1/manifest.json").read_bytes()
    assert (other.images / "lab/20260101.1/manifest.json").read_bytes() == theirs
    # the signature is this site's now
    subprocess.run([signing.SIGNER, "--verify", "--pub", other.pki / "image-signing.pub",
                    other.images / "lab/20260101.1/manifest.json",
                    other.images / "lab/20260101.1/manifest.sig"], check=True)
    shutil.rmtree(other.images / "lab")
    (other.pki / "image-signing.key").unlink()
    assert "carrel-pki init makes one" in other.refused("import", source.archive, "--trust", key)
    nothing(other)


def test_import_killed_at_each_step(source, target, killer):  # pylint: disable=redefined-outer-name
    kills = 0
    for kills in each_kill(target, killer, "import", source.archive):
        versions = target.versions()
        assert target.carrel("verify").returncode == 0, kills
        target.good("import", source.archive)
        assert versions in ([], ["20260101.1"])
        same(source, target)
        assert sorted(p.name for p in (target.images / "lab").iterdir()) == [".lock", "20260101.1"], kills
        shutil.rmtree(target.images / "lab")
    assert kills > 8


def test_an_interrupted_import_leaves_nothing(source, target):
    whole = source.archive.read_bytes()
    with subprocess.Popen([target.program("carrel"), "--config", target.conf, "image", "import", "-"],
                          stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(whole[:10000])
        process.stdin.flush()
        while not list(target.images.glob("lab/.new-import/vmlinuz")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 1
        assert b"interrupted" in process.stderr.read()
        process.stdin.close()
    nothing(target)


def test_others_wait_for_the_lock(source, target):
    """A second import waits for the first, and says so."""
    whole = source.archive.read_bytes()
    command = [target.program("carrel"), "--config", target.conf, "image", "import"]
    with subprocess.Popen([*command, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        first.stdin.write(whole[:10000])
        first.stdin.flush()
        while not list(target.images.glob("lab/.new-import/vmlinuz")):
            assert first.poll() is None
        with subprocess.Popen([*command, source.archive], stderr=subprocess.PIPE,
                              stdout=subprocess.PIPE) as second:
            assert b"waiting for another" in second.stderr.readline()
            first.stdin.write(whole[10000:])
            first.stdin.close()
            assert b"is imported" in first.stdout.read()
            assert b"is there already" in second.stdout.read()
            assert second.wait(timeout=30) == 0
        assert first.wait(timeout=30) == 0
    same(source, target)
