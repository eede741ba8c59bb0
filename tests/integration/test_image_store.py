# SPDX-License-Identifier: GPL-2.0-or-later
"""carrel image: versions on the boot server's disk are listed, checked, compared, pinned, removed."""
import json
import os
import random
import shutil
import stat
import subprocess

import pytest

import fakes.site
import signing
import tiny_version
from tiny_version import Carreld, make_version, packages, usage

pytestmark = pytest.mark.quick

VERSIONS = ("20260101.1", "20260102.1", "20260102.2", "20260102.10", "20260103.1")


class Site:
    def __init__(self, folder, program):
        self.folder, self.program = folder, program
        self.images, self.pki = folder / "images", folder / "pki"
        for name in ("images", "run"):
            (folder / name).mkdir()
        signing.make_keys(self.pki)
        self.conf = folder / "carrel.conf"
        self.conf.write_text(f"[paths]\nimages = {self.images}\npki = {self.pki}\nrun = {folder}/run\n"
                             f"state = {folder}\n")

    def carrel(self, *words, env=None):
        result = subprocess.run([self.program("carrel"), "--config", self.conf, "image", *map(str, words)],
                                capture_output=True, check=False, timeout=60,
                                env={**tiny_version.ENVIRONMENT, **(env or {})})
        result.stdout, result.stderr = result.stdout.decode(), result.stderr.decode()
        return result

    def good(self, *words):
        result = self.carrel(*words)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def json(self, *words):
        return json.loads(self.good(*words, "--json"))

    def refused(self, *words, status=1):
        """What it says on standard error, and that nothing below `images` is changed."""
        before = self.snapshot()
        result = self.carrel(*words)
        assert result.returncode == status, result.stdout + result.stderr
        assert self.snapshot() == before
        return result.stderr

    def snapshot(self):
        return sorted((str(path), path.stat().st_mtime_ns if path.is_file() else 0)
                      for path in self.images.rglob("*") if path.name != ".lock")

    def make(self, name="lab", version="20260101.1", **how):
        return make_version(self.images, self.pki, name, version, **how)

    def publish(self, name, version):
        link = self.images / name / "current"
        link.unlink(missing_ok=True)
        link.symlink_to(version)

    def carreld(self, *answers):
        return Carreld(self.folder / "run/api.sock", *answers)

    def versions(self, name="lab"):
        return sorted(path.parent.name for path in (self.images / name).glob("2*/manifest.json"))


@pytest.fixture
def site(tmp_path, program, need):
    need("mkfs.erofs", "mksquashfs", "veritysetup", "certtool")
    return Site(tmp_path, program)


@pytest.fixture(scope="module")
def many(tmp_path_factory, program, need):
    """Five versions and their keys, made once; a test copies them."""
    need("mkfs.erofs", "mksquashfs", "veritysetup", "certtool")
    made = Site(tmp_path_factory.mktemp("many"), program)
    for version in VERSIONS:
        made.make(version=version)
    made.publish("lab", "20260103.1")
    return made


@pytest.fixture
def five(many, tmp_path, program):
    own = Site(tmp_path / "site", program) if (tmp_path / "site").mkdir() is None else None
    for folder in ("images", "pki"):
        shutil.rmtree(own.folder / folder)
        shutil.copytree(many.folder / folder, own.folder / folder, symlinks=True)
    return own


def test_list_and_show(five):
    foreign = five.images / "lab/20260101.1/manifest.sig"
    foreign.unlink()
    with five.carreld(usage(["lab@20260102.1"], stable="lab@20260103.1", previous="lab@20260102.10")):
        text = five.carrel("list")
        assert text.returncode == 0 and not text.stderr
        listed = five.json("list")
    lines = text.stdout.splitlines()
    assert lines[0].split() == ["NAME", "VERSION", "KIND", "SIZE", "PACKAGES", "SIGNED", "USE", "PINNED"]
    assert [line.split()[1] for line in lines[1:6]] == list(reversed(VERSIONS))
    assert "current, stable" in lines[1] and "previous" in lines[2] and "in use" in lines[4]
    assert " no " in lines[5] and "is not signed by this site" in lines[7]
    assert listed["carreld"] is True
    first, last = listed["images"][0], listed["images"][-1]
    assert (first["kind"], first["packages"], first["signed"], first["use"]) == (
        "desktop", 2, True, ["current", "stable"])
    assert first["bytes"] == sum(f.stat().st_size for f in (five.images / "lab/20260103.1").iterdir())
    assert (last["kind"], last["signed"], last["pinned"]) == (None, False, None)
    # without carreld there is a list all the same
    alone = five.carrel("list", "lab")
    assert alone.returncode == 0 and "carreld does not answer" in alone.stderr
    assert "current" in alone.stdout
    shown = five.json("show", "lab")
    assert shown["version"] == "20260103.1" and shown["manifest"]["files"]["kernel"]["file"] == "vmlinuz"
    words = five.good("show", "lab@20260102.1")
    for text in ("signed     yes", "desktop, the users", "vmlinuz", "packages   2", "cmdline    quiet"):
        assert text in words
    assert five.good("log", "lab") == "built lab\n"
    assert five.json("log", "lab")["log"] == "built lab\n"


def test_unknown_names_tell_what_there_is(five):
    (five.images / "empty").mkdir()
    assert "images there: empty, lab" in five.refused("show", "nosuch")
    assert "there are: 20260103.1, 20260102.10, 20260102.2, 20260102.1, 20260101.1" in five.refused(
        "verify", "lab@20270101.1")
    for command in ("show", "log", "verify", "pin", "unpin", "list"):
        assert "names no version" in five.refused(command, "../lab")
    assert "--keep is no option of image list" in five.refused("list", "--keep", "1", status=2)
    shutil.rmtree(five.images)
    result = five.carrel("list")
    assert result.returncode == 1 and "[paths] images" in result.stderr


def test_every_flipped_bit_is_found(site):
    """At random places of each file that the manifest names, and of the manifest."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    noise = random.Random(seed)
    folder = site.make()
    assert site.good("verify", "lab") == "lab@20260101.1: good\n"
    for path in sorted(folder.iterdir()):
        if path.name == "build.log":
            continue
        whole = path.read_bytes()
        places = {0, len(whole) - 1, *(noise.randrange(len(whole)) for _ in range(5))}
        for place in places:
            bad = bytearray(whole)
            bad[place] ^= 1 << noise.randrange(8)
            path.write_bytes(bad)
            result = site.carrel("verify", "lab")
            assert result.returncode == 1, (path.name, place)
            named = "manifest.json is not signed" if path.name.startswith("manifest") else f"/{path.name} "
            assert named in result.stdout or f"/{path.name} " in result.stdout
        for other in (whole[:-1], whole + b"\n"):
            path.write_bytes(other)
            assert site.carrel("verify", "lab").returncode == 1, path.name
        path.unlink()
        result = site.carrel("verify", "--json", "lab")
        assert result.returncode == 1
        if path.name == "manifest.json":
            assert "no image lab with a complete version" in result.stderr
        else:
            assert path.name in json.loads(result.stdout)["images"][0]["problems"][0]
        path.write_bytes(whole)
    assert site.carrel("verify").returncode == 0


def test_a_tree_that_does_not_fit_is_found(site):
    """All sums are right and signed, but the dm-verity tree belongs to other data."""
    folder = site.make()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["root"]["root_hash"] = "00" * 32
    (folder / "manifest.json").write_text(json.dumps(manifest))
    signing.sign(folder, site.pki)
    result = site.carrel("verify", "lab")
    assert result.returncode == 1 and "root.erofs does not fit its dm-verity tree" in result.stdout


def test_a_version_under_another_name_is_not_it(site):
    site.make()
    shutil.copytree(site.images / "lab/20260101.1", site.images / "lab/20260101.2")
    result = site.carrel("verify")
    assert result.returncode == 1
    assert "is the manifest of lab@20260101.1, not of lab@20260101.2" in result.stdout
    assert "lab@20260101.1: good" in result.stdout


def test_pins(five):
    assert "is pinned" in five.good("pin", "lab@20260101.1", "--reason", "the exam")
    assert "is pinned" in five.good("pin", "lab@20260102.1")
    assert five.json("show", "lab@20260101.1")["pinned"]["reason"] == "the exam"
    assert "the exam" in five.good("list")
    with five.carreld(usage()):
        five.good("gc", "--keep", "1")
    assert five.versions() == ["20260101.1", "20260102.1", "20260103.1"]
    assert five.json("unpin", "lab@20260102.1") == {
        "image": "lab@20260102.1", "pinned": False, "was_pinned": True}
    assert "was not pinned" in five.good("unpin", "lab@20260102.1")
    assert five.json("show", "lab@20260102.1")["pinned"] is None
    assert sorted(p.name for p in (five.images / "lab/20260101.1").iterdir()) == sorted(
        p.name for p in (five.images / "lab/20260103.1").iterdir())
    # pins that cannot be read protect all
    (five.images / "lab/.pins").write_text("{")
    with five.carreld(usage()):
        assert ".pins cannot be read" in five.refused("gc", "--keep", "1")
    assert ".pins cannot be read" in five.refused("pin", "lab")


def test_gc_leaves_what_is_needed(five):
    with five.carreld(usage(["lab@20260101.1"], previous="lab@20260102.1")) as carreld:
        planned = five.json("gc", "--keep", "1", "--dry-run")
        assert five.versions() == sorted(VERSIONS)
        assert carreld.asked == 1 and carreld.swept == 0
        done = five.json("gc", "--keep", "1")
        assert carreld.asked == 3 and carreld.swept == 1
        again = five.good("gc", "--keep", "1")
    assert planned["removed"] == done["removed"] and planned["freed"] == done["freed"] > 0
    assert [entry["image"] for entry in done["removed"]] == ["lab@20260102.10", "lab@20260102.2"]
    assert {entry["image"]: entry["why"] for entry in done["kept"]} == {
        "lab@20260101.1": "in use", "lab@20260102.1": "previous", "lab@20260103.1": "current"}
    assert five.versions() == ["20260101.1", "20260102.1", "20260103.1"]
    assert not [p for p in (five.images / "lab").iterdir() if p.name.startswith("20260102.2")]
    assert "Freed: 0.0 MB" in again and "stays (in use)" in again


def test_gc_keeps_three_unless_told(five):
    with five.carreld(usage()):
        five.good("gc")
        assert five.versions() == ["20260102.10", "20260102.2", "20260103.1"]
        five.publish("lab", "20260102.2")
        five.good("gc", "--keep", "0")
        assert five.versions() == ["20260102.2"]
        five.publish("lab", five.images / "lab/20260102.2")
        five.good("gc", "--keep", "0")
        assert five.versions() == ["20260102.2"]
        assert "--keep" in five.refused("gc", "--keep", "-1", status=2)
        assert "--keep" in five.refused("gc", "--keep", "two", status=2)


def test_gc_must_know_what_is_in_use(five):
    assert "nothing is removed: carreld is not running" in five.refused("gc")
    assert "may be removed" in five.refused("gc", "--offline", "--keep", "0")
    for answer in ((404, {"message": "no such route"}), (200, {"keep": []}), (200, {"channels": {}})):
        with five.carreld(answer):
            assert "nothing is removed" in five.refused("gc", "--keep", "0")
    assert "would be removed" in five.good("gc", "--offline", "--dry-run", "--keep", "0")
    assert five.versions() == sorted(VERSIONS)
    five.good("gc", "--offline", "--yes", "--keep", "0")
    assert five.versions() == ["20260103.1"]


def test_what_comes_into_use_meanwhile_stays(five):
    """carreld takes a version into use after it was asked, before the removal has begun."""
    with five.carreld(usage(), usage(["lab@20260102.1"])):
        done = five.json("gc", "--keep", "1")
    assert {"image": "lab@20260102.1", "why": "in use"}.items() <= {
        k: v for entry in done["kept"] for k, v in entry.items()
        if entry["image"] == "lab@20260102.1"}.items()
    assert five.versions() == ["20260102.1", "20260103.1"]
    assert five.carrel("verify").returncode == 0


def test_a_second_question_without_an_answer_undoes_all(five):
    with five.carreld(usage(), (500, {"message": "gone mad"})):
        assert "gone mad" in five.carrel("gc", "--keep", "1").stderr
    assert five.versions() == sorted(VERSIONS)
    assert five.carrel("verify").returncode == 0


def old(path):
    os.utime(path, (1, 1))
    return path


def test_leftovers(five):
    lab = five.images / "lab"
    for name in (".new", "20260104.1", ".new-import", ".new.young", "20260104.2"):
        (lab / name).mkdir()
        (lab / name / "vmlinuz").write_bytes(b"x" * 1000)
    for name in (".new", "20260104.1"):
        old(lab / name / "vmlinuz")
        old(lab / name)
    (lab / "notes").mkdir()
    # killed after its first step; now in use again
    (lab / "20260101.1/manifest.json").rename(lab / "20260101.1/.removed")
    # killed in its last
    (lab / "20260102.1/manifest.json").rename(lab / "20260102.1/.removing")
    (lab / "20260102.1/initrd").unlink()
    assert five.versions() == ["20260102.10", "20260102.2", "20260103.1"]
    with five.carreld(usage(["lab@20260101.1"])):
        dry = five.json("gc", "--dry-run")
        done = five.json("gc")
    assert dry["leftovers"] == done["leftovers"] and dry["freed"] == done["freed"] > 3000
    assert sorted(os.path.basename(path) for path in done["leftovers"]) == [
        ".new", ".new-import", "20260102.1", "20260104.1"]
    assert done["restored"] == ["lab@20260101.1"]
    assert sorted(p.name for p in lab.iterdir() if p.is_dir() and not p.is_symlink()) == [
        ".new.young", "20260101.1", "20260102.10", "20260102.2", "20260103.1", "20260104.2", "notes"]
    assert five.carrel("verify").returncode == 0


KILLER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The call with the number $KILL_AT, of those that change a folder or wait for the disk, is not made. */
static void count(void)
{
	static int calls;

	if (++calls == atoi(getenv("KILL_AT")))
		kill(getpid(), SIGKILL);
}
#define WRAP(name, parameters, arguments) \
	int name parameters { count(); return ((int (*) parameters)dlsym(RTLD_NEXT, #name)) arguments; }
WRAP(rename, (const char *a, const char *b), (a, b))
WRAP(unlink, (const char *a), (a))
WRAP(rmdir, (const char *a), (a))
WRAP(mkdir, (const char *a, mode_t b), (a, b))
WRAP(fsync, (int a), (a))
"""


@pytest.fixture(scope="module")
def killer(tmp_path_factory, need):
    need("gcc")
    folder = tmp_path_factory.mktemp("killer")
    (folder / "killer.c").write_text(KILLER)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "killer.so", folder / "killer.c", "-ldl"],
                   check=True)
    return folder / "killer.so"


def each_kill(site, killer, *words):
    """Runs the command again and again, killed one step later each time, until it is not killed."""
    for step in range(1, 200):
        result = site.carrel(*words, env={"LD_PRELOAD": str(killer), "KILL_AT": str(step)})
        yield step
        if result.returncode == 0:
            return
        assert result.returncode == -9, result.stderr
    pytest.fail("there is no end of its steps")


def test_gc_killed_at_each_step(many, five, killer):
    lab = five.images / "lab"
    kills = 0
    with five.carreld(usage(["lab@20260101.1"])):
        for kills in each_kill(five, killer, "gc", "--keep", "1"):
            assert {"20260101.1", "20260103.1"} <= set(five.versions())
            assert five.carrel("verify").returncode == 0, kills
            five.good("gc", "--keep", "1")
            assert five.versions() == ["20260101.1", "20260103.1"], kills
            left = sorted(p.name for p in lab.iterdir() if not p.name.startswith("."))
            # a folder may be left that is empty: a build may have made it, so it has a day
            for name in set(left) - {"20260101.1", "20260103.1", "current"}:
                assert not list((lab / name).iterdir()), kills
            shutil.rmtree(lab)
            shutil.copytree(many.images / "lab", lab, symlinks=True)
    assert kills > 20


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """Two trees, of which each kind of change is one."""
    before, after = tmp_path_factory.mktemp("before"), tmp_path_factory.mktemp("after")
    for tree in (before, after):
        (tree / "etc").mkdir()
        (tree / "etc/same").write_bytes(random.Random(1).randbytes(20000))
        (tree / "etc/grows").write_text("one\n" if tree == before else "one and two\n")
        (tree / "etc/edited").write_text("aaaa" * 2000 if tree == before else "aaab" * 2000)
        (tree / "etc/mode").write_text("mode\n")
        (tree / "etc/mode").chmod(0o644 if tree == before else 0o4755)
        (tree / "etc/link").symlink_to("same" if tree == before else "grows")
        (tree / "etc/owner").write_text("owner\n")
    (before / "etc/gone").write_text("gone\n")
    (after / "etc/new folder").mkdir()
    (after / "etc/new folder/\u00fc").write_text("new\n")
    (after / "etc" / os.fsdecode(b"latin\xfc")).write_text("new\n")
    (before / "etc/turned").write_text("file\n")
    (after / "etc/turned").mkdir()
    if os.getuid() == 0:
        os.chown(after / "etc/owner", 7, 8)
        for tree in (before, after):
            os.mknod(tree / "etc/device", stat.S_IFCHR | 0o600, os.makedev(1, 3 if tree == before else 5))
    return before, after


@pytest.mark.root
@pytest.mark.parametrize("form", ["erofs", "squashfs"])
def test_diff_of_files(site, trees, form):
    scratch = site.folder / "scratch"
    scratch.mkdir()
    for version, tree in zip(("20260101.1", "20260102.1"), trees):
        site.make(version=version, form=form, tree=tree, seed="one")
    result = site.carrel("diff", "lab@20260101.1", "lab", "--files", "--json", env={"TMPDIR": str(scratch)})
    assert result.returncode == 0, result.stderr
    assert not list(scratch.iterdir())
    answer = json.loads(result.stdout)
    assert answer["parts"] == ["root"] and "packages" not in answer
    changes = {entry["path"]: (entry["change"], entry["content"]) for entry in answer["files"]}
    assert changes == {
        "/etc/grows": ("changed", True), "/etc/edited": ("changed", True), "/etc/mode": ("changed", False),
        "/etc/link": ("changed", True), "/etc/owner": ("changed", False), "/etc/gone": ("removed", True),
        "/etc/new folder": ("added", True), "/etc/new folder/\u00fc": ("added", True),
        "/etc/latin\\374": ("added", True), "/etc/turned": ("changed", True), "/etc/device": ("changed", True)}
    text = site.good("diff", "lab@20260101.1", "lab")
    assert "packages: 0 of 2 differ" in text and f"files: {len(changes)} of " in text
    assert "  ~ /etc/grows (4 -> 12 bytes)\n" in text
    assert "  ~ /etc/mode (mode 100644 -> 104755)\n" in text
    assert "  ~ /etc/owner (owner 0:0 -> 7:8)\n" in text
    assert "  - /etc/gone\n" in text and "  + /etc/new folder\n" in text
    same = site.json("diff", "lab", "lab")
    assert (same["parts"], same["packages"], same["files"]) == ([], [], [])


@pytest.mark.root
def test_diff_looks_at_no_damaged_image(site):
    folder = site.make()
    with open(folder / "root.erofs", "r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    assert "root.erofs is not what its manifest says" in site.refused("diff", "lab", "lab", "--files")


def test_diff_of_packages(site):
    site.make(version="20260101.1", lock=packages(libc6="2.36-9", gone="1", same="1:2", changed="1:0.9"))
    site.make(version="20260102.1", lock=packages(libc6="2.36-10", same="1:2", changed="2:0.1", new="3"))
    text = site.good("diff", "lab@20260101.1", "lab@20260102.1", "--packages")
    assert text.splitlines()[2:] == [
        "packages: 4 of 4 differ", "  ~ changed 1:0.9 -> 2:0.1", "  - gone 1", "  ~ libc6 2.36-9 -> 2.36-10",
        "  + new 3"]
    assert "differ: kernel, initrd, root" in text
    answer = site.json("diff", "lab@20260101.1", "lab", "--packages")
    assert answer["packages"][0] == {"change": "changed", "name": "changed", "arch": "amd64",
                                     "before": "1:0.9", "after": "2:0.1"}
    assert "files" not in answer
    lock = site.images / "lab/20260102.1/packages.lock"
    lock.write_text(lock.read_text() + packages(evil="1"))
    assert "packages.lock is not what its manifest says" in site.refused(
        "diff", "lab@20260101.1", "lab", "--packages")
    (site.images / "lab/20260102.1/manifest.sig").write_text("")
    assert "is not signed by this site" in site.refused("diff", "lab@20260101.1", "lab", "--packages")


def test_build_hands_all_on(site):
    folder = site.folder / "bin"
    folder.mkdir()
    script = folder / "carrel-image-build"
    script.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit 7\n')
    script.chmod(0o755)
    path = {"PATH": f"{folder}:{tiny_version.ENVIRONMENT['PATH']}"}
    result = site.carrel("build", "desktop-lite", "--set", "sudo=no", "--force", "--json", env=path)
    assert result.returncode == 7
    words = result.stdout.split("\n")[:-1]
    assert words[:2] == ["--out", str(site.images)] and words[2] == "--cache"
    assert words[4:] == ["--sign", str(site.pki / "image-signing.key"), "--ca", str(site.pki / "ca.crt"), "--recipe", "desktop-lite", "--set",
                         "sudo=no", "--force", "--json"]
    result = site.carrel("build", env=path)
    assert result.returncode == 2 and "RECIPE" in result.stderr
    assert "carrel image build RECIPE" in site.carrel("build", "--help", env=path).stdout


@pytest.fixture
def real(tmp_path, certificate):
    """A real carreld with one server; its images have no files but the manifest."""
    made = fakes.site.Site(tmp_path, certificate).start()
    try:
        made.add_server()
        for day in ("20260401.1", "20260402.1", "20260403.1", "20260404.1"):
            made.publish(f"desktop-lite@{day}")
        yield made
    finally:
        made.end()


def test_gc_and_list_with_the_real_carreld(real):
    first, second, third, fourth = (f"desktop-lite@2026040{day}.1" for day in "1234")
    real.cli("image", "publish", first)
    real.cli("image", "promote", first, "--canary", "0")
    real.cli("image", "publish", second)
    listed = json.loads(real.cli("image", "list", "--json").stdout)
    uses = {f"{entry['name']}@{entry['version']}": entry["use"] for entry in listed["images"]}
    old = fakes.site.IMAGE
    assert listed["carreld"] and uses == {
        first: ["stable"], second: ["testing"], third: [], fourth: ["current"], old: ["previous"]}
    done = json.loads(real.cli("image", "gc", "--keep", "0", "--json").stdout)
    assert [entry["image"] for entry in done["removed"]] == [third]
    assert {entry["image"]: entry["why"] for entry in done["kept"]} == {
        first: "stable", second: "testing", fourth: "current", old: "previous"}
    assert "testing" in real.cli("image", "show", second).stdout
    # the way back is still there, and what was removed cannot be taken into use
    real.cli("image", "rollback")
    assert third in real.cli("image", "publish", third, status=1).stderr
